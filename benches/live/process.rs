//! What a process costs, as the kernel counts it.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::server::parent_of;

/// Processor time in `/proc` comes in hundredths of a second on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process and everything below it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub memory_mb: f64,
    pub cpu_seconds: f64,
}

/// What it holds now and has used so far, ended children included.
pub fn usage(id: u32) -> Usage {
    let of_one = |id: u32| Usage { memory_mb: resident_mb(id), cpu_seconds: cpu_seconds(id) };
    family(id).into_iter().map(of_one).fold(Usage::default(), |sum, one| Usage {
        memory_mb: sum.memory_mb + one.memory_mb,
        cpu_seconds: sum.cpu_seconds + one.cpu_seconds,
    })
}

/// Lets this process, and so the servers it starts, open as many files as the system allows; how many.
pub fn raise_open_files() -> u64 {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("the limit raised");
    most
}

fn family(id: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("processes").flatten();
    let all: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let parents: Vec<_> = all.into_iter().filter_map(|id| Some((id, parent_of(id)?))).collect();
    let mut found = vec![id];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        at += 1;
    }
    found
}

/// Nothing where it is gone.
fn resident_mb(id: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0.0);
    kib * 1024.0 / 1_000_000.0
}

/// Its own, and that of children it has buried.
fn cpu_seconds(id: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // utime, stime, cutime and cstime are fields 14 to 17; these begin with the third.
    let ticks: f64 = fields.skip(11).take(4).filter_map(|number| number.parse::<f64>().ok()).sum();
    ticks / TICKS_PER_SECOND
}
