//! The TOML file whose settings stand in for flags that aren't given.

use std::path::{Path, PathBuf};

/// A configuration file that can't be used. Never holds a line of it: that may be the one with the password.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("can't read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is no TOML: line {line}, column {column}{setting}")]
    Parse { path: PathBuf, line: usize, column: usize, setting: String },
    #[error("{path} has an unknown setting {name}")]
    Unknown { path: PathBuf, name: String },
}

/// Makes the file's settings the defaults of the command's arguments: `listen = "0.0.0.0:80"` is `POLICAST_LISTEN`.
pub fn with_file(mut command: clap::Command, path: &Path) -> Result<clap::Command, FileError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| broken(path, &text, &error))?;
    let mut left: Vec<String> = table.keys().cloned().collect();
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |sub| {
            sub.mut_args(|arg| {
                let setting = arg
                    .get_env()
                    .and_then(|env| env.to_str()?.strip_prefix("POLICAST_"))
                    .map(str::to_lowercase);
                match setting.and_then(|setting| table.get(&setting).map(|value| (setting, value))) {
                    Some((setting, value)) => {
                        left.retain(|name| *name != setting);
                        // What `--help` hides of the environment it hides of the file.
                        let is_secret = arg.is_hide_env_values_set();
                        arg.default_value(plain(value)).required(false).hide_default_value(is_secret)
                    }
                    None => arg,
                }
            })
        });
    }
    match left.pop() {
        Some(name) => Err(FileError::Unknown { path: path.to_owned(), name }),
        None => Ok(command),
    }
}

/// Where the file is broken, and in which setting; the parser's own words quote the line.
fn broken(path: &Path, text: &str, error: &toml::de::Error) -> FileError {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let name = text[line_start..].lines().next().and_then(|line| line.split_once('='));
    let name = name.map_or("", |(name, _)| name.trim());
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    FileError::Parse {
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
        Command::new("policast").subcommand(Command::new("serve").arg(secret))
    }

    fn read(text: &str) -> Result<Command, FileError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        with_file(command(), file.path())
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
    fn help_shows_no_secret_of_the_file() {
        let mut command = read("admin_key = \"pk_secret\"\n").expect("a command");
        let serve = command.find_subcommand_mut("serve").expect("serve");
        assert!(!serve.render_long_help().to_string().contains("pk_secret"));
        let given = command.get_matches_from(["policast", "serve"]);
        let given = given.subcommand_matches("serve").and_then(|serve| serve.get_one::<String>("admin-key"));
        assert_eq!(given.map(String::as_str), Some("pk_secret"));
    }
}
