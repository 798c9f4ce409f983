//! A client of the public API, as `demo` and `upload` need it.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// How long a single answer may take to begin.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// How often in a row a stream of events may break without having told anything.
const BROKEN_STREAMS: u32 = 8;

/// A server and a key for it; cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub http: Client,
    pub server: String,
    /// Empty for who shows none.
    pub key: String,
}

impl Api {
    pub fn new(server: &str, key: &str) -> anyhow::Result<Self> {
        let http = Client::builder().connect_timeout(Duration::from_secs(10)).read_timeout(ANSWER_TIMEOUT);
        Ok(Self { http: http.build()?, server: server.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    /// For what anybody may ask.
    pub fn without_key(server: &str) -> anyhow::Result<Self> {
        Self::new(server, "")
    }

    /// Sends a request; a refusal becomes an error in the server's own words, silence one in ours.
    pub async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = if self.key.is_empty() { request } else { request.bearer_auth(&self.key) };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Err(NoAnswer::new(&self.server, &error).into()),
        };
        if answer.status().is_success() { Ok(answer) } else { Err(self.refused(answer).await.into()) }
    }

    async fn refused(&self, answer: Response) -> Refused {
        let (status, server) = (answer.status(), self.server.clone());
        Refused { status, server, body: answer.json().await.unwrap_or(Value::Null) }
    }

    /// Asks for JSON.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.server));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Ok(self.send(request).await?.json().await.unwrap_or(Value::Null))
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

    /// Follows a video's server-sent events until `see` says it has seen enough; a server that is away for a moment is
    /// asked again.
    pub async fn follow(&self, video: &str, mut see: impl FnMut(&Value) -> bool) -> anyhow::Result<()> {
        let mut broken = 0;
        loop {
            let (told, ended) = self.listen(video, &mut see).await;
            match ended {
                Ok(true) => return Ok(()),
                Err(error) if broken >= BROKEN_STREAMS || is_final(&error) => return Err(error),
                Ok(false) if broken >= BROKEN_STREAMS => bail!("{} tells no more of it", self.server),
                Ok(false) | Err(_) => {}
            }
            broken = if told { 0 } else { broken + 1 };
            tokio::time::sleep(Duration::from_millis(250 << broken)).await;
        }
    }

    /// One stream of events: whether it told anything, and whether that was enough.
    async fn listen(
        &self,
        video: &str,
        see: &mut impl FnMut(&Value) -> bool,
    ) -> (bool, anyhow::Result<bool>) {
        let path = format!("{}/api/v1/videos/{video}/events", self.server);
        let answer = match self.send(self.http.get(path)).await {
            Ok(answer) => answer,
            Err(error) => return (false, Err(error)),
        };
        let (mut stream, mut text, mut told) = (answer.bytes_stream(), String::new(), false);
        while let Some(bytes) = stream.next().await {
            match bytes.context("the stream of events broke") {
                Ok(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => return (told, Err(error)),
            }
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data: String = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
                let video = serde_json::from_str::<Value>(data.trim()).ok();
                told |= video.is_some();
                if video.is_some_and(|video| see(&video)) {
                    return (told, Ok(true));
                }
                text = rest.to_owned();
            }
        }
        (told, Ok(false))
    }
}

/// The same request would be refused again.
pub fn is_final(error: &anyhow::Error) -> bool {
    let status = error.downcast_ref::<Refused>().map(|refused| refused.status.as_u16());
    status.is_some_and(|status| (400..500).contains(&status) && ![408, 409, 423, 425, 429].contains(&status))
}

/// The server said no, in RFC 9457's words.
#[derive(Debug)]
pub struct Refused {
    pub status: StatusCode,
    server: String,
    body: Value,
}

impl std::error::Error for Refused {}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |name| self.body.get(name).and_then(Value::as_str);
        match (word("detail").or(word("title")), word("code")) {
            (Some(detail), Some(code)) => write!(f, "{detail} ({code})")?,
            _ => write!(
                f,
                "{} answered {}, not as policast does: POLICAST_URL says where policast is",
                self.server, self.status
            )?,
        }
        match word("code") {
            Some("key_invalid" | "key_missing") => write!(f, " POLICAST_KEY says which key is shown."),
            _ => Ok(()),
        }
    }
}

/// Nothing came back.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {server}: {cause}; POLICAST_URL says where policast is")]
pub struct NoAnswer {
    server: String,
    cause: String,
}

impl NoAnswer {
    /// The last cause is the one that people know.
    pub fn new(server: &str, error: &reqwest::Error) -> Self {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self { server: server.to_owned(), cause: cause.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(status: u16, body: Value) -> Refused {
        let status = StatusCode::from_u16(status).expect("a status");
        Refused { status, server: "http://a.gov".to_owned(), body }
    }

    #[test]
    fn a_refusal_is_a_sentence_in_the_servers_own_words() {
        let key = refused(401, json!({"detail": "The key is wrong or revoked.", "code": "key_invalid"}));
        insta::assert_snapshot!(key, @"The key is wrong or revoked. (key_invalid) POLICAST_KEY says which key is shown.");
        let title = refused(422, json!({"detail": "Title has 201 characters.", "code": "title_too_long"}));
        insta::assert_snapshot!(title, @"Title has 201 characters. (title_too_long)");
        insta::assert_snapshot!(refused(404, Value::Null), @"http://a.gov answered 404 Not Found, not as policast does: POLICAST_URL says where policast is");
    }

    #[test]
    fn what_was_refused_for_good_is_not_tried_again() {
        let is = |status| is_final(&refused(status, Value::Null).into());
        assert!(is(401) && is(403) && is(413) && is(404) && is(410));
        assert!(!is(409) && !is(429) && !is(503) && !is_final(&anyhow::anyhow!("broken")));
    }
}
