//! Settings from the command line and the environment, as every program of Headwater reads them.

use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, ToSocketAddrs};

use clap::{Arg, Command, Error, Parser};

/// Reads the settings of a program; ends it with a message if they cannot be used, or if help is asked for.
///
/// An environment variable that holds nothing counts as not set: Compose files and task definitions write
/// `CONTRACTS=` for a setting that is left out.
pub fn parse<C: Parser>() -> C {
    parse_with_uses(&[])
}

/// The flags of a program, by their names in clap, that each of its commands makes use of.
pub type Uses = [(&'static str, &'static [&'static str])];

/// As [`parse`]. The help of a command shows of the program's flags only those that it uses; the others are taken
/// still, as variables are.
pub fn parse_with_uses<C: Parser>(uses: &Uses) -> C {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    for flag in secrets(&C::command(), &arguments) {
        eprintln!(
            "warning: {flag} shows a secret to every user of this machine (`ps`): set it in the environment, or name a \
             file where there is a flag for one"
        );
    }
    let command = with_uses(C::command(), uses);
    read(command, arguments).unwrap_or_else(|error| error.exit())
}

/// The command; those of its commands that are named hide the flags that they make no use of.
pub fn with_uses(mut command: Command, uses: &Uses) -> Command {
    let of_all = command.get_arguments().filter(|arg| arg.is_global_set());
    let of_all: Vec<Arg> = of_all.cloned().collect();
    for (name, used) in uses {
        let unused = of_all
            .iter()
            .filter(|arg| !used.contains(&arg.get_id().as_str()));
        // Clap gives a command the flags of the program that it has not got already.
        let hidden: Vec<Arg> = unused.map(|arg| arg.clone().hide(true)).collect();
        command = command.mut_subcommand(name, |command| command.args(hidden));
    }
    command
}

/// An address to listen on, as a setting: a number or a name, and a port.
///
/// # Errors
///
/// Says what is wrong, and how an address is written.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let like = "give a host and a port, such as `127.0.0.1:3000`";
    let mut found = match text.to_socket_addrs() {
        Ok(found) => found.collect::<Vec<_>>(),
        Err(error) => return Err(format!("{error}: {like}")),
    };
    // A name such as `localhost` has several, and clients try this one first.
    found.sort_by_key(SocketAddr::is_ipv6);
    found
        .into_iter()
        .next()
        .ok_or_else(|| format!("the name has no address: {like}"))
}

/// The flags among `arguments` whose values are secrets: those that `--help` hides.
fn secrets(command: &Command, arguments: &[OsString]) -> Vec<String> {
    let mut found: Vec<String> = command
        .get_arguments()
        .filter(|arg| arg.is_hide_env_values_set())
        .filter_map(|arg| Some(format!("--{}", arg.get_long()?)))
        .filter(|flag| {
            let is_flag = |text: &str| {
                let rest = text.strip_prefix(flag.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
            };
            arguments
                .iter()
                .any(|text| text.to_str().is_some_and(is_flag))
        })
        .collect();
    for command in command.get_subcommands() {
        found.extend(secrets(command, arguments));
    }
    found.sort();
    found.dedup();
    found
}

/// As [`parse`], of these arguments, the first of which is the program's name.
///
/// # Errors
///
/// Clap's, with its message for users.
pub fn try_parse_from<C: Parser>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<C, Error> {
    read(C::command(), arguments)
}

fn read<C: Parser>(
    command: Command,
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<C, Error> {
    let empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let mut matches = without(command, &empty).try_get_matches_from(arguments)?;
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
    use clap::{CommandFactory, FromArgMatches, Subcommand};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Action,
        /// Where things are.
        #[arg(long, global = true, default_value = "here")]
        place: String,
        /// How often.
        #[arg(long, global = true, default_value_t = 1)]
        pace: u64,
    }

    #[derive(Debug, Subcommand)]
    enum Action {
        Look {
            #[arg(long)]
            closely: bool,
        },
        Wait,
    }

    #[test]
    fn the_help_of_a_command_has_the_flags_that_it_uses_and_the_others_are_taken_still() {
        let command = with_uses(Program::command(), &[("look", &["place"])]);
        let help = |name: &str| {
            let asked = command
                .clone()
                .try_get_matches_from(["program", name, "--help"]);
            asked.unwrap_err().to_string()
        };
        let look = help("look");
        assert!(
            look.contains("--place") && look.contains("--closely") && !look.contains("--pace"),
            "{look}"
        );
        assert!(help("wait").contains("--pace"));
        for line in [
            ["program", "--pace=3", "look"],
            ["program", "look", "--pace=3"],
        ] {
            let program: Program = read(command.clone(), line).unwrap();
            assert_eq!((program.pace, program.place.as_str()), (3, "here"));
            assert!(matches!(program.command, Action::Look { closely: false }));
        }
    }

    #[derive(Debug, Parser)]
    struct Settings {
        /// Set in every environment.
        #[arg(long, env = "PATH", default_value = "none")]
        path: String,
        #[arg(long, env, hide_env_values = true)]
        some_keys: Option<String>,
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
    fn an_address_may_be_a_name() {
        assert_eq!(
            address("127.0.0.1:3000").unwrap().to_string(),
            "127.0.0.1:3000"
        );
        assert_eq!(address("[::1]:3000").unwrap().to_string(), "[::1]:3000");
        assert!(address("localhost:3000").unwrap().ip().is_loopback());
        for wrong in ["localhost", "3000", ""] {
            let said = address(wrong).unwrap_err();
            assert!(said.contains("127.0.0.1:3000"), "{wrong}: {said}");
        }
    }

    #[test]
    fn a_secret_on_the_command_line_is_told() {
        let told = |arguments: &[&str]| {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            secrets(&Settings::command(), &arguments)
        };
        assert_eq!(told(&["program", "--some-keys=abc"]), ["--some-keys"]);
        assert_eq!(told(&["program", "--some-keys", "abc"]), ["--some-keys"]);
        assert_eq!(
            told(&["program", "--some-keys-file=abc", "--path=x"]),
            [""; 0]
        );
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
