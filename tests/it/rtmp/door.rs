//! A door as the program opens it, over a whole live room.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use policast::catalogue::broadcast::{self, Broadcast};
use policast::domain::{BroadcastId, Clock, Timestamp};
use policast::live::frame::Media;
use policast::live::rtmp::{Destination, Error, Limits, Target};
use policast::live::{self, Live};
use policast::publishing::Publishing;
use policast::storage::{Folder, Key};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::encoder::Outcome;
use crate::world::World;

/// Encoders come from addresses of their own: wrong keys count for one of them.
const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
pub const BAD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// How long anything here may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// A live room behind a port, with one broadcast announced. Its clock stands still until it is moved.
pub struct Door {
    pub publishing: Publishing,
    address: SocketAddr,
    broadcast: BroadcastId,
    pub key: String,
    stop: CancellationToken,
    listening: JoinHandle<()>,
    _world: World,
}

impl Door {
    pub async fn open(limits: Limits) -> Self {
        Self::open_with(limits, Duration::from_secs(6)).await
    }

    /// The same where a broadcast is held so long without media.
    pub async fn open_with(limits: Limits, lease: Duration) -> Self {
        let world = World::small().await;
        let clock = Clock::fixed(Timestamp(1_800_000_000_000));
        let publishing = Publishing { clock, ..world.publishing.clone() };
        let (broadcast, key) = world.announce(false).await;
        let settings = live::Settings {
            node: "http://127.0.0.1:9".to_owned(),
            keys: crate::app::keys_of(""),
            lease,
            dvr: Duration::from_hours(4),
            buffer_bytes: 64 << 20,
            doors: live::guests::Limits::default(),
            rtmp: limits,
            cut: live::cut::Settings::default(),
            rungs: live::rungs::Settings::default(),
        };
        let pulls = (TaskTracker::new(), CancellationToken::new());
        let live = Live::new(publishing.clone(), settings, pulls);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let listening = tokio::spawn(live::listen(listener, None, live, stop.clone()));
        let key = key.reveal().to_owned();
        Self { publishing, address, broadcast: broadcast.id, key, stop, listening, _world: world }
    }

    /// Stops listening, and waits until every connection has ended.
    pub async fn close(self) {
        self.stop.cancel();
        self.listening.await.unwrap();
    }

    pub async fn connect(&self, from: Ipv4Addr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Begins to push as the holder of `key`.
    pub async fn push(&self, key: &str) -> Result<Target<TcpStream>, Error> {
        self.push_from(GOOD, key).await
    }

    /// The same from an address.
    pub async fn push_from(&self, from: Ipv4Addr, key: &str) -> Result<Target<TcpStream>, Error> {
        let tc_url = format!("rtmp://{}/live", self.address);
        let destination = Destination { app: "live".to_owned(), tc_url, key: key.to_owned() };
        Target::connect(self.connect(from).await, &destination, &Limits::default()).await
    }

    /// Whether an answer comes to a wrong key; after too many there is none.
    pub async fn shows_bad_key(&self, opening: &[u8]) -> bool {
        let mut socket = self.connect(BAD).await;
        let mut replies = Vec::new();
        let _ = socket.write_all(opening).await;
        let _ = socket.read_to_end(&mut replies).await;
        let outcome = Outcome { media: Vec::new(), end: Ok(()), replies };
        outcome.heard("The stream key is wrong or was revoked")
    }

    pub async fn row(&self) -> Broadcast {
        let mut read = self.publishing.db.read().await.unwrap();
        broadcast::find(read.conn(), self.broadcast).await.unwrap().unwrap()
    }

    /// The codes of what was logged, newest first.
    pub async fn log(&self) -> Vec<String> {
        let mut read = self.publishing.db.read().await.unwrap();
        let lines = broadcast::list_log(read.conn(), self.broadcast, 100).await.unwrap();
        lines.into_iter().map(|line| line.code).collect()
    }

    /// What is kept in the bucket, by rung and initialisation segment: files that play.
    pub async fn recorded(&self) -> BTreeMap<(String, u32), Vec<u8>> {
        let row = self.row().await;
        let id = (row.video_id, to_u32(row.revision.unwrap()));
        let mut files = BTreeMap::new();
        for pack in self.publishing.find_recorded(id).await.unwrap().packs {
            let (rung, init) = (pack.rung, to_u32(pack.init));
            let folder = Folder { nonce: pack.nonce, ..Folder::from(id) };
            let segment = Key::pack(folder, &rung, to_u32(pack.first_segment), to_u32(pack.attempt));
            let begin = self.publishing.storage.read_all(&Key::init_of(folder, &rung, init)).await.unwrap();
            let segment = self.publishing.storage.read_all(&segment).await.unwrap();
            files.entry((rung, init)).or_insert_with(|| begin.to_vec()).extend(segment);
        }
        files
    }

    /// Waits until an encoder has gone, and gives the log.
    pub async fn left(&self) -> Vec<String> {
        let is_end = |code: &String| !["encoder_came", "encoder_refused"].contains(&code.as_str());
        until(async || Some(self.log().await).filter(|log| log.first().is_some_and(is_end))).await
    }
}

fn to_u32(number: i64) -> u32 {
    u32::try_from(number).unwrap()
}

/// Asks until there is an answer.
pub async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it comes about")
}

pub async fn send(target: &mut Target<TcpStream>, media: &[Media]) {
    for next in media {
        target.send(next).await.unwrap();
    }
}
