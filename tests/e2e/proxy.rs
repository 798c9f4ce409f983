//! A slow line between two programs, which counts what is sent and can be cut and mended.

use std::net::{SocketAddr, TcpListener as Listener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Pause after each piece sent: about 10 MB/s, slow enough to be cut in the middle.
const PAUSE: Duration = Duration::from_millis(6);

/// A line; it is cut for good when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    passed: Arc<AtomicU64>,
    is_cut: watch::Sender<bool>,
    _running: JoinSet<()>,
}

/// One end to the other.
#[derive(Clone)]
struct Line {
    target: String,
    passed: Arc<AtomicU64>,
    is_cut: watch::Receiver<bool>,
}

impl Proxy {
    /// A line to `target`, an address such as `127.0.0.1:8080`, at `listener`.
    pub fn start(listener: Listener, target: String) -> Self {
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let listener = TcpListener::from_std(listener).expect("a listener");
        let (passed, is_cut, mut running) =
            (Arc::new(AtomicU64::new(0)), watch::Sender::new(false), JoinSet::new());
        let line = Line { target, passed: Arc::clone(&passed), is_cut: is_cut.subscribe() };
        running.spawn(accept(listener, line));
        Self { address, passed, is_cut, _running: running }
    }

    /// A line to `target` at a port of its own.
    pub fn to(target: &str) -> Self {
        Self::start(Listener::bind("127.0.0.1:0").expect("a port"), target.to_owned())
    }

    /// How many bytes clients have sent through it.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Breaks every connection, and each new one at once.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn accept(listener: TcpListener, line: Line) {
    let mut lines = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("a connection");
        let mut line = line.clone();
        lines.spawn(async move {
            let mut is_cut = line.is_cut.clone();
            tokio::select! {
                biased;
                _ = is_cut.wait_for(|cut| *cut) => {}
                () = line.carry(client) => {}
            }
        });
    }
}

impl Line {
    async fn carry(&mut self, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.target).await else { return };
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (client.into_split(), server.into_split());
        let there = async {
            let mut piece = vec![0; 1 << 16];
            while let Ok(read @ 1..) = from_client.read(&mut piece).await {
                if to_server.write_all(&piece[..read]).await.is_err() {
                    return;
                }
                self.passed.fetch_add(read as u64, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
            // The other side may have gone first.
            let _ = to_server.shutdown().await;
        };
        let back = async {
            let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        };
        tokio::join!(there, back);
    }
}

#[tokio::test]
async fn what_a_client_sends_comes_through_and_is_counted() {
    let far = Listener::bind("127.0.0.1:0").expect("a port");
    let line = Proxy::to(&far.local_addr().expect("an address").to_string());
    let mut client = TcpStream::connect(line.address).await.expect("a line");
    client.write_all(&[7; 10_000]).await.expect("a line");
    let (mut server, _) =
        tokio::task::spawn_blocking(move || far.accept()).await.expect("a thread").expect("a line");
    let received = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; 10_000];
        std::io::Read::read_exact(&mut server, &mut bytes).map(|()| bytes)
    });
    assert_eq!(received.await.expect("a thread").expect("a line"), [7; 10_000]);
    assert_eq!(line.passed(), 10_000);
    line.cut();
    assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0, "the line is cut");
}
