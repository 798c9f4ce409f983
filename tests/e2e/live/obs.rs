//! OBS Studio as the encoder, on a display of its own: `make obs` installs both. Where they are not there, this says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::sleep;

use super::{Broadcast, STUCK, plays};
use crate::server::Server;
use crate::tool::program;

/// The profile: its video, and that it asks nothing.
const PROFILE: &str = "[General]\nName=Test\n[Video]\nBaseCX=640\nBaseCY=360\nOutputCX=640\nOutputCY=360\nFPSCommon=30\n\
    [Output]\nMode=Simple\nReconnect=false\n[SimpleOutput]\nVBitrate=1000\nStreamEncoder=x264\nPreset=ultrafast\n\
    UseAdvanced=true\nx264Settings=keyint=60\n";
const GLOBAL: &str = "[General]\nFirstRun=true\nEnableAutoUpdates=false\n";

#[tokio::test]
async fn obs_is_let_in_with_a_good_key_and_told_why_not_with_a_bad_one() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    if !(has("obs") && has("Xvfb")) {
        eprintln!("OBS Studio or Xvfb is not installed: nothing was tested; make obs does");
        return;
    }
    let server = Server::start().await;
    server.api.agency().await;
    let (_screen, display) = open_display().await;
    let broadcast = Broadcast::announce(&server, 1).await;

    let mut studio = Studio::open(&server.home().join("good"), &display, &broadcast.url);
    broadcast.wait_until_it_plays().await;
    plays(&broadcast.master(), 4).await;
    let health = broadcast.look().await["health"].clone();
    assert_eq!(health["advice"], json!([]), "{health}");
    assert_eq!((&health["width"], &health["keyframe_interval_ms"]), (&json!(640), &json!(2000)), "{health}");
    studio.process.kill().await.expect("a running studio");
    broadcast.wait_for("ended").await;
    let (pictures, sounds) = broadcast.recorded().await;
    assert!(pictures >= 60 && sounds >= 90, "{pictures} pictures, {sounds} frames of sound");

    let wrong = broadcast.url.replace(&broadcast.key, "live_00000000000000000000000000000000");
    let studio = Studio::open(&server.home().join("bad"), &display, &wrong);
    studio.wait_for("The stream key is wrong or was revoked; copy it again from the broadcast.").await;
    server.stop().await;
}

/// An X server without a screen, and its name.
async fn open_display() -> (Child, String) {
    let mut xvfb = program("Xvfb");
    xvfb.args(["-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp"]);
    let mut screen = xvfb.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("Xvfb starts");
    let told = BufReader::new(screen.stdout.take().expect("piped")).lines().next_line().await;
    let number = told.expect("readable").expect("the number of the display");
    (screen, format!(":{number}"))
}

/// OBS Studio, streaming one coloured source from its start.
struct Studio {
    process: Child,
    log: PathBuf,
}

impl Studio {
    fn open(home: &Path, display: &str, url: &str) -> Self {
        let (server, key) = url.rsplit_once('/').expect("an address with a key");
        let service = json!({"type": "rtmp_custom", "settings": {"server": server, "key": key}});
        let colour = json!({"id": "color_source", "versioned_id": "color_source_v3", "name": "Colour",
            "settings": {"color": 0xFF00_FF00_u32, "width": 640, "height": 360}});
        let scene = json!({"id": "scene", "name": "Scene",
            "settings": {"items": [{"name": "Colour", "id": 1, "visible": true}]}});
        let scenes = json!({"name": "Test", "current_scene": "Scene", "current_program_scene": "Scene",
            "scene_order": [{"name": "Scene"}], "sources": [colour, scene]});
        for (path, text) in [
            ("global.ini", GLOBAL.to_owned()),
            ("basic/profiles/Test/basic.ini", PROFILE.to_owned()),
            ("basic/profiles/Test/service.json", service.to_string()),
            ("basic/scenes/Test.json", scenes.to_string()),
        ] {
            let file = home.join(".config/obs-studio").join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, text).expect("a file");
        }
        let log = home.join("log");
        let output = fs::File::create(&log).expect("a log");
        let mut obs = program("obs");
        obs.args(["--startstreaming", "--multi", "--profile", "Test", "--collection", "Test"]);
        obs.env("HOME", home).env("XDG_CONFIG_HOME", home.join(".config")).env("DISPLAY", display);
        obs.env("LIBGL_ALWAYS_SOFTWARE", "1").env("QT_QPA_PLATFORM", "xcb");
        obs.stdout(output.try_clone().expect("a log")).stderr(output);
        Self { process: obs.spawn().expect("OBS starts"), log }
    }

    /// Waits until its log says so.
    async fn wait_for(&self, said: &str) {
        let begun = Instant::now();
        loop {
            let log = fs::read_to_string(&self.log).expect("a log");
            if log.contains(said) {
                return;
            }
            assert!(begun.elapsed() < STUCK, "OBS never says {said:?}:\n{log}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}
