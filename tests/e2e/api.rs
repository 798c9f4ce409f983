//! The public API as a client of an agency would call it.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A video that takes longer is stuck.
const STUCK: Duration = Duration::from_mins(7);

/// A server that doesn't say by then that it is ready isn't.
const NOT_READY: Duration = Duration::from_secs(10);

/// One server's address, and a key to it.
#[derive(Clone)]
pub struct Api {
    pub base: String,
    pub key: String,
    http: reqwest::Client,
}

/// A video made for an upload: its id and the addresses to upload to.
pub struct Target {
    pub id: String,
    pub parts: String,
}

impl Api {
    /// A client of the server at `base`.
    pub fn new(base: String, key: String) -> Self {
        Self { base, key, http: reqwest::Client::new() }
    }

    /// The server answers and all it needs does too.
    pub async fn is_ready(&self) -> bool {
        let asked = self.http.get(format!("{}/health/ready", self.base)).timeout(NOT_READY);
        let answer = asked.send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// Asks, whatever the answer.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let mut request = self.http.request(method, self.url(path)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let status = answer.status();
        let text = answer.text().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Asks for something that has to succeed.
    pub async fn get(&self, path: &str) -> Value {
        expect_success(path, self.ask(Method::GET, path, None).await)
    }

    /// The same where nobody may answer.
    pub async fn try_get(&self, path: &str) -> Option<Value> {
        let asked = self.http.get(self.url(path)).bearer_auth(&self.key).send().await.ok()?;
        asked.json().await.ok()
    }

    /// Sends something that has to be taken.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        expect_success(path, self.ask(Method::POST, path, Some(body)).await)
    }

    /// The bytes at an address, or a range `first..=last` of them.
    pub async fn bytes(&self, url: &str, range: Option<(u64, u64)>) -> Vec<u8> {
        let mut request = self.http.get(url);
        if let Some((first, last)) = range {
            request = request.header("Range", format!("bytes={first}-{last}"));
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        assert!(answer.status().is_success(), "{url} {range:?}: {}", answer.status());
        answer.bytes().await.expect("bytes").to_vec()
    }

    /// Puts a file as the video's source.
    pub async fn put_source(&self, video: &str, file: &Path) -> (StatusCode, Value) {
        let open = tokio::fs::File::open(file).await.expect("a file");
        let size = open.metadata().await.expect("a size").len();
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(open));
        let request = self.http.put(self.url(&format!("/api/v1/videos/{video}/source")));
        let request = request.bearer_auth(&self.key).header("Content-Length", size).body(body);
        let answer = request.send().await.unwrap_or_else(|error| panic!("{}: {error:?}", file.display()));
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// An agency and a topic to publish under; once a server.
    pub async fn agency(&self) {
        let account = json!({
            "handle": "lanting-ecology", "name": {"en": "Lanting Ecology Bureau", "zh-Hans": "兰亭市生态环境局"},
            "sector": "environment", "level": "municipal", "region": "Lanting", "parent": null,
        });
        self.post("/api/v1/accounts", &account).await;
        for (slug, name) in [("environment", "Environment"), ("environment/air", "Clean air")] {
            self.post("/api/v1/topics", &json!({"slug": slug, "name": {"en": name}})).await;
        }
    }

    /// A new video of that agency.
    pub async fn video(&self, title: &str) -> Target {
        let body = json!({"account": "lanting-ecology", "topic": "environment/air", "title": title, "language": "en"});
        let video = self.post("/api/v1/videos", &body).await;
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("missing in {video}")).to_owned();
        Target { id: text(&video["id"]), parts: self.url(&text(&video["upload"]["parts"])) }
    }

    /// Waits for the media to be whole.
    pub async fn wait_until_ready(&self, video: &str) -> Value {
        let over = |video: &Value| ["ready", "degraded", "failed"].contains(&state(video));
        let found = self.wait_until(video, over).await;
        assert_eq!(state(&found), "ready", "{found}");
        found
    }

    /// Waits for something to be true of a video; the video.
    pub async fn wait_until(&self, video: &str, is_true: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.get(&format!("/api/v1/videos/{video}")).await;
            if is_true(&found) {
                return found;
            }
            assert!(begun.elapsed() < STUCK, "stuck at {found}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) }
    }
}

fn state(video: &Value) -> &str {
    video["media"]["state"].as_str().unwrap_or_default()
}

fn expect_success(path: &str, (status, body): (StatusCode, Value)) -> Value {
    assert!(status.is_success(), "{path}: {status} {body}");
    body
}
