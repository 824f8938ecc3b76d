//! What a text is about that may be no event.

use crate::declare::kind::{Kind, SignalsAt};
use crate::declare::kinds::Kinds;

/// Names of the kind and the entity that a text seems to be about, however broken it is as an event.
pub fn identify(kinds: &Kinds, text: &str) -> (Option<String>, Option<String>) {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(text) else {
        return (None, None);
    };
    let named = fields.get("kind").and_then(|name| name.as_str());
    let kind = match named {
        Some(name) => kinds.get(name),
        None => kinds
            .iter()
            .filter(|kind| {
                let has = |field| fields.contains_key(field);
                has(&kind.entity.field)
                    || kind.entity.default.is_some() && fields.keys().any(|name| knows(kind, name))
            })
            .max_by_key(|kind| fields.keys().filter(|name| knows(kind, name)).count()),
    };
    let entity = kind.and_then(|kind| match fields.get(&kind.entity.field) {
        None => kind.entity.default.clone(),
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    });
    let name = kind.map(|kind| kind.name.as_str()).or(named);
    (name.map(str::to_owned), entity)
}

fn knows(kind: &Kind, name: &str) -> bool {
    name == kind.entity.field
        || name == kind.time.field
        || matches!(&kind.signals_at, SignalsAt::Object(field) if name == field)
        || kind.fields.iter().any(|rule| rule.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_event_is_told_by_kind_and_entity_where_they_can_be_read() {
        let kinds = Kinds::builtin();
        let of = |body: &str| identify(&kinds, body);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            of(r#"{"vehicle_id":"veh-1","payload":3}"#),
            (some("vehicle"), some("veh-1"))
        );
        assert_eq!(
            of(r#"{"kind":"cell","entity_id":7}"#),
            (some("cell"), some("7"))
        );
        assert_eq!(of(r#"{"kind":"tram","entity_id":7}"#), (some("tram"), None));
        assert_eq!(
            of(r#"{"name":"cpu usage","value":1}"#),
            (some("metric"), some("default"))
        );
        assert_eq!(of("{}"), (None, None));
        assert_eq!(of("[]"), (None, None));
        assert_eq!(of("not JSON"), (None, None));
    }
}
