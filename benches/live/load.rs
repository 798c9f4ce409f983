//! Memory and processor time of one stream and of eight, at both servers in the same minute.

use std::path::Path;
use std::time::Duration;

use tokio::process::Child;
use tokio::time::sleep;

use crate::SETTINGS;
use crate::broadcast::{Broadcast, make_clip, push};
use crate::nginx::Nginx;
use crate::process::{Usage, usage};
use crate::server::Server;

const STREAMS: [u32; 2] = [1, 8];
/// What a start touched has been given back, and the first segments are there.
const SETTLED: Duration = Duration::from_secs(15);
const MINUTE: Duration = Duration::from_mins(1);

/// Both servers; where there is no nginx, ours alone.
struct Both {
    ours: Server,
    theirs: Option<Nginx>,
    encoders: Vec<Child>,
}

/// Usage of ours and of theirs.
type Pair = (Usage, Option<Usage>);

/// Prints the comparison; an encoder that is turned away fails it.
pub async fn compare() {
    println!("A 720p30 clip of 3 Mbit/s sent by RTMP, repackaged as HLS; policast also records it");
    let folder = tempfile::tempdir().expect("a folder");
    let clip = make_clip(folder.path()).await;
    let mut both = Both {
        ours: Server::start_with(&SETTINGS).await,
        theirs: Nginx::start().await,
        encoders: Vec::new(),
    };
    both.ours.api.agency().await;
    sleep(SETTLED).await;
    let idle = both.usage();
    println!("  {:<42} {:>10} {:>10} {:>7}", "", "policast", "nginx-rtmp", "ratio");
    row("idle: memory, MB", idle, |usage| usage.memory_mb);
    for streams in STREAMS {
        both.grow(streams, &clip).await;
        sleep(SETTLED).await;
        let before = both.usage();
        sleep(MINUTE).await;
        let after = both.usage();
        both.expect_every_encoder();
        let name = if streams == 1 { "1 stream".to_owned() } else { format!("{streams} streams") };
        let share = |now: f64, then: f64| (now - then) / f64::from(streams);
        row(&format!("{name}: memory, MB"), after, |usage| usage.memory_mb);
        let memory = between(after, idle, |now, then| share(now.memory_mb, then.memory_mb));
        row(&format!("{name}: memory above idle, MB per stream"), memory, |share| *share);
        let cpu = between(after, before, |now, then| share(now.cpu_seconds, then.cpu_seconds));
        row(&format!("{name}: CPU seconds per stream and minute"), cpu, |share| *share);
    }
    println!();
    drop(both.encoders);
    both.ours.stop().await;
}

impl Both {
    fn usage(&self) -> Pair {
        let ours = usage(self.ours.id().expect("a running server"));
        (ours, self.theirs.as_ref().map(|nginx| usage(nginx.id())))
    }

    /// Adds streams until there are so many.
    async fn grow(&mut self, streams: u32, clip: &Path) {
        let each = 1 + usize::from(self.theirs.is_some());
        while self.encoders.len() < streams as usize * each {
            let broadcast = Broadcast::announce(&self.ours.api).await;
            self.encoders.push(push(clip, &broadcast.rtmp));
            if let Some(nginx) = &self.theirs {
                self.encoders.push(push(clip, &nginx.rtmp(&broadcast.id)));
            }
            broadcast.wait_until_it_plays(&self.ours.api).await;
        }
    }

    fn expect_every_encoder(&mut self) {
        for encoder in &mut self.encoders {
            let ended = encoder.try_wait().expect("a child");
            assert!(ended.is_none(), "an encoder ended with {ended:?}");
        }
    }
}

fn between<T>(now: Pair, then: Pair, work: impl Fn(Usage, Usage) -> T) -> (T, Option<T>) {
    (work(now.0, then.0), now.1.zip(then.1).map(|(now, then)| work(now, then)))
}

fn row<T>(name: &str, (ours, theirs): (T, Option<T>), read: impl Fn(&T) -> f64) {
    let ours = read(&ours);
    match theirs.as_ref().map(read) {
        Some(theirs) => println!("  {name:<42} {ours:>10.2} {theirs:>10.2} {:>7.2}", ours / theirs),
        None => println!("  {name:<42} {ours:>10.2}"),
    }
}
