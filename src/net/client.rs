//! Whose request it is: the peer's, or what a proxy that is trusted says of whom it speaks for.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header in which the proxies name their clients. Only one: the other would be the client's own to fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239
    Forwarded,
}

/// The address of the client: of those that proxies name, the last that isn't a trusted proxy itself.
pub fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
    header: ForwardedHeader,
) -> IpAddr {
    let mut address = peer.to_canonical();
    if !is_trusted(address, trusted) {
        return address;
    }
    for hop in hops(headers, header).into_iter().rev() {
        // What isn't an address is hidden on purpose, or made up: the proxy before it is all that is known.
        let Some(hop) = hop else { break };
        address = hop.to_canonical();
        if !is_trusted(address, trusted) {
            break;
        }
    }
    address
}

/// One of the proxies that may speak for others.
pub(super) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address.to_canonical()))
}

/// From the client to the last proxy.
fn hops(headers: &HeaderMap, header: ForwardedHeader) -> Vec<Option<IpAddr>> {
    let lines = |name: &HeaderName| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap_or_default().to_owned()).collect()
    };
    match header {
        ForwardedHeader::XForwardedFor => {
            let lines = lines(&X_FORWARDED_FOR);
            lines.iter().flat_map(|line| line.split(',')).map(|hop| address_of(hop.trim())).collect()
        }
        ForwardedHeader::Forwarded => {
            let lines = lines(&header::FORWARDED);
            let nodes = lines.iter().flat_map(|line| rfc7239::parse(line));
            nodes.map(|node| node.ok()?.forwarded_for?.ip().copied()).collect()
        }
    }
}

/// An address, perhaps with a port, as proxies write it.
fn address_of(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().ok().map(|socket: std::net::SocketAddr| socket.ip());
    text.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn told(peer: &str, name: &'static str, value: &'static str) -> String {
        let header =
            if name == "forwarded" { ForwardedHeader::Forwarded } else { ForwardedHeader::XForwardedFor };
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "::1/128"].map(|net| net.parse().expect("a network")).into();
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
        client_address(peer.parse().expect("an address"), &headers, &trusted, header).to_string()
    }

    #[test]
    fn a_strangers_header_is_not_believed() {
        assert_eq!(told("192.0.2.1", "x-forwarded-for", "198.51.100.1"), "192.0.2.1");
        assert_eq!(told("10.0.0.1", "x-forwarded-for", "203.0.113.9, 198.51.100.1"), "198.51.100.1");
    }

    #[test]
    fn trusted_proxies_are_passed_over_one_after_the_other() {
        assert_eq!(told("10.0.0.1", "x-forwarded-for", "198.51.100.1, 10.0.0.2:4711"), "198.51.100.1");
        assert_eq!(told("::ffff:10.0.0.1", "x-forwarded-for", "198.51.100.1"), "198.51.100.1");
        assert_eq!(told("10.0.0.1", "x-forwarded-for", ""), "10.0.0.1");
        assert_eq!(told("10.0.0.1", "x-forwarded-for", "198.51.100.1, unknown"), "10.0.0.1");
    }

    #[test]
    fn the_standards_header_is_read_too() {
        let two = r#"for=198.51.100.1;proto=https, for="[2001:db8::17]:4711""#;
        assert_eq!(told("::1", "forwarded", two), "2001:db8::17");
        assert_eq!(told("::1", "forwarded", "for=198.51.100.1, for=10.1.1.1"), "198.51.100.1");
        assert_eq!(told("::1", "forwarded", "for=_hidden"), "::1");
    }
}
