//! A client of the public API, as `demo` and `upload` need it.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

/// How long a single answer may take to begin.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server and a key for it; cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub http: Client,
    pub server: String,
    pub key: String,
}

impl Api {
    pub fn new(server: &str, key: &str) -> anyhow::Result<Self> {
        let http =
            Client::builder().connect_timeout(Duration::from_secs(10)).read_timeout(PATIENCE).build()?;
        Ok(Self { http, server: server.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    /// Asks for JSON; a refusal becomes an error in the server's own words.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.server)).bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.with_context(|| format!("no answer from {}", self.server))?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or(Value::Null);
        if status.is_success() { Ok(body) } else { Err(Refused { status, body }.into()) }
    }

    /// Creates a thing that may be there from an earlier run.
    pub async fn ensure(&self, path: &str, body: Value) -> anyhow::Result<()> {
        match self.ask(Method::POST, path, Some(body)).await {
            Err(error)
                if error.downcast_ref::<Refused>().is_some_and(|no| no.status == StatusCode::CONFLICT) =>
            {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Follows a video's server-sent events until `see` says it has seen enough.
    pub async fn follow(&self, video: &str, mut see: impl FnMut(&Value) -> bool) -> anyhow::Result<()> {
        let path = format!("{}/api/v1/videos/{video}/events", self.server);
        let answer = self.http.get(path).bearer_auth(&self.key).send().await?.error_for_status()?;
        let mut stream = answer.bytes_stream();
        let mut text = String::new();
        while let Some(bytes) = stream.next().await {
            text.push_str(&String::from_utf8_lossy(&bytes?));
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data: String = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
                let seen = serde_json::from_str(data.trim()).is_ok_and(|video| see(&video));
                if seen {
                    return Ok(());
                }
                text = rest.to_owned();
            }
        }
        bail!("the server ended the stream of events")
    }
}

/// The server said no, in RFC 9457's words.
#[derive(Debug)]
pub struct Refused {
    pub status: StatusCode,
    body: Value,
}

impl std::error::Error for Refused {}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |name| self.body.get(name).and_then(Value::as_str);
        match (word("detail").or(word("title")), word("code")) {
            (Some(detail), Some(code)) => write!(f, "{detail} ({code})"),
            _ => write!(f, "the server answered {}", self.status),
        }
    }
}
