//! The command line as an agency and a newcomer use it: `policast upload` over a bad line, and `policast demo`.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clients::ends_well;
use crate::clip::heavy;
use crate::proxy::Proxy;
use crate::server::Server;
use crate::tool::fixture;

pub fn upload<'a>(file: &'a Path, title: &'a str) -> [&'a str; 8] {
    let file = file.to_str().expect("a path");
    ["upload", file, "--account", "lanting-ecology", "--topic", "environment/air", "--title", title]
}

pub async fn only_video(server: &Server) -> String {
    let listed = server.api.get("/api/v1/videos").await;
    let videos = listed["items"].as_array().expect("videos");
    assert_eq!(videos.len(), 1, "{listed}");
    videos[0]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn the_command_uploads() {
    let server = Server::start().await;
    server.api.agency().await;
    let file = fixture("short.mp4");
    server.run(&upload(&file, "By the command")).await;
    ends_well(&server, &only_video(&server).await, &file).await;
    server.stop().await;
}

#[tokio::test]
async fn the_command_killed_in_the_middle_goes_on_where_it_was() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = Server::start_with(&[("POLICAST_PUBLIC_URL", &url), ("POLICAST_URL", &url)]).await;
    let line = Proxy::start(listener, server.setting("POLICAST_LISTEN").to_owned());
    server.api.agency().await;
    let file = heavy(server.home(), 40 << 20);
    let size = fs::metadata(&file).expect("a file").len();
    let mut dying = server.command(&upload(&file, "Killed")).spawn().expect("the command");
    while line.passed() < size / 10 * 6 {
        assert_eq!(dying.try_wait().expect("a child"), None, "it ended before it was killed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    dying.kill().expect("a running command");
    dying.wait().expect("a child");
    server.run(&upload(&file, "Killed")).await;
    let sent = line.passed();
    assert!(sent < size / 10 * 13, "{size} bytes took {sent}: it began again");
    ends_well(&server, &only_video(&server).await, &file).await;
    server.stop().await;
}

#[tokio::test]
async fn the_demo_prints_where_to_watch_and_keeps_serving() {
    let mut server = Server::start().await;
    server.kill();
    fs::remove_dir_all(server.home().join("data")).expect("what the first start made");
    let said = server.home().join("demo.log");
    let log = File::create(&said).expect("a log");
    let mut command = server.command(&["demo"]);
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
    let mut demo = Demo(command.spawn().expect("the demo"));
    let begun = Instant::now();
    let watch = loop {
        let text = fs::read_to_string(&said).expect("a log");
        if let Some(url) =
            text.split_whitespace().find(|word| word.starts_with("http") && word.contains("/watch/"))
        {
            break url.to_owned();
        }
        assert_eq!(demo.0.try_wait().expect("a child"), None, "{text}");
        assert!(begun.elapsed() < Duration::from_mins(8), "it never says where to watch:\n{text}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let page = String::from_utf8(server.api.bytes(&watch, None).await).expect("a page");
    assert!(page.contains("<html"), "{page}");
    assert_eq!(demo.0.try_wait().expect("a child"), None, "it keeps serving");
    kill(Pid::from_raw(i32::try_from(demo.0.id()).expect("a process id")), Signal::SIGINT)
        .expect("a running demo");
    assert!(demo.0.wait().expect("a child").success());
}

/// Killed when a test gives up on it.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // After a good end there is nothing left to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_key_is_long_and_another_one_later_is_told_of() {
    let mut server = Server::start().await;
    server.set("POLICAST_ADMIN_KEY", "nineteen-characters");
    let (well, said) = server.try_run(&["serve"]).await;
    assert!(!well && said.contains("POLICAST_ADMIN_KEY has 19 characters"), "{said}");
    server.set("POLICAST_ADMIN_KEY", "another-one-than-at-the-first-start");
    server.restart().await;
    assert!(server.log().contains("POLICAST_ADMIN_KEY is not the operator's key"), "{}", server.log());
    server.set("POLICAST_ADMIN_KEY", &server.api.key.clone());
    server.kill();
    let told = server.log().matches("POLICAST_ADMIN_KEY is not").count();
    server.restart().await;
    assert_eq!(server.log().matches("POLICAST_ADMIN_KEY is not").count(), told, "the same one is no news");
    server.stop().await;
}
