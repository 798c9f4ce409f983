//! Connections: the accept loop of every HTTP port, how many an address may have, and how slow a client may be.

mod accept;
mod client;
mod limiter;
mod stream;

pub use accept::{Limits, Stop, serve};
pub use client::{ForwardedHeader, client_address};
pub use limiter::network;
pub use stream::Timeouts;
