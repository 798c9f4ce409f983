//! What commands print: tables for people, JSON for programs, complaints on stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this file is for")]

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

/// Prints rows: as a table of these columns, or whole as a JSON array.
pub fn rows<T: Serialize>(format: Format, columns: &[&str], rows: &[T]) -> anyhow::Result<ExitCode> {
    let values: Vec<Value> = rows.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&values)?),
        Format::Table => println!("{}", table(columns, &values)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Rows that are printed as they come: tab by tab under a head of these columns, or as a JSON array.
pub struct Rows {
    format: Format,
    columns: Vec<String>,
    printed: bool,
}

impl Rows {
    /// Prints the head.
    pub fn begin(format: Format, columns: &[&str]) -> Self {
        match format {
            Format::Json => print!("["),
            Format::Table => println!("{}", columns.join("\t").to_uppercase()),
        }
        Self { format, columns: columns.iter().map(|&column| column.to_owned()).collect(), printed: false }
    }

    /// Prints a row.
    pub fn print<T: Serialize>(&mut self, row: &T) -> anyhow::Result<()> {
        let value = serde_json::to_value(row)?;
        match self.format {
            Format::Json => print!("{}\n  {value}", if self.printed { "," } else { "" }),
            Format::Table => {
                let cells =
                    self.columns.iter().map(|column| value.get(column).map_or_else(String::new, cell));
                println!("{}", cells.collect::<Vec<_>>().join("\t"));
            }
        }
        self.printed = true;
        Ok(())
    }

    /// Prints what closes the array.
    pub fn end(self) {
        if self.format == Format::Json {
            println!("{}]", if self.printed { "\n" } else { "" });
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
            println!("{table}");
        }
        _ => println!("{}", serde_json::to_string_pretty(&value)?),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a JSON document.
pub fn document<T: Serialize>(document: &T) -> anyhow::Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(document)?);
    Ok(ExitCode::SUCCESS)
}

/// Prints a line.
pub fn line(text: &str) {
    println!("{text}");
}

/// Prints a line on stderr.
pub fn complain(text: &str) {
    eprintln!("policast: {text}");
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
