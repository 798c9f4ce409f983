//! What an upload remembers on disk, so that a run after being killed goes on where it was.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use sha2::{Digest, Sha256};

/// What makes two runs the same upload.
pub(super) struct Place<'a> {
    pub server: &'a str,
    pub file: &'a Path,
    pub size: u64,
    pub modified: SystemTime,
    /// Account, topic, title and language.
    pub said: String,
}

/// The addresses of an upload that was begun.
pub(super) struct Memory {
    path: PathBuf,
    locations: Vec<String>,
}

impl Memory {
    /// What an earlier run left, if there was one.
    pub(super) fn open(place: &Place<'_>) -> anyhow::Result<Self> {
        let path = folder()?.join(format!("{}.json", name(place)));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        Ok(Self { path, locations: serde_json::from_str(&text).unwrap_or_default() })
    }

    /// The addresses, empty at first.
    pub(super) fn locations(&self) -> &[String] {
        &self.locations
    }

    /// Remembers these addresses from now on.
    pub(super) fn keep(&mut self, locations: Vec<String>) -> anyhow::Result<()> {
        let text = serde_json::to_string(&locations)?;
        std::fs::write(&self.path, text).with_context(|| format!("can't write {}", self.path.display()))?;
        self.locations = locations;
        Ok(())
    }

    /// The upload is over.
    pub(super) fn forget(self) -> anyhow::Result<()> {
        if self.path.exists() {
            std::fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

fn name(place: &Place<'_>) -> String {
    let modified = place.modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let all =
        format!("{}\n{}\n{}\n{modified}\n{}", place.server, place.file.display(), place.size, place.said);
    hex::encode(&Sha256::digest(all)[..16])
}

/// `$XDG_STATE_HOME/policast`, or `~/.local/state/policast` (XDG Base Directory Specification).
fn folder() -> anyhow::Result<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let folder = state.or(home).unwrap_or_else(std::env::temp_dir).join("policast");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("can't make the folder {}", folder.display()))?;
    Ok(folder)
}
