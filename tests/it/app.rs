//! The HTTP room over a whole instance, asked without a network.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use policast::catalogue::Pool;
use policast::domain::Timestamp;
use policast::domain::key::Role;
use policast::domain::secret::{Keyring, Keys};
use policast::domain::site::Site;
use policast::http::rate::RateLimits;
use policast::http::{App as State, Ingest, Settings, router};
use policast::live::{self, Live};
use policast::publishing::KeyDraft;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::document::assert_refusal_is_documented;
use crate::world::World;

/// What the nodes of a test share.
pub const NODES_SECRET: &str = "the nodes of this test";
/// What absolute addresses begin with.
pub const PUBLIC: &str = "https://video.example";

/// An instance with its router and a key for each role.
pub struct App {
    pub world: World,
    pub router: Router,
    pub operator: String,
    pub admin: String,
    pub publisher: String,
    pub editor: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: bytes::Bytes,
}

impl App {
    /// Over SQLite and the embedded S3 server.
    pub async fn small() -> Self {
        Self::over(World::small().await).await
    }

    /// Over each pair of database and bucket.
    pub async fn both() -> [Self; 2] {
        let [small, large] = World::both().await;
        [Self::over(small).await, Self::over(large).await]
    }

    /// Over each pair, with pools of this size.
    pub async fn both_pooled(pool: Pool) -> [Self; 2] {
        let [small, large] = World::both_pooled(pool).await;
        [Self::over(small).await, Self::over(large).await]
    }

    /// Over SQLite and the embedded S3 server, with the operator's face of the pages.
    pub async fn with_site(site: Site) -> Self {
        Self::set(World::small().await, Settings { site, ..http_settings() }).await
    }

    async fn over(world: World) -> Self {
        Self::set(world, http_settings()).await
    }

    async fn set(world: World, settings: Settings) -> Self {
        let pulls = (TaskTracker::new(), CancellationToken::new());
        let live = Live::new(world.publishing.clone(), live_settings(), pulls);
        let state = State::new(world.publishing.clone(), live, settings, TaskTracker::new());
        Self {
            operator: issue(&world, None, Role::Admin).await,
            admin: issue(&world, Some("agency"), Role::Admin).await,
            publisher: issue(&world, Some("agency"), Role::Publisher).await,
            editor: issue(&world, Some("agency"), Role::Editor).await,
            router: router(state.clone(), policast::web::router(state)),
            world,
        }
    }

    /// Asks as the holder of `key`, or as nobody.
    pub async fn ask(&self, request: Request<Body>, key: Option<&str>) -> Reply {
        let (mut parts, body) = request.into_parts();
        let (method, path) = (parts.method.clone(), parts.uri.clone());
        if let Some(key) = key {
            parts.headers.insert("authorization", format!("Bearer {key}").parse().expect("a header"));
        }
        let response =
            self.router.clone().oneshot(Request::from_parts(parts, body)).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        let reply = Reply { status: parts.status.as_u16(), headers: parts.headers, body };
        if reply.header("content-type") == "application/problem+json" && !reply.body.is_empty() {
            assert_refusal_is_documented(method.as_str(), &path.to_string(), reply.status, &reply.json());
        }
        reply
    }

    /// `GET path`.
    pub async fn get(&self, path: &str, key: Option<&str>) -> Reply {
        self.ask(request("GET", path, &[], Body::empty()), key).await
    }

    /// `method path` with JSON.
    pub async fn send(&self, method: &str, path: &str, key: Option<&str>, json: Value) -> Reply {
        let body = Body::from(json.to_string());
        self.ask(request(method, path, &[("content-type", "application/json")], body), key).await
    }

    /// A draft of the agency; its id.
    pub async fn draft(&self) -> String {
        let draft =
            serde_json::json!({"account": "agency", "topic": "health", "title": "A clip", "language": "en"});
        let reply = self.send("POST", "/api/v1/videos", Some(&self.editor), draft).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()["id"].as_str().expect("an id").to_owned()
    }
}

/// Another account with an admin's key of its own.
pub async fn stranger(app: &App) -> String {
    let account = serde_json::json!({"handle": "other", "name": "Other", "sector": "health", "level": "central",
        "region": ""});
    let reply = app.send("POST", "/api/v1/accounts", Some(&app.operator), account).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    issue(&app.world, Some("other"), Role::Admin).await
}

async fn issue(world: &World, account: Option<&str>, role: Role) -> String {
    let account = match account {
        Some(handle) => {
            let mut read = world.publishing.db.read().await.expect("a connection");
            let handle = handle.parse().expect("a handle");
            let found = policast::catalogue::account::find(read.conn(), &handle).await.expect("an answer");
            Some(found.expect("the account").id)
        }
        None => None,
    };
    let draft = KeyDraft { account, role, label: String::new() };
    world.publishing.issue_key(draft).await.expect("a key").1.reveal().to_owned()
}

/// One secret, as nodes hold theirs.
pub fn keys_of(secret: &str) -> Keys {
    Keys::new(Keyring::new(secret.to_owned(), Timestamp(0)))
}

/// A request.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let path = path.strip_prefix(PUBLIC).unwrap_or(path);
    let builder = Request::builder().method(method).uri(path);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(body.into()).expect("a request")
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("UTF-8")
    }

    /// A header's text; empty where it isn't there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Status and stable code of a refusal, which must be a whole problem.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status);
        assert_eq!(json["request_id"], self.header("x-request-id"));
        assert!(json["detail"].as_str().is_some_and(|detail| detail.ends_with(['.', '?', '!'])), "{json}");
        (self.status, json["code"].as_str().expect("a code").to_owned())
    }
}

pub fn http_settings() -> Settings {
    Settings {
        public_url: PUBLIC.to_owned(),
        token_keys: keys_of("secret"),
        token_ttl: Duration::from_hours(1),
        lease: Duration::from_secs(1),
        body_idle_timeout: Duration::from_secs(2),
        upload_buffer_bytes: 1 << 30,
        rates: RateLimits { wrong_keys: 5, ..RateLimits::default() },
        cdn_url: None,
        cache_bytes: 64 << 20,
        ingest: Ingest::default(),
        site: Site::default(),
    }
}

pub fn live_settings() -> live::Settings {
    live::Settings {
        node: PUBLIC.to_owned(),
        keys: keys_of(NODES_SECRET),
        lease: Duration::from_secs(6),
        dvr: Duration::from_hours(4),
        buffer_bytes: 64 << 20,
        doors: live::guests::Limits::default(),
        rtmp: live::rtmp::Limits::default(),
        cut: live::cut::Settings::default(),
        rungs: live::rungs::Settings::default(),
    }
}
