//! Whole objects: what is put is there, by range, under conditions, in order, until it is deleted.

use aws_sdk_s3::primitives::DateTime;
use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::TryStreamExt;
use policast::domain::VideoId;
use policast::storage::{Embedded, Error, Key, S3Settings, Still, Storage};
use tokio::net::TcpListener;

use crate::faulty::{Fault, Faults};

use super::place::{Place, bytes, code, pack, settings, source};

super::promises! {
    what_is_put_is_got_back_with_its_type_and_cache_rule
    a_range_is_exactly_those_bytes
    a_range_past_the_end_stops_at_the_end_and_one_behind_it_is_refused
    what_is_not_there_is_told_as_not_found
    deleting_twice_is_no_error
    an_object_is_replaced_whole
    a_prefix_is_listed_in_pages_and_deleted_alone
    a_new_object_does_not_replace_one_that_is_there
    a_reader_that_knows_the_object_gets_nothing_again
    a_reader_that_wants_another_object_is_refused
    bytes_with_a_wrong_checksum_are_refused_and_the_old_object_stays
    bytes_with_a_checksum_behind_them_are_taken
    folders_are_listed_by_delimiter
    a_missing_bucket_is_told_and_made
    a_copy_has_the_same_bytes_and_outlives_its_original
    a_bucket_that_is_made_has_a_rule_for_browsers
}

/// An embedded server behind a door that does as it is told.
async fn behind_faults(folder: &std::path::Path) -> (Storage, Faults) {
    let embedded = Embedded::open(folder, None).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let keys = embedded.credentials().clone();
    let faults = Faults::before(&format!("http://{}", listener.local_addr().unwrap())).await;
    tokio::spawn(async move { axum::serve(listener, embedded.router()).await });
    let (access_key_id, secret_access_key) = (keys.access_key_id, keys.secret_access_key);
    let bucket = "policast".to_owned();
    let named = settings(&faults.endpoint, &bucket);
    let storage = Storage::connect(&S3Settings { access_key_id, secret_access_key, ..named });
    storage.ensure_bucket().await.unwrap();
    (storage, faults)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_falls_silent_in_the_middle_of_an_object_is_unavailable_in_bounded_time() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, faults) = behind_faults(folder.path()).await;
    let key = source();
    storage.put(&key, bytes(200_000, 1)).await.unwrap();
    faults.decide(|method, _| if method == Method::GET { Fault::Stall } else { Fault::None });
    let bound = std::time::Duration::from_secs(50);
    let whole = async { storage.read_all(&key).await.map(drop) };
    let part = async { storage.get(&key, 10..150_000).await.map(drop) };
    let flowing = async {
        let stream = storage.stream(&key, None).await?;
        stream.try_for_each(|_| async { Ok(()) }).await
    };
    let all = async { tokio::join!(whole, part, flowing) };
    let (whole, part, flowing) = Box::pin(tokio::time::timeout(bound, all)).await.expect("it ends");
    for ended in [whole, part, flowing] {
        assert!(ended.as_ref().is_err_and(Error::is_unavailable), "{ended:?}");
    }
    faults.mend();
    assert_eq!(storage.read_all(&key).await.unwrap(), bytes(200_000, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_could_not_be_deleted_now_is_no_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, faults) = behind_faults(folder.path()).await;
    storage.put(&source(), bytes(10, 1)).await.unwrap();
    let say = |body| {
        faults.decide(move |method, _| if method == Method::POST { Fault::Say(body) } else { Fault::None });
    };
    say(
        "<DeleteResult><Error><Key>a</Key><Code>InternalError</Code><Message>later</Message></Error></DeleteResult>",
    );
    let later = storage.delete_prefix("sources/").await.unwrap_err();
    assert!(later.is_unavailable(), "{later:?}");
    say(
        "<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>",
    );
    let never = storage.delete_prefix("sources/").await.unwrap_err();
    assert!(matches!(&never, Error::Refused { code, .. } if code == "AccessDenied"), "{never:?}");
    faults.mend();
    assert_eq!(storage.delete_prefix("sources/").await.unwrap(), 1);
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let storage = Storage::connect(&settings(&endpoint, "anything"));
    assert!(storage.check().await.unwrap_err().is_unavailable());
    let error = storage.read_all(&source()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

async fn what_is_put_is_got_back_with_its_type_and_cache_rule(place: &Place) {
    let key = Key::still((VideoId::new(), 1).into(), Still::Poster);
    let body = bytes(100_000, 1);
    place.storage.put(&key, body.clone()).await.unwrap();
    assert_eq!(place.storage.read_all(&key).await.unwrap(), body);
    let head = place.storage.head(&key).await.unwrap().unwrap();
    assert_eq!(head.size_bytes, 100_000);
    assert_eq!(head.etag, hex::encode(<md5::Md5 as md5::Digest>::digest(&body)));
    assert!(head.modified.0 > 1_700_000_000_000);
    let seen = place.sdk.head_object().bucket(&place.bucket).key(key.as_str()).send().await.unwrap();
    assert_eq!(seen.content_type(), Some("image/jpeg"));
    assert_eq!(seen.cache_control(), Some(key.cache_control()));
}

async fn a_range_is_exactly_those_bytes(place: &Place) {
    let (key, body) = (source(), bytes(1_000_000, 2));
    place.storage.put(&key, body.clone()).await.unwrap();
    assert_eq!(place.storage.get(&key, 0..1).await.unwrap(), body[..1]);
    assert_eq!(place.storage.get(&key, 123_456..654_321).await.unwrap(), body[123_456..654_321]);
    assert_eq!(place.storage.get(&key, 500..500).await.unwrap(), Bytes::new());
    let streamed = place.storage.stream(&key, Some(999_000..1_000_000)).await.unwrap();
    let streamed: Vec<Bytes> = streamed.try_collect().await.unwrap();
    assert_eq!(streamed.concat(), body[999_000..]);
    let whole: Vec<Bytes> = place.storage.stream(&key, None).await.unwrap().try_collect().await.unwrap();
    assert_eq!(whole.concat(), body);
}

async fn a_range_past_the_end_stops_at_the_end_and_one_behind_it_is_refused(place: &Place) {
    let (key, body) = (source(), bytes(1000, 3));
    place.storage.put(&key, body.clone()).await.unwrap();
    assert_eq!(place.storage.get(&key, 900..5000).await.unwrap(), body[900..]);
    let error = place.storage.get(&key, 1000..1001).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { code, .. } if code == "InvalidRange"), "{error:?}");
}

async fn what_is_not_there_is_told_as_not_found(place: &Place) {
    let key = source();
    let error = place.storage.read_all(&key).await.unwrap_err();
    assert!(matches!(&error, Error::NotFound { key: named } if named == key.as_str()), "{error:?}");
    assert!(!error.is_unavailable());
    assert_eq!(place.storage.head(&key).await.unwrap(), None);
}

async fn deleting_twice_is_no_error(place: &Place) {
    let key = source();
    place.storage.put(&key, bytes(10, 0)).await.unwrap();
    place.storage.delete(&key).await.unwrap();
    place.storage.delete(&key).await.unwrap();
    assert_eq!(place.storage.head(&key).await.unwrap(), None);
}

async fn an_object_is_replaced_whole(place: &Place) {
    let key = source();
    place.storage.put(&key, bytes(5000, 1)).await.unwrap();
    place.storage.put(&key, bytes(100, 2)).await.unwrap();
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(100, 2));
    place.storage.put(&key, Bytes::new()).await.unwrap();
    assert_eq!(place.storage.read_all(&key).await.unwrap(), Bytes::new());
}

async fn a_prefix_is_listed_in_pages_and_deleted_alone(place: &Place) {
    let (video, other) = (VideoId::new(), pack(VideoId::new(), 0));
    place.storage.put(&other, bytes(1, 0)).await.unwrap();
    let prefix = &Key::revision_prefixes(video, 1)[0];
    // More than one page of S3's largest.
    futures::future::join_all((0..1003).map(|segment| {
        let storage = place.storage.clone();
        async move { storage.put(&pack(video, segment), bytes(3, 0)).await.unwrap() }
    }))
    .await;
    let first = place.storage.list(prefix, None).await.unwrap();
    let rest = place.storage.list(prefix, first.next.clone()).await.unwrap();
    let keys: Vec<&str> = first.items.iter().chain(&rest.items).map(|item| item.key.as_str()).collect();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (1000, 3, None));
    assert!(keys.is_sorted_by(|one, next| one < next));
    assert!(first.items.iter().all(|item| item.size_bytes == 3 && item.etag.len() == 32));
    assert_eq!(place.storage.delete_prefix(prefix).await.unwrap(), 1003);
    assert_eq!(place.storage.list(prefix, None).await.unwrap().items, []);
    assert!(place.storage.head(&other).await.unwrap().is_some());
}

async fn a_new_object_does_not_replace_one_that_is_there(place: &Place) {
    let key = source();
    place.storage.put_new(&key, bytes(10, 1)).await.unwrap();
    let error = place.storage.put_new(&key, bytes(10, 2)).await.unwrap_err();
    assert!(matches!(error, Error::PreconditionFailed { .. }), "{error:?}");
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(10, 1));
    let put = || place.sdk.put_object().bucket(&place.bucket).key(key.as_str()).body(vec![7].into());
    assert_eq!(
        code(put().if_match("\"00000000000000000000000000000000\"").send().await),
        "PreconditionFailed"
    );
    let etag = place.storage.head(&key).await.unwrap().unwrap().etag;
    put().if_match(format!("\"{etag}\"")).send().await.unwrap();
    assert_eq!(place.storage.read_all(&key).await.unwrap(), Bytes::from_static(&[7]));
}

async fn a_reader_that_knows_the_object_gets_nothing_again(place: &Place) {
    let key = source();
    place.storage.put(&key, bytes(10, 1)).await.unwrap();
    let head = place.storage.head(&key).await.unwrap().unwrap();
    let get = || place.sdk.get_object().bucket(&place.bucket).key(key.as_str());
    let known = get().if_none_match(format!("\"{}\"", head.etag)).send().await;
    assert_eq!(known.unwrap_err().raw_response().unwrap().status().as_u16(), 304);
    let since = get().if_modified_since(DateTime::from_secs(head.modified.0 / 1000 + 1)).send().await;
    assert_eq!(since.unwrap_err().raw_response().unwrap().status().as_u16(), 304);
    get().if_modified_since(DateTime::from_secs(head.modified.0 / 1000 - 60)).send().await.unwrap();
}

async fn a_reader_that_wants_another_object_is_refused(place: &Place) {
    let key = source();
    place.storage.put(&key, bytes(10, 1)).await.unwrap();
    let head = place.storage.head(&key).await.unwrap().unwrap();
    let get = || place.sdk.get_object().bucket(&place.bucket).key(key.as_str());
    let other = get().if_match("\"00000000000000000000000000000000\"").send().await;
    assert_eq!(other.unwrap_err().raw_response().unwrap().status().as_u16(), 412);
    let older = get().if_unmodified_since(DateTime::from_secs(head.modified.0 / 1000 - 60)).send().await;
    assert_eq!(older.unwrap_err().raw_response().unwrap().status().as_u16(), 412);
    get().if_match(format!("\"{}\"", head.etag)).send().await.unwrap();
}

async fn bytes_with_a_wrong_checksum_are_refused_and_the_old_object_stays(place: &Place) {
    let key = source();
    place.storage.put(&key, bytes(10, 1)).await.unwrap();
    let put = || place.sdk.put_object().bucket(&place.bucket).key(key.as_str()).body(vec![7; 5000].into());
    let wrong_md5 = put().content_md5(BASE64_STANDARD.encode([0; 16])).send().await;
    assert_eq!(code(wrong_md5), "BadDigest");
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(10, 1));
    let right = <md5::Md5 as md5::Digest>::digest(vec![7; 5000]);
    put().content_md5(BASE64_STANDARD.encode(right)).send().await.unwrap();
    assert_eq!(place.storage.read_all(&key).await.unwrap(), vec![7; 5000]);
}

async fn bytes_with_a_checksum_behind_them_are_taken(place: &Place) {
    let key = source();
    for algorithm in ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"] {
        let put = place.sdk.put_object().bucket(&place.bucket).key(key.as_str());
        let put = put.checksum_algorithm(algorithm.into()).body(bytes(70_000, 9).into());
        put.send().await.unwrap();
        assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(70_000, 9), "{algorithm}");
    }
}

async fn folders_are_listed_by_delimiter(place: &Place) {
    for key in ["a/1", "a/2", "b/1", "b/c/1", "z"] {
        place.sdk.put_object().bucket(&place.bucket).key(key).body(vec![1].into()).send().await.unwrap();
    }
    let list = || place.sdk.list_objects_v2().bucket(&place.bucket).delimiter("/");
    let root = list().send().await.unwrap();
    let folders: Vec<_> = root.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    assert_eq!(folders, ["a/", "b/"]);
    assert_eq!(root.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["z"]);
    let inner = list().prefix("b/").send().await.unwrap();
    assert_eq!(inner.common_prefixes()[0].prefix(), Some("b/c/"));
    assert_eq!(inner.contents()[0].key(), Some("b/1"));
    let mut seen = Vec::new();
    let mut pages = list().max_keys(1).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        seen.extend(page.common_prefixes().iter().filter_map(|prefix| prefix.prefix().map(str::to_owned)));
        seen.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
    }
    assert_eq!(seen, ["a/", "b/", "z"]);
}

async fn a_bucket_that_is_made_has_a_rule_for_browsers(place: &Place) {
    let cors = place.sdk.get_bucket_cors().bucket(&place.bucket).send().await.unwrap();
    let rule = &cors.cors_rules()[0];
    assert_eq!(rule.allowed_origins(), ["*"]);
    assert!(rule.allowed_methods().iter().any(|method| method == "PUT"));
    assert!(rule.expose_headers().iter().any(|header| header.eq_ignore_ascii_case("etag")));
}

async fn a_missing_bucket_is_told_and_made(place: &Place) {
    place.storage.check().await.unwrap();
    let name = format!("made-{}", VideoId::new());
    let missing = place.sdk.get_object().bucket(&name).key("x").send().await;
    assert_eq!(code(missing), "NoSuchBucket");
    place.sdk.create_bucket().bucket(&name).send().await.unwrap();
    place.sdk.put_object().bucket(&name).key("x").body(vec![1].into()).send().await.unwrap();
    place.sdk.delete_object().bucket(&name).key("x").send().await.unwrap();
    place.sdk.delete_bucket().bucket(&name).send().await.unwrap();
    assert!(place.sdk.head_bucket().bucket(&name).send().await.is_err());
    place.storage.ensure_bucket().await.unwrap();
}

async fn a_copy_has_the_same_bytes_and_outlives_its_original(place: &Place) {
    let (from, to) = (source(), Key::still((VideoId::new(), 1).into(), Still::Poster));
    place.storage.put(&from, bytes(5000, 3)).await.unwrap();
    place.storage.copy(&from, &to).await.unwrap();
    place.storage.delete(&from).await.unwrap();
    assert_eq!(place.storage.read_all(&to).await.unwrap(), bytes(5000, 3));
    let seen = place.sdk.head_object().bucket(&place.bucket).key(to.as_str()).send().await.unwrap();
    assert_eq!(seen.content_type(), Some("image/jpeg"));
}
