//! Multipart uploads: nothing is there before it is completed, and then all of it.

use policast::storage::{Error, Key, MultipartId, PART_SIZE_MIN, Part, PartTag};

use super::place::{Place, bytes, source};

super::promises! {
    parts_sent_in_any_order_and_with_gaps_become_the_object_in_order
    nothing_is_there_before_the_upload_is_completed
    a_part_sent_again_replaces_the_first
    a_part_with_another_tag_is_refused_and_the_upload_goes_on
    a_part_that_was_never_sent_is_named
    parts_out_of_order_are_refused
    a_small_part_is_refused_unless_it_is_the_last
    an_aborted_upload_is_gone_and_aborting_it_again_is_no_error
    completing_twice_gives_the_same_object
    unfinished_uploads_are_listed_until_they_end
    a_completed_upload_replaces_what_was_there
}

const FULL: usize = 5 * 1024 * 1024;

async fn send(place: &Place, key: &Key, id: &MultipartId, parts: &[(u32, usize)]) -> Vec<Part> {
    let mut sent = Vec::new();
    for &(number, size) in parts {
        let body = bytes(size, u8::try_from(number).unwrap());
        let tag = place.storage.upload_part(key, id, number, body).await.unwrap();
        sent.push(Part { number, size_bytes: size as u64, tag });
    }
    sent.sort_by_key(|part| part.number);
    sent
}

async fn parts_sent_in_any_order_and_with_gaps_become_the_object_in_order(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let sent = send(place, &key, &id, &[(9, 77), (2, FULL), (5, FULL + 1)]).await;
    assert_eq!(place.storage.list_parts(&key, &id).await.unwrap(), sent);
    place.storage.complete_multipart(&key, &id, &sent).await.unwrap();
    let expected = [bytes(FULL, 2), bytes(FULL + 1, 5), bytes(77, 9)].concat();
    assert_eq!(place.storage.read_all(&key).await.unwrap(), expected);
    let seam = FULL as u64 - 3..FULL as u64 + 3;
    assert_eq!(place.storage.get(&key, seam).await.unwrap(), expected[FULL - 3..FULL + 3]);
    let head = place.storage.head(&key).await.unwrap().unwrap();
    assert_eq!(head.size_bytes, expected.len() as u64);
    assert!(head.etag.ends_with("-3"), "{}", head.etag);
}

async fn nothing_is_there_before_the_upload_is_completed(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    assert_eq!(place.storage.list_parts(&key, &id).await.unwrap(), []);
    send(place, &key, &id, &[(1, 10)]).await;
    assert_eq!(place.storage.head(&key).await.unwrap(), None);
    assert_eq!(place.storage.list(key.as_str(), None).await.unwrap().items, []);
}

async fn a_part_sent_again_replaces_the_first(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    send(place, &key, &id, &[(1, 10)]).await;
    let tag = place.storage.upload_part(&key, &id, 1, bytes(20, 8)).await.unwrap();
    let sent = [Part { number: 1, size_bytes: 20, tag }];
    // SeaweedFS keeps both and tells their times to the second only: the tag decides, not the list.
    assert_eq!(place.storage.list_parts(&key, &id).await.unwrap().len(), 1);
    place.storage.complete_multipart(&key, &id, &sent).await.unwrap();
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(20, 8));
}

async fn a_part_with_another_tag_is_refused_and_the_upload_goes_on(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let sent = send(place, &key, &id, &[(1, FULL), (2, 10)]).await;
    let mut wrong = sent.clone();
    wrong[0].tag = PartTag("0".repeat(32));
    let error = place.storage.complete_multipart(&key, &id, &wrong).await.unwrap_err();
    assert!(matches!(error, Error::PartMissing { number: 1 }), "{error:?}");
    place.storage.complete_multipart(&key, &id, &sent).await.unwrap();
}

async fn a_part_that_was_never_sent_is_named(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let mut parts = send(place, &key, &id, &[(1, FULL)]).await;
    parts.push(Part { number: 4, size_bytes: 10, tag: PartTag("0".repeat(32)) });
    let error = place.storage.complete_multipart(&key, &id, &parts).await.unwrap_err();
    assert!(matches!(error, Error::PartMissing { number: 4 }), "{error:?}");
}

async fn parts_out_of_order_are_refused(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let mut parts = send(place, &key, &id, &[(1, FULL), (2, FULL)]).await;
    parts.reverse();
    let error = place.storage.complete_multipart(&key, &id, &parts).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { code, .. } if code == "InvalidPartOrder"), "{error:?}");
}

async fn a_small_part_is_refused_unless_it_is_the_last(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let sent = send(place, &key, &id, &[(1, FULL - 1), (2, 10)]).await;
    let error = place.storage.complete_multipart(&key, &id, &sent).await.unwrap_err();
    let told =
        matches!(error, Error::PartTooSmall { number: 1, size_bytes } if size_bytes == PART_SIZE_MIN - 1);
    assert!(told, "{error:?}");
    assert_eq!(place.storage.head(&key).await.unwrap(), None);
}

async fn an_aborted_upload_is_gone_and_aborting_it_again_is_no_error(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let sent = send(place, &key, &id, &[(1, 10)]).await;
    place.storage.abort_multipart(&key, &id).await.unwrap();
    place.storage.abort_multipart(&key, &id).await.unwrap();
    let late = place.storage.upload_part(&key, &id, 2, bytes(10, 2)).await.unwrap_err();
    assert!(matches!(late, Error::MultipartMissing { .. }), "{late:?}");
    let late = place.storage.complete_multipart(&key, &id, &sent).await.unwrap_err();
    assert!(matches!(late, Error::MultipartMissing { .. }), "{late:?}");
    assert_eq!(place.storage.head(&key).await.unwrap(), None);
}

async fn completing_twice_gives_the_same_object(place: &Place) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let sent = send(place, &key, &id, &[(1, FULL), (2, 10)]).await;
    place.storage.complete_multipart(&key, &id, &sent).await.unwrap();
    let first = place.storage.head(&key).await.unwrap();
    place.storage.complete_multipart(&key, &id, &sent).await.unwrap();
    assert_eq!(place.storage.head(&key).await.unwrap().map(|head| head.etag), first.map(|head| head.etag));
    assert_eq!(place.storage.read_all(&key).await.unwrap().len(), FULL + 10);
}

async fn unfinished_uploads_are_listed_until_they_end(place: &Place) {
    let (one, two, other) = (source(), source(), source());
    let prefix = "sources/";
    let ids = [
        place.storage.begin_multipart(&one).await.unwrap(),
        place.storage.begin_multipart(&two).await.unwrap(),
        place.storage.begin_multipart(&one).await.unwrap(),
    ];
    let found = place.storage.list_multiparts(prefix).await.unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(ids.iter().all(|id| found.iter().any(|upload| upload.id == *id)));
    assert_eq!(place.storage.list_multiparts(two.as_str()).await.unwrap()[0].key, two.as_str());
    assert_eq!(place.storage.list_multiparts(other.as_str()).await.unwrap(), []);
    place.storage.abort_multipart(&one, &ids[0]).await.unwrap();
    let sent = send(place, &one, &ids[2], &[(1, 10)]).await;
    place.storage.complete_multipart(&one, &ids[2], &sent).await.unwrap();
    let left = place.storage.list_multiparts(prefix).await.unwrap();
    assert_eq!(left.iter().map(|upload| &upload.id).collect::<Vec<_>>(), [&ids[1]]);
}

async fn a_completed_upload_replaces_what_was_there(place: &Place) {
    let key = source();
    place.storage.put(&key, bytes(50, 1)).await.unwrap();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let sent = send(place, &key, &id, &[(1, 20)]).await;
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(50, 1));
    place.storage.complete_multipart(&key, &id, &sent).await.unwrap();
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(20, 1));
}
