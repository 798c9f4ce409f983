//! The TOML file whose settings stand in for flags that aren't given.

use std::path::{Path, PathBuf};

use super::Refusal;
use super::environment::{PREFIX, names, nearest};

/// The settings of a file.
#[derive(Debug)]
pub struct Settings {
    path: PathBuf,
    table: toml::Table,
}

impl Settings {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Refusal::Read { path: path.to_owned(), source })?;
        let table = toml::from_str(&text).map_err(|error| broken(path, &text, &error))?;
        Ok(Self { path: path.to_owned(), table })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It says something about this variable's setting.
    pub fn has(&self, variable: &str) -> bool {
        self.table.contains_key(&key_of(variable))
    }

    /// Makes its settings the defaults of the command's arguments: `listen = "0.0.0.0:80"` is `POLICAST_LISTEN`.
    pub fn apply(&self, command: clap::Command) -> Result<clap::Command, Refusal> {
        let known = names(&command);
        let is_known =
            |key: &String| *key != key_of(OWN) && known.iter().any(|variable| key_of(variable) == *key);
        if let Some(name) = self.table.keys().find(|key| !is_known(key)) {
            let nearest = nearest(name, &known).map(|variable| key_of(&variable));
            return Err(Refusal::UnknownInFile { path: self.path.clone(), name: name.clone(), nearest });
        }
        let mut command = command.mut_args(|argument| self.default(argument));
        let subcommands: Vec<String> =
            command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
        for name in subcommands {
            command = command.mut_subcommand(name, |sub| sub.mut_args(|argument| self.default(argument)));
        }
        Ok(command)
    }

    fn default(&self, argument: clap::Arg) -> clap::Arg {
        let variable = argument.get_env().and_then(|variable| variable.to_str());
        let Some(value) = variable.and_then(|variable| self.table.get(&key_of(variable))) else {
            return argument;
        };
        // What `--help` hides of the environment it hides of the file.
        let is_secret = argument.is_hide_env_values_set();
        argument.default_value(plain(value)).required(false).hide_default_value(is_secret)
    }
}

/// Names the file itself.
const OWN: &str = "POLICAST_CONFIG";

/// `POLICAST_LISTEN` in the file.
pub(super) fn key_of(variable: &str) -> String {
    variable.strip_prefix(PREFIX).unwrap_or(variable).to_lowercase()
}

/// Where the file is broken, and in which setting; the parser's own words quote the line.
fn broken(path: &Path, text: &str, error: &toml::de::Error) -> Refusal {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let name = text[line_start..].lines().next().and_then(|line| line.split_once('='));
    let name = name.map_or("", |(name, _)| name.trim());
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    Refusal::Parse {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        setting: if is_name { format!(", setting {name}") } else { String::new() },
    }
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn command() -> Command {
        let secret = Arg::new("admin-key").long("admin-key").env("POLICAST_ADMIN_KEY").hide_env_values(true);
        let log = Arg::new("log").long("log").env("POLICAST_LOG").global(true);
        Command::new("policast").arg(log).subcommand(Command::new("serve").arg(secret))
    }

    fn read(text: &str) -> Result<Command, Refusal> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Settings::read(file.path())?.apply(command())
    }

    #[test]
    fn a_broken_line_is_named_and_never_printed() {
        for broken in
            ["admin_key = pk_secret\n", "admin_key = \"pk_secret\n", "admin_key = \"pk_secret\" pk_secret"]
        {
            let error = read(&format!("listen = \"a\"\n{broken}")).expect_err("no TOML");
            let told = error.to_string();
            assert!(told.contains("line 2, column ") && told.contains("setting admin_key"), "{told}");
            assert!(!told.contains("pk_secret"), "{told}");
        }
    }

    #[test]
    fn the_log_is_a_setting_like_others_and_a_slip_of_the_pen_is_told() {
        let given = read("log = \"debug\"\n").expect("a command").get_matches_from(["policast", "serve"]);
        assert_eq!(given.get_one::<String>("log").map(String::as_str), Some("debug"));
        let told = read("admin_keys = \"x\"\n").expect_err("unknown").to_string();
        assert!(told.ends_with("has an unknown setting admin_keys (admin_key is meant?)"), "{told}");
        assert!(read("config = \"x\"\n").is_err());
    }

    #[test]
    fn help_shows_no_secret_of_the_file() {
        let mut command = read("admin_key = \"pk_secret\"\n").expect("a command");
        let serve = command.find_subcommand_mut("serve").expect("serve");
        assert!(!serve.render_long_help().to_string().contains("pk_secret"));
        let given = command.get_matches_from(["policast", "serve"]);
        let given = given.subcommand_matches("serve").and_then(|serve| serve.get_one::<String>("admin-key"));
        assert_eq!(given.map(String::as_str), Some("pk_secret"));
    }
}
