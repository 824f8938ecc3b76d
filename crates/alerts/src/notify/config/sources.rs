//! Where the values of `notify.yml` come from beside the file: the environment, and files of secrets.

use std::path::Path;

use http::Uri;
use secrecy::SecretString;

use super::file::Text;

/// What is around `notify.yml`.
pub struct NotifySources<'s> {
    /// Where people see the alerts, such as `http://127.0.0.1:3003`.
    pub external_url: &'s str,
    /// The folder that relative `*_file` paths begin at.
    pub folder: &'s Path,
    /// Looks up a variable of the environment.
    pub variable: &'s dyn Fn(&str) -> Option<String>,
}

/// What is wrong with a text, and where; the place is that of the text or of what holds it.
pub(super) type Wrong = (serde_saphyr::Location, String);

impl NotifySources<'_> {
    /// The text with each `${NAME}` replaced by that variable.
    pub(super) fn expand(&self, text: &Text) -> Result<String, Wrong> {
        let wrong = |message: String| (text.referenced, message);
        let (mut value, mut rest) = (String::new(), text.value.as_str());
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| wrong("`${` without a `}`: write ${NAME}".to_owned()))?;
            let found = (self.variable)(name)
                .ok_or_else(|| wrong(format!("the variable {name} is not set")))?;
            value = value + before + &found;
            rest = after;
        }
        Ok(value + rest)
    }

    /// A secret from the environment or from a file, whose last line breaks do not count; none if neither is given.
    /// `name` is the key in the file.
    pub(super) fn secret(
        &self,
        name: &str,
        text: Option<&Text>,
        file: Option<&Text>,
    ) -> Result<Option<SecretString>, Wrong> {
        match (text, file) {
            (Some(_), Some(file)) => Err((
                file.referenced,
                format!("give `{name}` or `{name}_file`, not both"),
            )),
            (Some(text), None) if !text.value.contains("${") => Err((
                text.referenced,
                format!(
                    "`{name}` is a secret: write `{name}_file: PATH`, or a variable as in `{name}: ${{NAME}}`"
                ),
            )),
            (Some(text), None) => Ok(Some(self.expand(text)?.into())),
            (None, Some(file)) => self.read(file).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn read(&self, file: &Text) -> Result<SecretString, Wrong> {
        let path = self.folder.join(self.expand(file)?);
        let content = std::fs::read_to_string(&path).map_err(|error| {
            (
                file.referenced,
                format!("cannot read `{}`: {error}", path.display()),
            )
        })?;
        Ok(content.trim_end_matches(['\n', '\r']).into())
    }

    /// An address, which may come from a file because it holds a secret.
    pub(super) fn url(
        &self,
        name: &str,
        text: Option<&Text>,
        file: Option<&Text>,
    ) -> Result<Option<SecretString>, Wrong> {
        let (place, url) = match (text, file) {
            (Some(_), Some(file)) => {
                return Err((
                    file.referenced,
                    format!("give `{name}` or `{name}_file`, not both"),
                ));
            }
            (Some(text), None) => (text.referenced, self.expand(text)?.into()),
            (None, Some(file)) => (file.referenced, self.read(file)?),
            (None, None) => return Ok(None),
        };
        check_url(&url).map_err(|message| (place, message))?;
        Ok(Some(url))
    }
}

/// The address may be a secret, so the words do not hold it.
pub(super) fn check_url(url: &SecretString) -> Result<(), String> {
    use secrecy::ExposeSecret;
    let uri: Uri = url
        .expose_secret()
        .trim()
        .parse()
        .map_err(|error| format!("the address is none: {error}"))?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if is_http && uri.host().is_some_and(|host| !host.is_empty()) {
        Ok(())
    } else {
        Err("the address is none: it begins with http:// or https:// and a host".to_owned())
    }
}
