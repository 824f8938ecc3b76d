//! Hot rows: those of raw objects that no commit of the snapshot names, each event once. Nothing here calls S3.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, AsArray, BooleanArray, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use contract::Kinds;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use lake::parts::IdHashes;
use lake::rows::{Columns, KindHour, SignalTypes, id_hash, signals_in};

use crate::planted_defects;

/// Bytes that an id takes in the table of its hour, about.
const ID_BYTES: usize = 24;

/// What readers get: the visible rows of each kind and hour.
pub(super) type HotRows = BTreeMap<KindHour, Arc<[Arc<RecordBatch>]>>;

/// The rows of a raw object, each id once in its hour, in the layout of `curated/`.
pub(super) struct ObjectRows {
    pub(super) key: Arc<str>,
    pub(super) rows: Vec<(KindHour, RecordBatch)>,
}

impl ObjectRows {
    /// Bytes of memory that they take as hot rows, about.
    pub(super) fn bytes(&self) -> usize {
        self.rows.iter().map(|(_, rows)| bytes(rows)).sum()
    }
}

/// The rows of all objects that no commit names.
#[derive(Default)]
pub(super) struct Hot {
    objects: BTreeMap<Arc<str>, HotObject>,
    hours: BTreeMap<KindHour, HotHour>,
    bytes: usize,
    next: u32,
}

struct HotObject {
    number: u32,
    hours: Vec<KindHour>,
}

#[derive(Default)]
struct HotHour {
    /// By the number of the object.
    objects: BTreeMap<u32, RowsOfHour>,
    /// The visible row of each id.
    ids: HashTable<Place>,
    /// What readers get; none after a change.
    view: Option<Arc<[Arc<RecordBatch>]>>,
}

#[derive(Clone, Copy)]
struct Place {
    hash: u64,
    object: u32,
    row: u32,
}

/// Rows of one object in one hour. A row that is hidden stays hidden: its event is in a part, or in another object,
/// from where a commit brings it into a part.
struct RowsOfHour {
    key: Arc<str>,
    all: RecordBatch,
    hidden: BTreeSet<u32>,
}

impl Hot {
    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    pub(super) fn objects(&self) -> usize {
        self.objects.len()
    }

    /// Number of visible rows.
    pub(super) fn rows(&self) -> usize {
        self.hours.values().map(|hour| hour.ids.len()).sum()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.objects.contains_key(key)
    }

    pub(super) fn hours(&self) -> impl Iterator<Item = KindHour> + '_ {
        self.hours.keys().copied()
    }

    /// The visible ids of an hour, but for those of objects that are `gone`.
    pub(super) fn ids(&self, at: KindHour, gone: impl Fn(&str) -> bool) -> Vec<&str> {
        let Some(hour) = self.hours.get(&at) else {
            return Vec::new();
        };
        let objects = hour.objects.values();
        let left = objects.filter(|rows| !gone(&rows.key));
        let ids = left.flat_map(|rows| {
            let all = 0..rows.all.num_rows() as u32;
            let visible = all.filter(|row| !rows.hidden.contains(row));
            visible.map(|row| rows.id(row))
        });
        ids.collect()
    }

    /// Takes in an object. Of events with the same id in several objects the one received first is visible, as a
    /// commit of all of them would have it; none is if `in_parts` holds for the [`id_hash`] of its id.
    pub(super) fn add(&mut self, object: ObjectRows, in_parts: impl Fn(KindHour, u64) -> bool) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let mut hours = Vec::new();
        for (at, all) in object.rows {
            let mut new = RowsOfHour {
                key: object.key.clone(),
                all,
                hidden: BTreeSet::new(),
            };
            let hour = self.hours.entry(at).or_default();
            for row in 0..new.all.num_rows() as u32 {
                let hash = id_hash(new.id(row));
                if in_parts(at, hash) {
                    new.hidden.insert(row);
                } else {
                    hour.add(&mut new, number, row, hash);
                }
            }
            new.let_go();
            hour.view = None;
            self.bytes += new.bytes();
            hour.objects.insert(number, new);
            hours.push(at);
        }
        self.objects.insert(object.key, HotObject { number, hours });
    }

    /// Takes out the rows of an object that a commit names, if it is here, in the hours that are `written`. The object
    /// goes with its last hour.
    pub(super) fn remove(&mut self, key: &str, written: impl Fn(KindHour) -> bool) {
        if planted_defects::keep_committed_rows() {
            return;
        }
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let number = object.number;
        let (gone, left) = object.hours.iter().partition(|at| written(**at));
        object.hours = left;
        if object.hours.is_empty() {
            self.objects.remove(key);
        }
        self.remove_rows(number, gone);
    }

    fn remove_rows(&mut self, number: u32, hours: Vec<KindHour>) {
        for at in hours {
            let Some(hour) = self.hours.get_mut(&at) else {
                continue;
            };
            if let Some(rows) = hour.objects.remove(&number) {
                self.bytes -= rows.bytes();
                for row in 0..rows.all.num_rows() as u32 {
                    if !rows.hidden.contains(&row) {
                        hour.forget(id_hash(rows.id(row)), number, row);
                    }
                }
                hour.view = None;
            }
            if hour.objects.is_empty() {
                self.hours.remove(&at);
            }
        }
    }

    /// Hides the rows of an hour for whose ids' [`id_hash`] `in_parts` holds.
    pub(super) fn hide(&mut self, at: KindHour, in_parts: impl Fn(u64) -> bool) {
        if planted_defects::keep_committed_rows() {
            return;
        }
        let Some(hour) = self.hours.get_mut(&at) else {
            return;
        };
        let places = hour.ids.iter().filter(|place| in_parts(place.hash));
        let places: Vec<Place> = places.copied().collect();
        for place in places {
            hour.forget(place.hash, place.object, place.row);
            if let Some(rows) = hour.objects.get_mut(&place.object) {
                rows.hidden.insert(place.row);
                let before = rows.bytes();
                rows.let_go();
                self.bytes -= before - rows.bytes();
            }
            hour.view = None;
        }
    }

    /// Names the columns of a kind's rows as `types` say, the stored ones, to which the signals of these rows are
    /// added as the next commit would do. `kind` is its place in [`Kinds::iter`].
    ///
    /// # Errors
    ///
    /// None that could be caused by data: Arrow's own.
    pub(super) fn rename(
        &mut self,
        kinds: &Kinds,
        kind: usize,
        types: &mut SignalTypes,
    ) -> Result<(), ArrowError> {
        let Some(declared) = kinds.iter().nth(kind) else {
            return Ok(());
        };
        let of_kind = || self.hours.iter().filter(|((of, _), _)| *of == kind);
        for rows in of_kind().flat_map(|(_, hour)| hour.objects.values()) {
            types.add(declared, signals_in(&rows.all));
        }
        let columns = Columns::new(declared, types.clone());
        for ((of, _), hour) in &mut self.hours {
            if *of == kind {
                for rows in hour.objects.values_mut() {
                    rows.all = columns.rename(&rows.all)?;
                }
                hour.view = None;
            }
        }
        Ok(())
    }

    /// The visible rows.
    ///
    /// # Errors
    ///
    /// None that could be caused by data: Arrow's own.
    pub(super) fn view(&mut self) -> Result<HotRows, ArrowError> {
        let mut view = HotRows::new();
        for (at, hour) in &mut self.hours {
            let of_hour = match &hour.view {
                Some(of_hour) => of_hour.clone(),
                None => {
                    let rows = hour.objects.values();
                    let visible = rows.filter_map(|rows| rows.visible().transpose());
                    let visible: Arc<[_]> = visible.collect::<Result<Vec<_>, _>>()?.into();
                    hour.view = Some(visible.clone());
                    visible
                }
            };
            if !of_hour.is_empty() {
                view.insert(*at, of_hour);
            }
        }
        Ok(view)
    }
}

/// The ids of these objects, by kind and hour.
pub(super) fn ids_of(objects: &[ObjectRows]) -> BTreeMap<KindHour, IdHashes> {
    let mut rows: BTreeMap<KindHour, Vec<&RecordBatch>> = BTreeMap::new();
    for (at, batch) in objects.iter().flat_map(|object| &object.rows) {
        rows.entry(*at).or_default().push(batch);
    }
    let hashes = rows.into_iter().map(|(at, batches)| {
        let ids = batches
            .into_iter()
            .filter_map(|batch| batch.column(0).as_string_opt::<i32>());
        (at, IdHashes::of(ids.flatten().flatten()))
    });
    hashes.collect()
}

/// Bytes that these rows take, with their ids in the table of their hour.
fn bytes(rows: &RecordBatch) -> usize {
    rows.get_array_memory_size() + rows.num_rows() * ID_BYTES
}

impl HotHour {
    /// Makes a row of a new object visible, unless its id has been received earlier in another object.
    fn add(&mut self, new: &mut RowsOfHour, number: u32, row: u32, hash: u64) {
        let (id, objects) = (new.id(row), &mut self.objects);
        let is_it = |place: &Place| {
            let there = objects.get(&place.object);
            place.hash == hash && there.is_some_and(|there| there.id(place.row) == id)
        };
        let mine = Place {
            hash,
            object: number,
            row,
        };
        match self.ids.entry(hash, is_it, |place| place.hash) {
            Entry::Vacant(free) => {
                free.insert(mine);
            }
            Entry::Occupied(mut there) => {
                let place = *there.get();
                let Some(other) = objects.get_mut(&place.object) else {
                    return;
                };
                if new.arrival(row) < other.arrival(place.row) {
                    other.hidden.insert(place.row);
                    *there.get_mut() = mine;
                } else {
                    new.hidden.insert(row);
                }
            }
        }
    }

    fn forget(&mut self, hash: u64, object: u32, row: u32) {
        let is_it = |place: &Place| place.object == object && place.row == row;
        if let Ok(entry) = self.ids.find_entry(hash, is_it) {
            entry.remove();
        }
    }
}

impl RowsOfHour {
    fn id(&self, row: u32) -> &str {
        let ids: Option<&StringArray> = self.all.column(0).as_any().downcast_ref();
        ids.map_or("", |ids| ids.value(row as usize))
    }

    /// When the row's event was received, and the key of its object: of two rows with one id, a commit of both keeps
    /// the one for which this is less.
    fn arrival(&self, row: u32) -> (i64, &str) {
        let times: Option<&TimestampMillisecondArray> = self.all.column(3).as_any().downcast_ref();
        let received = times.map_or(0, |times| times.value(row as usize));
        (received, &self.key)
    }

    /// Lets the rows go if all are hidden, as when SQS has delivered a whole batch again.
    fn let_go(&mut self) {
        if self.hidden.len() == self.all.num_rows() {
            self.all = RecordBatch::new_empty(self.all.schema());
            self.hidden.clear();
        }
    }

    /// Bytes of memory, about.
    fn bytes(&self) -> usize {
        bytes(&self.all)
    }

    /// The rows that are not hidden; none if all are.
    fn visible(&self) -> Result<Option<Arc<RecordBatch>>, ArrowError> {
        let rows = self.all.num_rows();
        if self.hidden.is_empty() {
            return Ok((rows > 0).then(|| Arc::new(self.all.clone())));
        }
        let mask = (0..rows as u32).map(|row| Some(!self.hidden.contains(&row)));
        let mask: BooleanArray = mask.collect();
        Ok(Some(Arc::new(filter_record_batch(&self.all, &mask)?)))
    }
}
