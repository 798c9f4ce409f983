//! Pushing on: where a broadcast is sent further, and how that goes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::address::is_public;
use super::words::{as_text, described, words};

/// Each target costs the whole stream's bandwidth once more.
pub const MAX_TARGETS: usize = 5;
/// The longest stream keys in use carry signatures of some 200 characters.
pub const MAX_STREAM_KEY_CHARS: usize = 500;
const MAX_URL_BYTES: usize = 500;

words! {
    /// How a target takes the stream.
    PushState {
        /// No stream comes in.
        Idle = "idle",
        Connecting = "connecting",
        Pushing = "pushing",
        /// Lost or refused; tried again soon.
        Waiting = "waiting",
        /// Not tried again while this stream lasts.
        Failed = "failed",
        /// The broadcast is over.
        Ended = "ended",
    }
}

/// The text can't be a target's address; it is not repeated, as people paste their keys into it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PushUrlError {
    #[error("address is not rtmp://HOST/APPLICATION or rtmps://HOST/APPLICATION")]
    Shape,
    #[error("address has more than {most} bytes")]
    TooLong { most: usize },
    #[error(
        "address has a user, a password or something behind ? or #; what is secret belongs into the stream key"
    )]
    Secret,
}

/// A target's address without its stream key: `rtmps://live.example.org/app`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PushUrl {
    /// By TLS.
    pub secure: bool,
    /// A name or an IP address, without brackets.
    pub host: String,
    pub port: u16,
    /// The path without the slashes at its ends.
    pub app: String,
}

impl PushUrl {
    /// What it says of itself leads into this machine or the network around it. A name may do so, too: that shows when
    /// it is resolved.
    pub fn is_plainly_private(&self) -> bool {
        let local = self.host == "localhost" || self.host.ends_with(".localhost");
        local || self.host.parse::<IpAddr>().is_ok_and(|ip| !is_public(ip))
    }

    fn standard_port(secure: bool) -> u16 {
        if secure { 443 } else { 1935 }
    }
}

impl FromStr for PushUrl {
    type Err = PushUrlError;

    fn from_str(text: &str) -> Result<Self, PushUrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(PushUrlError::TooLong { most: MAX_URL_BYTES });
        }
        let Ok(url) = Url::parse(text) else { return Err(PushUrlError::Shape) };
        let secure = match url.scheme() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(PushUrlError::Shape),
        };
        let open = url.username().is_empty() && url.password().is_none();
        if !open || url.query().is_some() || url.fragment().is_some() {
            return Err(PushUrlError::Secret);
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        let app = url.path().trim_matches('/').to_owned();
        if !is_host(&host) || app.is_empty() || url.port() == Some(0) {
            return Err(PushUrlError::Shape);
        }
        Ok(Self { secure, host, port: url.port().unwrap_or(Self::standard_port(secure)), app })
    }
}

fn is_host(text: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    text.parse::<IpAddr>().is_ok() || (!text.is_empty() && text.chars().all(name))
}

impl fmt::Display for PushUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "rtmps" } else { "rtmp" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]", self.host)?;
        } else {
            write!(f, "{scheme}://{}", self.host)?;
        }
        if self.port != Self::standard_port(self.secure) {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "/{}", self.app)
    }
}

impl TryFrom<String> for PushUrl {
    type Error = PushUrlError;

    fn try_from(text: String) -> Result<Self, PushUrlError> {
        text.parse()
    }
}

impl From<PushUrl> for String {
    fn from(url: PushUrl) -> Self {
        url.to_string()
    }
}

as_text!(PushUrl);
described!(
    PushUrl,
    "rtmp-url",
    None,
    "rtmps://live.example.org/app",
    "rtmp://HOST/APPLICATION or rtmps://HOST/APPLICATION, at most 500 bytes, without user, password, ? and #"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PushUrl, PushUrlError> {
        text.parse()
    }

    #[test]
    fn an_address_is_taken_apart_and_told_again() {
        for text in [
            "rtmp://a.example/live",
            "rtmps://a.example/rtmp",
            "rtmp://a.example:1936/a/b",
            "rtmp://[2001:db8::1]/x",
        ] {
            assert_eq!(read(text).map(|url| url.to_string()).as_deref(), Ok(text));
        }
        let url = read("rtmps://Live.Example:443/rtmp/").expect("an address");
        assert_eq!(
            (url.secure, url.host.as_str(), url.port, url.app.as_str()),
            (true, "live.example", 443, "rtmp")
        );
    }

    #[test]
    fn what_is_no_address_or_shows_a_secret_is_refused() {
        for text in [
            "",
            "a",
            "http://a/live",
            "rtmp:///live",
            "rtmp://a",
            "rtmp://a/",
            "rtmp://a b/c",
            "rtmp://a:0/b",
        ] {
            assert_eq!(read(text), Err(PushUrlError::Shape), "{text}");
        }
        for text in ["rtmp://me@a/live", "rtmp://me:pass@a/live", "rtmp://a/live?token=1", "rtmp://a/live#1"]
        {
            assert_eq!(read(text), Err(PushUrlError::Secret), "{text}");
        }
    }

    #[test]
    fn an_address_inside_is_seen_where_it_says_so() {
        for text in
            ["rtmp://127.0.0.1/live", "rtmp://[::1]/live", "rtmp://localhost/live", "rtmp://10.1.2.3/live"]
        {
            assert!(read(text).expect("an address").is_plainly_private(), "{text}");
        }
        assert!(!read("rtmp://a.example/live").expect("an address").is_plainly_private());
    }
}
