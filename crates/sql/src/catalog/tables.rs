//! The catalogs: each by its name, number and columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::array::{Float32Array, UInt32Array, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::Result;

/// A catalog: its columns as `name:type`, of the types `oid`, `text`, `bool`, `int2`, `int4`, `int8`, `float4` and the
/// arrays `int2[]`, `oid[]`, `text[]`, which are NULL in every row.
#[derive(Debug)]
pub struct Table {
    /// `pg_catalog` or `information_schema`.
    pub schema: &'static str,
    /// Name in its schema.
    pub name: &'static str,
    /// Number by which `pg_class` and others name it, PostgreSQL's own where that is of any use.
    pub oid: u32,
    /// Whether the catalog has rows here; a catalog without is empty at every moment.
    pub filled: bool,
    columns: &'static str,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// For `oid` and the integers.
    Number(i64),
    /// For `text`.
    Text(String),
    /// For `bool`.
    Bool(bool),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Cell {
        Cell::Bool(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Cell {
        Cell::Number(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Cell {
        Cell::Number(i64::from(value))
    }
}

/// A row as the columns that are not at their default: false, NULL for text and arrays, and for numbers 0 in
/// `pg_catalog`, NULL in `information_schema`.
pub type Row = Vec<(&'static str, Cell)>;

impl Table {
    /// The columns, as name and type.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.columns
            .split_whitespace()
            .filter_map(|column| column.split_once(':'))
    }

    /// The rows as one batch.
    ///
    /// # Errors
    ///
    /// None for rows whose values are of the types of their columns.
    pub fn batch(&self, rows: Vec<Row>) -> Result<RecordBatch> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (name, kind) in self.columns() {
            let cells = rows.iter().map(|row| {
                row.iter()
                    .find(|(column, _)| *column == name)
                    .map(|(_, cell)| cell)
            });
            let absent = (self.schema == "pg_catalog").then_some(0);
            let numbers = cells.clone().map(|cell| match cell {
                Some(Cell::Number(number)) => Some(*number),
                _ => absent,
            });
            let array: ArrayRef = match kind {
                "oid" => Arc::new(
                    numbers
                        .map(|n| u32::try_from(n?).ok())
                        .collect::<UInt32Array>(),
                ),
                "int2" => Arc::new(
                    numbers
                        .map(|n| i16::try_from(n?).ok())
                        .collect::<Int16Array>(),
                ),
                "int4" => Arc::new(
                    numbers
                        .map(|n| i32::try_from(n?).ok())
                        .collect::<Int32Array>(),
                ),
                "int8" => Arc::new(numbers.collect::<Int64Array>()),
                "float4" => Arc::new(
                    numbers
                        .map(|n| n.map(|n| n as f32))
                        .collect::<Float32Array>(),
                ),
                "bool" => Arc::new(
                    cells
                        .map(|cell| Some(cell == Some(&Cell::Bool(true))))
                        .collect::<BooleanArray>(),
                ),
                "text" => Arc::new(
                    cells
                        .map(|cell| match cell {
                            Some(Cell::Text(text)) => Some(text.as_str()),
                            _ => None,
                        })
                        .collect::<StringArray>(),
                ),
                array => {
                    let item = match array {
                        "int2[]" => DataType::Int16,
                        "oid[]" => DataType::UInt32,
                        _ => DataType::Utf8,
                    };
                    let list = DataType::List(Arc::new(Field::new_list_field(item, true)));
                    let nulls = new_null_array(&list, rows.len());
                    debug_assert!(nulls.as_any().is::<ListArray>());
                    nulls
                }
            };
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }
}

/// The catalog of this name, in either schema.
pub fn find(schema: Option<&str>, name: &str) -> Option<&'static Table> {
    ALL.iter()
        .find(|table| table.name == name && schema.unwrap_or("pg_catalog") == table.schema)
}

const fn pg(name: &'static str, oid: u32, filled: bool, columns: &'static str) -> Table {
    Table {
        schema: "pg_catalog",
        name,
        oid,
        filled,
        columns,
    }
}

const fn info(name: &'static str, oid: u32, filled: bool, columns: &'static str) -> Table {
    Table {
        schema: "information_schema",
        name,
        oid,
        filled,
        columns,
    }
}

/// Every catalog there is; columns as PostgreSQL 15 has them (its documentation, chapter 53), less those that nothing
/// asks for.
#[rustfmt::skip]
pub const ALL: &[Table] = &[
    pg("pg_class", 1259, true, "oid:oid relname:text relnamespace:oid reltype:oid reloftype:oid relowner:oid relam:oid \
        relfilenode:oid reltablespace:oid relpages:int4 reltuples:float4 relallvisible:int4 reltoastrelid:oid \
        relhasindex:bool relisshared:bool relpersistence:text relkind:text relnatts:int2 relchecks:int2 \
        relhasrules:bool relhastriggers:bool relhassubclass:bool relrowsecurity:bool relforcerowsecurity:bool \
        relispopulated:bool relreplident:text relispartition:bool relrewrite:oid relacl:text[] reloptions:text[] \
        relpartbound:text"),
    pg("pg_namespace", 2615, true, "oid:oid nspname:text nspowner:oid nspacl:text[]"),
    pg("pg_attribute", 1249, true, "attrelid:oid attname:text atttypid:oid attstattarget:int4 attlen:int2 attnum:int2 \
        attndims:int4 attcacheoff:int4 atttypmod:int4 attbyval:bool attalign:text attstorage:text attcompression:text \
        attnotnull:bool atthasdef:bool atthasmissing:bool attidentity:text attgenerated:text attisdropped:bool \
        attislocal:bool attinhcount:int4 attcollation:oid attacl:text[] attoptions:text[] attfdwoptions:text[] \
        attmissingval:text"),
    pg("pg_type", 1247, true, "oid:oid typname:text typnamespace:oid typowner:oid typlen:int2 typbyval:bool \
        typtype:text \
        typcategory:text typispreferred:bool typisdefined:bool typdelim:text typrelid:oid typsubscript:text \
        typelem:oid \
        typarray:oid typinput:text typoutput:text typreceive:text typsend:text typmodin:text typmodout:text \
        typanalyze:text typalign:text typstorage:text typnotnull:bool typbasetype:oid typtypmod:int4 typndims:int4 \
        typcollation:oid typdefaultbin:text typdefault:text typacl:text[]"),
    pg("pg_database", 1262, true, "oid:oid datname:text datdba:oid encoding:int4 datlocprovider:text \
        datistemplate:bool \
        datallowconn:bool datconnlimit:int4 datfrozenxid:int8 datminmxid:int8 dattablespace:oid datcollate:text \
        datctype:text daticulocale:text datcollversion:text datacl:text[]"),
    pg("pg_roles", 1260, true, "oid:oid rolname:text rolsuper:bool rolinherit:bool rolcreaterole:bool rolcreatedb:bool \
        rolcanlogin:bool rolreplication:bool rolconnlimit:int4 rolpassword:text rolvaliduntil:text rolbypassrls:bool \
        rolconfig:text[]"),
    pg("pg_user", 12001, true, "usename:text usesysid:oid usecreatedb:bool usesuper:bool userepl:bool \
        usebypassrls:bool \
        passwd:text valuntil:text useconfig:text[]"),
    pg("pg_am", 2601, true, "oid:oid amname:text amhandler:text amtype:text"),
    pg("pg_tablespace", 1213, true, "oid:oid spcname:text spcowner:oid spcacl:text[] spcoptions:text[]"),
    pg("pg_settings", 12002, true, "name:text setting:text unit:text category:text short_desc:text extra_desc:text \
        context:text vartype:text source:text min_val:text max_val:text enumvals:text[] boot_val:text reset_val:text \
        sourcefile:text sourceline:int4 pending_restart:bool"),
    pg("pg_tables", 12003, true, "schemaname:text tablename:text tableowner:text tablespace:text hasindexes:bool \
        hasrules:bool hastriggers:bool rowsecurity:bool"),
    pg("pg_views", 12004, true, "schemaname:text viewname:text viewowner:text definition:text"),
    pg("pg_get_keywords", 12005, true, "word:text catcode:text barelabel:bool catdesc:text baredesc:text"),
    pg("pg_aggregate", 2600, false, "aggfnoid:oid aggkind:text"),
    pg("pg_attrdef", 2604, false, "oid:oid adrelid:oid adnum:int2 adbin:text"),
    pg("pg_auth_members", 1261, false, "roleid:oid member:oid grantor:oid admin_option:bool"),
    pg("pg_cast", 2605, false, "oid:oid castsource:oid casttarget:oid castfunc:oid castcontext:text castmethod:text"),
    pg("pg_collation", 3456, false, "oid:oid collname:text collnamespace:oid collowner:oid collprovider:text \
        collisdeterministic:bool collencoding:int4 collcollate:text collctype:text colliculocale:text \
        collversion:text"),
    pg("pg_constraint", 2606, false, "oid:oid conname:text connamespace:oid contype:text condeferrable:bool \
        condeferred:bool convalidated:bool conrelid:oid contypid:oid conindid:oid conparentid:oid confrelid:oid \
        confupdtype:text confdeltype:text confmatchtype:text conislocal:bool coninhcount:int4 connoinherit:bool \
        conkey:int2[] confkey:int2[] conbin:text"),
    pg("pg_conversion", 2607, false, "oid:oid conname:text connamespace:oid"),
    pg("pg_depend", 2608, false, "classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid refobjsubid:int4 \
        deptype:text"),
    pg("pg_description", 2609, false, "objoid:oid classoid:oid objsubid:int4 description:text"),
    pg("pg_enum", 3501, false, "oid:oid enumtypid:oid enumsortorder:float4 enumlabel:text"),
    pg("pg_event_trigger", 3466, false, "oid:oid evtname:text evtevent:text evtowner:oid evtenabled:text"),
    pg("pg_extension", 3079, false, "oid:oid extname:text extowner:oid extnamespace:oid extrelocatable:bool \
        extversion:text"),
    pg("pg_foreign_data_wrapper", 2328, false, "oid:oid fdwname:text fdwowner:oid"),
    pg("pg_foreign_server", 1417, false, "oid:oid srvname:text srvowner:oid srvfdw:oid"),
    pg("pg_foreign_table", 3118, false, "ftrelid:oid ftserver:oid ftoptions:text[]"),
    pg("pg_index", 2610, false, "indexrelid:oid indrelid:oid indnatts:int2 indnkeyatts:int2 indisunique:bool \
        indnullsnotdistinct:bool indisprimary:bool indisexclusion:bool indimmediate:bool indisclustered:bool \
        indisvalid:bool indcheckxmin:bool indisready:bool indislive:bool indisreplident:bool indkey:int2[] \
        indcollation:oid[] indclass:oid[] indoption:int2[] indexprs:text indpred:text"),
    pg("pg_indexes", 12006, false, "schemaname:text tablename:text indexname:text tablespace:text indexdef:text"),
    pg("pg_inherits", 2611, false, "inhrelid:oid inhparent:oid inhseqno:int4 inhdetachpending:bool"),
    pg("pg_language", 2612, false, "oid:oid lanname:text lanowner:oid lanispl:bool lanpltrusted:bool"),
    pg("pg_locks", 12007, false, "locktype:text database:oid relation:oid pid:int4 mode:text granted:bool"),
    pg("pg_matviews", 12008, false, "schemaname:text matviewname:text matviewowner:text definition:text"),
    pg("pg_opclass", 2616, false, "oid:oid opcmethod:oid opcname:text opcnamespace:oid opcdefault:bool opcintype:oid"),
    pg("pg_operator", 2617, false, "oid:oid oprname:text oprnamespace:oid oprleft:oid oprright:oid oprresult:oid"),
    pg("pg_partitioned_table", 3350, false, "partrelid:oid partstrat:text partnatts:int2 partdefid:oid"),
    pg("pg_policy", 3256, false, "oid:oid polname:text polrelid:oid polcmd:text polpermissive:bool polroles:oid[] \
        polqual:text polwithcheck:text"),
    pg("pg_proc", 1255, false, "oid:oid proname:text pronamespace:oid proowner:oid prolang:oid prokind:text \
        proretset:bool prorettype:oid proargtypes:oid[] proallargtypes:oid[] proargmodes:text[] proargnames:text[] \
        pronargs:int2 provolatile:text prosrc:text"),
    pg("pg_publication", 6104, false, "oid:oid pubname:text pubowner:oid puballtables:bool"),
    pg("pg_publication_namespace", 6237, false, "oid:oid pnpubid:oid pnnspid:oid"),
    pg("pg_publication_rel", 6106, false, "oid:oid prpubid:oid prrelid:oid prqual:text prattrs:int2[]"),
    pg("pg_range", 3541, false, "rngtypid:oid rngsubtype:oid rngmultitypid:oid"),
    pg("pg_rewrite", 2618, false, "oid:oid rulename:text ev_class:oid ev_type:text ev_enabled:text is_instead:bool"),
    pg("pg_sequence", 2224, false, "seqrelid:oid seqtypid:oid seqstart:int8 seqincrement:int8 seqmax:int8 seqmin:int8 \
        seqcache:int8 seqcycle:bool"),
    pg("pg_sequences", 12009, false, "schemaname:text sequencename:text sequenceowner:text last_value:int8"),
    pg("pg_shdescription", 2396, false, "objoid:oid classoid:oid description:text"),
    pg("pg_stat_activity", 12010, false, "datid:oid datname:text pid:int4 usename:text application_name:text \
        state:text \
        query:text"),
    pg("pg_stat_user_tables", 12011, false, "relid:oid schemaname:text relname:text n_live_tup:int8"),
    pg("pg_statistic_ext", 3381, false, "oid:oid stxrelid:oid stxname:text stxnamespace:oid stxowner:oid \
        stxstattarget:int4 stxkind:text[]"),
    pg("pg_subscription", 6100, false, "oid:oid subname:text subowner:oid subenabled:bool"),
    pg("pg_trigger", 2620, false, "oid:oid tgrelid:oid tgparentid:oid tgname:text tgfoid:oid tgenabled:text \
        tgisinternal:bool tgconstraint:oid"),
    pg("pg_ts_config", 3602, false, "oid:oid cfgname:text cfgnamespace:oid cfgowner:oid"),
    pg("pg_ts_dict", 3600, false, "oid:oid dictname:text dictnamespace:oid dictowner:oid"),
    pg("pg_user_mapping", 1418, false, "oid:oid umuser:oid umserver:oid"),
    info("schemata", 13001, true, "catalog_name:text schema_name:text schema_owner:text \
        default_character_set_name:text"),
    info("tables", 13002, true, "table_catalog:text table_schema:text table_name:text table_type:text \
        self_referencing_column_name:text reference_generation:text user_defined_type_catalog:text \
        user_defined_type_schema:text user_defined_type_name:text is_insertable_into:text is_typed:text \
        commit_action:text"),
    info("columns", 13003, true, "table_catalog:text table_schema:text table_name:text column_name:text \
        ordinal_position:int4 column_default:text is_nullable:text data_type:text character_maximum_length:int4 \
        character_octet_length:int4 numeric_precision:int4 numeric_precision_radix:int4 numeric_scale:int4 \
        datetime_precision:int4 interval_type:text udt_catalog:text udt_schema:text udt_name:text is_identity:text \
        identity_generation:text is_generated:text generation_expression:text is_updatable:text"),
    info("views", 13004, true, "table_catalog:text table_schema:text table_name:text view_definition:text \
        check_option:text is_updatable:text"),
    info("table_constraints", 13005, false, "constraint_catalog:text constraint_schema:text constraint_name:text \
        table_catalog:text table_schema:text table_name:text constraint_type:text is_deferrable:text"),
    info("key_column_usage", 13006, false, "constraint_catalog:text constraint_schema:text constraint_name:text \
        table_catalog:text table_schema:text table_name:text column_name:text ordinal_position:int4 \
        position_in_unique_constraint:int4"),
    info("constraint_column_usage", 13007, false, "table_catalog:text table_schema:text table_name:text \
        column_name:text constraint_catalog:text constraint_schema:text constraint_name:text"),
    info("referential_constraints", 13008, false, "constraint_catalog:text constraint_schema:text \
        constraint_name:text unique_constraint_catalog:text unique_constraint_schema:text unique_constraint_name:text \
        match_option:text update_rule:text delete_rule:text"),
    info("routines", 13009, false, "specific_catalog:text specific_schema:text specific_name:text \
        routine_catalog:text routine_schema:text routine_name:text routine_type:text data_type:text"),
    info("parameters", 13010, false, "specific_schema:text specific_name:text ordinal_position:int4 \
        parameter_name:text data_type:text"),
    info("sequences", 13011, false, "sequence_catalog:text sequence_schema:text sequence_name:text data_type:text"),
    info("triggers", 13012, false, "trigger_catalog:text trigger_schema:text trigger_name:text \
        event_object_table:text"),
    info("character_sets", 13013, false, "character_set_catalog:text character_set_schema:text \
        character_set_name:text"),
];
