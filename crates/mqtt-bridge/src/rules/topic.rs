//! Patterns of topics: `fleet/{vehicle_id}/can/{can_id}`.

/// A pattern of topics, level by level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    levels: Vec<Level>,
    /// Whether it ends in `#`: any number of further levels may follow, none among them.
    open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    /// The level as it stands.
    Text(String),
    /// `+`: any level.
    Any,
    /// `{name}`: any level, whose text is the field of that name.
    Field(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
        if text.is_empty() || text.len() > usize::from(u16::MAX) || text.contains('\0') {
            return Err("a topic has 1 to 65,535 bytes, none of which is 0".to_owned());
        }
        if text.starts_with("$share/") {
            return Err("`$share/…` is for the setting SHARE: leave it out here".to_owned());
        }
        let mut levels: Vec<Level> = Vec::new();
        let mut open = false;
        for part in text.split('/') {
            if open {
                return Err("`#` stands at the end, alone in its level".to_owned());
            }
            match part {
                "#" => open = true,
                "+" => levels.push(Level::Any),
                _ => levels.push(level(part, &levels)?),
            }
        }
        Ok(Pattern { levels, open })
    }

    /// The filter to subscribe to: the pattern with `+` in place of names.
    pub(crate) fn filter(&self) -> String {
        let levels = self.levels.iter().map(|level| match level {
            Level::Text(text) => text.as_str(),
            Level::Any | Level::Field(_) => "+",
        });
        let parts: Vec<&str> = levels.chain(self.open.then_some("#")).collect();
        parts.join("/")
    }

    /// The names in braces, in their order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().filter_map(|level| match level {
            Level::Field(name) => Some(name.as_str()),
            Level::Text(_) | Level::Any => None,
        })
    }

    /// The fields that the topic gives, by name; `None` if the topic is not of the pattern.
    pub(crate) fn take<'p, 't>(&'p self, topic: &'t str) -> Option<Vec<(&'p str, &'t str)>> {
        // As the broker has it: `$SYS/…` is not meant by a wildcard at the start (MQTT 5, section 4.7.2).
        if topic.starts_with('$') && !matches!(self.levels.first(), Some(Level::Text(_))) {
            return None;
        }
        let mut fields = Vec::new();
        let mut parts = topic.split('/');
        for level in &self.levels {
            let part = parts.next()?;
            match level {
                Level::Text(text) if text == part => {}
                Level::Text(_) => return None,
                Level::Any => {}
                Level::Field(name) => fields.push((name.as_str(), part)),
            }
        }
        (self.open || parts.next().is_none()).then_some(fields)
    }

    /// Whether every topic of the other pattern is one of this pattern too.
    pub(crate) fn covers(&self, other: &Pattern) -> bool {
        let enough = if self.open {
            self.levels.len() <= other.levels.len()
        } else {
            !other.open && self.levels.len() == other.levels.len()
        };
        let dollar =
            matches!(other.levels.first(), Some(Level::Text(text)) if text.starts_with('$'));
        let mut pairs = self.levels.iter().zip(&other.levels);
        enough
            && (!dollar || matches!(self.levels.first(), Some(Level::Text(_))))
            && pairs.all(|(mine, theirs)| match (mine, theirs) {
                (Level::Text(mine), Level::Text(theirs)) => mine == theirs,
                (Level::Text(_), Level::Any | Level::Field(_)) => false,
                (Level::Any | Level::Field(_), _) => true,
            })
    }
}

/// Reads a level that is neither `+` nor `#`; `before` are those in front of it.
fn level(part: &str, before: &[Level]) -> Result<Level, String> {
    let inner = part
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = inner
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        let field = Level::Field(name.to_owned());
        if before.contains(&field) {
            return Err(format!("`{{{name}}}` stands there twice"));
        }
        return Ok(field);
    }
    if part.contains(['{', '}', '+', '#']) {
        return Err(format!(
            "`{part}` is no level: a name in braces, `+` and `#` stand alone between two slashes"
        ));
    }
    Ok(Level::Text(part.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn a_topic_of_the_pattern_gives_its_fields() {
        let can = pattern("fleet/{vehicle_id}/can/{can_id}");
        assert_eq!(can.filter(), "fleet/+/can/+");
        let fields = can.take("fleet/veh-1/can/0x1F0");
        assert_eq!(
            fields,
            Some(vec![("vehicle_id", "veh-1"), ("can_id", "0x1F0")])
        );
        for other in [
            "fleet/veh-1/can",
            "fleet/veh-1/can/0x1F0/x",
            "Fleet/v/can/c",
            "fleet/v/gps/c",
            "",
        ] {
            assert_eq!(can.take(other), None, "{other}");
        }
        assert_eq!(pattern("a/+/{b}").take("a//"), Some(vec![("b", "")]));
    }

    #[test]
    fn a_pattern_with_an_open_end_takes_what_lies_below_and_the_level_itself() {
        let open = pattern("home/{entity}/#");
        assert_eq!(open.filter(), "home/+/#");
        for topic in ["home/kitchen", "home/kitchen/a", "home/kitchen/a/b"] {
            assert_eq!(
                open.take(topic),
                Some(vec![("entity", "kitchen")]),
                "{topic}"
            );
        }
        assert_eq!(open.take("home"), None);
        let all = pattern("#");
        assert!(all.take("a/b").is_some() && all.take("$SYS/broker/uptime").is_none());
        assert!(
            pattern("$SYS/broker/#")
                .take("$SYS/broker/uptime")
                .is_some()
        );
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_place() {
        for (text, said) in [
            ("", "1 to 65,535 bytes"),
            ("a/#/b", "`#` stands at the end"),
            ("a/b#", "`b#` is no level"),
            ("a/veh-{id}", "`veh-{id}` is no level"),
            ("a/{}", "`{}` is no level"),
            ("a/{b.c}", "`{b.c}` is no level"),
            ("{a}/{a}", "stands there twice"),
            ("$share/g/a", "SHARE"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_pattern_covers_those_whose_topics_are_all_its_own() {
        for (wide, narrow, expected) in [
            ("a/#", "a/b", true),
            ("a/#", "a", true),
            ("a/#", "a/{b}/#", true),
            ("a/{b}", "a/c", true),
            ("a/{b}", "a/+", true),
            ("a/c", "a/{b}", false),
            ("a/{b}", "a/#", false),
            ("a/{b}", "a/b/c", false),
            ("a/{b}/#", "a/#", false),
            ("#", "$SYS/#", false),
        ] {
            assert_eq!(
                pattern(wide).covers(&pattern(narrow)),
                expected,
                "{wide} {narrow}"
            );
        }
    }
}
