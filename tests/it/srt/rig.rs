//! A server that permits one key, clips, and the programs that send them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Mutex, PoisonError};

use policast::live::frame::Media;
use policast::live::srt::{Error, Limits, Listener, Reason, Request};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub const KEY: &str = "a-good-key";
/// The binary, one of whose hidden subcommands speaks SRT.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_policast");

/// What one permitted connection brought.
pub struct Broadcast {
    pub media: Vec<Media>,
    pub end: Result<(), Error>,
}

pub struct Server {
    pub addr: SocketAddr,
    broadcasts: mpsc::Receiver<Broadcast>,
    /// Connections, and the process that has them.
    state: mpsc::Receiver<(usize, Option<u32>)>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub fn start(limits: Limits) -> Self {
        let mut listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits, PROGRAM).unwrap();
        let addr = listener.local_addr();
        let (ended, broadcasts) = mpsc::channel(100);
        let (told, state) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut publishers = JoinSet::new();
            loop {
                let request = tokio::select! {
                    request = listener.accept() => match request {
                        Ok(request) => request,
                        // Its process was lost: the next call starts another.
                        Err(_) => continue,
                    },
                    Ok(permit) = told.reserve() => {
                        permit.send((listener.connections(), listener.process_id()));
                        continue;
                    }
                };
                if request.key() == Some(KEY) {
                    publishers.spawn(watch(request, ended.clone()));
                } else {
                    request.reject(Reason::Forbidden);
                }
            }
        });
        Server { addr, broadcasts, state, _tasks: tasks }
    }

    pub async fn broadcast(&mut self) -> Broadcast {
        self.broadcasts.recv().await.unwrap()
    }

    /// One that has ended by now.
    pub fn ended(&mut self) -> Option<Broadcast> {
        self.broadcasts.try_recv().ok()
    }

    /// The count now, not the one that was waiting to be read.
    pub async fn count(&mut self) -> usize {
        self.state().await.0
    }

    pub async fn process(&mut self) -> Option<u32> {
        self.state().await.1
    }

    async fn state(&mut self) -> (usize, Option<u32>) {
        self.state.recv().await.unwrap();
        self.state.recv().await.unwrap()
    }

    /// libavformat drops what it has not sent yet when it closes, unless told to linger.
    pub fn url(&self, options: &str) -> String {
        format!("srt://{}?{options}&linger=3", self.addr)
    }
}

async fn watch(request: Request, ended: mpsc::Sender<Broadcast>) {
    let mut media = Vec::new();
    let end = match request.permit().await {
        Err(error) => Err(error),
        Ok(mut publisher) => loop {
            match publisher.next().await {
                Ok(Some(item)) => media.push(item),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        },
    };
    ended.send(Broadcast { media, end }).await.unwrap();
}

pub async fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap()
}

/// Sends a clip in real time; what ffmpeg printed.
pub async fn push(clip: &Path, url: String) -> Output {
    let clip = clip.to_str().unwrap();
    run(
        "ffmpeg",
        &["-nostdin", "-v", "info", "-re", "-i", clip, "-map", "0", "-c", "copy", "-f", "mpegts", &url],
    )
    .await
}

/// Three seconds, 25 frames a second, a keyframe each second.
pub fn clip(name: &str, encode: &str) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clips");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    if !path.exists() {
        let fresh = folder.join(format!("{}-{name}", std::process::id()));
        let status = std::process::Command::new("ffmpeg")
            .args("-nostdin -v error -y -f lavfi -i testsrc2=s=320x180:r=25:d=3".split(' '))
            .args(encode.split(' '))
            .args(["-f", "mpegts"])
            .arg(&fresh)
            .status()
            .unwrap();
        assert!(status.success());
        std::fs::rename(fresh, &path).unwrap();
    }
    path
}

pub const TONE: &str = "-f lavfi -i sine=r=48000:d=3";
pub const AAC: &str = "-c:a aac -ac 2";

pub fn plain() -> PathBuf {
    clip("plain.ts", &format!("{TONE} -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p {AAC}"))
}

pub fn with_b_frames() -> PathBuf {
    clip("b.ts", &format!("{TONE} -c:v libx264 -preset medium -bf 3 -g 25 -pix_fmt yuv420p {AAC}"))
}

pub fn hevc() -> PathBuf {
    clip(
        "hevc.ts",
        &format!("{TONE} -c:v libx265 -preset ultrafast -x265-params keyint=25:log-level=error {AAC}"),
    )
}

/// How many packets of video and audio ffprobe finds.
pub async fn counted(file: &Path) -> (usize, usize) {
    let arguments =
        ["-v", "error", "-show_entries", "packet=codec_type", "-of", "csv=p=0", file.to_str().unwrap()];
    let output = String::from_utf8(run("ffprobe", &arguments).await.stdout).unwrap();
    let of = |kind| output.lines().filter(|line| line.starts_with(kind)).count();
    (of("video"), of("audio"))
}

pub fn frames(media: &[Media]) -> (usize, usize) {
    let video = media.iter().filter(|item| matches!(item, Media::Video(_))).count();
    let audio = media.iter().filter(|item| matches!(item, Media::Audio(_))).count();
    (video, audio)
}
