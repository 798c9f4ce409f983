//! Tells the cache in front of us to drop its copies, by the operator's webhook.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::net::lookup_host;
use url::{Host, Url};

use super::{Error, Worker};
use crate::domain::address::is_public;
use crate::domain::cdn::{CacheTag, PurgeHook};

/// From the name's lookup to the answer.
const TIMEOUT: Duration = Duration::from_secs(20);

impl Worker {
    /// Nothing is told where no hook is set any more.
    pub(super) async fn invalidate(&self, tag: &CacheTag) -> Result<(), Error> {
        match &self.publishing.limits.purge_hook {
            Some(hook) => tokio::time::timeout(TIMEOUT, post(hook, tag)).await.unwrap_or_else(|_late| {
                Err(Error::PurgeHook(format!("did not answer within {} s", TIMEOUT.as_secs())))
            }),
            None => Ok(()),
        }
    }
}

/// The body is Cloudflare's, the header Fastly's and Varnish's.
async fn post(hook: &PurgeHook, tag: &CacheTag) -> Result<(), Error> {
    let url: Url =
        hook.url.parse().map_err(|_malformed| Error::PurgeHook("has no valid address".to_owned()))?;
    let client = reached(&url, hook.allow_private).await?;
    let body = match tag {
        CacheTag::Everything => json!({"purge_everything": true}),
        tag => json!({"tags": [tag.to_string()]}),
    };
    let mut request = client.post(url).json(&body);
    if *tag != CacheTag::Everything {
        request = request.header("surrogate-key", tag.to_string());
    }
    if let Some(token) = &hook.token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.map_err(|error| unreachable(&error))?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(Error::PurgeHook(format!("answered {status}"))) }
}

/// A client that connects to exactly what the name was looked up as, and follows no redirect.
async fn reached(url: &Url, allow_private: bool) -> Result<reqwest::Client, Error> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(443);
    let name = host.trim_matches(['[', ']']).to_owned();
    let found = lookup_host((name.as_str(), port)).await;
    let found: Vec<SocketAddr> =
        found.map_err(|_unknown| Error::PurgeHook("has a name that leads nowhere".to_owned()))?.collect();
    let good: Vec<SocketAddr> = found.into_iter().filter(|at| allow_private || is_public(at.ip())).collect();
    if good.is_empty() {
        let refusal = "leads inside a private network; POLICAST_PURGE_ALLOW_PRIVATE=true allows it";
        return Err(Error::PurgeHook(refusal.to_owned()));
    }
    let builder = match url.host() {
        Some(Host::Domain(domain)) => builder.resolve_to_addrs(domain, &good),
        _ => builder,
    };
    builder.build().map_err(|error| unreachable(&error))
}

/// Without the address, which may hold a secret.
fn unreachable(error: &reqwest::Error) -> Error {
    let what = if error.is_connect() { "can't be connected to" } else { "broke off" };
    Error::PurgeHook(what.to_owned())
}
