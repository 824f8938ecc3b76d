//! Where an answer ended, so that the next one goes on from there.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The last point of an answer; as text `TIME.SEEN.SIGNAL.KIND.ENTITY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Event time, or start of the bucket, in microseconds since 1970.
    pub(crate) time: i64,
    /// How many points of this very place were given: several events of an entity may have the same time.
    pub(crate) seen: usize,
    pub(crate) signal: String,
    pub(crate) kind: Arc<str>,
    /// Empty where points are of no entity.
    pub(crate) entity: Arc<str>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cursor {
            time,
            seen,
            signal,
            kind,
            entity,
        } = self;
        write!(f, "{time}.{seen}.{signal}.{kind}.{entity}")
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Cursor, ()> {
        // Only an entity may have a dot in it.
        let mut parts = text.splitn(5, '.');
        let mut next = || parts.next().ok_or(());
        Ok(Cursor {
            time: next()?.parse().map_err(drop)?,
            seen: next()?.parse().map_err(drop)?,
            signal: next()?.to_owned(),
            kind: next()?.into(),
            entity: next()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = Cursor {
            time: -5,
            seen: 2,
            signal: "engine_rpm".to_owned(),
            kind: "vehicle".into(),
            entity: "veh.1".into(),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "1.2.a.b", "x.2.a.b.c", "1.-2.a.b.c"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
