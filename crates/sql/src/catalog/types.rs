//! The types of PostgreSQL that clients see, and which of them stands for which type of Arrow.

use arrow::datatypes::DataType;

/// One row of `pg_type`.
#[derive(Debug, Clone, Copy)]
pub struct PgType {
    /// Number by which the protocol names the type (PostgreSQL's `pg_type.dat`).
    pub oid: u32,
    /// Name in `pg_type`, such as `float8`.
    pub name: &'static str,
    /// Name in SQL, as `format_type` gives it, such as `double precision`.
    pub sql: &'static str,
    /// Bytes of a value; -1 where they vary.
    pub len: i16,
    /// `typcategory`: `N` number, `S` text, `D` time, `B` boolean, `T` interval, `U` other, `A` array, `P` pseudo.
    pub category: &'static str,
    /// The array type over it; 0 when there is none.
    pub array: u32,
}

const fn of(
    oid: u32,
    name: &'static str,
    sql: &'static str,
    len: i16,
    category: &'static str,
    array: u32,
) -> PgType {
    PgType {
        oid,
        name,
        sql,
        len,
        category,
        array,
    }
}

/// All types but the arrays, which [`by_oid`] makes from them.
pub const TYPES: &[PgType] = &[
    of(16, "bool", "boolean", 1, "B", 1000),
    of(17, "bytea", "bytea", -1, "U", 1001),
    of(18, "char", "\"char\"", 1, "Z", 1002),
    of(19, "name", "name", 64, "S", 1003),
    of(20, "int8", "bigint", 8, "N", 1016),
    of(21, "int2", "smallint", 2, "N", 1005),
    of(23, "int4", "integer", 4, "N", 1007),
    of(24, "regproc", "regproc", 4, "N", 1008),
    of(25, "text", "text", -1, "S", 1009),
    of(26, "oid", "oid", 4, "N", 1028),
    of(114, "json", "json", -1, "U", 199),
    of(700, "float4", "real", 4, "N", 1021),
    of(701, "float8", "double precision", 8, "N", 1022),
    of(705, "unknown", "unknown", -2, "X", 0),
    of(1042, "bpchar", "character", -1, "S", 1014),
    of(1043, "varchar", "character varying", -1, "S", 1015),
    of(1082, "date", "date", 4, "D", 1182),
    of(1083, "time", "time without time zone", 8, "D", 1183),
    of(
        1114,
        "timestamp",
        "timestamp without time zone",
        8,
        "D",
        1115,
    ),
    of(
        1184,
        "timestamptz",
        "timestamp with time zone",
        8,
        "D",
        1185,
    ),
    of(1186, "interval", "interval", 16, "T", 1187),
    of(1266, "timetz", "time with time zone", 12, "D", 1270),
    of(1700, "numeric", "numeric", -1, "N", 1231),
    of(2205, "regclass", "regclass", 4, "N", 2210),
    of(2206, "regtype", "regtype", 4, "N", 2211),
    of(2278, "void", "void", 4, "P", 0),
    of(2950, "uuid", "uuid", 16, "U", 2951),
    of(3802, "jsonb", "jsonb", -1, "U", 3807),
];

/// The type of this number, and whether it is the array over that type.
pub fn by_oid(oid: u32) -> Option<(&'static PgType, bool)> {
    TYPES.iter().find_map(|pg| {
        if pg.oid == oid {
            Some((pg, false))
        } else if oid != 0 && pg.array == oid {
            Some((pg, true))
        } else {
            None
        }
    })
}

/// The type of this name, by either of its names, in any case; arrays as `name[]` or `_name`.
pub fn by_name(name: &str) -> Option<u32> {
    let name = name.trim().to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    let element = name.strip_suffix("[]").or_else(|| name.strip_prefix('_'));
    let wanted = match element.unwrap_or(name) {
        "int" => "int4",
        "decimal" => "numeric",
        "timestamp with time zone" => "timestamptz",
        other => other,
    };
    let found = TYPES
        .iter()
        .find(|pg| pg.name == wanted || pg.sql == wanted)?;
    Some(if element.is_some() {
        found.array
    } else {
        found.oid
    })
}

/// `format_type`: the name in SQL of the type of this number.
pub fn sql_name(oid: u32) -> String {
    match by_oid(oid) {
        Some((pg, true)) => format!("{}[]", pg.sql),
        Some((pg, false)) => pg.sql.to_owned(),
        None => "???".to_owned(),
    }
}

/// The number of the type by which values of this Arrow type are sent.
pub fn of_arrow(data_type: &DataType) -> u32 {
    match data_type {
        DataType::Boolean => 16,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => 21,
        DataType::Int32 | DataType::UInt16 => 23,
        // Only the catalogs have unsigned columns of 32 bits: their numbers of objects.
        DataType::UInt32 => 26,
        DataType::Int64 | DataType::UInt64 => 20,
        DataType::Float16 | DataType::Float32 => 700,
        DataType::Float64 => 701,
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => 1700,
        DataType::Date32 | DataType::Date64 => 1082,
        DataType::Time32(_) | DataType::Time64(_) => 1083,
        DataType::Timestamp(_, None) => 1114,
        DataType::Timestamp(_, Some(_)) => 1184,
        DataType::Interval(_) | DataType::Duration(_) => 1186,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => 17,
        DataType::Dictionary(_, value) => of_arrow(value),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            match by_oid(of_arrow(item.data_type())) {
                Some((pg, false)) if pg.array != 0 => pg.array,
                _ => 1009,
            }
        }
        _ => 25,
    }
}

/// The Arrow type by which a parameter of this PostgreSQL type is planned.
pub fn to_arrow(oid: u32) -> DataType {
    use arrow::datatypes::{Field, IntervalUnit, TimeUnit};
    let Some((pg, array)) = by_oid(oid) else {
        return DataType::Utf8;
    };
    let element = match pg.oid {
        16 => DataType::Boolean,
        17 => DataType::Binary,
        20 => DataType::Int64,
        21 => DataType::Int16,
        23 => DataType::Int32,
        26 | 2205 | 2206 => DataType::UInt32,
        700 => DataType::Float32,
        701 => DataType::Float64,
        1082 => DataType::Date32,
        1083 => DataType::Time64(TimeUnit::Microsecond),
        1114 => DataType::Timestamp(TimeUnit::Microsecond, None),
        1184 => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        1186 => DataType::Interval(IntervalUnit::MonthDayNano),
        1700 => DataType::Decimal128(38, 10),
        _ => DataType::Utf8,
    };
    if array {
        DataType::List(std::sync::Arc::new(Field::new_list_field(element, true)))
    } else {
        element
    }
}
