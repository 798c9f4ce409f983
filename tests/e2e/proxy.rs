//! A slow line between a client and the server, which counts what the client sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Pause after each piece sent: about 10 MB/s, slow enough to be cut in the middle.
const PAUSE: Duration = Duration::from_millis(6);

/// A line; it is cut when dropped.
pub struct Proxy {
    passed: Arc<AtomicU64>,
    _running: JoinSet<()>,
}

impl Proxy {
    /// A line to `target`, an address such as `127.0.0.1:8080`, at `listener`.
    pub fn start(listener: std::net::TcpListener, target: String) -> Self {
        listener.set_nonblocking(true).expect("a listener");
        let listener = TcpListener::from_std(listener).expect("a listener");
        let (passed, mut running) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        running.spawn(accept(listener, target, Arc::clone(&passed)));
        Self { passed, _running: running }
    }

    /// How many bytes clients have sent through it.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, target: String, passed: Arc<AtomicU64>) {
    let mut lines = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("a connection");
        lines.spawn(carry(client, target.clone(), Arc::clone(&passed)));
    }
}

async fn carry(client: TcpStream, target: String, passed: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let there = async {
        let mut piece = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from_client.read(&mut piece).await {
            if to_server.write_all(&piece[..read]).await.is_err() {
                return;
            }
            passed.fetch_add(read as u64, Ordering::Relaxed);
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

#[tokio::test]
async fn what_a_client_sends_comes_through_and_is_counted() {
    let (far, near) = ["127.0.0.1:0"; 2].map(|any| std::net::TcpListener::bind(any).expect("a port")).into();
    let address = near.local_addr().expect("an address");
    let line = Proxy::start(near, far.local_addr().expect("an address").to_string());
    let mut client = TcpStream::connect(address).await.expect("a line");
    client.write_all(&[7; 10_000]).await.expect("a line");
    let (mut server, _) =
        tokio::task::spawn_blocking(move || far.accept()).await.expect("a thread").expect("a line");
    let received = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; 10_000];
        std::io::Read::read_exact(&mut server, &mut bytes).map(|()| bytes)
    });
    assert_eq!(received.await.expect("a thread").expect("a line"), [7; 10_000]);
    assert_eq!(line.passed(), 10_000);
}
