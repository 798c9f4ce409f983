//! What commands print: tables for people, JSON for programs, complaints on stderr. Who reads it may close the pipe
//! (`policast admin jobs list | head`): nobody is there to be told, and no print may panic.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Table,
    Json,
}

/// Whoever read what is printed has gone.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads what is printed")]
pub struct ReaderGone;

/// Prints text; a disk that is full is an error, a reader that has gone a `ReaderGone`.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        Err(error) => Err(anyhow::Error::new(error).context("can't print")),
    }
}

/// Prints the last there is to print: a command's outcome is the same, whoever reads of it.
fn conclude(text: &str) -> anyhow::Result<ExitCode> {
    match print(text) {
        Err(error) if !error.is::<ReaderGone>() => Err(error),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Prints rows: as a table of these columns, or whole as a JSON array.
pub fn rows<T: Serialize>(format: Format, columns: &[&str], rows: &[T]) -> anyhow::Result<ExitCode> {
    let values: Vec<Value> = rows.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    match format {
        Format::Json => conclude(&format!("{}\n", serde_json::to_string_pretty(&values)?)),
        Format::Table => conclude(&format!("{}\n", table(columns, &values))),
    }
}

/// Rows that are printed as they come: tab by tab under a head of these columns, or as a JSON array.
pub struct Rows {
    format: Format,
    columns: Vec<String>,
    printed: bool,
}

impl Rows {
    /// Prints the head.
    pub fn begin(format: Format, columns: &[&str]) -> anyhow::Result<Self> {
        match format {
            Format::Json => print("[")?,
            Format::Table => print(&format!("{}\n", columns.join("\t").to_uppercase()))?,
        }
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Ok(Self { format, columns, printed: false })
    }

    /// Prints a row.
    pub fn print<T: Serialize>(&mut self, row: &T) -> anyhow::Result<()> {
        let value = serde_json::to_value(row)?;
        match self.format {
            Format::Json => print(&format!("{}\n  {value}", if self.printed { "," } else { "" }))?,
            Format::Table => {
                let cells =
                    self.columns.iter().map(|column| value.get(column).map_or_else(String::new, cell));
                print(&format!("{}\n", cells.collect::<Vec<_>>().join("\t")))?;
            }
        }
        self.printed = true;
        Ok(())
    }

    /// Prints what closes the array.
    pub fn end(self) -> anyhow::Result<()> {
        match self.format {
            Format::Json => print(&format!("{}]\n", if self.printed { "\n" } else { "" })),
            Format::Table => Ok(()),
        }
    }
}

/// Prints one thing: a line a field, or as a JSON object.
pub fn one<T: Serialize>(format: Format, thing: &T) -> anyhow::Result<ExitCode> {
    let value = serde_json::to_value(thing)?;
    match (format, &value) {
        (Format::Table, Value::Object(fields)) => {
            let mut table = blank();
            for (name, value) in fields {
                table.add_row([name.clone(), cell(value)]);
            }
            conclude(&format!("{table}\n"))
        }
        _ => document(&value),
    }
}

/// Prints a JSON document.
pub fn document<T: Serialize>(document: &T) -> anyhow::Result<ExitCode> {
    conclude(&format!("{}\n", serde_json::to_string_pretty(document)?))
}

/// Prints lines.
pub fn lines(lines: &[String]) -> anyhow::Result<ExitCode> {
    conclude(&format!("{}\n", lines.join("\n")))
}

/// Prints a line. A server runs on, whether or not anybody reads it.
pub fn line(text: &str) {
    let _ = print(&format!("{text}\n"));
}

/// Prints a line on stderr; there is no other place to tell that it can't be written.
pub fn complain(text: &str) {
    progress(&format!("policast: {text}"));
}

/// An error and its causes in one line; what a text says already is not said again.
pub fn story(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |story, cause| {
        let cause = cause.to_string();
        if story.contains(&cause) { story } else { format!("{story}: {cause}") }
    })
}

/// Tells on stderr how far something is.
pub fn progress(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn table(columns: &[&str], rows: &[Value]) -> Table {
    let mut table = blank();
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    for row in rows {
        table.add_row(columns.iter().map(|column| row.get(column).map_or_else(String::new, cell)));
    }
    table
}

fn blank() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(texts) if texts.values().all(Value::is_string) => {
            texts.values().find_map(Value::as_str).unwrap_or_default().to_owned()
        }
        other => other.to_string(),
    }
}
