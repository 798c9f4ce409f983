//! Routes x callers x states of the video: who may do what to a draft, to what is public, withdrawn, deleted.

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use policast::domain::key::Role;
use policast::publishing::KeyDraft;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::app::{App, request, stranger};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Revoked,
    Stranger,
    Editor,
    Publisher,
    Admin,
    Operator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Draft,
    Published,
    Withdrawn,
    Deleted,
}

/// What a route takes, with the answer to who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Everybody what is or was public, its account all of it.
    Look,
    /// Its account, as long as a row is there.
    Own(u16),
    /// An editor for a draft, a publisher for what is or was public.
    Edit(u16),
    Publish(u16),
    /// As to publish, but a draft can't be.
    Withdraw,
    /// A publisher, also once the video is deleted.
    End,
}

use Rule::{Edit, End, Look, Own, Publish, Withdraw};

const JSON: &str = "application/json";
const PNG: &str = "image/png";
const BYTES: &str = "application/offset+octet-stream";

/// Method, path, type and text of the body, and what it takes.
const ROUTES: &[(&str, &str, &str, &str, Rule)] = &[
    ("GET", "/api/v1/videos/{video}", "", "", Look),
    ("GET", "/api/v1/videos/{video}/events", "", "", Look),
    ("PATCH", "/api/v1/videos/{video}", JSON, r#"{"title": "Other"}"#, Edit(200)),
    ("PATCH", "/api/v1/videos/{video}", JSON, r#"{"trim": {"end_ms": 5000}}"#, Edit(200)),
    ("DELETE", "/api/v1/videos/{video}", "", "", Edit(204)),
    ("POST", "/api/v1/videos/{video}/publish?without_media=true", "", "", Publish(200)),
    ("POST", "/api/v1/videos/{video}/withdraw", JSON, r#"{"reason": "Wrong"}"#, Withdraw),
    ("PUT", "/api/v1/videos/{video}/poster", PNG, "x", Edit(202)),
    ("DELETE", "/api/v1/videos/{video}/poster", "", "", Edit(204)),
    ("PUT", "/api/v1/videos/{video}/source", "", "x", Edit(200)),
    ("POST", "/api/v1/uploads", "", "", Edit(201)),
    ("GET", "/api/v1/uploads/{upload}", "", "", Own(200)),
    ("HEAD", "/api/v1/uploads/{upload}", "", "", Own(200)),
    ("PATCH", "/api/v1/uploads/{upload}", BYTES, "hello", Edit(204)),
    ("DELETE", "/api/v1/uploads/{upload}", "", "", Own(204)),
    ("POST", "/api/v1/uploads/{parts}/parts", JSON, r#"{"numbers": [1]}"#, Edit(200)),
    ("POST", "/api/v1/uploads/{parts}/finish", JSON, "", Edit(409)),
    ("GET", "/api/v1/broadcasts/{broadcast}", "", "", Own(200)),
    ("PATCH", "/api/v1/broadcasts/{broadcast}", JSON, r#"{"grace_seconds": 0}"#, Edit(200)),
    ("PATCH", "/api/v1/broadcasts/{broadcast}", JSON, r#"{"starts_at": "2030-01-01T00:00:00Z"}"#, Edit(200)),
    ("POST", "/api/v1/broadcasts/{broadcast}/key", "", "", Edit(200)),
    ("DELETE", "/api/v1/broadcasts/{broadcast}/key", "", "", Edit(204)),
    ("POST", "/api/v1/broadcasts/{broadcast}/end", "", "", End),
    ("GET", "/api/v1/broadcasts/{broadcast}/targets", "", "", Own(200)),
    ("POST", "/api/v1/broadcasts/{broadcast}/targets", JSON, TARGET, Publish(201)),
    ("DELETE", "/api/v1/broadcasts/{broadcast}/targets/{target}", "", "", Publish(204)),
];

const TARGET: &str = r#"{"name": "Elsewhere", "url": "rtmp://live.example.org/b", "stream_key": "k"}"#;

/// What a caller is told by a route for a video of this state.
fn told(rule: Rule, who: Who, state: State) -> u16 {
    let there = state != State::Deleted;
    let public = matches!(state, State::Published | State::Withdrawn);
    match (rule, who) {
        (Look, Who::Nobody | Who::Stranger) => {
            if public {
                200
            } else {
                404
            }
        }
        (_, Who::Revoked | Who::Nobody) => 401,
        (_, Who::Stranger) => 404,
        (Look, _) => {
            if there {
                200
            } else {
                404
            }
        }
        (Own(status), _) => status,
        (Publish(_) | Withdraw | End, Who::Editor) => 403,
        (End, _) => 200,
        (_, _) if !there => 404,
        (Edit(_), Who::Editor) if public => 403,
        (Withdraw, _) => {
            if state == State::Draft {
                409
            } else {
                200
            }
        }
        (Edit(status) | Publish(status), _) => status,
    }
}

/// A broadcast whose video has an upload by tus and one by parts, and that has a target.
struct Scene {
    state: State,
    names: [(&'static str, String); 5],
}

impl Scene {
    async fn set(app: &App, state: State) -> Self {
        let body = json!({"account": "agency", "topic": "health", "title": "Live", "language": "en"});
        let made = app.send("POST", "/api/v1/broadcasts", Some(&app.editor), body.clone()).await.json();
        let (broadcast, video) = (text(&made["id"]), text(&made["video"]));
        let targets = format!("/api/v1/broadcasts/{broadcast}/targets");
        let target = json!({"name": "Elsewhere", "url": "rtmp://live.example.org/a", "stream_key": "k"});
        let target = app.send("POST", &targets, Some(&app.publisher), target).await.json();
        let tus = app.ask(announce(&video), Some(&app.editor)).await;
        let upload = tus.header("location").rsplit('/').next().expect("an id").to_owned();
        let parts = parts_upload(app, &video).await;
        let scene = Self {
            state,
            names: [
                ("{broadcast}", broadcast),
                ("{video}", video),
                ("{target}", text(&target["id"])),
                ("{upload}", upload),
                ("{parts}", parts),
            ],
        };
        scene.enter(app).await;
        scene
    }

    async fn enter(&self, app: &App) {
        let path = self.fill("/api/v1/videos/{video}");
        let post = async |verb: &str, body| {
            let reply = app.send("POST", &format!("{path}/{verb}"), Some(&app.publisher), body).await;
            assert_eq!(reply.status, 200, "{reply:?}");
        };
        if self.state != State::Draft {
            post("publish?without_media=true", json!({})).await;
        }
        if self.state == State::Withdrawn {
            post("withdraw", json!({"reason": "Wrong"})).await;
        }
        if self.state == State::Deleted {
            let reply = app.ask(request("DELETE", &path, &[], ""), Some(&app.publisher)).await;
            assert_eq!(reply.status, 204, "{reply:?}");
        }
    }

    fn fill(&self, path: &str) -> String {
        self.names.iter().fold(path.to_owned(), |path, (name, id)| path.replace(name, id))
    }

    /// What a foreign success would change.
    async fn look(&self, app: &App) -> (Value, Value) {
        let video = app.get(&self.fill("/api/v1/videos/{video}"), Some(&app.operator)).await.json();
        let broadcast =
            app.get(&self.fill("/api/v1/broadcasts/{broadcast}"), Some(&app.operator)).await.json();
        let told = json!([video["version"], video["state"], video["poster_upload"], video["source"]]);
        (told, broadcast["version"].clone())
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn announce(video: &str) -> Request<Body> {
    let metadata = format!("video {}", BASE64_STANDARD.encode(video));
    let headers = [("tus-resumable", "1.0.0"), ("upload-length", "100"), ("upload-metadata", &metadata)];
    request("POST", "/api/v1/uploads", &headers, "")
}

/// An upload by parts of a video that is there: only the row of a draft's own says which.
async fn parts_upload(app: &App, video: &str) -> String {
    let account = app.world.agency().await;
    let editor = crate::world::caller(&app.world.publishing, Some(account), Role::Editor).await;
    let incoming = policast::publishing::Incoming {
        door: policast::domain::upload::Door::Parts,
        target: policast::publishing::Target::Video(video.parse().expect("an id")),
        partials: Vec::new(),
        length: None,
        filename: "clip.mp4".to_owned(),
        metadata: std::collections::BTreeMap::new(),
    };
    app.world.publishing.begin_upload(editor, incoming).await.expect("an upload").id.to_string()
}

/// A key that was good once.
async fn revoked(app: &App) -> String {
    let account = Some(app.world.agency().await);
    let draft = KeyDraft { account, role: Role::Admin, label: String::new() };
    let (key, secret) = app.world.publishing.issue_key(draft).await.expect("a key");
    app.world.publishing.revoke_key(key.id).await.expect("revoked");
    secret.reveal().to_owned()
}

/// The status alone: an event stream has no end.
async fn status(app: &App, request: Request<Body>, key: Option<&str>) -> u16 {
    let (mut parts, body) = request.into_parts();
    if let Some(key) = key {
        parts.headers.insert("authorization", format!("Bearer {key}").parse().expect("a header"));
    }
    let response = app.router.clone().oneshot(Request::from_parts(parts, body)).await.expect("an answer");
    response.status().as_u16()
}

fn ask(scene: &Scene, (method, path, kind, body, _): (&str, &str, &str, &str, Rule)) -> Request<Body> {
    if path == "/api/v1/uploads" {
        return announce(&scene.fill("{video}"));
    }
    let headers = [("tus-resumable", "1.0.0"), ("upload-offset", "0"), ("content-type", kind)];
    let headers = if kind.is_empty() { &headers[..2] } else { &headers[..] };
    request(method, &scene.fill(path), headers, body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what_depends_on_the_state_of_the_video_and_nobody_else_changes_anything() {
    let app = App::small().await;
    let (revoked, stranger) = (revoked(&app).await, stranger(&app).await);
    let callers = [
        (Who::Nobody, None),
        (Who::Revoked, Some(&revoked)),
        (Who::Stranger, Some(&stranger)),
        (Who::Editor, Some(&app.editor)),
        (Who::Publisher, Some(&app.publisher)),
        (Who::Admin, Some(&app.admin)),
        (Who::Operator, Some(&app.operator)),
    ];
    let mut wrong = Vec::new();
    for route in ROUTES {
        for state in [State::Draft, State::Published, State::Withdrawn, State::Deleted] {
            let mut scene = Scene::set(&app, state).await;
            for (who, key) in callers {
                let before = scene.look(&app).await;
                let expected = told(route.4, who, state);
                let got = status(&app, ask(&scene, *route), key.map(String::as_str)).await;
                if got != expected {
                    wrong.push(format!(
                        "{} {} {state:?} {who:?}: {got}, expected {expected}",
                        route.0, route.1
                    ));
                }
                if got >= 400 && scene.look(&app).await != before {
                    wrong.push(format!("{} {} {state:?} {who:?}: refused and done", route.0, route.1));
                }
                if got < 400 && route.0 != "GET" {
                    scene = Scene::set(&app, state).await;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
