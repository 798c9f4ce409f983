//! The way out: a target's name is resolved once, what it names must be out in the world, and exactly that is connected
//! to. An agency's key must not open the network around this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, crypto};
use tokio_util::either::Either;

use super::Error;
use crate::domain::address::is_public;
use crate::domain::push::PushUrl;

/// For the name, for each address, and for TLS; whoever takes longer can't take a stream either.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// A way to a target, encrypted or not.
pub type Socket = Either<TcpStream, TlsStream<TcpStream>>;

/// Connects to a target, by TLS under its own name where the address says so.
pub async fn connect(url: &PushUrl, allow_private: bool) -> Result<Socket, Error> {
    let addresses = checked(url, allow_private).await?;
    let mut last = Error::NoAddress(url.host.clone());
    for address in addresses.into_iter().take(ADDRESSES) {
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                // Pictures are small and urgent; without it they are only later.
                let _ = socket.set_nodelay(true);
                return if url.secure { encrypt(socket, &url.host).await } else { Ok(Either::Left(socket)) };
            }
            Ok(Err(source)) => last = Error::Connect { host: url.host.clone(), address, source },
            Err(_) => last = Error::TooSlow("connection"),
        }
    }
    Err(last)
}

/// The addresses of the target that may be connected to.
async fn checked(url: &PushUrl, allow_private: bool) -> Result<Vec<SocketAddr>, Error> {
    let resolved = timeout(PATIENCE, lookup_host((url.host.as_str(), url.port))).await;
    let found: Vec<SocketAddr> = match resolved {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(source)) => return Err(Error::Resolve { host: url.host.clone(), source }),
        Err(_) => return Err(Error::TooSlow("answer of the name server")),
    };
    let (good, bad): (Vec<_>, Vec<_>) = found.into_iter().partition(|at| allow_private || is_public(at.ip()));
    match bad.first() {
        Some(at) if good.is_empty() => Err(Error::Private { host: url.host.clone(), ip: at.ip() }),
        _ => Ok(good),
    }
}

async fn encrypt(socket: TcpStream, host: &str) -> Result<Socket, Error> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|source| Error::Name { host: host.to_owned(), source })?;
    // Read from the system anew, as certificates come and go there; off the runtime's threads, as that reads files.
    let config = tokio::task::spawn_blocking(client_config)
        .await
        .map_err(Error::Panic)?
        .map_err(Error::Certificates)?;
    match timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, socket)).await {
        Ok(Ok(socket)) => Ok(Either::Right(socket)),
        Ok(Err(source)) => Err(Error::Tls(source)),
        Err(_) => Err(Error::TooSlow("TLS")),
    }
}

fn client_config() -> Result<ClientConfig, tokio_rustls::rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_platform_verifier()?.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn url(text: &str) -> PushUrl {
        text.parse().expect("an address")
    }

    #[tokio::test]
    async fn a_name_or_number_that_leads_inside_is_not_connected_to() {
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = door.local_addr().expect("an address").port();
        // The resolver knows more spellings of an address than we do.
        for host in ["localhost", "127.0.0.1", "127.1", "2130706433", "[::ffff:127.0.0.1]", "169.254.169.254"]
        {
            let refused = connect(&url(&format!("rtmp://{host}:{port}/live")), false).await;
            assert!(matches!(refused, Err(Error::Private { .. } | Error::Resolve { .. })), "{host}");
        }
        let reached = connect(&url(&format!("rtmp://127.0.0.1:{port}/live")), true).await;
        assert!(matches!(reached, Ok(Either::Left(_))));
    }

    #[tokio::test]
    async fn a_refusal_names_the_host_and_not_what_it_leads_to() {
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let shut = door.local_addr().expect("an address").port();
        drop(door);
        for (allow_private, told) in [
            (false, "localhost leads inside a private network, where this server pushes nothing to"),
            (true, "localhost can't be reached"),
        ] {
            let refused =
                connect(&url(&format!("rtmp://localhost:{shut}/live")), allow_private).await.map(drop);
            let error = refused.expect_err("nobody is there");
            assert_eq!(error.to_string(), told);
            let resolved = format!("{error:?}");
            assert!(
                resolved.contains("127.0.0.1") || resolved.contains("::1"),
                "who runs it sees it: {resolved}"
            );
        }
    }
}
