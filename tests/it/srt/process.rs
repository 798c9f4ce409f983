//! The process that speaks SRT: what it costs when it dies, and what it can reach.

use std::path::PathBuf;
use std::process::Output;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use policast::live::srt::{Error, Limits, Listener, Request};

use super::rig::{KEY, PROGRAM, Server, counted, frames, plain, push};

#[tokio::test]
async fn a_process_that_dies_costs_its_connections_and_the_next_encoder_is_served() {
    let mut server = Server::start(Limits::default());
    let url = server.url(&format!("streamid={KEY}"));
    let clip = plain();
    let sending = tokio::spawn({
        let (clip, url) = (clip.clone(), url.clone());
        async move { push(&clip, url).await }
    });
    while server.count().await == 0 {}
    let process = server.process().await.expect("a process");
    kill(Pid::from_raw(process.cast_signed()), Signal::SIGKILL).unwrap();
    let lost = server.broadcast().await;
    assert!(matches!(lost.end, Err(Error::Lost | Error::Handshake { .. })), "{:?}", lost.end);
    sending.abort();

    let (output, broadcast) = tokio::join!(push(&clip, url), server.broadcast());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    broadcast.end.unwrap();
    assert_eq!(frames(&broadcast.media), counted(&clip).await);
    assert_ne!(server.process().await, Some(process));
}

#[tokio::test]
async fn the_process_can_make_no_socket_open_no_file_and_start_no_program() {
    let mut server = Server::start(Limits::default());
    let (clip, url) = (plain(), server.url(&format!("streamid={KEY}")));
    let (_, broadcast) = tokio::join!(push(&clip, url), server.broadcast());
    broadcast.end.unwrap();
    let process = server.process().await.expect("a process");
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let says = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim).map(str::to_owned)
    };
    // 2: a filter of system calls, which lets through none that makes a socket, names a file or starts a program.
    assert_eq!(says("Seccomp").as_deref(), Some("2"), "{status}");
    assert_eq!(says("NoNewPrivs").as_deref(), Some("1"), "{status}");
}

#[tokio::test]
async fn a_caller_that_is_decided_upon_late_holds_nobody_up_and_loses_nothing() {
    let mut listener = Listener::bind("127.0.0.1:0".parse().unwrap(), Limits::default(), PROGRAM).unwrap();
    let url = format!("srt://{}?streamid={KEY}&linger=3", listener.local_addr());
    let clip = plain();
    let serve = async |request: Request| {
        let (mut publisher, mut media) = (request.permit().await.unwrap(), Vec::new());
        while let Some(next) = publisher.next().await.unwrap() {
            media.push(next);
        }
        frames(&media)
    };
    let (late, undecided) =
        (tokio::spawn(push_owned(clip.clone(), url.clone())), listener.accept().await.unwrap());
    // Another one comes and goes while nothing is said of the first.
    let at_once = async { serve(listener.accept().await.unwrap()).await };
    let (sent, whole) = tokio::join!(push(&clip, url), at_once);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    assert_eq!(whole, counted(&clip).await);
    assert_eq!(serve(undecided).await, whole, "what it sent meanwhile waits for it");
    let sent = late.await.unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
}

async fn push_owned(clip: PathBuf, url: String) -> Output {
    push(&clip, url).await
}

#[tokio::test]
async fn a_caller_nobody_decides_upon_holds_nobody_up() {
    let mut listener = Listener::bind("127.0.0.1:0".parse().unwrap(), Limits::default(), PROGRAM).unwrap();
    let url = format!("srt://{}?streamid={KEY}", listener.local_addr());
    let clip = plain();
    let (_, undecided) = tokio::join!(push(&clip, url.clone()), listener.accept());
    let undecided = undecided.unwrap();
    let served = async {
        let mut publisher = listener.accept().await.unwrap().permit().await.unwrap();
        while publisher.next().await.unwrap().is_some() {}
    };
    let (sent, ()) = tokio::join!(push(&clip, format!("{url}&linger=3")), served);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    drop(undecided);
}
