//! The environment of a child process: settings of this one are passed on only where they are asked for.

/// Names and values of environment variables.
pub type Variables = Vec<(String, String)>;

/// The variables of this process whose names `wanted` accepts, but those that are not UTF-8.
pub fn inherited(wanted: impl Fn(&str) -> bool) -> Variables {
    let texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.filter(|(name, _)| wanted(name)).collect()
}
