//! What a key may do.

use std::fmt;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Sending events.
    Write,
    /// Asking for data, alerts and the console.
    Read,
    /// Changing what people decide: silences, acknowledgements, deliveries.
    Admin,
}

impl Access {
    /// All of them.
    pub const ALL: [Access; 3] = [Access::Write, Access::Read, Access::Admin];

    /// The word in the file of keys.
    pub fn word(self) -> &'static str {
        match self {
            Access::Write => "write",
            Access::Read => "read",
            Access::Admin => "admin",
        }
    }
}

/// What a key may do. Kinds and entities bound what it may write, never what it may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// In the order of [`Access::ALL`], each once.
    pub may: Vec<Access>,
    /// Kinds of the events that it may send; all where there is none.
    pub write_kinds: Vec<String>,
    /// Patterns of the entities of these events; all where there is none.
    pub write_entities: Vec<Pattern>,
}

impl Scope {
    /// All that there is.
    pub fn all() -> Scope {
        Scope {
            may: Access::ALL.into(),
            write_kinds: Vec::new(),
            write_entities: Vec::new(),
        }
    }

    /// Whether the key may do this.
    pub fn allows(&self, access: Access) -> bool {
        self.may.contains(&access)
    }

    /// Whether events of the kind may be sent.
    pub fn allows_kind(&self, kind: &str) -> bool {
        self.write_kinds.is_empty() || self.write_kinds.iter().any(|allowed| allowed == kind)
    }

    /// Whether events of the entity may be sent.
    pub fn allows_entity(&self, entity: &str) -> bool {
        self.write_entities.is_empty()
            || self
                .write_entities
                .iter()
                .any(|allowed| allowed.matches(entity))
    }

    /// Whether any event may be sent, so that none need be looked at.
    pub fn allows_every_event(&self) -> bool {
        self.write_kinds.is_empty() && self.write_entities.is_empty()
    }
}

impl fmt::Display for Scope {
    /// As `write events of vehicle, cell from veh-*; read`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, access) in self.may.iter().enumerate() {
            let between = if place == 0 { "" } else { "; " };
            write!(f, "{between}{}", access.word())?;
            if *access != Access::Write || self.allows_every_event() {
                continue;
            }
            f.write_str(" events")?;
            if !self.write_kinds.is_empty() {
                write!(f, " of {}", self.write_kinds.join(", "))?;
            }
            if !self.write_entities.is_empty() {
                let texts: Vec<&str> = self.write_entities.iter().map(Pattern::as_str).collect();
                write!(f, " from {}", texts.join(", "))?;
            }
        }
        Ok(())
    }
}

/// A text in which each `*` stands for any characters, also for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern of that text.
    pub fn new(text: impl Into<String>) -> Pattern {
        Pattern(text.into())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` fits. Takes at most the product of both lengths, whatever the pattern.
    pub fn matches(&self, text: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let Some(last) = pieces.next_back() else {
            // No star: the text must be the pattern.
            return rest.is_empty();
        };
        // The leftmost place of each piece leaves the most for those behind it.
        for piece in pieces {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, letter by letter.
    fn fits(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skipped| fits(rest, &text[skipped..])),
            Some((letter, rest)) => text.first() == Some(letter) && fits(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_pattern_fits_as_its_definition_says(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = fits(&chars(&pattern), &chars(&text));
            prop_assert_eq!(Pattern::new(pattern).matches(&text), expected);
        }
    }

    #[test]
    fn kinds_and_entities_bound_what_is_written() {
        let scope = Scope {
            may: vec![Access::Write, Access::Read],
            write_kinds: vec!["vehicle".into()],
            write_entities: vec![Pattern::new("veh-*"), Pattern::new("ü*")],
        };
        assert!(scope.allows(Access::Write) && !scope.allows(Access::Admin));
        assert!(scope.allows_kind("vehicle") && !scope.allows_kind("vehicles"));
        assert!(scope.allows_entity("veh-") && scope.allows_entity("üb"));
        assert!(!scope.allows_entity("xveh-1") && !scope.allows_every_event());
        let said = "write events of vehicle from veh-*, ü*; read";
        assert_eq!(scope.to_string(), said);
        let all = Scope::all();
        assert!(all.allows_every_event() && all.allows_kind("x") && all.allows_entity("y"));
        assert_eq!(all.to_string(), "write; read; admin");
    }
}
