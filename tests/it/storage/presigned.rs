//! Presigned addresses, used by plain HTTP clients that know nothing of S3.

use std::time::Duration;

use policast::storage::{Part, PartTag};
use reqwest::StatusCode;
use reqwest::header::{
    ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_RANGE, ETAG, ORIGIN, RANGE,
};

use super::place::{HOUR, Place, bytes, source};

super::promises! {
    parts_put_to_presigned_addresses_become_the_object
    a_part_of_another_length_than_the_signed_one_is_refused
    an_object_put_to_a_presigned_address_is_there
    a_presigned_address_serves_ranges
    an_expired_address_is_refused
    an_address_is_for_one_object_and_one_thing_only
    a_browser_may_put_and_read_the_tag
    a_request_without_a_signature_is_refused
}

async fn parts_put_to_presigned_addresses_become_the_object(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let sizes = [(1, 5 * 1024 * 1024), (3, 1000)];
    let mut parts = Vec::new();
    for (number, size) in sizes {
        let url = place.storage.presign_part((&key, &id, number), Some(size as u64), HOUR).await.unwrap();
        assert!(url.starts_with(&place.endpoint), "{url}");
        let body = bytes(size, u8::try_from(number).unwrap());
        let answer = place.http.put(url).body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let tag = answer.headers()[ETAG].to_str().unwrap().trim_matches('"').to_owned();
        parts.push(Part { number, size_bytes: size as u64, tag: PartTag(tag) });
    }
    assert_eq!(place.storage.list_parts(&key, &id).await.unwrap(), parts);
    place.storage.complete_multipart(&key, &id, &parts).await.unwrap();
    let expected = [bytes(5 * 1024 * 1024, 1), bytes(1000, 3)].concat();
    assert_eq!(place.storage.read_all(&key).await.unwrap(), expected);
}

async fn a_part_of_another_length_than_the_signed_one_is_refused(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let url = place.storage.presign_part((&key, &id, 1), Some(1000), HOUR).await.unwrap();
    for size in [0, 999, 1001] {
        let answer = place.http.put(&url).body(bytes(size, 1)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{size}");
    }
    assert_eq!(place.storage.list_parts(&key, &id).await.unwrap(), []);
    assert_eq!(place.http.put(&url).body(bytes(1000, 1)).send().await.unwrap().status(), StatusCode::OK);
}

async fn an_object_put_to_a_presigned_address_is_there(place: &Place) {
    let key = source();
    let url = place.storage.presign_put(&key, HOUR).await.unwrap();
    let answer = place.http.put(url).body(bytes(3000, 1)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(3000, 1));
}

async fn a_presigned_address_serves_ranges(place: &Place) {
    let (key, body) = (source(), bytes(10_000, 4));
    place.storage.put(&key, body.clone()).await.unwrap();
    let url = place.storage.presign_get(&key, HOUR).await.unwrap();
    let whole = place.http.get(&url).send().await.unwrap();
    assert_eq!(whole.bytes().await.unwrap(), body);
    let ranges = [("bytes=100-199", 100..200), ("bytes=9900-", 9900..10_000), ("bytes=-50", 9950..10_000)];
    for (range, expected) in ranges {
        let answer = place.http.get(&url).header(RANGE, range).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let told = format!("bytes {}-{}/10000", expected.start, expected.end - 1);
        assert_eq!(answer.headers()[CONTENT_RANGE], told);
        assert_eq!(answer.bytes().await.unwrap(), body[expected]);
    }
    let behind = place.http.get(&url).header(RANGE, "bytes=10000-").send().await.unwrap();
    assert_eq!(behind.status(), StatusCode::RANGE_NOT_SATISFIABLE);
}

async fn an_expired_address_is_refused(place: &Place) {
    let key = source();
    place.storage.put(&key, bytes(10, 1)).await.unwrap();
    let url = place.storage.presign_get(&key, Duration::from_secs(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(place.http.get(&url).send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

async fn an_address_is_for_one_object_and_one_thing_only(place: &Place) {
    let (key, other) = (source(), source());
    place.storage.put(&key, bytes(10, 1)).await.unwrap();
    place.storage.put(&other, bytes(10, 2)).await.unwrap();
    let url = place.storage.presign_get(&key, HOUR).await.unwrap();
    let moved = url.replace(key.as_str(), other.as_str());
    assert_ne!(moved, url);
    assert_eq!(place.http.get(moved).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let put = place.http.put(url).body("x").send().await.unwrap();
    assert_eq!(put.status(), StatusCode::FORBIDDEN);
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(10, 1));
}

async fn a_browser_may_put_and_read_the_tag(place: &Place) {
    let key = source();
    let url = place.storage.presign_put(&key, HOUR).await.unwrap();
    let preflight = place
        .http
        .request(reqwest::Method::OPTIONS, &url)
        .header(ORIGIN, "https://studio.example")
        .header(ACCESS_CONTROL_REQUEST_METHOD, "PUT")
        .header(ACCESS_CONTROL_REQUEST_HEADERS, "content-type")
        .send()
        .await
        .unwrap();
    assert!(preflight.status().is_success(), "{}", preflight.status());
    let methods = preflight.headers()[ACCESS_CONTROL_ALLOW_METHODS].to_str().unwrap();
    assert!(methods.contains("PUT"), "{methods}");
    let put = place.http.put(&url).header(ORIGIN, "https://studio.example").body("x").send().await.unwrap();
    let allowed = put.headers()[ACCESS_CONTROL_ALLOW_ORIGIN].to_str().unwrap();
    assert!(["*", "https://studio.example"].contains(&allowed), "{allowed}");
    let exposed = put.headers()[ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap().to_lowercase();
    assert!(exposed.contains("etag"), "{exposed}");
}

async fn a_request_without_a_signature_is_refused(place: &Place) {
    let key = source();
    place.storage.put(&key, bytes(10, 1)).await.unwrap();
    let url = format!("{}/{}/{}", place.endpoint, place.bucket, key);
    assert_eq!(place.http.get(&url).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(place.http.put(&url).body("x").send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(10, 1));
}
