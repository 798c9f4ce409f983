//! Who may call what: every route of the document against every kind of caller.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use policast::domain::Clock;
use policast::http::openapi;
use policast::live::NodePass;

use crate::app::{App, NODES_SECRET, keys_of, request, stranger};

/// What it takes to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    Nothing,
    Member,
    Publisher,
    Admin,
    Operator,
}

use Takes::{Admin, Member, Nothing, Operator, Publisher};

const MATRIX: &[(&str, &str, Takes)] = &[
    ("get", "/health/live", Nothing),
    ("get", "/health/ready", Nothing),
    ("get", "/api/v1/accounts", Nothing),
    ("post", "/api/v1/accounts", Operator),
    ("get", "/api/v1/accounts/{handle}", Nothing),
    ("patch", "/api/v1/accounts/{handle}", Operator),
    ("get", "/api/v1/accounts/{handle}/keys", Admin),
    ("post", "/api/v1/accounts/{handle}/keys", Admin),
    ("get", "/api/v1/me", Member),
    ("get", "/api/v1/keys", Operator),
    ("post", "/api/v1/keys", Operator),
    ("delete", "/api/v1/keys/{id}", Admin),
    ("get", "/api/v1/topics", Nothing),
    ("post", "/api/v1/topics", Operator),
    ("get", "/api/v1/topics/{slug}", Nothing),
    ("patch", "/api/v1/topics/{slug}", Operator),
    ("get", "/api/v1/videos", Nothing),
    ("post", "/api/v1/videos", Member),
    ("get", "/api/v1/videos/{id}", Nothing),
    ("patch", "/api/v1/videos/{id}", Member),
    ("delete", "/api/v1/videos/{id}", Member),
    ("post", "/api/v1/videos/{id}/publish", Publisher),
    ("post", "/api/v1/videos/{id}/withdraw", Publisher),
    ("get", "/api/v1/broadcasts", Member),
    ("post", "/api/v1/broadcasts", Member),
    ("get", "/api/v1/broadcasts/{id}", Member),
    ("patch", "/api/v1/broadcasts/{id}", Member),
    ("post", "/api/v1/broadcasts/{id}/key", Member),
    ("delete", "/api/v1/broadcasts/{id}/key", Member),
    ("post", "/api/v1/broadcasts/{id}/end", Publisher),
    ("get", "/api/v1/broadcasts/{id}/targets", Member),
    ("post", "/api/v1/broadcasts/{id}/targets", Publisher),
    ("delete", "/api/v1/broadcasts/{id}/targets/{target}", Publisher),
    ("put", "/api/v1/videos/{id}/source", Member),
    ("put", "/api/v1/videos/{id}/poster", Member),
    ("delete", "/api/v1/videos/{id}/poster", Member),
    ("get", "/api/v1/videos/{id}/events", Nothing),
    ("delete", "/api/v1/videos/{id}/preview", Member),
    ("options", "/api/v1/uploads", Nothing),
    ("post", "/api/v1/uploads", Member),
    ("get", "/api/v1/uploads/{id}", Member),
    ("head", "/api/v1/uploads/{id}", Member),
    ("patch", "/api/v1/uploads/{id}", Member),
    ("delete", "/api/v1/uploads/{id}", Member),
    ("post", "/api/v1/uploads/{id}", Member),
    ("post", "/api/v1/uploads/{id}/parts", Member),
    ("post", "/api/v1/uploads/{id}/finish", Member),
    ("post", "/api/v1/admin/reprocess", Operator),
    ("post", "/api/v1/admin/fsck", Operator),
    ("get", "/api/v1/admin/jobs", Operator),
    ("post", "/api/v1/admin/jobs/{id}/retry", Operator),
    ("post", "/api/v1/admin/jobs/{id}/cancel", Operator),
    ("get", "/api/v1/admin/videos/{id}/why", Operator),
    ("post", "/api/v1/admin/videos/{id}/rollback", Operator),
    ("get", "/play/{video}/master.m3u8", Nothing),
    ("get", "/play/{video}/{file}", Nothing),
    ("get", "/play/{video}/{revision}/{file}", Nothing),
    ("get", "/play/{video}/{revision}/{rung}/{file}", Nothing),
];

/// Every route of the document, and whether it says that it takes a key.
pub fn routes() -> BTreeMap<(String, String), bool> {
    let document = serde_json::to_value(openapi()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let methods = |(path, item): (&String, &serde_json::Value)| {
        let path = path.clone();
        let known = ["get", "head", "options", "post", "put", "patch", "delete"];
        let item = item.as_object().expect("a path item").clone();
        known.into_iter().filter_map(move |method| {
            let operation = item.get(method)?;
            let keyed = operation.get("security").is_some();
            Some(((method.to_owned(), path.clone()), keyed))
        })
    };
    paths.iter().flat_map(methods).collect()
}

/// A thing that isn't there: who is let in gets as far as not finding it.
fn somewhere(path: &str) -> String {
    let id = "0197a0f0-0000-7000-8000-000000000001";
    path.replace("{id}", id)
        .replace("{video}", id)
        .replace("{target}", id)
        .replace("{handle}", "agency")
        .replace("{slug}", "nowhere")
        .replace("{revision}", "1")
        .replace("{rung}", "720p")
        .replace("{file}", "none")
}

#[test]
fn every_route_of_the_document_has_its_row() {
    let known: BTreeMap<_, _> = MATRIX
        .iter()
        .map(|(method, path, takes)| (((*method).to_owned(), (*path).to_owned()), *takes))
        .collect();
    let routes = routes();
    assert_eq!(known.keys().collect::<Vec<_>>(), routes.keys().collect::<Vec<_>>());
    for (route, keyed) in routes {
        assert!(keyed || known[&route] == Nothing, "{route:?} takes a key and does not say so");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let app = App::small().await;
    let callers: [(Option<&str>, Takes); 5] = [
        (None, Nothing),
        (Some(&app.editor), Member),
        (Some(&app.publisher), Publisher),
        (Some(&app.admin), Admin),
        (Some(&app.operator), Operator),
    ];
    for (method, path, takes) in MATRIX.iter().filter(|(_, _, takes)| *takes != Nothing) {
        for (key, role) in callers {
            let headers = [("tus-resumable", "1.0.0"), ("content-type", "application/json")];
            let request = request(&method.to_uppercase(), &somewhere(path), &headers, Body::from("{}"));
            let reply = app.ask(request, key).await;
            let told = match (key, role >= *takes) {
                (None, _) => reply.status == 401,
                (Some(_), false) => reply.status == 403,
                (Some(_), true) => reply.status != 401 && reply.status != 403 && reply.status < 500,
            };
            assert!(told, "{method} {path} as {role:?}: {reply:?}");
        }
    }
}

/// What nodes ask each other is not in the document.
#[tokio::test(flavor = "multi_thread")]
async fn routes_of_nodes_let_in_nodes_and_nobody_else() {
    let app = App::small().await;
    let path = somewhere("/internal/live/{video}");
    let report = || Body::from(r#"{"node":"http://b","viewers":1}"#);
    let ask =
        |method, key| app.ask(request(method, &path, &[("content-type", "application/json")], report()), key);
    let keys = [&app.editor, &app.publisher, &app.admin, &app.operator].map(|key| Some(key.as_str()));
    let pass = |secret: &str| NodePass::new(keys_of(secret), Clock::default()).issue();
    let (pass, forged) = (pass(NODES_SECRET), pass("another secret"));
    for method in ["GET", "POST"] {
        assert_eq!(ask(method, None).await.problem(), (401, "key_missing".to_owned()));
        for key in keys.into_iter().chain([Some(forged.as_str())]) {
            assert_eq!(ask(method, key).await.problem(), (401, "key_invalid".to_owned()));
        }
        assert_eq!(ask(method, Some(&pass)).await.problem(), (404, "broadcast_not_found".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_even_where_none_is_needed() {
    let app = App::small().await;
    let reply = app.get("/api/v1/videos", Some("pk_wrong")).await;
    assert_eq!(reply.problem(), (401, "key_invalid".to_owned()));
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    let reply = app.ask(request("GET", "/api/v1/keys", &[("authorization", "Basic YTpi")], ""), None).await;
    assert_eq!(reply.problem(), (401, "key_invalid".to_owned()));
    assert_eq!(app.get("/api/v1/keys", None).await.problem(), (401, "key_missing".to_owned()));
}

/// As if it came over a connection from there.
fn from(address: [u8; 4], mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 4711))));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_keys_is_told_to_wait_and_good_keys_of_the_same_address_are_answered() {
    let app = App::small().await;
    let ask = async |address, key: &str, name: &str| {
        let headers = [("x-forwarded-for", name)];
        app.ask(from(address, request("GET", "/api/v1/videos", &headers, "")), Some(key)).await
    };
    let (school, elsewhere) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    for guess in 0..5 {
        let told = ask(school, &format!("pk_{guess}"), "198.51.100.7").await.problem();
        assert_eq!(told, (401, "key_invalid".to_owned()));
    }
    // Another name for oneself is another's name only where a proxy says so that is trusted.
    let refused = ask(school, "pk_another", "198.51.100.8").await;
    assert_eq!(refused.problem(), (429, "too_many_wrong_keys".to_owned()));
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|wait| wait <= 60), "{refused:?}");
    assert_eq!(ask(school, &app.editor, "").await.status, 200);
    assert_eq!(ask(elsewhere, "pk_another", "").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_good_for_nothing() {
    let app = App::small().await;
    let label = serde_json::json!({"role": "editor", "label": "studio"});
    let reply = app.send("POST", "/api/v1/accounts/agency/keys", Some(&app.admin), label).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let (id, secret) = (reply.json()["id"].clone(), reply.json()["secret"].clone());
    let secret = secret.as_str().expect("shown once");
    assert_eq!(app.get("/api/v1/videos", Some(secret)).await.status, 200);
    let listed = app.get("/api/v1/accounts/agency/keys", Some(&app.admin)).await;
    assert!(!listed.text().contains("pk_"), "{}", listed.text());
    let path = format!("/api/v1/keys/{}", id.as_str().expect("an id"));
    assert_eq!(app.ask(request("DELETE", &path, &[], ""), Some(&app.admin)).await.status, 204);
    assert_eq!(app.get("/api/v1/videos", Some(secret)).await.problem().1, "key_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_video_is_not_there() {
    for app in App::both().await {
        let other = stranger(&app).await;
        let path = format!("/api/v1/videos/{}", app.draft().await);
        let missing = (404, "video_not_found".to_owned());
        for key in [None, Some(other.as_str())] {
            assert_eq!(app.get(&path, key).await.problem(), missing);
        }
        let change = serde_json::json!({"title": "mine"});
        assert_eq!(app.send("PATCH", &path, Some(&other), change).await.problem(), missing);
        assert_eq!(app.ask(request("DELETE", &path, &[], ""), Some(&other)).await.problem(), missing);
        assert_eq!(
            app.ask(request("PUT", &format!("{path}/source"), &[], "x"), Some(&other)).await.problem(),
            missing
        );
        let keys = app.get("/api/v1/accounts/agency/keys", Some(&other)).await;
        assert_eq!(keys.problem(), (404, "account_not_found".to_owned()));
        assert_eq!(app.get(&path, Some(&app.editor)).await.status, 200);
        assert_eq!(app.get(&path, Some(&app.operator)).await.status, 200);
    }
}
