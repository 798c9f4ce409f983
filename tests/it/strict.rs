//! What nobody reads is refused: on every route of the document.

use axum::body::Body;
use policast::http::openapi;
use serde_json::Value;

use crate::app::{App, request};

const ID: &str = "0197a0f0-0000-7000-8000-000000000001";

fn somewhere(path: &str) -> String {
    path.replace("{handle}", "agency")
        .replace("{slug}", "health")
        .replace("{revision}", "1")
        .replace("{rung}", "720p")
        .replace("{file}", "none")
        .split('/')
        .map(|step| if step.starts_with('{') { ID } else { step })
        .collect::<Vec<_>>()
        .join("/")
}

/// Method, path and operation of each route.
fn routes() -> Vec<(String, String, Value)> {
    let document = serde_json::to_value(openapi()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").clone();
    let methods = ["get", "head", "options", "post", "put", "patch", "delete"];
    let of = |(path, item): (String, Value)| {
        let known = methods
            .into_iter()
            .filter_map(move |method| Some((method.to_uppercase(), path.clone(), item.get(method)?.clone())));
        known.collect::<Vec<_>>()
    };
    paths.into_iter().flat_map(of).collect()
}

fn headers(kind: &str) -> [(&str, &str); 2] {
    [("tus-resumable", "1.0.0"), ("content-type", kind)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_parameter_that_nobody_reads_is_refused_on_every_route() {
    let app = App::small().await;
    for (method, path, _) in routes() {
        let path = format!("{}?at=2030-01-01", somewhere(&path));
        let reply =
            app.ask(request(&method, &path, &headers("application/json"), ""), Some(&app.operator)).await;
        if method == "HEAD" {
            assert_eq!(reply.status, 400, "{method} {path}");
        } else {
            assert_eq!(reply.problem(), (400, "parameter_unknown".to_owned()), "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_nobody_reads_is_refused_on_every_route() {
    let app = App::small().await;
    let mut asked = 0;
    for (method, path, operation) in routes() {
        let content = operation["requestBody"]["content"].as_object();
        let reads = content.is_none_or(|content| content.contains_key("application/json"));
        if !reads || ["GET", "HEAD", "OPTIONS"].contains(&method.as_str()) {
            continue;
        }
        let body = Body::from(r#"{"embargo": "2030-01-01T00:00:00Z"}"#);
        let asking = request(&method, &somewhere(&path), &headers("application/json"), body);
        let reply = app.ask(asking, Some(&app.operator)).await;
        assert_eq!(reply.problem(), (422, "field_unknown".to_owned()), "{method} {path}");
        asked += 1;
    }
    assert!(asked > 20, "{asked} routes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_to_publish_at_publishes_nothing() {
    for app in App::both().await {
        let path = format!("/api/v1/videos/{}", app.draft().await);
        let at = serde_json::json!({"at": "2030-01-01T00:00:00Z"});
        let reply = app.send("POST", &format!("{path}/publish"), Some(&app.publisher), at).await;
        assert_eq!(reply.problem(), (422, "field_unknown".to_owned()));
        let text = request("POST", &format!("{path}/publish"), &headers("text/plain"), "tomorrow");
        assert_eq!(app.ask(text, Some(&app.publisher)).await.problem(), (400, "body_unexpected".to_owned()));
        assert_eq!(app.get(&path, Some(&app.editor)).await.json()["state"], "draft");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn players_and_lists_are_asked_with_all_they_know() {
    let app = App::small().await;
    let master = format!("/play/{ID}/master.m3u8");
    for query in ["token=a", "trim=1000-2000", "CMCD=br%3D3200"] {
        let reply = app.get(&format!("{master}?{query}"), None).await;
        assert_eq!(reply.problem(), (404, "video_not_found".to_owned()), "{query}");
    }
    let media = format!("/play/{ID}/1/720p/media.m3u8?_HLS_msn=1&_HLS_part=2&_HLS_skip=YES&token=a&trim=1-2");
    assert_eq!(app.get(&media, None).await.problem(), (404, "video_not_found".to_owned()));
    let list = "/api/v1/videos?account=agency&topic=health&state=draft&q=air&limit=2";
    assert_eq!(app.get(list, Some(&app.editor)).await.status, 200);
}
