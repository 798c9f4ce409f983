//! How far an upload is: bars on a terminal, lines everywhere else.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::Value;

use super::super::output;

/// Per cent between two lines: a log of a job stays readable.
const STEP: u64 = 10;

/// Progress of one file.
pub(super) struct Progress {
    name: String,
    size: u64,
    /// Hidden where nobody looks; it counts all the same.
    bar: ProgressBar,
    is_terminal: bool,
    /// The last line's step, and what the last line said.
    told: Mutex<(u64, String)>,
}

impl Progress {
    /// A file of so many bytes.
    pub(super) fn of_file(name: &str, size: u64) -> anyhow::Result<Self> {
        let template = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
        let progress = Self::new(name, size, template)?;
        progress.bar.set_message(name.to_owned());
        progress.say(&format!("{name}: uploading {}", HumanBytes(size)));
        Ok(progress)
    }

    /// What becomes of it on the server.
    pub(super) fn of_processing(name: &str) -> anyhow::Result<Self> {
        Self::new(name, 100, "processing {bar:30} {percent:>3}%  {msg}")
    }

    fn new(name: &str, size: u64, template: &str) -> anyhow::Result<Self> {
        let is_terminal = stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new(size) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template(template)?);
        if is_terminal {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Ok(Self { name: name.to_owned(), size, bar, is_terminal, told: Mutex::default() })
    }

    /// So many bytes more are there.
    pub(super) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        let there = self.bar.position().min(self.size);
        let percent = (there * 100).checked_div(self.size).unwrap_or(100);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if percent / STEP > told.0 {
            told.0 = percent / STEP;
            self.say(&format!("{}: {percent} % of {}", self.name, HumanBytes(self.size)));
        }
    }

    /// The video as the server sees it.
    pub(super) fn show(&self, video: &Value) {
        let media = &video["media"];
        let (percent, message) = (percent(media), message(media));
        self.bar.set_position(percent);
        self.bar.set_message(message.clone());
        let line = format!("{}: {message}, {} %", self.name, percent / STEP * STEP);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.1 != line {
            self.say(&line);
            told.1 = line;
        }
    }

    /// Something went wrong, or is to be known; on a terminal above the bar.
    pub(super) fn tell(&self, text: &str) {
        if self.is_terminal {
            self.bar.println(text);
        } else {
            output::progress(text);
        }
    }

    /// It is over.
    pub(super) fn finish(&self) {
        self.bar.finish();
    }

    /// A line where there is no bar.
    fn say(&self, text: &str) {
        if !self.is_terminal {
            output::progress(text);
        }
    }
}

fn percent(media: &Value) -> u64 {
    let share = media["progress"].as_f64().unwrap_or(0.0).clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    let percent = (share * 100.0) as u64;
    percent
}

/// `playable (720p 360p)`: what plays already, and what is to come is not in it.
fn message(media: &Value) -> String {
    let state = media["state"].as_str().unwrap_or("waiting");
    let rungs = media["rungs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let begun = rungs.iter().filter(|rung| rung["state"] != "queued");
    let begun: Vec<_> = begun.filter_map(|rung| rung["name"].as_str()).collect();
    if begun.is_empty() { state.to_owned() } else { format!("{state} ({})", begun.join(" ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_the_state_and_what_is_being_made() {
        let rung = |name: &str, state: &str| json!({"name": name, "state": state});
        let media = json!({"state": "playable", "progress": 0.456,
            "rungs": [rung("720p", "ready"), rung("360p", "queued"), rung("240p", "encoding")]});
        assert_eq!((message(&media), percent(&media)), ("playable (720p 240p)".to_owned(), 45));
        assert_eq!(message(&Value::Null), "waiting");
    }
}
