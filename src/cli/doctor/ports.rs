//! Whether the ports are free, or taken by the policast that is looked at.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};

use super::{Check, check};
use crate::config::{Config, DEFAULT_RTMP, Role};

/// Who is at a port answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Who has the folder of the embedded S3 server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objects {
    Free,
    /// A running policast, which answers at `POLICAST_S3_LISTEN`.
    Served,
}

/// A port that a server would bind.
struct Port {
    setting: &'static str,
    address: SocketAddr,
    is_udp: bool,
}

/// Each port is free, or taken by a running policast.
pub(super) async fn look(config: &Config, objects: Objects) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut is_running = objects == Objects::Served;
    for port in listed(config) {
        let found = match bind(&port).await {
            Ok(()) => Ok(format!("{} is free", port.address)),
            Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
                Err(format!("{}: {error}; choose another {}", port.address, port.setting))
            }
            Err(_) if is_policast(&port, objects).await => {
                is_running = true;
                Ok(format!("{} is served by a running policast", port.address))
            }
            Err(_) if is_running && is_ingest(&port) => {
                Ok(format!("{} is taken, by the running policast as it seems", port.address))
            }
            Err(_) if port.address == DEFAULT_RTMP && config.live.rtmp_listen.is_none() => Ok(format!(
                "{} is taken: policast starts without RTMP unless POLICAST_RTMP_LISTEN chooses another",
                port.address
            )),
            Err(_) => Err(format!(
                "{} is taken by another program: stop it, or choose another {}",
                port.address, port.setting
            )),
        };
        checks.push(check(port.setting, found));
    }
    checks
}

/// Those that tell who they are come first.
fn listed(config: &Config) -> Vec<Port> {
    let (live, is_live) = (&config.live, config.has(Role::Live));
    let rtmp = Some(live.rtmp_listen.unwrap_or(DEFAULT_RTMP));
    let all = [
        ("POLICAST_LISTEN", config.has(Role::Api).then_some(config.listen)),
        ("POLICAST_METRICS_LISTEN", config.metrics_listen),
        ("POLICAST_S3_LISTEN", config.is_embedded().then_some(config.s3.s3_listen)),
        ("POLICAST_RTMP_LISTEN", rtmp.filter(|_| is_live)),
        ("POLICAST_RTMPS_LISTEN", live.rtmps_listen.filter(|_| is_live)),
        ("POLICAST_SRT_LISTEN", live.srt_listen.filter(|_| is_live)),
    ];
    let known = all.into_iter().filter_map(|(setting, address)| Some((setting, address?)));
    known
        .map(|(setting, address)| Port { setting, address, is_udp: setting == "POLICAST_SRT_LISTEN" })
        .collect()
}

fn is_ingest(port: &Port) -> bool {
    ["POLICAST_RTMP_LISTEN", "POLICAST_RTMPS_LISTEN", "POLICAST_SRT_LISTEN"].contains(&port.setting)
}

async fn bind(port: &Port) -> std::io::Result<()> {
    if port.is_udp {
        UdpSocket::bind(port.address).await.map(drop)
    } else {
        TcpListener::bind(port.address).await.map(drop)
    }
}

/// The API and the metrics say so at `/health/live`; the object store said so when it opened the bucket.
async fn is_policast(port: &Port, objects: Objects) -> bool {
    if port.setting == "POLICAST_S3_LISTEN" {
        return objects == Objects::Served;
    }
    if is_ingest(port) {
        return false;
    }
    let asked = async {
        let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().ok()?;
        let url = format!("http://{}/health/live", crate::config::reachable(port.address));
        let answer = client.get(url).send().await.ok()?;
        let is_ours = answer.headers().contains_key("x-request-id");
        let said: serde_json::Value = answer.json().await.ok()?;
        Some(is_ours && said["status"] == "ok")
    };
    asked.await == Some(true)
}
