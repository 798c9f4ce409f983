//! The doors for encoders: bound before anything is served, so that their addresses are known.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::ports::listen;
use crate::config::{Config, DEFAULT_RTMP, Role};
use crate::http;
use crate::live::srt;

/// Listeners for encoders; `None` where a door is shut.
#[derive(Default)]
pub struct Doors {
    pub rtmp: Option<TcpListener>,
    pub rtmps: Option<(TcpListener, TlsAcceptor)>,
    pub srt: Option<srt::Listener>,
}

impl Doors {
    /// Opens the doors this process is to have.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        if !config.has(Role::Live) {
            return Ok(Self::default());
        }
        let live = &config.live;
        let rtmp = match live.rtmp_listen {
            Some(_) => listen(live.rtmp_listen, "POLICAST_RTMP_LISTEN").await?,
            // Nobody asked for this very port: a second server on the machine does without.
            None => match TcpListener::bind(DEFAULT_RTMP).await {
                Ok(listener) => Some(listener),
                Err(error) => {
                    tracing::warn!(%error, "no RTMP on {DEFAULT_RTMP}; POLICAST_RTMP_LISTEN chooses another");
                    None
                }
            },
        };
        let rtmps = match listen(live.rtmps_listen, "POLICAST_RTMPS_LISTEN").await? {
            Some(listener) => Some((listener, acceptor(config)?)),
            None => None,
        };
        Ok(Self { rtmp, rtmps, srt: open_srt(config)? })
    }

    /// RTMP's, RTMPS' and SRT's.
    pub fn bound(&self) -> std::io::Result<[Option<SocketAddr>; 3]> {
        let rtmps = self.rtmps.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?;
        let rtmp = self.rtmp.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok([rtmp, rtmps, self.srt.as_ref().map(srt::Listener::local_addr)])
    }

    /// Where encoders send to, by the host that browsers use.
    pub fn addresses(&self, config: &Config) -> anyhow::Result<http::Ingest> {
        let host = host_of(&config.public_url());
        let place = |at: SocketAddr| format!("{}:{}", reachable(at, &host), at.port());
        let url = |scheme: &str, listener: &TcpListener| -> anyhow::Result<String> {
            Ok(format!("{scheme}://{}/live", place(listener.local_addr()?)))
        };
        Ok(http::Ingest {
            rtmp_url: self.rtmp.as_ref().map(|listener| url("rtmp", listener)).transpose()?,
            rtmps_url: self.rtmps.as_ref().map(|(listener, _)| url("rtmps", listener)).transpose()?,
            srt_url: self.srt.as_ref().map(|listener| format!("srt://{}", place(listener.local_addr()))),
        })
    }
}

fn open_srt(config: &Config) -> anyhow::Result<Option<srt::Listener>> {
    let live = &config.live;
    let Some(address) = live.srt_listen else { return Ok(None) };
    let limits = srt::Limits {
        first_media: live.ingest_first_media.0,
        idle: live.ingest_idle.0,
        passphrase: live.srt_passphrase.clone(),
        connections: live.ingest_connections,
        memory_bytes: live.srt_memory_bytes,
        tasks: config.media.media_tasks + srt::THREADS * live.ingest_connections as u64,
        ..srt::Limits::default()
    };
    let listener = srt::Listener::bind(address, limits, super::serve::PROGRAM);
    Ok(Some(listener.context("POLICAST_SRT_LISTEN and POLICAST_SRT_PASSPHRASE")?))
}

/// A door on one address is reached there, one on all of them by the public name.
fn reachable(at: SocketAddr, host: &str) -> String {
    match at.ip() {
        ip if ip.is_unspecified() => host.to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The host of an `http` address, without its port.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ip, _)) => format!("[{ip}]"),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_owned(),
    }
}

fn acceptor(config: &Config) -> anyhow::Result<TlsAcceptor> {
    let (chain, key) = match (&config.live.rtmps_cert, &config.live.rtmps_key) {
        (Some(cert), Some(key)) => (read_chain(cert)?, read_key(key)?),
        _ => make_certificate(config)?,
    };
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("POLICAST_RTMPS_CERT and POLICAST_RTMPS_KEY")?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn read_chain(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.with_context(|| format!("POLICAST_RTMPS_CERT: {}", file.display()))
}

fn read_key(file: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).with_context(|| format!("POLICAST_RTMPS_KEY: {}", file.display()))
}

/// Good enough for encoders that don't check; a public server has a certificate of its own.
fn make_certificate(
    config: &Config,
) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    tracing::warn!("RTMPS has a certificate signed by ourselves; POLICAST_RTMPS_CERT names a real one");
    let names = vec![host_of(&config.public_url()), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).context("certificate")?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    Ok((vec![made.cert.der().clone()], key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_on_every_address_is_told_by_the_public_name() {
        assert_eq!(host_of("https://videos.example.gov:8443/x"), "videos.example.gov");
        assert_eq!(host_of("http://[::1]:8080"), "[::1]");
        assert_eq!(reachable(SocketAddr::from(([0, 0, 0, 0], 1935)), "a.gov"), "a.gov");
        assert_eq!(reachable(SocketAddr::from(([127, 0, 0, 1], 1935)), "a.gov"), "127.0.0.1");
    }
}
