//! What the functions and catalogs know of the connection that asks them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::SERVER_VERSION;

/// What the functions know of the connection that calls them.
#[derive(Debug)]
pub struct Session {
    user: String,
    pub(super) process: i32,
    settings: Mutex<BTreeMap<String, String>>,
    pub(super) names: Mutex<BTreeMap<u32, String>>,
}

/// The settings of a new session, as `pg_settings` lists them. Names are in lower case.
const SETTINGS: &[(&str, &str)] = &[
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO, MDY"),
    ("default_table_access_method", "heap"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "on"),
    ("extra_float_digits", "1"),
    ("idle_in_transaction_session_timeout", "0"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("jit", "off"),
    ("lc_collate", "C"),
    ("lc_ctype", "C"),
    ("lc_messages", "C"),
    ("lc_monetary", "C"),
    ("lc_numeric", "C"),
    ("lc_time", "C"),
    ("lock_timeout", "0"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("row_security", "on"),
    ("search_path", "\"$user\", public"),
    ("server_encoding", "UTF8"),
    ("server_version", SERVER_VERSION),
    ("server_version_num", "150000"),
    ("session_authorization", ""),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("synchronize_seqscans", "on"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
];

impl Session {
    /// A new session of `user`, whose number for cancel requests is `process`.
    pub fn new(user: &str, process: i32) -> Session {
        let mut settings: BTreeMap<String, String> = SETTINGS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        settings.insert("session_authorization".to_owned(), user.to_owned());
        Session {
            user: user.to_owned(),
            process,
            settings: Mutex::new(settings),
            names: Mutex::default(),
        }
    }

    /// The name the client gave; it decides nothing.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The value of a setting, by its name in any case; none when there is no such setting.
    pub fn setting(&self, name: &str) -> Option<String> {
        self.lock().get(&key(name)).cloned()
    }

    /// All settings, by name.
    pub fn settings(&self) -> Vec<(String, String)> {
        self.lock()
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Sets a setting for this session. False when there is no such setting, or a client may not set it; a name with a
    /// dot is the client's own and may always be set.
    pub fn set(&self, name: &str, value: &str) -> bool {
        let name = key(name);
        let mut settings = self.lock();
        let fixed = [
            "server_",
            "lc_",
            "max_",
            "integer_datetimes",
            "is_superuser",
        ];
        let known =
            settings.contains_key(&name) && !fixed.iter().any(|start| name.starts_with(start));
        if known || name.contains('.') {
            settings.insert(name, value.to_owned());
            return true;
        }
        false
    }

    /// Gives a setting its first value again; all of them for none.
    pub fn reset(&self, name: Option<&str>) {
        let first = Session::new(&self.user, self.process).settings();
        let mut settings = self.lock();
        match name.map(key) {
            None => *settings = first.into_iter().collect(),
            Some(name) => {
                if let Some((_, value)) = first.into_iter().find(|(known, _)| *known == name) {
                    settings.insert(name, value);
                }
            }
        }
    }

    /// Keeps the names of tables by their numbers, for `oid::regclass`.
    pub(super) fn name_tables(&self, names: BTreeMap<u32, String>) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "time zone" => "timezone".to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        other => other.to_owned(),
    }
}
