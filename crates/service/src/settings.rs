//! Settings from the command line and the environment, as every program of Headwater reads them.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command, Error, Parser};

/// Reads the settings of a program; ends it with a message if they cannot be used, or if help is asked for.
///
/// An environment variable that holds nothing counts as not set: Compose files and task definitions write
/// `CONTRACTS=` for a setting that is left out.
pub fn parse<C: Parser>() -> C {
    try_parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// As [`parse`], of these arguments, the first of which is the program's name.
///
/// # Errors
///
/// Clap's, with its message for users.
pub fn try_parse_from<C: Parser>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<C, Error> {
    let empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let mut matches = without(C::command(), &empty).try_get_matches_from(arguments)?;
    C::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut C::command()))
}

/// The command, which does not look at those variables of the environment.
fn without(command: Command, is_left_out: &dyn Fn(&OsStr) -> bool) -> Command {
    let unset = |arg: Arg| {
        if arg.get_env().is_some_and(is_left_out) {
            arg.env(None::<&'static str>)
        } else {
            arg
        }
    };
    command
        .mut_args(unset)
        .mut_subcommands(|command| without(command, is_left_out))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;

    #[derive(Debug, Parser)]
    struct Settings {
        /// Set in every environment.
        #[arg(long, env = "PATH", default_value = "none")]
        path: String,
        #[command(subcommand)]
        command: Option<Nested>,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Nested {
        Run {
            #[arg(long, env = "PATH")]
            path: Option<std::path::PathBuf>,
        },
    }

    #[test]
    fn a_variable_left_out_is_as_if_unset_in_each_command() {
        let read = |left_out: bool| {
            let command = without(Settings::command(), &|name| left_out && name == "PATH");
            let matches = command.try_get_matches_from(["program", "run"]).unwrap();
            Settings::from_arg_matches(&matches).unwrap()
        };
        let unset = read(true);
        let Some(Nested::Run { path }) = unset.command else {
            panic!("no command");
        };
        assert_eq!((unset.path.as_str(), path), ("none", None));
        let set = read(false);
        let Some(Nested::Run { path }) = set.command else {
            panic!("no command");
        };
        assert!(set.path != "none" && path.is_some());
    }
}
