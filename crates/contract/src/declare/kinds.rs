//! The declared kinds: the built-in ones and a user's own.

use std::path::Path;
use std::sync::LazyLock;

use tracing::warn;

use crate::declare::declaration::{self, KindError};
use crate::declare::kind::Kind;
use crate::declare::overlap::mark_overlaps;

/// The built-in kind of samples of metrics.
pub const METRIC: &str = "metric";

/// The built-in kind of what senders tell of metrics: type, unit, description. Its entity is the name of a metric.
pub const METRIC_INFO: &str = "metric_info";

/// Names for messages and texts of declarations in `kinds/`.
macro_rules! built_in {
    ($($kind:literal),* $(,)?) => {
        [$((
            concat!($kind, ".toml (built in)"),
            include_str!(concat!("../../kinds/", $kind, ".toml")),
        )),*]
    };
}

const BUILT_IN: [(&str, &str); 8] = built_in![
    "vehicle",
    "cell",
    "metric",
    "metric_info",
    "chat",
    "viewer",
    "transaction",
    "stream_meta",
];

/// The declared kinds: the built-in ones, of the folder `kinds/`, and a user's own. Names and aliases are unique.
#[derive(Debug)]
pub struct Kinds {
    kinds: Vec<Kind>,
}

impl Kinds {
    /// The built-in kinds alone: `vehicle`, `cell`, `metric`, `metric_info`, and those of live streams.
    pub fn builtin() -> Kinds {
        Kinds::load(None).expect("without a folder nothing can be wrong")
    }

    /// The built-in kinds and each `*.toml` of `folder`; a file that declares a built-in name
    /// takes its place.
    ///
    /// # Errors
    ///
    /// [`KindError`] names the file and what is wrong with it.
    pub fn load(folder: Option<&Path>) -> Result<Kinds, KindError> {
        // Read once in a process: their patterns take a millisecond to compile.
        static READ: LazyLock<Vec<Kind>> = LazyLock::new(|| {
            let read = BUILT_IN.map(|(file, text)| declaration::read(file, text));
            let valid = "the built-in declarations are valid: a test reads them";
            read.into_iter().map(|kind| kind.expect(valid)).collect()
        });
        let mut kinds = READ.clone();
        let mut files = BUILT_IN.map(|(file, _)| file.to_owned()).to_vec();
        for (file, text) in folder.map(declarations).transpose()?.unwrap_or_default() {
            let kind = declaration::read(&file, &text)?;
            match kinds.iter().position(|other| other.name == kind.name) {
                Some(at) if at < BUILT_IN.len() => (kinds[at], files[at]) = (kind, file),
                Some(_) => {
                    return Err(KindError::Invalid {
                        file,
                        message: format!(
                            "kind `{}` is declared by another file of the folder too",
                            kind.name
                        ),
                    });
                }
                None => {
                    kinds.push(kind);
                    files.push(file);
                }
            }
        }
        check_aliases(&kinds, &files)?;
        for (one, two) in mark_overlaps(&mut kinds) {
            warn!(
                event = "kinds_overlap",
                "the fields of an event do not tell kind `{one}` from kind `{two}`: senders must name its `kind`"
            );
        }
        Ok(Kinds { kinds })
    }

    /// The kind of that name, as events and object keys have it.
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// The kind of that name or alias, as routes have it: `cell` for `pm`.
    pub fn get_by_alias(&self, name: &str) -> Option<&Kind> {
        let mut kinds = self.kinds.iter();
        kinds.find(|kind| kind.name == name || kind.aliases.iter().any(|alias| alias == name))
    }

    /// All kinds: the built-in ones, then a user's own in order of their files' names.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Kind> {
        self.kinds.iter()
    }

    /// The names of all kinds, for messages: `vehicle, cell, metric, chat`.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.kinds.iter().map(|kind| kind.name.as_str()).collect();
        names.join(", ")
    }
}

/// Refuses an alias that is the name of a kind, or another alias. `files` are those of the kinds.
fn check_aliases(kinds: &[Kind], files: &[String]) -> Result<(), KindError> {
    let mut taken: Vec<&String> = kinds.iter().map(|kind| &kind.name).collect();
    for (kind, file) in kinds.iter().zip(files) {
        for alias in &kind.aliases {
            if taken.contains(&alias) {
                return Err(KindError::Invalid {
                    file: file.clone(),
                    message: format!("alias `{alias}` is the name or an alias of a kind already"),
                });
            }
            taken.push(alias);
        }
    }
    Ok(())
}

fn declarations(folder: &Path) -> Result<Vec<(String, String)>, KindError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| KindError::Read { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            // A pipe would be read for ever, and a link may lead nowhere.
            if std::fs::metadata(&path).is_ok_and(|found| found.is_file()) {
                let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
                files.push((path.display().to_string(), text));
            } else {
                let path = path.display();
                warn!(event = "declaration_skipped", %path, "`{path}` is no file that can be read, and is skipped");
            }
        }
    }
    if files.is_empty() {
        let folder = folder.display();
        warn!(event = "no_declarations", %folder, "`{folder}` holds no declaration: its files end in `.toml`");
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT_IN_NAMES: &str =
        "vehicle, cell, metric, metric_info, chat, viewer, transaction, stream_meta";

    const STATION: &str = r#"
        kind = "station"
        version = 1
        entity = { field = "station_id" }
        time = { field = "observed_at" }
        signals = { field = "readings", known.temp_c = { type = "number", unit = "Cel", min = -90, max = 60 } }
    "#;

    /// A long kind, with more of its signals.
    fn long(signals: &str) -> String {
        let first = STATION.split("signals =").next().unwrap_or_default();
        let long = "name_field = \"name\", value_field = \"value\"";
        format!("{first}signals = {{ {long}, {signals} }}")
    }

    #[test]
    fn built_in_kinds_load() {
        let kinds = Kinds::builtin();
        assert_eq!(kinds.names(), BUILT_IN_NAMES);
        assert!(kinds.iter().all(|kind| !kind.overlaps));
    }

    #[test]
    fn a_folder_adds_kinds_and_may_replace_built_in_ones() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("station.toml"), STATION).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "not read").unwrap();
        let mine = include_str!("../../kinds/vehicle.toml").replace("version = 1", "version = 2");
        std::fs::write(folder.path().join("vehicle.toml"), mine).unwrap();
        let kinds = Kinds::load(Some(folder.path())).unwrap();
        assert_eq!(kinds.names(), format!("{BUILT_IN_NAMES}, station"));
        assert_eq!(kinds.get("vehicle").unwrap().version, 2);
    }

    #[test]
    fn an_alias_finds_its_kind_on_routes_and_nowhere_else() {
        let kinds = Kinds::builtin();
        assert_eq!(kinds.get_by_alias("pm").unwrap().name, "cell");
        assert_eq!(kinds.get_by_alias("cell").unwrap().name, "cell");
        assert!(kinds.get_by_alias("boat").is_none() && kinds.get("pm").is_none());
        for (alias, name) in [
            ("transactions", "transaction"),
            ("telemetra.events.chat", "chat"),
            ("telemetra.events.transactions", "transaction"),
            ("telemetra.events.stream_meta", "stream_meta"),
        ] {
            assert_eq!(kinds.get_by_alias(alias).unwrap().name, name);
        }
    }

    #[test]
    fn an_alias_is_no_name_and_no_alias_of_a_kind_already() {
        let load = |declaration: &str| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("a.toml"), declaration).unwrap();
            Kinds::load(Some(folder.path())).map_err(|error| error.to_string())
        };
        let with = |aliases: &str| {
            let version = format!("version = 1\naliases = {aliases}");
            load(&STATION.replace("version = 1", &version))
        };
        assert!(
            with(r#"["weather", "wx"]"#)
                .unwrap()
                .get_by_alias("wx")
                .is_some()
        );
        for (aliases, refused) in [
            (r#"["vehicle"]"#, "`vehicle`"),
            (r#"["station"]"#, "`station`"),
            (r#"["pm"]"#, "`pm`"),
            (r#"["wx", "wx"]"#, "`wx`"),
        ] {
            let error = with(aliases).unwrap_err();
            assert!(
                error.contains("a.toml") && error.contains(refused),
                "{error}"
            );
        }
        assert!(
            with(r#"["Weather"]"#)
                .unwrap_err()
                .contains("is not a name")
        );
        let named = load(&STATION.replace("\"station\"", "\"pm\"")).unwrap_err();
        assert!(
            named.contains("cell.toml") && named.contains("`pm`"),
            "{named}"
        );
    }

    #[test]
    fn kinds_whose_fields_fit_each_other_are_marked() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.toml"), STATION).unwrap();
        std::fs::write(
            folder.path().join("b.toml"),
            STATION.replace("\"station\"", "\"buoy\""),
        )
        .unwrap();
        let kinds = Kinds::load(Some(folder.path())).unwrap();
        let overlapping: Vec<_> = kinds
            .iter()
            .filter(|kind| kind.overlaps)
            .map(|kind| &kind.name)
            .collect();
        assert_eq!(overlapping, ["station", "buoy"]);
    }

    #[test]
    fn whole_numbers_are_taken_as_far_as_each_has_a_double() {
        let folder = tempfile::tempdir().unwrap();
        let counted = STATION.replace(
            "known.temp_c",
            "known.total = { type = \"integer\" }, known.temp_c",
        );
        std::fs::write(folder.path().join("station.toml"), counted).unwrap();
        let kinds = Kinds::load(Some(folder.path())).unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let read = |total: &str| {
            let text = format!(
                r#"{{"station_id":"s","observed_at":"2026-01-01T00:00:00Z","readings":{{"total":{total}}}}}"#
            );
            crate::parse_sent(&kinds, None, &text, now).map_err(|rejection| rejection.code)?;
            Ok(())
        };
        for sound in ["-3", "9007199254740992", "4e2"] {
            assert_eq!(read(sound), Ok(()), "{sound}");
        }
        for wrong in ["1e19", "-1e300", "9007199254740993", "18446744073709551617"] {
            assert_eq!(read(wrong), Err(crate::Code::OutOfRange), "{wrong}");
        }
        assert_eq!(read("1.5"), Err(crate::Code::WrongType));
    }

    #[test]
    fn a_wrong_declaration_is_refused_with_its_file_and_reason() {
        let cases = [
            (
                STATION.replace("\"station\"", "\"Weather Station\""),
                "is not a name",
            ),
            (
                STATION.replace("station_id", "event_id"),
                "the server's own",
            ),
            (
                STATION.replace("observed_at", "station_id"),
                "declared twice",
            ),
            (
                STATION.replace("type = \"number\"", "type = \"float\""),
                "unknown variant",
            ),
            (
                STATION.replace("min = -90", "pattern = '('"),
                "do not go with",
            ),
            (
                format!("{STATION}\n[fields.tags]\ntype = \"labels\"\npattern = \"a\""),
                "`pattern` does not go with type labels",
            ),
            (
                STATION.replace("temp_c", "event_time"),
                "would hide a column",
            ),
            (
                STATION.replace("station_id", "Event_ID"),
                "the server's own",
            ),
            (
                STATION.replace("observed_at", "Station_ID"),
                "declared twice",
            ),
            (
                STATION.replace(
                    "known.temp_c",
                    "known.Temp_C = { type = \"string\" }, known.temp_c",
                ),
                "in case alone",
            ),
            (STATION.replace("max = 60", "max = -91"), "is above `max`"),
            (
                STATION.replace("\"observed_at\"", "\"observed_at\", max_age_days = 0"),
                "max_age_days is 0",
            ),
            (
                STATION.replace("\"readings\"", "\"readings\", max_undeclared = 4097"),
                "max_undeclared is 4097",
            ),
            (
                STATION.replace("min = -90", "min = nan"),
                "not a finite number",
            ),
            (
                STATION.replace("max = 60", "max = inf"),
                "not a finite number",
            ),
            (
                STATION.replace("min = -90, max = 60", "one_of = [nan]"),
                "`one_of` holds nan",
            ),
            (
                STATION.replace("min = -90", "from = 'temp_c', min = -90"),
                "the name of a declared signal",
            ),
            (
                STATION.replace("\"station_id\"", "\"station_id\", default = \"a b\""),
                "entity.default `a b`",
            ),
            (
                STATION.replace("field = \"readings\"", "name_field = \"name\""),
                "either `field`",
            ),
            (
                STATION.replace("\"readings\"", "\"readings\", value_field = \"value\""),
                "either `field`",
            ),
            (long("max = 3"), "`signals.max` does not go with"),
            (long("nulls = \"omit\""), "`signals.nulls` does not go with"),
            (
                long("known.on = { type = \"boolean\" }"),
                "signal `on` is a boolean",
            ),
            (
                long("known.on = { type = \"labels\" }"),
                "signal `on` is labels",
            ),
            (
                long("known.value = { type = \"number\" }"),
                "would hide a column",
            ),
            (
                format!("{}\n[fields.name]\ntype = \"string\"", long("open = true")),
                "declared by `signals` already",
            ),
            (format!("{STATION}\nextra = 1"), "unknown field"),
            (STATION.replace("version = 1", ""), "missing field"),
        ];
        for (text, reason) in cases {
            let error = declaration::read("station.toml", &text)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("station.toml") && error.contains(reason),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_file_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("folder.toml")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("dangling.toml")).unwrap();
        let mut pipe = std::process::Command::new("mkfifo");
        pipe.arg(folder.path().join("pipe.toml"));
        assert!(pipe.status().unwrap().success());
        assert_eq!(
            Kinds::load(Some(folder.path())).unwrap().names(),
            BUILT_IN_NAMES
        );
        std::fs::write(folder.path().join("elsewhere"), STATION).unwrap();
        std::os::unix::fs::symlink("elsewhere", folder.path().join("link.toml")).unwrap();
        assert_eq!(
            Kinds::load(Some(folder.path())).unwrap().names(),
            format!("{BUILT_IN_NAMES}, station")
        );
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_it() {
        let error = Kinds::load(Some(Path::new("/no/such/folder"))).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"));
    }
}
