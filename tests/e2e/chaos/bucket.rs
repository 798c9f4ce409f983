//! An S3 server that misbehaves: a proxy before a good one, which refuses, hangs, cuts bodies and loses answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A request that hangs is let go after this; the product gives up on its own terms or later.
const HANG: Duration = Duration::from_secs(4);
/// A body past this is no test's.
const MOST_BYTES: usize = 64 << 20;
/// Of a hundred requests in quiet times, this many go wrong.
const NOISE_PERCENT: u32 = 2;

/// How it misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mood {
    /// As good as the one behind it.
    Calm,
    /// Something goes wrong now and then.
    Quiet,
    /// Every request answers 500.
    Error,
    /// Every request answers 503 `SlowDown`.
    SlowDown,
    /// No request is answered.
    Hang,
    /// Every answer with a body ends in its middle.
    CutBody,
    /// Nothing can be deleted.
    RefuseDelete,
    /// Changes are made, and answer 500.
    LoseAnswer,
}

/// What went wrong, counted.
pub type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// The proxy. Nodes reach it at addresses of their own, which can be cut one by one.
#[derive(Clone)]
pub struct Bucket {
    /// Without a scheme.
    target: Arc<Mutex<String>>,
    http: reqwest::Client,
    mood: Arc<Mutex<Mood>>,
    random: Arc<Mutex<StdRng>>,
    counts: Counts,
}

/// One node's way to the bucket.
#[derive(Clone)]
struct Way {
    bucket: Bucket,
    is_cut: Arc<Mutex<bool>>,
}

impl Bucket {
    /// In front of `target`, such as `127.0.0.1:8333`.
    pub fn new(target: String, seed: u64, counts: Counts) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
        let random = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
        let mood = Arc::new(Mutex::new(Mood::Calm));
        Self { target: Arc::new(Mutex::new(target)), http, mood, random, counts }
    }

    /// How every request fares from now on.
    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().expect("a mood") = mood;
    }

    /// A way to it for one node: where it is, and what cuts it.
    pub async fn listen(&self, at: SocketAddr, running: &mut JoinSet<()>) -> Arc<Mutex<bool>> {
        let listener = TcpListener::bind(at).await.expect("a port");
        let is_cut = Arc::new(Mutex::new(false));
        let way = Way { bucket: self.clone(), is_cut: is_cut.clone() };
        let router = axum::Router::new().fallback(pass).with_state(way);
        running.spawn(async move { axum::serve(listener, router).await.expect("a proxy") });
        is_cut
    }

    fn fare(&self, method: &Method, query: &str) -> Mood {
        let changes = *method != Method::GET && *method != Method::HEAD;
        let deletes = *method == Method::DELETE || query == "delete" || query.starts_with("delete=");
        let mut mood = *self.mood.lock().expect("a mood");
        if mood == Mood::Calm {
            return Mood::Quiet;
        }
        if mood == Mood::Quiet {
            let mut random = self.random.lock().expect("a generator");
            if random.random_range(0..100) >= NOISE_PERCENT {
                return Mood::Quiet;
            }
            let all = [Mood::Error, Mood::SlowDown, Mood::CutBody, Mood::RefuseDelete, Mood::LoseAnswer];
            mood = all[random.random_range(0..all.len())];
        }
        let concerns = match mood {
            Mood::RefuseDelete => deletes,
            Mood::LoseAnswer => changes,
            Mood::CutBody => *method == Method::GET,
            _ => true,
        };
        if !concerns {
            return Mood::Quiet;
        }
        *self.counts.lock().expect("counts").entry(format!("bucket: {mood:?}")).or_default() += 1;
        mood
    }

    /// `None` where the request or its answer broke off.
    async fn forward(&self, request: Request) -> Option<(u16, HeaderMap, Bytes)> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("http://{}{path}", self.target.lock().expect("a target"));
        let body = to_bytes(body, MOST_BYTES).await.ok()?;
        // The name it was reached by is signed.
        let sent =
            self.http.request(parts.method, url).headers(parts.headers).body(body).send().await.ok()?;
        let (status, headers) = (sent.status().as_u16(), sent.headers().clone());
        Some((status, headers, sent.bytes().await.ok()?))
    }
}

async fn pass(State(way): State<Way>, request: Request) -> Response<Body> {
    if *way.is_cut.lock().expect("a way") {
        return broken();
    }
    let fare = way.bucket.fare(request.method(), request.uri().query().unwrap_or_default());
    match fare {
        Mood::Error => return refusal(500, "InternalError"),
        Mood::SlowDown | Mood::RefuseDelete => return refusal(503, "SlowDown"),
        Mood::Hang => {
            tokio::time::sleep(HANG).await;
            return broken();
        }
        Mood::Calm | Mood::Quiet | Mood::CutBody | Mood::LoseAnswer => {}
    }
    let head = request.method() == Method::HEAD;
    let Some((status, headers, body)) = way.bucket.forward(request).await else { return broken() };
    if fare == Mood::LoseAnswer {
        return refusal(500, "InternalError");
    }
    let mut answer = Response::builder().status(status);
    for (name, value) in &headers {
        let own = ["transfer-encoding", "connection"].contains(&name.as_str());
        if !own && (head || name != "content-length") {
            answer = answer.header(name, value);
        }
    }
    if fare == Mood::CutBody && body.len() > 1 {
        let half = body.slice(..body.len() / 2);
        return answer.header("content-length", body.len()).body(cut(half)).expect("an answer");
    }
    answer.body(if head { Body::empty() } else { Body::from(body) }).expect("an answer")
}

fn cut(half: Bytes) -> Body {
    let pieces = [Ok(half), Err(std::io::Error::other("cut"))];
    Body::from_stream(futures::stream::iter(pieces))
}

/// A connection that breaks before its answer is whole.
fn broken() -> Response<Body> {
    Response::builder().header("content-length", 1000).body(cut(Bytes::new())).expect("an answer")
}

fn refusal(status: u16, code: &str) -> Response<Body> {
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>chaos</Message></Error>");
    Response::builder()
        .status(status)
        .header("content-type", "application/xml")
        .body(text.into())
        .expect("an answer")
}
