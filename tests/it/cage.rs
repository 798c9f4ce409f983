//! The cage: a child does its task in it, can't get out of it, and is missed when it dies or hangs.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use policast::domain::RefusalCode;
use policast::domain::media::Fraction;
use policast::media::cage::{CageLimits, Child, self_test};
use policast::media::task::{Event, Limits, Outcome, Slate, Source, Task};
use policast::media::{Ending, Error, ladder};

use crate::clip;
use crate::probe::hostile_texts;

/// Address space that a child needs for its libraries and threads, and a little more.
const OWN_BYTES: u64 = 700 << 20;

const PROGRAM: &str = env!("CARGO_BIN_EXE_policast");

fn task(size: usize) -> Task {
    let limits = Limits { max_duration: 90_000 * 3600, ..Limits::default() };
    Task::Probe { source: Source { size_bytes: size as u64 }, limits }
}

async fn spawn(size: usize, limits: CageLimits) -> Child {
    Child::spawn(Path::new(PROGRAM), &task(size), limits).await.expect("started")
}

fn range(source: &[u8], offset: u64, len: u32) -> Bytes {
    let from = usize::try_from(offset).expect("small").min(source.len());
    let to = (from + len as usize).min(source.len());
    Bytes::copy_from_slice(&source[from..to])
}

async fn finish(child: &mut Child, source: &[u8]) -> Result<Outcome, Error> {
    loop {
        match child.next().await? {
            (Event::Read { offset, len }, _) => child.feed(range(source, offset, len)).await?,
            (Event::Done { outcome, .. }, _) => return Ok(outcome),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_clip_is_probed_inside_the_cage() {
    let source = clip::make(clip::PLAIN, "clip.mp4");
    let mut child = spawn(source.len(), CageLimits::default()).await;
    let outcome = finish(&mut child, &source).await.expect("done");
    let Outcome::Probed { probe } = outcome else { panic!("{outcome:?}") };
    assert_eq!((probe.video.width, probe.video.height), (320, 180));
    assert_eq!(probe.keyframes, [0, 90_000]);
}

/// How far a child steps back once it is at work.
async fn niceness(task: &Task) -> i32 {
    let mut child = Child::spawn(Path::new(PROGRAM), task, CageLimits::default()).await.expect("started");
    child.next().await.expect("a question");
    let process = rustix::process::Pid::from_raw(process_id(&child));
    rustix::process::getpriority_process(process).expect("a child of ours")
}

#[tokio::test]
async fn what_is_made_for_later_steps_back_behind_what_is_watched_now() {
    let rate = Fraction { num: 25, den: 1 };
    let slate = Slate { rung: ladder::alike((320, 180), rate, "ultrafast"), pictures: 25 };
    let (live, later) = (niceness(&Task::Slate(Box::new(slate))).await, niceness(&task(1000)).await);
    assert_eq!(later, (live + 10).min(19), "{live}");
}

/// What the kernel says of a child at work, by the names of its lines.
fn told(child: &Child, file: &str, name: &str) -> String {
    let path = format!("/proc/{}/{file}", process_id(child));
    let text = std::fs::read_to_string(path).expect("a running process");
    let line = text.lines().find(|line| line.starts_with(name)).expect("such a line");
    line[name.len()..].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_child_has_no_privilege_whoever_started_it_and_no_more_tasks_than_it_may() {
    let limits = CageLimits { tasks: 700, ..CageLimits::default() };
    let mut child = spawn(1000, limits).await;
    child.next().await.expect("a question");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(told(&child, "status", set), "0000000000000000", "{set}");
    }
    assert_eq!(told(&child, "status", "NoNewPrivs:"), "1");
    assert_eq!(told(&child, "status", "Seccomp:"), "2");
    assert_eq!(told(&child, "limits", "Max processes"), "700 700 processes");
    // What only root has to give up; others have nothing in the bounding set that they could get at.
    if nix::unistd::geteuid().is_root() {
        assert_eq!(told(&child, "status", "CapBnd:"), "0000000000000000");
        assert_eq!(told(&child, "status", "Uid:"), "65534 65534 65534 65534");
        assert_eq!(told(&child, "status", "Gid:"), "65534 65534 65534 65534");
        assert_eq!(told(&child, "status", "Groups:"), "");
    }
}

#[tokio::test]
async fn a_file_that_takes_more_memory_than_the_cage_has_is_refused_at_once() {
    // A colour profile is read as a whole, before anybody can say that it is too large.
    let profile = [b"prof".as_slice(), &vec![7; 400 << 20]].concat();
    let source = clip::with_box(&clip::make(clip::PLAIN, "clip.mp4"), *b"colr", &profile);
    let limits = CageLimits { memory_bytes: OWN_BYTES, ..CageLimits::default() };
    let mut child = spawn(source.len(), limits).await;
    let outcome = finish(&mut child, &source).await.expect("a verdict");
    let Outcome::Refused { refusal } = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.code, RefusalCode::TooMuchMemory);
}

#[tokio::test]
async fn nothing_outside_can_be_reached_from_the_cage_and_encoding_still_works() {
    let checks = self_test(Path::new(PROGRAM)).await.expect("tested");
    assert!(checks.len() >= 9, "{checks:?}");
    // A kernel without Landlock is told to the operator; the call filter alone has to hold.
    let failed: Vec<_> = checks.iter().filter(|check| !check.ok && check.name != "landlock").collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
async fn texts_that_name_other_sources_are_refused_and_nothing_is_contacted() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    for (name, text) in hostile_texts(address) {
        let mut child = spawn(text.len(), CageLimits::default()).await;
        let outcome = finish(&mut child, text.as_bytes()).await.expect("done");
        let Outcome::Refused { refusal } = outcome else { panic!("{name}: {outcome:?}") };
        assert_eq!(refusal.code, RefusalCode::NotMedia, "{name}");
    }
    listener.set_nonblocking(true).expect("set");
    assert!(listener.accept().is_err(), "something called");
}

#[tokio::test]
async fn a_child_that_is_killed_is_reported_with_its_signal() {
    let mut child = spawn(1000, CageLimits::default()).await;
    assert!(matches!(child.next().await, Ok((Event::Read { .. }, _))));
    signal(&child, Signal::SIGKILL);
    let ending = child.next().await;
    assert!(matches!(ending, Err(Error::Crashed { ending: Ending::Signal(9), .. })), "{ending:?}");
}

#[tokio::test]
async fn a_child_that_stands_still_is_given_up() {
    let limits = CageLimits { silence: Duration::from_secs(5), ..CageLimits::default() };
    let mut child = spawn(1000, limits).await;
    assert!(matches!(child.next().await, Ok((Event::Read { .. }, _))));
    signal(&child, Signal::SIGSTOP);
    child.feed(Bytes::from_static(b"no video")).await.expect("the socket takes it");
    assert!(matches!(child.next().await, Err(Error::Hung { .. })));
}

/// A FLAC whose header has so many tags: libav goes through all of them for each.
pub fn many_tags(count: u32) -> Vec<u8> {
    let mut tags = [0_u32.to_le_bytes(), count.to_le_bytes()].concat();
    for number in 0..count {
        let tag = format!("T{number}=x");
        tags.extend(u32::try_from(tag.len()).expect("short").to_le_bytes());
        tags.extend(tag.as_bytes());
    }
    let block = |kind: u8, bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("small").to_be_bytes();
        [&[kind], &length[1..], bytes].concat()
    };
    // 4096 samples a block, 44,100 Hz, two channels of 16 bits (RFC 9639 8.2).
    let info = [[16, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0xc4, 0x42, 0xf0].as_slice(), &[0; 20]].concat();
    [b"fLaC".as_slice(), &block(0, &info), &block(0x84, &tags)].concat()
}

#[tokio::test]
async fn a_file_that_keeps_libav_computing_is_told_from_a_child_that_stands_still() {
    let source = many_tags(700_000);
    let limits = CageLimits { silence: Duration::from_secs(4), ..CageLimits::default() };
    let mut child = spawn(source.len(), limits).await;
    let ended = finish(&mut child, &source).await.expect_err("no end of it");
    assert!(matches!(ended, Error::Busy { .. }) && ended.is_for_good(), "{ended:?}");
    assert!(!Error::Hung { limit: Duration::ZERO }.is_for_good(), "a busy machine is no fault of the file");
}

#[tokio::test]
async fn a_child_that_has_used_up_its_processor_time_is_told_so() {
    let source = many_tags(700_000);
    let mut child = spawn(source.len(), CageLimits { cpu_seconds: 1, ..CageLimits::default() }).await;
    let ended = finish(&mut child, &source).await.expect_err("no end of it");
    assert!(matches!(ended, Error::Crashed { .. }) && ended.is_for_good(), "{ended:?}");
}

#[tokio::test]
async fn a_task_past_its_whole_time_is_given_up() {
    let limits = CageLimits { wall: Duration::from_secs(10), ..CageLimits::default() };
    let mut child = spawn(1000, limits).await;
    assert!(matches!(child.next().await, Ok((Event::Read { .. }, _))));
    signal(&child, Signal::SIGSTOP);
    child.feed(Bytes::from_static(b"no video")).await.expect("the socket takes it");
    assert!(matches!(child.next().await, Err(Error::Hung { .. })));
}

#[tokio::test]
async fn a_slow_source_is_not_held_against_the_child() {
    let source = clip::make(clip::PLAIN, "clip.mp4");
    let limits = CageLimits { silence: Duration::from_secs(2), ..CageLimits::default() };
    let mut child = spawn(source.len(), limits).await;
    let Ok((Event::Read { offset, len }, _)) = child.next().await else { panic!("no question") };
    tokio::time::sleep(Duration::from_secs(3)).await;
    child.feed(range(&source, offset, len)).await.expect("fed");
    assert!(matches!(finish(&mut child, &source).await, Ok(Outcome::Probed { .. })));
}

#[tokio::test]
async fn a_child_that_needs_more_memory_than_it_may_dies_alone() {
    let source = clip::make(clip::PLAIN, "clip.mp4");
    let limits = CageLimits { memory_bytes: 64 << 20, ..CageLimits::default() };
    let mut child = spawn(source.len(), limits).await;
    let ending = finish(&mut child, &source).await;
    assert!(matches!(ending, Err(Error::Crashed { .. })), "{ending:?}");
}

#[tokio::test]
async fn a_child_ends_when_its_worker_lets_go() {
    let child = spawn(1000, CageLimits::default()).await;
    let process = Pid::from_raw(process_id(&child));
    drop(child);
    while kill(process, None).is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn process_id(child: &Child) -> i32 {
    i32::try_from(child.id().expect("alive")).expect("a process id")
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(process_id(child)), signal).expect("ours to signal");
}
