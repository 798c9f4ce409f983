//! How many may connect, how long they may be slow, and how a process leaves.

use clap::Args;
use ipnet::IpNet;

use super::{Span, value};
use crate::net::ForwardedHeader;

/// Limits of every connection and request, and the order of a shutdown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings: connections")]
pub struct Connections {
    /// Connections that may be open on one HTTP or S3 port; beyond it the oldest make room
    #[arg(long, env = "POLICAST_HTTP_CONNECTIONS", default_value = "10000", value_name = "N", value_parser = value::one_or_more::<usize>)]
    pub http_connections: usize,
    /// And from one address (of IPv6: its /64); 0: as many as in all
    #[arg(long, env = "POLICAST_HTTP_PER_ADDRESS", default_value = "4000", value_name = "N", value_parser = value::number::<usize>)]
    pub http_per_address: usize,
    /// How long a client may take for the header of a request
    #[arg(long, env = "POLICAST_HEADER_TIMEOUT", default_value = "15s", value_name = "SPAN", value_parser = value::some_time)]
    pub header_timeout: Span,
    /// How long a connection may rest between two requests
    #[arg(long, env = "POLICAST_KEEP_ALIVE", default_value = "75s", value_name = "SPAN", value_parser = value::some_time)]
    pub keep_alive: Span,
    /// How long a request's body may say nothing, and a client may take nothing of an answer
    #[arg(long, env = "POLICAST_BODY_IDLE_TIMEOUT", default_value = "60s", value_name = "SPAN", value_parser = value::some_time)]
    pub body_idle_timeout: Span,
    /// Memory for the unfinished parts of uploads; from half of it on, who is silent for 5s is told to come back
    #[arg(long, env = "POLICAST_UPLOAD_BUFFER_BYTES", default_value = "1073741824", value_name = "BYTES", value_parser = value::one_or_more::<u64>)]
    pub upload_buffer_bytes: u64,
    /// Addresses and networks of proxies whose `Forwarded` or `X-Forwarded-For` is believed
    #[arg(long, env = "POLICAST_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORKS", value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,
    /// The one header of the two that the proxies set
    #[arg(long, env = "POLICAST_FORWARDED_HEADER", default_value = "x-forwarded-for", value_name = "NAME")]
    pub forwarded_header: ForwardedHeader,
    /// Requests to the API a key may make in a second, with ten times as many at once; 0: any number
    #[arg(long, env = "POLICAST_REQUESTS_PER_KEY", default_value = "100", value_name = "N", value_parser = value::number::<u32>)]
    pub requests_per_key: u32,
    /// Requests without a key, to API and lists, from one address (of IPv6: its /64), likewise
    #[arg(long, env = "POLICAST_REQUESTS_PER_ADDRESS", default_value = "100", value_name = "N", value_parser = value::number::<u32>)]
    pub requests_per_address: u32,
    /// Requests for pages of videos, playlists and media from one address, likewise; a school is one address
    #[arg(long, env = "POLICAST_PLAYBACK_PER_ADDRESS", default_value = "0", value_name = "N", value_parser = value::number::<u32>)]
    pub playback_per_address: u32,
    /// Wrong keys an address may show in a minute before it is told to wait; good keys are answered meanwhile
    #[arg(long, env = "POLICAST_WRONG_KEYS", default_value = "20", value_name = "N", value_parser = value::number::<u32>)]
    pub wrong_keys: u32,
    /// How long after SIGTERM everything is still served while /health/ready says 503, for a balancer to notice
    #[arg(long, env = "POLICAST_SHUTDOWN_DELAY", default_value = "5s", value_name = "SPAN")]
    pub shutdown_delay: Span,
    /// How long after that open requests may take to end
    #[arg(long, env = "POLICAST_DRAIN_TIMEOUT", default_value = "30s", value_name = "SPAN")]
    pub drain_timeout: Span,
    /// How long in the drain a connection that has asked for nothing yet may still make its first request
    #[arg(long, env = "POLICAST_FIRST_REQUEST", default_value = "2s", value_name = "SPAN")]
    pub first_request: Span,
}

/// A network, or an address as the network of one.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse().map(|address: std::net::IpAddr| IpNet::from(address));
    address
        .or_else(|_| text.parse())
        .map_err(|_neither| "no network; write 10.0.0.0/8, or 192.0.2.7 for one address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_of_one() {
        assert_eq!(network("::1"), Ok("::1/128".parse().expect("a network")));
        assert_eq!(network("10.0.0.0/8"), Ok("10.0.0.0/8".parse().expect("a network")));
        assert!(network("proxy").is_err());
    }
}
