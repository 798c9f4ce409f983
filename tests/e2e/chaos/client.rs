//! Clients that never give up, and a ledger of all they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A node that is frozen answers nothing: another one is asked.
const NO_ANSWER: Duration = Duration::from_secs(8);
const AGAIN: Duration = Duration::from_millis(300);
/// Whatever is asked comes to an end by then, faults and all.
const STUCK: Duration = Duration::from_mins(3);

/// How the bytes come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Tus,
    Put,
    Parts,
}

/// Everything the clients were told.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Answers by what was asked and what came of it.
    pub answers: BTreeMap<String, u64>,
    /// Answers nobody should ever see.
    pub unclean: Vec<String>,
    /// Videos whose every byte was acknowledged.
    pub acknowledged: Vec<(String, By)>,
    /// Videos somebody is at, or waits for: the ones to look at where a run fails.
    pub concerned: BTreeSet<String>,
}

/// One client.
#[derive(Clone)]
pub struct Uploader {
    bases: Vec<String>,
    key: String,
    http: Client,
    ledger: Arc<Mutex<Ledger>>,
    bytes: bytes::Bytes,
}

impl Uploader {
    pub fn new(bases: Vec<String>, key: String, ledger: Arc<Mutex<Ledger>>, bytes: bytes::Bytes) -> Self {
        let http = Client::builder().timeout(NO_ANSWER).build().expect("a client");
        Self { bases, key, http, ledger, bytes }
    }

    /// Uploads one clip after another until told to stop; the last is brought to its end.
    pub async fn run(self, by: By, pause: Duration, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let video = self.draft(&format!("{by:?}")).await;
            let id = video["id"].as_str().expect("an id").to_owned();
            self.concerns(&id);
            match by {
                By::Tus => self.by_tus(&id).await,
                By::Put => self.by_put(&id).await,
                By::Parts => self.by_parts(&video).await,
            }
            self.is_well(&id);
            self.ledger.lock().expect("a ledger").acknowledged.push((id, by));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// From now on this video is the one to look at.
    pub fn concerns(&self, video: &str) {
        self.ledger.lock().expect("a ledger").concerned.insert(video.to_owned());
    }

    pub fn is_well(&self, video: &str) {
        self.ledger.lock().expect("a ledger").concerned.remove(video);
    }

    async fn draft(&self, title: &str) -> Value {
        let body = json!({"account": "lanting-ecology", "topic": "environment/air", "title": title, "language": "en"});
        self.post("/api/v1/videos", &body).await
    }

    /// Posts until it is taken, always under the same key: it is done once.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let once = uuid::Uuid::now_v7().to_string();
        let ask =
            |base: &str| self.http.post(format!("{base}{path}")).header("Idempotency-Key", &once).json(body);
        let (status, _, answer) = self.insist(&format!("POST {}", kind(path)), ask).await;
        assert!(status < 300, "{path}: {status} {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }

    /// Reads until it is answered.
    pub async fn get(&self, path: &str) -> Value {
        let ask = |base: &str| self.http.get(format!("{base}{path}"));
        let (status, _, answer) = self.insist(&format!("GET {}", kind(path)), ask).await;
        assert!(status < 300, "{path}: {status} {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }

    async fn by_tus(&self, video: &str) {
        let metadata = format!("filename {},video {}", STANDARD.encode("clip.mp4"), STANDARD.encode(video));
        let create = |base: &str| {
            let post = tus(self.http.post(format!("{base}/api/v1/uploads")));
            post.header("Upload-Length", self.bytes.len()).header("Upload-Metadata", &metadata)
        };
        let (status, headers, answer) = self.insist("tus create", create).await;
        assert_eq!(status, 201, "{answer}");
        let (upload, begun) = (path_of(headers.get("location").expect("an address")), Instant::now());
        loop {
            assert!(begun.elapsed() < STUCK, "{upload} never comes to an end");
            let head = |base: &str| tus(self.http.head(format!("{base}{upload}")));
            let (status, headers, _) = self.insist("tus HEAD", head).await;
            assert_eq!(status, 200, "an upload that was announced is there");
            let offset: usize = headers["upload-offset"].parse().expect("a number");
            if offset == self.bytes.len() {
                return;
            }
            let end = (offset + self.bytes.len() / 3 + 1).min(self.bytes.len());
            let base = self.any_base();
            let patch = tus(self.http.request(Method::PATCH, format!("{base}{upload}")));
            let patch = patch
                .header("Upload-Offset", offset)
                .header("Content-Type", "application/offset+octet-stream");
            // Whatever comes of it, HEAD tells.
            if self.try_once("tus PATCH", patch.body(self.bytes.slice(offset..end))).await.is_none() {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    async fn by_put(&self, video: &str) {
        let put = |base: &str| {
            self.http.put(format!("{base}/api/v1/videos/{video}/source")).body(self.bytes.clone())
        };
        let (status, _, answer) = self.insist("PUT source", put).await;
        assert!(status < 300, "{status} {answer}");
    }

    async fn by_parts(&self, video: &Value) {
        let parts = path_of(video["upload"]["parts"].as_str().expect("an address"));
        let finish = parts.replace("/parts", "/finish");
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < STUCK, "parts never come to an end");
            let asked = json!({"numbers": [1], "size_bytes": self.bytes.len()});
            let (status, _, answer) =
                self.insist("POST parts", |base| self.http.post(format!("{base}{parts}")).json(&asked)).await;
            // A finish whose answer was lost did finish.
            if status < 300 {
                let answer: Value = serde_json::from_str(&answer).expect("JSON");
                let url = answer["parts"][0]["url"].as_str().expect("an address");
                // The bucket's own answers are no business of the product's.
                let sent = self.http.put(url).body(self.bytes.clone()).send().await;
                let Some(sent) = sent.ok().filter(|sent| sent.status().is_success()) else {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                };
                let etag = sent.headers()["etag"].to_str().expect("text").to_owned();
                let claimed = json!({"parts": [{"number": 1, "etag": etag}]});
                let ask = |base: &str| self.http.post(format!("{base}{finish}")).json(&claimed);
                if self.insist("POST finish", ask).await.0 < 300 {
                    return;
                }
            } else if self.insist("POST finish", |base| self.http.post(format!("{base}{finish}"))).await.0
                < 300
            {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Asks one node after the other until one answers something other than "try again".
    async fn insist(
        &self,
        what: &str,
        ask: impl Fn(&str) -> RequestBuilder,
    ) -> (u16, BTreeMap<String, String>, String) {
        let begun = Instant::now();
        loop {
            let base = self.any_base();
            if let Some(answer) = self.try_once(what, ask(&base)).await {
                return answer;
            }
            assert!(begun.elapsed() < STUCK, "{what} is never answered");
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn any_base(&self) -> String {
        self.bases[rand::random_range(0..self.bases.len())].clone()
    }

    /// `None` where there was no answer, or the answer was to try again.
    async fn try_once(
        &self,
        what: &str,
        request: RequestBuilder,
    ) -> Option<(u16, BTreeMap<String, String>, String)> {
        let answer = match request.bearer_auth(&self.key).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let told = if error.is_timeout() { "no answer in time" } else { "connection broke" };
                self.note(what, told);
                return None;
            }
        };
        self.judge(what, answer).await
    }

    /// A clean answer is a success, a refusal that says why, or 503 that says when to come back.
    async fn judge(&self, what: &str, answer: Response) -> Option<(u16, BTreeMap<String, String>, String)> {
        let status = answer.status().as_u16();
        let text = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap_or_default().to_owned())
        };
        let headers: BTreeMap<String, String> = answer.headers().iter().map(text).collect();
        let body = answer.text().await.ok();
        let Some(body) = body else {
            self.note(what, "connection broke");
            return None;
        };
        let clean = match status {
            200..=299 => true,
            400..=499 => what == "tus HEAD" || body.contains("\"code\""),
            503 => headers.contains_key("retry-after"),
            _ => false,
        };
        let code = serde_json::from_str::<Value>(&body)
            .ok()
            .and_then(|problem| problem["code"].as_str().map(str::to_owned));
        self.note(what, &format!("{status} {}", code.unwrap_or_default()));
        if !clean {
            self.ledger
                .lock()
                .expect("a ledger")
                .unclean
                .push(format!("{what}: {status} {headers:?} {body}"));
        }
        // Another attempt of the same request is still at it; or there were too many.
        let busy = status == 429 || body.contains("\"request_running\"");
        (status < 500 && !busy).then_some((status, headers, body))
    }

    fn note(&self, what: &str, told: &str) {
        *self.ledger.lock().expect("a ledger").answers.entry(format!("{what}: {told}")).or_default() += 1;
    }
}

fn tus(request: RequestBuilder) -> RequestBuilder {
    request.header("Tus-Resumable", "1.0.0")
}

/// The address without the node it names, which may be down.
fn path_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or_else(String::new, |at| rest[at..].to_owned())
}

/// Without ids.
fn kind(path: &str) -> &str {
    path.split(['?', '0']).next().unwrap_or(path)
}
