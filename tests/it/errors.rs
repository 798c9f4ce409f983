//! Refusals: always a problem, always with a stable code, never with our inside.

use serde_json::json;

use crate::app::{App, PUBLIC, request};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_router_refuses_is_a_problem_too() {
    let app = App::small().await;
    assert_eq!(app.get("/api/v1/nothing", None).await.problem(), (404, "route_not_found".to_owned()));
    let reply = app.ask(request("PUT", "/api/v1/videos", &[], ""), None).await;
    assert_eq!(reply.problem(), (405, "method_not_allowed".to_owned()));
    assert!(reply.header("allow").contains("POST"), "{reply:?}");
    assert_eq!(app.get("/api/v1/videos/x", None).await.problem(), (400, "path_invalid".to_owned()));
    assert_eq!(app.get("/api/v1/videos?limit=x", None).await.problem(), (400, "query_invalid".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_body_is_told() {
    let app = App::small().await;
    let json = [("content-type", "application/json")];
    let post = |headers: &[(&str, &str)], body: String| request("POST", "/api/v1/videos", headers, body);
    let broken = app.ask(post(&json, "{\"title\":".to_owned()), Some(&app.editor)).await;
    assert_eq!(broken.problem(), (400, "json_invalid".to_owned()));
    let plain = app.ask(post(&[("content-type", "text/plain")], "{}".to_owned()), Some(&app.editor)).await;
    assert_eq!(plain.problem(), (415, "content_type_unsupported".to_owned()));
    let huge = json!({"title": "x".repeat(2 << 20)}).to_string();
    let reply = app.ask(post(&json, huge), Some(&app.editor)).await;
    assert_eq!(reply.problem(), (413, "body_too_large".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_packed_in_another_form_is_refused_before_it_is_read() {
    let app = App::small().await;
    let video = app.draft().await;
    let put = async |name: &str, value: &str| {
        let path = format!("/api/v1/videos/{video}/source");
        app.ask(request("PUT", &path, &[(name, value)], "anything"), Some(&app.editor)).await
    };
    for coding in ["gzip", "br", "identity, zstd"] {
        let reply = put("content-encoding", coding).await;
        assert_eq!(reply.problem(), (415, "content_encoding_unsupported".to_owned()), "{coding}");
        assert_eq!(reply.header("accept-encoding"), "identity");
    }
    for form in ["multipart/form-data; boundary=x", "Multipart/Form-Data"] {
        let reply = put("content-type", form).await;
        assert_eq!(reply.problem(), (415, "content_type_unsupported".to_owned()), "{form}");
    }
    let json = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let reply = app.ask(request("POST", "/api/v1/videos", &json, "{}"), Some(&app.editor)).await;
    assert_eq!(reply.problem(), (415, "content_encoding_unsupported".to_owned()));
    for (name, value) in
        [("content-encoding", "identity"), ("content-type", "application/x-www-form-urlencoded")]
    {
        assert_eq!(put(name, value).await.status, 200, "{name}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_its_id_and_a_malformed_one_gets_a_new_one() {
    let app = App::small().await;
    let ask = async |id: &str| {
        let reply = app.ask(request("GET", "/health/live", &[("x-request-id", id)], ""), None).await;
        reply.header("x-request-id").to_owned()
    };
    assert_eq!(ask("studio-42").await, "studio-42");
    assert_ne!(ask("a b").await, "a b");
    assert_ne!(ask(&"x".repeat(200)).await, "x".repeat(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_the_server_says_try_again() {
    let app = App::small().await;
    assert_eq!(app.get("/health/ready", None).await.status, 200);
    app.world.publishing.db.close().await;
    for path in ["/health/ready", "/api/v1/videos"] {
        let reply = app.get(path, None).await;
        assert_eq!(reply.problem(), (503, "database_unavailable".to_owned()));
        assert_eq!(reply.header("retry-after"), "5");
    }
    assert_eq!(app.get("/health/live", None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served_with_a_page_to_read_it() {
    let app = App::small().await;
    let document = app.get("/api/openapi.json", None).await.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document}");
    assert!(document["paths"]["/api/v1/topics/{slug}"].is_object());
    let role = &document["components"]["schemas"]["Role"]["enum"];
    assert_eq!(role, &json!(["editor", "publisher", "admin"]));
    assert_eq!(document["servers"][0]["url"], PUBLIC);
    for path in ["/api/docs", "/api/docs/"] {
        let page = app.get(path, None).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_selects_nothing_does_not_reprocess_everything() {
    let app = App::small().await;
    let ask = async |json| app.send("POST", "/api/v1/admin/reprocess", Some(&app.operator), json).await;
    assert_eq!(ask(json!({"dry_run": true})).await.problem(), (422, "selection_missing".to_owned()));
    let dry = ask(json!({"all": true, "dry_run": true})).await.json();
    assert_eq!((&dry["estimate"]["videos"], &dry["begun"]), (&json!(0), &json!(null)));
}
