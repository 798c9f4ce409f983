//! What the embedded server's signatures let nobody do: everything a request is dispatched by is covered by one.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, Region, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::presigning::PresigningConfig;
use policast::storage::MultipartId;
use reqwest::StatusCode;

use super::place::{HOUR, Place, bytes, code, source};
use crate::weed::client;

/// Headers that S3 acts on, each of which once did something to an object that was not signed for.
const ACTED_ON: [(&str, &str); 17] = [
    ("x-amz-copy-source-range", "bytes=0-9"),
    ("x-amz-copy-source-if-match", "a"),
    ("x-amz-acl", "public-read"),
    ("x-amz-grant-read", "uri=http://acs.amazonaws.com/groups/global/AllUsers"),
    ("x-amz-meta-owner", "somebody"),
    ("x-amz-storage-class", "GLACIER"),
    ("x-amz-tagging", "a=b"),
    ("x-amz-website-redirect-location", "https://elsewhere.example"),
    ("x-amz-server-side-encryption", "AES256"),
    ("x-amz-checksum-sha256", "AAAA"),
    ("x-amz-sdk-checksum-algorithm", "CRC32"),
    ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ("x-amz-date", "20260101T000000Z"),
    ("x-amz-decoded-content-length", "1"),
    ("x-amz-trailer", "x-amz-checksum-crc32"),
    ("x-amz-object-lock-mode", "COMPLIANCE"),
    ("x-amz-whatever-comes-next", "a"),
];

/// An address for part 1 of a new upload.
async fn part(place: &Place) -> (policast::storage::Key, MultipartId, String) {
    let key = source();
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let url = place.storage.presign_part((&key, &id, 1), None, HOUR).await.unwrap();
    (key, id, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_for_a_part_copies_nobodys_object() {
    let place = Place::embedded().await;
    let draft = source();
    place.storage.put(&draft, bytes(1000, 1)).await.unwrap();
    let (key, id, url) = part(&place).await;
    let copy = format!("{}/{draft}", place.bucket);
    let answer = place.http.put(&url).header("x-amz-copy-source", &copy).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.text().await.unwrap().contains("<Code>AccessDenied</Code>"), "as S3 says it");
    let object = place.storage.presign_put(&key, HOUR).await.unwrap();
    let answer = place.http.put(&object).header("x-amz-copy-source", &copy).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(place.storage.list_parts(&key, &id).await.unwrap(), []);
    assert_eq!(place.storage.head(&key).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_that_is_not_signed_is_acted_on() {
    let place = Place::embedded().await;
    let (key, id, url) = part(&place).await;
    let object = place.storage.presign_put(&key, HOUR).await.unwrap();
    for (name, value) in ACTED_ON {
        for url in [&url, &object] {
            let answer = place.http.put(url).header(name, value).body("x").send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
        }
    }
    assert_eq!(place.storage.list_parts(&key, &id).await.unwrap(), []);
    assert_eq!(place.storage.head(&key).await.unwrap(), None);
    let browser = place.http.put(&url).header("content-type", "video/mp4").body("x").send().await.unwrap();
    assert_eq!(browser.status(), StatusCode::OK, "what browsers send by themselves");
}

/// Adds a header to a request that is signed already.
#[derive(Debug)]
struct Late(&'static str, String);

impl Intercept for Late {
    fn name(&self) -> &'static str {
        "late"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().insert(self.0, self.1.clone());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_by_header_covers_what_is_acted_on_too() {
    let place = Place::embedded().await;
    let draft = source();
    place.storage.put(&draft, bytes(1000, 1)).await.unwrap();
    let key = source();
    let put = || place.sdk.put_object().bucket(&place.bucket).key(key.as_str()).body(vec![7; 50].into());
    let copy = Late("x-amz-copy-source", format!("{}/{draft}", place.bucket));
    assert_eq!(code(put().customize().interceptor(copy).send().await), "AccessDenied");
    let acl = Late("x-amz-acl", "public-read".to_owned());
    assert_eq!(code(put().customize().interceptor(acl).send().await), "AccessDenied");
    assert_eq!(place.storage.head(&key).await.unwrap(), None);
    put().metadata("signed", "yes").send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_good_only_as_it_was_signed() {
    let place = Place::embedded().await;
    let (_, _, url) = part(&place).await;
    let altered = [
        url.replace("partNumber=1&", "partNumber=2&"),
        url.replace("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
        url.replace("us-east-1", "eu-west-1"),
        url.replace("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Bx-amz-copy-source"),
        format!("{url}&acl"),
        format!("{url}&uploads"),
        format!("{url}&partNumber=2"),
        format!("{url}&x-amz-acl=public-read"),
    ];
    for altered in altered {
        assert_ne!(altered, url);
        let answer = place.http.put(&altered).body("x").send().await.unwrap();
        assert!(answer.status().is_client_error(), "{altered}: {}", answer.status());
    }
    assert_eq!(place.http.put(&url).body("x").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_presigned_but_what_the_product_hands_out() {
    let place = Place::embedded().await;
    let key = source();
    place.storage.put(&key, bytes(10, 1)).await.unwrap();
    let (bucket, name) = (place.bucket.as_str(), key.as_str());
    let hour = || PresigningConfig::expires_in(HOUR).unwrap();
    let typed = place.sdk.get_object().bucket(bucket).key(name).response_content_type("text/html");
    let others = [
        place.sdk.delete_object().bucket(bucket).key(name).presigned(hour()).await.unwrap(),
        place.sdk.head_object().bucket(bucket).key(name).presigned(hour()).await.unwrap(),
        typed.presigned(hour()).await.unwrap(),
    ];
    for signed in others {
        let method = reqwest::Method::from_bytes(signed.method().as_bytes()).unwrap();
        let mut request = place.http.request(method, signed.uri());
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{}", signed.uri());
    }
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(10, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_another_region_or_time_is_refused() {
    let place = Place::embedded().await;
    let key = source();
    place.storage.put(&key, bytes(10, 1)).await.unwrap();
    let presign = async |sdk: &aws_sdk_s3::Client, starts: SystemTime| {
        let config = PresigningConfig::builder().start_time(starts).expires_in(HOUR).build().unwrap();
        let request = sdk.get_object().bucket(&place.bucket).key(key.as_str());
        let url = request.presigned(config).await.unwrap().uri().to_owned();
        place.http.get(url).send().await.unwrap().status()
    };
    let elsewhere = place.sdk.config().to_builder().region(Region::new("eu-west-1")).build();
    let elsewhere = aws_sdk_s3::Client::from_conf(elsewhere);
    let now = policast_now();
    assert_eq!(presign(&place.sdk, now).await, StatusCode::OK);
    assert_eq!(presign(&elsewhere, now).await, StatusCode::FORBIDDEN);
    assert_eq!(presign(&place.sdk, now - HOUR - Duration::from_mins(20)).await, StatusCode::FORBIDDEN);
    assert_eq!(presign(&place.sdk, now + Duration::from_mins(20)).await, StatusCode::FORBIDDEN, "not yet");
    let by_header = elsewhere.get_object().bucket(&place.bucket).key(key.as_str());
    assert_eq!(code(by_header.send().await), "AccessDenied");
}

/// The wall clock, from which the server under test reads too.
fn policast_now() -> SystemTime {
    let now = policast::domain::Clock::System.now().0;
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_and_an_older_signature_are_refused_before_they_are_read() {
    let place = Place::embedded().await;
    let bucket = format!("{}/{}", place.endpoint, place.bucket);
    let form = place.http.post(&bucket).header("content-type", "multipart/form-data; boundary=a");
    let answer = form.body("--a\r\n").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let old = place.http.get(format!("{bucket}/a?AWSAccessKeyId=a&Expires=9999999999&Signature=a"));
    assert_eq!(old.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let sdk = client(&place.endpoint, ("nobody", "nothing"));
    assert_eq!(code(sdk.list_buckets().send().await), "NotSignedUp");
}
