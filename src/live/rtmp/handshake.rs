//! The handshake (RTMP 1.0, 5.2), the plain one: publishing needs no digest, and no encoder checks ours.

use std::hash::{BuildHasher, Hasher, RandomState};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Error;

const VERSION: u8 = 3;
const PACKET: usize = 1536;

/// As the server; what the encoder sent beyond it stays in `inbound`.
pub(super) async fn answer<S>(socket: &mut S, inbound: &mut BytesMut) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    expect_version(socket, inbound).await?;
    fill(socket, inbound, PACKET).await?;
    let theirs = inbound.split_to(PACKET);
    let mut reply = opening();
    reply.extend_from_slice(&theirs);
    socket.write_all(&reply).await.map_err(Error::Io)?;
    socket.flush().await.map_err(Error::Io)?;
    fill(socket, inbound, PACKET).await?;
    let _echo = inbound.split_to(PACKET);
    Ok(())
}

/// As the client.
pub(super) async fn offer<S>(socket: &mut S, inbound: &mut BytesMut) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.write_all(&opening()).await.map_err(Error::Io)?;
    socket.flush().await.map_err(Error::Io)?;
    expect_version(socket, inbound).await?;
    fill(socket, inbound, 2 * PACKET).await?;
    let theirs = inbound.split_to(PACKET);
    let _echo = inbound.split_to(PACKET);
    socket.write_all(&theirs).await.map_err(Error::Io)?;
    socket.flush().await.map_err(Error::Io)
}

async fn expect_version<S>(socket: &mut S, inbound: &mut BytesMut) -> Result<(), Error>
where
    S: AsyncRead + Unpin,
{
    fill(socket, inbound, 1).await?;
    match inbound.split_to(1)[0] {
        VERSION => Ok(()),
        other => Err(Error::Version(other)),
    }
}

/// Version, time 0, four zeros that promise no digest, and noise.
fn opening() -> BytesMut {
    let mut packet = BytesMut::with_capacity(1 + 2 * PACKET);
    packet.put_u8(VERSION);
    packet.put_u64(0);
    let noise = RandomState::new();
    while packet.len() < 1 + PACKET {
        let mut hasher = noise.build_hasher();
        hasher.write_usize(packet.len());
        packet.put_u64(hasher.finish());
    }
    packet
}

async fn fill<S: AsyncRead + Unpin>(
    socket: &mut S,
    inbound: &mut BytesMut,
    bytes: usize,
) -> Result<(), Error> {
    while inbound.len() < bytes {
        inbound.reserve(2 * PACKET);
        if socket.read_buf(inbound).await.map_err(Error::Io)? == 0 {
            return Err(Error::Closed("the handshake"));
        }
    }
    Ok(())
}
