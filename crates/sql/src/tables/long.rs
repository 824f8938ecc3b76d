//! Tables with a row for each signal rather than a column: `points`, `kpi_1m`, `kpi_5m`, `aggregates`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use contract::{Kind, METRIC};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::project_schema;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use engine::kernels::{EntityFilter, MetricInfos};
use engine::snapshot::HourData;
use futures::StreamExt;
use lake::rows::{LongColumns, signal_of};

use crate::bounds::{Bounds, ENTITY, texts_of};
use crate::tables::kind::KindTable;
use crate::tables::source::Source;
use crate::tables::{points, windows};

/// Microseconds of an hour.
pub(crate) const HOUR: i64 = 3_600_000_000;

/// A kind, as these tables need it.
#[derive(Debug)]
pub(crate) struct OfKind {
    pub(crate) name: String,
    signals: OfSignals,
}

/// Where the kind has its signals.
#[derive(Debug)]
enum OfSignals {
    /// In columns of their own.
    Columns(Vec<Signal>),
    /// In rows, by name and value: the columns of these, and the units of declared signals.
    Rows {
        name: FieldRef,
        value: FieldRef,
        units: BTreeMap<String, String>,
    },
}

/// A signal of a kind.
#[derive(Debug, Clone)]
pub(crate) struct Signal {
    pub(crate) name: String,
    /// Where one is declared.
    pub(crate) unit: Option<String>,
    /// The column of its values; `None` of a long kind.
    pub(crate) column: Option<FieldRef>,
}

impl OfKind {
    pub(crate) fn new(kind: &Kind, table: &KindTable) -> OfKind {
        let schema = table.schema();
        let unit = |signal: &str| kind.signal(signal)?.unit.clone();
        let name = kind.name.clone();
        if let Some(columns) = LongColumns::of(&schema) {
            let known = kind.known.keys();
            let units = known.filter_map(|signal| Some((signal.clone(), unit(signal)?)));
            let signals = OfSignals::Rows {
                name: schema.fields()[columns.name].clone(),
                value: schema.fields()[columns.value].clone(),
                units: units.collect(),
            };
            return OfKind { name, signals };
        }
        let signals = schema.fields().iter().filter_map(|field| {
            let signal = signal_of(field)?;
            Some(Signal {
                name: signal.to_owned(),
                unit: unit(signal),
                column: Some(field.clone()),
            })
        });
        let signals = OfSignals::Columns(signals.collect());
        OfKind { name, signals }
    }
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A value of a signal in an event.
    Point,
    /// What is known of a signal of an entity in so many microseconds, which divide an hour.
    Window(i64),
    /// What is known of a signal of an entity in an hour, as `aggregates/` has it.
    Hour,
}

impl Form {
    fn time(self) -> &'static str {
        match self {
            Form::Point => "event_time",
            Form::Window(_) => "start",
            Form::Hour => "event_hour",
        }
    }

    /// Length of a window in microseconds; an hour without it, whose statistics are those of `aggregates/`.
    pub(crate) fn step(self) -> Option<i64> {
        match self {
            Form::Window(step) => Some(step),
            Form::Point | Form::Hour => None,
        }
    }

    fn schema(self) -> SchemaRef {
        let utc = |unit| DataType::Timestamp(unit, Some("UTC".into()));
        let field = |name: &str, r#type: DataType| Field::new(name, r#type, false);
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let (micro, milli) = (utc(TimeUnit::Microsecond), utc(TimeUnit::Millisecond));
        let mut fields = vec![
            field("kind", DataType::Utf8),
            // As in the tables of kinds.
            field(ENTITY, DataType::Utf8View),
        ];
        match self {
            Form::Point => fields.extend([
                field(self.time(), micro),
                field("signal", DataType::Utf8),
                number("value"),
                Field::new("text", DataType::Utf8, true),
            ]),
            Form::Window(_) => {
                fields.extend([
                    field("signal", DataType::Utf8),
                    field(self.time(), micro),
                    field("count", DataType::Int64),
                ]);
                fields.extend(["avg", "min", "max", "last"].map(number));
            }
            Form::Hour => {
                fields.extend([
                    field(self.time(), milli),
                    field("signal", DataType::Utf8),
                    Field::new("unit", DataType::Utf8, true),
                    field("messages", DataType::Int64),
                    field("count", DataType::Int64),
                ]);
                fields.extend(
                    ["sum", "min", "max", "mean", "stddev", "p50", "p95", "p99"].map(number),
                );
            }
        }
        Arc::new(Schema::new(fields))
    }
}

/// One of these tables, in one snapshot.
#[derive(Debug)]
pub(crate) struct LongTable {
    source: Source,
    kinds: Arc<[OfKind]>,
    form: Form,
    schema: SchemaRef,
}

impl LongTable {
    /// All of them, with their names.
    pub(crate) fn all(
        source: &Source,
        kinds: &Arc<[OfKind]>,
    ) -> impl Iterator<Item = (&'static str, LongTable)> {
        let forms = [
            ("points", Form::Point),
            ("kpi_1m", Form::Window(HOUR / 60)),
            ("kpi_5m", Form::Window(HOUR / 12)),
            ("aggregates", Form::Hour),
        ];
        forms.into_iter().map(move |(name, form)| {
            let table = LongTable {
                source: source.clone(),
                kinds: kinds.clone(),
                form,
                schema: form.schema(),
            };
            (name, table)
        })
    }
}

impl LongTable {
    /// Whether the column of units is read.
    fn tells_units(&self, projection: Option<&Vec<usize>>) -> bool {
        let unit = self.schema.index_of("unit").ok();
        unit.is_some_and(|unit| projection.is_none_or(|read| read.contains(&unit)))
    }
}

/// Which rows of a kind are read.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) source: Source,
    pub(crate) kinds: Arc<[OfKind]>,
    /// Place of the kind.
    pub(crate) kind: usize,
    /// The signals that are wanted; those of a long kind are not listed where its rows tell them.
    pub(crate) signals: Vec<Signal>,
    /// Of a long kind, the columns of the signals' names and values.
    pub(crate) rows: Option<(FieldRef, FieldRef)>,
    pub(crate) hours: Vec<HourData>,
    pub(crate) times: Range<i64>,
    pub(crate) entities: EntityFilter,
    pub(crate) form: Form,
    /// The columns of all rows.
    pub(crate) schema: SchemaRef,
}

impl Wanted {
    pub(crate) fn of_kind(&self) -> &OfKind {
        &self.kinds[self.kind]
    }
}

#[async_trait]
impl TableProvider for LongTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(match self.form {
            Form::Point => Bounds::support(filters, self.form.time()),
            // Whole hours are read.
            Form::Window(_) | Form::Hour => {
                vec![TableProviderFilterPushDown::Inexact; filters.len()]
            }
        })
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let bounds = Bounds::of(filters, self.form.time());
        let (kinds, signals) = (texts_of(filters, "kind"), texts_of(filters, "signal"));
        let times = match self.form {
            Form::Point => bounds.times,
            // Windows lie within an hour: whole hours have all their events.
            _ => whole_hours(&bounds.times),
        };
        let mut streams: Vec<Arc<dyn PartitionStream>> = Vec::new();
        for (kind, of_kind) in self.kinds.iter().enumerate() {
            if kinds
                .as_ref()
                .is_some_and(|kinds| !kinds.contains(&of_kind.name))
            {
                continue;
            }
            let is_wanted = |signal: &str| {
                let wanted = signals.as_ref();
                wanted.is_none_or(|signals| signals.contains(signal))
            };
            let (mut hours, mut rows) = (None, None);
            let found: Vec<Signal> = match &of_kind.signals {
                OfSignals::Columns(all) => all
                    .iter()
                    .filter(|signal| is_wanted(&signal.name))
                    .cloned()
                    .collect(),
                OfSignals::Rows { name, value, units } => {
                    rows = Some((name.clone(), value.clone()));
                    let of_times = self.source.hours(&of_kind.name, &times).await?;
                    let names = match &signals {
                        Some(names) => names.clone(),
                        // Each row tells its own.
                        None if self.form == Form::Point => BTreeSet::new(),
                        None => self.source.signal_names(&of_times, name).await?,
                    };
                    hours = Some(of_times);
                    let infos = match self.tells_units(projection) && of_kind.name == METRIC {
                        true => self.source.metric_infos(&times).await?,
                        false => MetricInfos::default(),
                    };
                    let signal = |name: String| {
                        let told = infos.of(&name).and_then(|info| info.unit.as_deref());
                        let unit = units.get(&name).cloned();
                        Signal {
                            unit: unit.or_else(|| told.map(str::to_owned)),
                            name,
                            column: None,
                        }
                    };
                    names.into_iter().map(signal).collect()
                }
            };
            let tells_all = rows.is_some() && self.form == Form::Point && signals.is_none();
            if found.is_empty() && !tells_all {
                continue;
            }
            let hours = match hours {
                Some(hours) => hours,
                None => self.source.hours(&of_kind.name, &times).await?,
            };
            streams.push(Arc::new(LongRows(Arc::new(Wanted {
                source: self.source.clone(),
                kinds: self.kinds.clone(),
                kind,
                signals: found,
                rows,
                hours,
                times: times.clone(),
                entities: bounds.entities.clone(),
                form: self.form,
                schema: self.schema.clone(),
            }))));
        }
        if streams.is_empty() {
            let schema = project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let plan = StreamingTableExec::try_new(
            self.schema.clone(),
            streams,
            projection,
            None,
            false,
            limit,
        )?;
        Ok(Arc::new(plan))
    }
}

/// The times with the hours in which they begin and end.
fn whole_hours(times: &Range<i64>) -> Range<i64> {
    let floor = |time: i64| time.div_euclid(HOUR).saturating_mul(HOUR);
    let start = floor(times.start);
    let end = floor(times.end.saturating_sub(1)).saturating_add(HOUR);
    if times.end == i64::MAX {
        start..i64::MAX
    } else {
        start..end
    }
}

/// The rows of one kind.
#[derive(Debug)]
struct LongRows(Arc<Wanted>);

impl PartitionStream for LongRows {
    fn schema(&self) -> &SchemaRef {
        &self.0.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let wanted = self.0.clone();
        let rows = match wanted.form {
            Form::Point => points::rows(wanted).boxed(),
            Form::Window(_) | Form::Hour => windows::rows(wanted).boxed(),
        };
        Box::pin(RecordBatchStreamAdapter::new(self.0.schema.clone(), rows))
    }
}
