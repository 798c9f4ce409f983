//! Walks through everything: the estimate of `reprocess --dry-run --all`, and the rows that `fsck` compares. Each in a
//! process of its own, so that its memory is its own.

use std::process::Command;
use std::str::FromStr;
use std::time::Instant;

use policast::catalogue::inventory::{self, Span};
use policast::catalogue::{Db, revision::Selection};
use policast::domain::Clock;
use policast::publishing::{Changes, Fsck, Limits, Publishing};
use policast::storage::{Embedded, Storage};

use crate::Filled;

/// Videos whose rows `fsck` reads in one go.
const SPAN: u32 = 100;
/// Where a walk's public addresses would be.
const NOWHERE: &str = "http://127.0.0.1:9";

#[derive(Debug, Clone, Copy)]
pub enum Walk {
    Estimate,
    Rows,
    Fsck,
}

impl FromStr for Walk {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Estimate, Self::Rows, Self::Fsck].into_iter().find(|walk| walk.name() == text).ok_or(())
    }
}

impl Walk {
    fn name(self) -> &'static str {
        match self {
            Self::Estimate => "walk-estimate",
            Self::Rows => "walk-rows",
            Self::Fsck => "walk-fsck",
        }
    }

    /// What it says when it is through.
    pub fn run(self, engine: &str, address: &str) -> String {
        let program = std::env::current_exe().expect("this program");
        let output = Command::new(program).args([self.name(), engine, address]).output().expect("a walk");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// Both walks through each catalogue.
pub fn compare(engine: &str, filled: &[Filled]) {
    for (name, walk) in [("reprocess --dry-run --all", Walk::Estimate), ("rows of fsck", Walk::Rows)] {
        for one in filled {
            println!("  {name:<28}{:>9} videos: {}", one.videos, walk.run(engine, &one.address));
        }
    }
    println!();
}

/// The walk itself, in its process.
pub async fn walk(walk: Walk, engine: &str, address: &str) {
    let begun = Instant::now();
    let said = match walk {
        Walk::Estimate => {
            let folder = tempfile::tempdir().expect("a folder");
            let publishing = publishing(open(engine, address).await, folder.path()).await;
            let all = publishing.estimate(&Selection::default(), |_| ()).await.expect("an estimate");
            format!("{} videos, {:.0} minutes", all.videos, all.minutes)
        }
        Walk::Rows => {
            let (videos, packs) = rows(&open(engine, address).await).await;
            format!("{videos} videos and {packs} packs")
        }
        Walk::Fsck => {
            let folder = std::path::Path::new(address);
            let db = Db::sqlite(&folder.join("policast.db")).await.expect("SQLite");
            let publishing = publishing(db, folder).await;
            let check = Fsck { rehash: false, repair: false, grace: std::time::Duration::ZERO };
            let found = publishing.fsck(&check).await.expect("checked");
            format!("{} findings", found.len())
        }
    };
    println!("{said} in {:.1} s, at most {} MB resident", begun.elapsed().as_secs_f64(), peak_mb());
}

/// A node over this catalogue, whose objects are in a folder.
pub async fn publishing(db: Db, folder: &std::path::Path) -> Publishing {
    let embedded = Embedded::open(&folder.join("objects"), None).await.expect("embedded S3");
    let storage = Storage::embedded(&embedded, NOWHERE);
    storage.ensure_bucket().await.expect("a bucket");
    Publishing { db, storage, clock: Clock::System, limits: Limits::default(), changes: Changes::default() }
}

async fn open(engine: &str, address: &str) -> Db {
    match engine {
        "sqlite" => Db::sqlite(std::path::Path::new(address)).await.expect("SQLite"),
        _ => Db::postgres(address).await.expect("PostgreSQL"),
    }
}

/// As `fsck` reads them: span after span.
async fn rows(db: &Db) -> (usize, usize) {
    let (mut after, mut videos, mut packs) = (None, 0, 0);
    loop {
        let mut read = db.read().await.expect("a connection");
        let to = inventory::span_end(read.conn(), after, SPAN).await.expect("a span");
        let rows = inventory::list(read.conn(), Span { after, to }).await.expect("rows");
        videos += rows.videos.len();
        packs += rows.packs.len();
        if to.is_none() {
            return (videos, packs);
        }
        after = to;
    }
}

/// The most memory this process has had.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") / 1024
}
