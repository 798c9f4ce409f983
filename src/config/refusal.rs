//! Settings that can't be used, each told in one sentence: its name, where it stands, what it is and what to write.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Settings;

/// Why policast doesn't start with these settings. Never holds a line of the file: that may be the one with the password.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("can't read the settings in {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is no TOML: line {line}, column {column}{setting}")]
    Parse { path: PathBuf, line: usize, column: usize, setting: String },
    #[error("{path} has an unknown setting {name}{}", meant(nearest.as_deref()))]
    UnknownInFile { path: PathBuf, name: String, nearest: Option<String> },
    #[error(
        "there is no setting {}: unset what is not meant for policast; `policast config` lists every setting",
        listed(.0)
    )]
    UnknownVariables(Vec<(String, Option<String>)>),
    #[error("{0} is set and empty: give it a value, or unset it")]
    Empty(String),
    #[error("{place} is {value}: {reason}")]
    Value { place: String, value: String, reason: String },
    #[error("missing: {0}")]
    Missing(String),
}

fn listed(unknown: &[(String, Option<String>)]) -> String {
    let each = unknown.iter().map(|(name, nearest)| format!("{name}{}", meant(nearest.as_deref())));
    each.collect::<Vec<_>>().join(", ")
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(" ({nearest} is meant?)"))
}

/// What clap found wrong with a setting, by the setting's own name; `None` where it is about something else.
pub fn refusal(
    error: &clap::Error,
    command: &clap::Command,
    (arguments, file): (&[OsString], Option<&Settings>),
) -> Option<Refusal> {
    let of = |flag: &str| find(command, flag);
    match (error.kind(), error.get(ContextKind::InvalidArg)?) {
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, ContextValue::String(flag)) => {
            let argument = of(flag)?;
            let value = match error.get(ContextKind::InvalidValue) {
                Some(ContextValue::String(value)) if !argument.is_hide_env_values_set() => {
                    format!("{:?}", without_password(value))
                }
                _ => "not what it has to be".to_owned(),
            };
            Some(Refusal::Value { place: place(argument, arguments, file), value, reason: reason(error) })
        }
        (ErrorKind::MissingRequiredArgument, ContextValue::Strings(flags)) => {
            let is_setting = flags.iter().any(|flag| of(flag).is_some());
            let each = flags.iter().map(|flag| of(flag).map_or_else(|| flag.clone(), named));
            is_setting.then(|| Refusal::Missing(each.collect::<Vec<_>>().join(", ")))
        }
        _ => None,
    }
}

/// The setting behind `--public-url <URL>`.
fn find<'a>(command: &'a clap::Command, flag: &str) -> Option<&'a clap::Arg> {
    let long = flag.strip_prefix("--")?.split([' ', '=']).next()?;
    let own = command.get_arguments().find(|argument| argument.get_long() == Some(long));
    let own = own.filter(|argument| argument.get_env().is_some());
    own.or_else(|| command.get_subcommands().find_map(|command| find(command, flag)))
}

fn variable(argument: &clap::Arg) -> String {
    argument.get_env().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn named(argument: &clap::Arg) -> String {
    format!("{} (or --{})", variable(argument), argument.get_long().unwrap_or_default())
}

/// Where the value stands: what comes first in the order of precedence has won.
fn place(argument: &clap::Arg, arguments: &[OsString], file: Option<&Settings>) -> String {
    let (name, flag) = (variable(argument), format!("--{}", argument.get_long().unwrap_or_default()));
    let is_flag = |given: &OsString| {
        let given = given.to_string_lossy();
        given == *flag || given.strip_prefix(&*flag).is_some_and(|rest| rest.starts_with('='))
    };
    let in_file = file.filter(|file| file.has(&name));
    match (arguments.iter().any(is_flag), argument.get_env().and_then(std::env::var_os), in_file) {
        (true, ..) => format!("{flag} ({name})"),
        (false, None, Some(file)) => {
            format!("{} in {} ({name})", super::file::key_of(&name), file.path().display())
        }
        _ => name,
    }
}

/// An address that somebody wrote a password into is told without it.
fn without_password(value: &str) -> String {
    let authority =
        value.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1)));
    authority.map_or_else(|| value.to_owned(), |(scheme, rest)| format!("{scheme}://***@{rest}"))
}

fn reason(error: &clap::Error) -> String {
    let strings = |kind| match error.get(kind) {
        Some(ContextValue::Strings(words)) => words.join(", "),
        _ => String::new(),
    };
    match std::error::Error::source(error) {
        Some(reason) => reason.to_string(),
        None => format!("expected one of {}", strings(ContextKind::ValidValue)),
    }
}

/// A value on its way to a list of settings: secrets are masked, of a database's address only what is secret in it.
pub fn masked(argument: &clap::Arg, value: &OsStr) -> String {
    let value = value.to_string_lossy();
    if !argument.is_hide_env_values_set() {
        return value.into_owned();
    }
    let url = url::Url::parse(&value).ok().filter(|url| url.scheme().starts_with("postgres"));
    let Some(mut url) = url else { return "***".to_owned() };
    let mask = url.password().is_some().then_some("***");
    // A database's address has a host; the query may hold a password too.
    let is_masked = url.set_password(mask).is_ok();
    url.set_query(None);
    if is_masked { url.to_string() } else { "***".to_owned() }
}
