//! Parts straight to the bucket, through presigned addresses.

use serde_json::json;

use crate::app::App;

async fn parts_of_a_draft(app: &App) -> (String, String) {
    let draft = json!({"account": "agency", "topic": "health", "title": "A clip", "language": "en"});
    let video = app.send("POST", "/api/v1/videos", Some(&app.editor), draft).await.json();
    let parts = video["upload"]["parts"].as_str().expect("an address").to_owned();
    (format!("/api/v1/videos/{}", video["id"].as_str().expect("an id")), parts)
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_go_straight_to_the_bucket_and_end_as_a_source() {
    let [_, app] = App::both().await;
    let (video, parts) = parts_of_a_draft(&app).await;
    let parts = parts.strip_prefix(crate::app::PUBLIC).expect("ours");
    let finish = parts.replace("/parts", "/finish");
    let early = app.send("POST", &finish, Some(&app.editor), json!({})).await;
    assert_eq!(early.problem(), (409, "part_missing".to_owned()));

    let asked = json!({"size_bytes": 11, "numbers": [1]});
    let given = app.send("POST", parts, Some(&app.editor), asked).await;
    assert_eq!(given.status, 200, "{given:?}");
    let url = given.json()["parts"][0]["url"].as_str().expect("an address").to_owned();
    let put = reqwest::Client::new().put(url).body("hello world").send().await.expect("an answer");
    assert!(put.status().is_success(), "{put:?}");
    let etag = put.headers()["etag"].to_str().expect("text").to_owned();

    let wrong = json!({"parts": [{"number": 1, "etag": "00000000000000000000000000000000"}]});
    let refused = app.send("POST", &finish, Some(&app.editor), wrong).await;
    assert_eq!(refused.problem(), (400, "checksum_mismatch".to_owned()));
    let gap = json!({"parts": [{"number": 2, "etag": etag}]});
    assert_eq!(
        app.send("POST", &finish, Some(&app.editor), gap).await.problem(),
        (409, "part_missing".to_owned())
    );
    let right = json!({"parts": [{"number": 1, "etag": etag}]});
    let done = app.send("POST", &finish, Some(&app.editor), right).await;
    assert_eq!((done.status, &done.json()["media"]["state"]), (200, &json!("processing")), "{done:?}");
    let source = app.get(&video, Some(&app.editor)).await.json()["source"].clone();
    assert_eq!(source["size_bytes"], 11);
    let again = app.send("POST", &finish, Some(&app.editor), json!({})).await;
    assert_eq!(again.status, 200, "finishing twice is finishing once: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn part_numbers_and_sizes_are_checked_before_the_bucket_is_asked() {
    let app = App::small().await;
    let (_, parts) = parts_of_a_draft(&app).await;
    let parts = parts.strip_prefix(crate::app::PUBLIC).expect("ours");
    for (asked, told) in [
        (json!({"numbers": [0]}), (422, "part_number_invalid")),
        (json!({"numbers": [10_001]}), (422, "part_number_invalid")),
        (json!({"numbers": vec![1; 1001]}), (422, "numbers_invalid")),
        (json!({"numbers": [1], "size_bytes": 1_u64 << 50}), (413, "too_large")),
        (json!({"numbers": [1], "size_bytes": -1}), (422, "size_bytes_invalid")),
    ] {
        let reply = app.send("POST", parts, Some(&app.editor), asked.clone()).await;
        assert_eq!(reply.problem(), (told.0, told.1.to_owned()), "{asked}");
    }
}
