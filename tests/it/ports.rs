//! Ports that stay free until somebody listens on them: of those that the system gives no outgoing connection, and each
//! held by an abstract socket (unix(7)) that ends with its process.

use std::fmt;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below `net.ipv4.ip_local_port_range`, and above what services have.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that no other test chooses while this is kept.
#[derive(Debug)]
pub struct Port {
    pub number: u16,
    _held: UnixListener,
}

impl Port {
    pub fn reserve() -> Self {
        let own = u16::try_from(std::process::id() % u32::from(COUNT)).expect("fewer than ports");
        let mut numbers = (0..COUNT).map(|_| {
            let offset = u32::from(own) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            FIRST + u16::try_from(offset % u32::from(COUNT)).expect("fewer than ports")
        });
        numbers.find_map(Self::hold).expect("a free port")
    }

    /// `None` where another test has it, or somebody listens there.
    fn hold(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("policast-port-{number}")).expect("a short name");
        let held = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Self { number, _held: held })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}
