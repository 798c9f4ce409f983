//! `make scale`: what a page of every list, search and reprocessing and a claim cost in a small and in a large catalogue,
//! on both engines. `-- 10000 100000` takes other sizes, `-- sqlite` or `-- postgresql` one engine.
#![expect(clippy::print_stdout, reason = "the comparison is what it is for")]
#![expect(dead_code, reason = "it needs a part of what the integration tests share")]

#[path = "../../tests/it/bulk.rs"]
mod bulk;
mod fill;
#[path = "../../tests/it/postgres.rs"]
mod postgres;
mod questions;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use policast::catalogue::Db;

use questions::Question;

/// Videos of the two catalogues, unless others are named.
const SIZES: [i64; 2] = [10_000, 1_200_000];
/// Each question is put so often, after it was put some times to warm up; one that is slow not longer than this.
const TIMES: usize = 200;
const WARM_UP: usize = 5;
const LONGEST: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
struct Figures {
    p50: f64,
    p99: f64,
}

#[tokio::main]
async fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let sizes: Vec<i64> = named.iter().filter_map(|word| word.parse().ok()).collect();
    let sizes = if sizes.is_empty() { SIZES.to_vec() } else { sizes };
    for engine in ["sqlite", "postgresql"] {
        if named.iter().any(|word| word == engine) || !named.iter().any(|word| word.parse::<i64>().is_err()) {
            compare(engine, &sizes).await;
        }
    }
}

async fn compare(engine: &str, sizes: &[i64]) {
    let mut rows: BTreeMap<(usize, &'static str), Vec<Figures>> = BTreeMap::new();
    for videos in sizes {
        let folder = tempfile::tempdir().expect("a folder");
        let begun = Instant::now();
        let db = fill::filled(engine, folder.path(), *videos).await;
        println!("{engine}: {videos} videos filled in {:.0} s", begun.elapsed().as_secs_f64());
        for (i, question) in questions::all(*videos).into_iter().enumerate() {
            let figures = time(&db, &question).await;
            rows.entry((i, question.name)).or_default().push(figures);
        }
        db.close().await;
    }
    print(engine, sizes, &rows);
}

async fn time(db: &Db, question: &Question) -> Figures {
    question.prepare(db).await;
    let begun = Instant::now();
    let mut took = Vec::with_capacity(TIMES);
    for round in 0..WARM_UP + TIMES {
        let asked = Instant::now();
        question.put(db).await;
        if round >= WARM_UP {
            took.push(asked.elapsed().as_secs_f64() * 1000.0);
        }
        if begun.elapsed() > LONGEST && !took.is_empty() {
            break;
        }
    }
    took.sort_by(f64::total_cmp);
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    Figures { p50: at(50), p99: at(99) }
}

fn print(engine: &str, sizes: &[i64], rows: &BTreeMap<(usize, &'static str), Vec<Figures>>) {
    println!("\n{engine}: p50 / p99 in ms, and how many times the smallest catalogue's p50");
    let heads: Vec<String> = sizes.iter().map(|videos| format!("{videos:>20}")).collect();
    println!("  {:<44}{}{:>8}", "", heads.concat(), "ratio");
    for ((_, name), figures) in rows {
        let cell = |it: &Figures| format!("{:>20}", format!("{:.1} / {:.1}", it.p50, it.p99));
        let cells: Vec<String> = figures.iter().map(cell).collect();
        let (first, last) = (figures[0], figures[figures.len() - 1]);
        println!("  {name:<44}{}{:>8.1}", cells.concat(), last.p50 / first.p50);
    }
    println!();
}
