//! `make scale`: what a page of every list, search and reprocessing and a claim cost in a small and in a large catalogue,
//! on both engines; how long the walks through everything take, and in how much memory; and `fsck` of a bucket.
//! `-- 10000 100000` takes other sizes, `-- sqlite` or `-- postgresql` or `-- fsck` a part. With `-- pause` it waits for
//! Enter once all is filled, so that whatever else is running can be stopped before anything is timed.
#![expect(clippy::print_stdout, reason = "the comparison is what it is for")]
#![expect(dead_code, reason = "it needs a part of what the integration tests share")]

mod bucket;
#[path = "../../tests/it/bulk.rs"]
mod bulk;
mod fill;
#[path = "../../tests/it/postgres.rs"]
mod postgres;
mod questions;
mod walks;

use std::time::{Duration, Instant};

use policast::catalogue::Db;
use tempfile::TempDir;

use questions::Question;

/// Videos of the two catalogues, unless others are named.
const SIZES: [i64; 2] = [10_000, 1_200_000];
/// Each question is put so often, after it was put some times to warm up; one that is slow not longer than this.
const TIMES: usize = 200;
const WARM_UP: usize = 5;
const LONGEST: Duration = Duration::from_secs(10);
/// What is wanted: the large catalogue's median in terms of the small one's, and its slowest in ms.
const MOST_TIMES: f64 = 1.5;
const SLOWEST_MS: f64 = 50.0;
const SLOWEST_SEARCH_MS: f64 = 150.0;

#[derive(Clone, Copy)]
struct Figures {
    p50: f64,
    p99: f64,
    /// In the answer.
    rows: usize,
}

/// A catalogue of so many videos.
struct Filled {
    videos: i64,
    db: Db,
    /// Where another process finds it.
    address: String,
    folder: TempDir,
}

#[tokio::main]
async fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [walk, engine, address] = named.as_slice()
        && let Ok(walk) = walk.parse()
    {
        return walks::walk(walk, engine, address).await;
    }
    let sizes: Vec<i64> = named.iter().filter_map(|word| word.parse().ok()).collect();
    let sizes = if sizes.is_empty() { SIZES.to_vec() } else { sizes };
    let is_named = |word: &str| named.iter().any(|named| named == word);
    let parts = ["sqlite", "postgresql", "fsck"];
    let all = !parts.iter().any(|part| is_named(part));
    for engine in &parts[..2] {
        if all || is_named(engine) {
            compare(engine, &sizes, is_named("pause")).await;
        }
    }
    if all || is_named("fsck") {
        bucket::check(SIZES[0], is_named("pause")).await;
    }
}

async fn compare(engine: &str, sizes: &[i64], pause: bool) {
    let mut filled = Vec::new();
    for videos in sizes {
        let begun = Instant::now();
        let one = fill::filled(engine, *videos).await;
        println!("{engine}: {videos} videos filled in {:.0} s", begun.elapsed().as_secs_f64());
        filled.push(one);
    }
    wait(pause);
    let mut rows = Vec::new();
    let of_all: Vec<Vec<Question>> = filled.iter().map(|one| questions::all(one.videos)).collect();
    for i in 0..of_all[0].len() {
        let peers: Vec<(&Db, &Question)> =
            filled.iter().map(|one| &one.db).zip(of_all.iter().map(|all| &all[i])).collect();
        let figures = time(&peers).await;
        rows.push((peers[0].1.name, peers[0].1.is_search(), figures));
    }
    print(engine, sizes, &rows);
    walks::compare(engine, &filled);
    for one in filled {
        one.db.close().await;
    }
}

/// Until Enter is pressed.
fn wait(pause: bool) {
    if pause {
        println!("filled: press Enter to go on");
        std::io::stdin().read_line(&mut String::new()).expect("a line");
    }
}

/// Puts the question to each catalogue in turn, so that whatever else the machine does meets them alike.
async fn time(peers: &[(&Db, &Question)]) -> Vec<Figures> {
    for (db, question) in peers {
        question.prepare(db).await;
    }
    let begun = Instant::now();
    let mut took = vec![Vec::with_capacity(TIMES); peers.len()];
    let mut rows = vec![0; peers.len()];
    for round in 0..WARM_UP + TIMES {
        for (i, (db, question)) in peers.iter().enumerate() {
            let asked = Instant::now();
            rows[i] = question.put(db).await;
            if round >= WARM_UP {
                took[i].push(asked.elapsed().as_secs_f64() * 1000.0);
            }
        }
        if begun.elapsed() > LONGEST && round >= WARM_UP {
            break;
        }
    }
    took.into_iter().zip(rows).map(|(took, rows)| Figures::of(took, rows)).collect()
}

impl Figures {
    fn of(mut took: Vec<f64>, rows: usize) -> Self {
        took.sort_by(f64::total_cmp);
        let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
        Self { p50: at(50), p99: at(99), rows }
    }
}

fn print(engine: &str, sizes: &[i64], rows: &[(&str, bool, Vec<Figures>)]) {
    println!("\n{engine}: p50 / p99 in ms and rows, and how many times the smallest catalogue's p50");
    let heads: Vec<String> = sizes.iter().map(|videos| format!("{videos:>22}")).collect();
    println!("  {:<46}{}{:>8}", "", heads.concat(), "ratio");
    for (name, is_search, figures) in rows {
        let cell = |it: &Figures| format!("{:>22}", format!("{:.1} / {:.1} {:>4}", it.p50, it.p99, it.rows));
        let cells: Vec<String> = figures.iter().map(cell).collect();
        let (first, last) = (figures[0], figures[figures.len() - 1]);
        let ratio = last.p50 / first.p50;
        let slowest = if *is_search { SLOWEST_SEARCH_MS } else { SLOWEST_MS };
        let times =
            if ratio > MOST_TIMES { format!("  more than {MOST_TIMES} times") } else { String::new() };
        let late = if last.p99 > slowest { format!("  p99 above {slowest} ms") } else { String::new() };
        println!("  {name:<46}{}{ratio:>8.1}{times}{late}", cells.concat());
    }
    println!();
}
