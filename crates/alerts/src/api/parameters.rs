//! Query strings, in which a name may come several times.

use percent_encoding::percent_decode_str;

use super::refusal::Refusal;
use crate::matcher::Matcher;

/// The pairs of a query string.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn read(query: Option<&str>) -> Parameters {
        let decode = |text: &str| {
            percent_decode_str(&text.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        // As PHP and others write them, `filter[]` is `filter`.
        let pairs = pairs.map(|(name, value)| {
            (
                decode(name).trim_end_matches("[]").to_owned(),
                decode(value),
            )
        });
        Parameters(pairs.collect())
    }

    pub(crate) fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// True or false; `absent` where it is not given.
    pub(crate) fn flag(&self, name: &str, absent: bool) -> Result<bool, Refusal> {
        match self.one(name) {
            None => Ok(absent),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(Refusal::parameter(name, other, "write true or false")),
        }
    }

    /// The matchers of `filter`.
    pub(crate) fn filters(&self) -> Result<Vec<Matcher>, Refusal> {
        let mut matchers = Vec::new();
        for text in self.all("filter") {
            let read = Matcher::parse_all(text);
            matchers.extend(read.map_err(|error| Refusal::InvalidParameter(error.to_string()))?);
        }
        Ok(matchers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_come_several_times_and_is_decoded() {
        let read = Parameters::read(Some("filter=a%3D%22x+y%22&filter=b=z&silenced=false"));
        let filters = read.filters().unwrap();
        assert_eq!(filters[0].to_string(), r#"a="x y""#);
        assert_eq!(filters[1].to_string(), r#"b="z""#);
        assert!(!read.flag("silenced", true).unwrap());
        assert!(read.flag("active", true).unwrap());
        assert!(
            Parameters::read(Some("active=perhaps"))
                .flag("active", true)
                .is_err()
        );
    }
}
