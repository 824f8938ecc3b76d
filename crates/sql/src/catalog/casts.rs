//! Casts to the types of PostgreSQL, and arrays in its text form.

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, DataType, Expr, TimezoneInfo, Value,
};

use super::build::{call, cast, number, text};
use super::{relations, types};

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn type_name(data_type: &DataType) -> String {
    let name = data_type.to_string().to_ascii_lowercase().replace('"', "");
    name.strip_prefix("pg_catalog.")
        .map(str::to_owned)
        .unwrap_or(name)
}

/// What a cast becomes; none where only its type changes.
pub(super) fn replace_cast(expr: &mut Expr, data_type: &mut DataType) -> Option<Expr> {
    let name = type_name(data_type);
    match name.as_str() {
        "regclass" => Some(match (literal(expr), &*expr) {
            (Some(text), _) => {
                let last = text.rsplit('.').next().unwrap_or(text).trim_matches('"');
                cast(number(relations::oid_of(last)), DataType::IntUnsigned(None))
            }
            (None, Expr::Value(_)) => call("to_regclass", vec![expr.clone()]),
            _ => call("pg_regclass_text", vec![expr.clone()]),
        }),
        "regtype" => Some(match literal(expr) {
            Some(text) => match types::by_name(text) {
                Some(oid) => cast(number(oid), DataType::IntUnsigned(None)),
                None => call("to_regtype", vec![expr.clone()]),
            },
            None => call("format_type", vec![expr.clone(), Expr::value(Value::Null)]),
        }),
        "regproc" | "regprocedure" | "regoper" | "regnamespace" | "regrole" => {
            Some(match literal(expr) {
                Some(literal) => text(literal.rsplit('.').next().unwrap_or(literal)),
                None => cast(expr.clone(), DataType::Text),
            })
        }
        _ => {
            if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type
                && let Some(literal) = literal(expr)
            {
                let mut element = (**element).clone();
                plain_type(&mut element);
                return Some(array_literal(literal, &element));
            }
            plain_type(data_type);
            None
        }
    }
}

/// Types that DataFusion does not know under the name that PostgreSQL has for them.
pub fn plain_type(data_type: &mut DataType) {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        plain_type(element);
        return;
    }
    let plain = match data_type {
        DataType::Custom(..) => match type_name(data_type).split('(').next().unwrap_or_default() {
            "oid" | "xid" | "cid" | "regclass" | "regtype" => DataType::IntUnsigned(None),
            "int2" => DataType::SmallInt(None),
            "int4" | "int" | "integer" => DataType::Int(None),
            "int8" | "bigint" => DataType::BigInt(None),
            "float4" => DataType::Real,
            "float8" => DataType::DoublePrecision,
            "bool" | "boolean" => DataType::Boolean,
            "date" => DataType::Date,
            "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
            "timestamptz" => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
            "text" | "name" | "char" | "varchar" | "bpchar" | "citext" | "unknown" | "regproc"
            | "pg_node_tree" => DataType::Text,
            _ => return,
        },
        DataType::Regclass => DataType::IntUnsigned(None),
        DataType::CharacterVarying(_)
        | DataType::CharVarying(_)
        | DataType::Character(_)
        | DataType::Char(_)
        | DataType::Varchar(_)
        | DataType::Nvarchar(_)
        | DataType::JSON
        | DataType::JSONB
        | DataType::Uuid => DataType::Text,
        DataType::Float(_) => DataType::DoublePrecision,
        _ => return,
    };
    *data_type = plain;
}

/// `'{a,b}'` as an array of literals, each cast to `element`.
pub fn array_literal(literal: &str, element: &DataType) -> Expr {
    let elem = array_elements(literal)
        .into_iter()
        .map(|item| match item {
            None => cast(Expr::value(Value::Null), element.clone()),
            Some(item) if *element == DataType::Text => text(&item),
            Some(item) => cast(text(&item), element.clone()),
        })
        .collect();
    Expr::Array(Array { elem, named: true })
}

/// The elements of an array of one dimension in PostgreSQL's text form; none for NULL.
pub fn array_elements(literal: &str) -> Vec<Option<String>> {
    let inner = literal.trim().trim_start_matches('{');
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    if inner.trim().is_empty() {
        return Vec::new();
    }
    let mut elements = Vec::new();
    let (mut element, mut quoted, mut was_quoted) = (String::new(), false, false);
    let mut characters = inner.chars();
    let finish = |element: &mut String, was_quoted: &mut bool| {
        let text = std::mem::take(element);
        let quoted = std::mem::take(was_quoted);
        if !quoted && text.trim().eq_ignore_ascii_case("null") {
            None
        } else if quoted {
            Some(text)
        } else {
            Some(text.trim().to_owned())
        }
    };
    while let Some(character) = characters.next() {
        match character {
            '\\' => element.extend(characters.next()),
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => elements.push(finish(&mut element, &mut was_quoted)),
            other => element.push(other),
        }
    }
    elements.push(finish(&mut element, &mut was_quoted));
    elements
}

#[cfg(test)]
mod tests {
    use super::array_elements;

    #[test]
    fn elements_of_an_array_literal() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(array_elements("{a, b}"), [some("a"), some("b")]);
        assert_eq!(
            array_elements(r#"{"a,b",NULL,"NULL","q\"q"}"#),
            [some("a,b"), None, some("NULL"), some("q\"q")]
        );
        assert_eq!(array_elements("{}"), []);
    }
}
