//! The player's script and style sheets, embedded in the binary and served under names that carry their content's hash.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

/// What `npm run build` in `src/web/player` makes; committed, so building policast needs no Node.
#[derive(RustEmbed)]
#[folder = "src/web/dist/"]
struct Dist;

/// A year: the name changes with the content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// Routes for `/assets/{name}`.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{name}", get(serve))
}

/// The address of a file of `dist`, such as `/assets/player-0123456789abcdef.js` for `player.js`.
pub fn url(name: &str) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    match Dist::get(name) {
        Some(file) => format!("/assets/{stem}-{}.{extension}", fingerprint(&file)),
        None => format!("/assets/{name}"),
    }
}

async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(found) = find(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let packed = Dist::get(&format!("{}.gz", found.name)).filter(|_| accepts_gzip(&headers));
    let etag = format!("\"{}{}\"", fingerprint(&found.file), if packed.is_some() { "-gzip" } else { "" });
    let mut out = HeaderMap::new();
    insert(&mut out, header::ETAG, &etag);
    insert(&mut out, header::CACHE_CONTROL, if found.hashed { FOR_EVER } else { ASK_AGAIN });
    insert(&mut out, header::VARY, "accept-encoding");
    if is_known(&headers, &etag) {
        return (StatusCode::NOT_MODIFIED, out).into_response();
    }
    insert(&mut out, header::CONTENT_TYPE, content_type(&found.name));
    insert(&mut out, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if packed.is_some() {
        insert(&mut out, header::CONTENT_ENCODING, "gzip");
    }
    (out, Body::from(packed.unwrap_or(found.file).data.into_owned())).into_response()
}

struct Found {
    name: String,
    file: EmbeddedFile,
    hashed: bool,
}

/// By its plain name, or by the name with the hash of what it holds now.
fn find(name: &str) -> Option<Found> {
    if let Some(file) = Dist::get(name) {
        return Some(Found { name: name.to_owned(), file, hashed: false });
    }
    let (stem, extension) = name.rsplit_once('.')?;
    let (stem, hash) = stem.rsplit_once('-')?;
    let plain = format!("{stem}.{extension}");
    let file = Dist::get(&plain).filter(|file| fingerprint(file) == hash)?;
    Some(Found { name: plain, file, hashed: true })
}

/// The first 64 bits of the content's SHA-256.
fn fingerprint(file: &EmbeddedFile) -> String {
    hex::encode(&file.metadata.sha256_hash()[..8])
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    accepted.split(',').map(str::trim).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && weight.trim() != "q=0"
    })
}

fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or("");
    known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn get(uri: &str, header: (&str, &str)) -> Response {
        let request = Request::get(uri).header(header.0, header.1).body(Body::empty()).expect("a request");
        router::<()>().oneshot(request).await.expect("an answer")
    }

    fn value(response: &Response, name: HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
    }

    #[tokio::test]
    async fn a_hashed_name_may_be_kept_for_ever() {
        let response = get(&url("player.js"), ("accept", "*/*")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(value(&response, header::CACHE_CONTROL), FOR_EVER);
        assert_eq!(value(&response, header::CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert_eq!(value(&response, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(value(&response, header::CONTENT_ENCODING), "");
    }

    #[tokio::test]
    async fn a_plain_name_is_asked_for_again_and_answered_by_its_etag() {
        let first = get("/assets/page.css", ("accept", "*/*")).await;
        assert_eq!(value(&first, header::CACHE_CONTROL), ASK_AGAIN);
        let again = get("/assets/page.css", ("if-none-match", value(&first, header::ETAG))).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }

    #[tokio::test]
    async fn a_name_with_another_hash_or_a_way_out_is_not_found() {
        for path in ["/assets/player-0000000000000000.js", "/assets/..%2Fmod.rs", "/assets/%2Fetc%2Fpasswd"] {
            assert_eq!(get(path, ("accept", "*/*")).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn the_packed_script_is_sent_to_those_who_read_gzip() {
        let packed = get(&url("player.js"), ("accept-encoding", "br, gzip;q=0.8")).await;
        assert_eq!(value(&packed, header::CONTENT_ENCODING), "gzip");
        let plain = get(&url("player.js"), ("accept-encoding", "gzip;q=0")).await;
        assert_eq!(value(&plain, header::CONTENT_ENCODING), "");
        assert_ne!(value(&packed, header::ETAG), value(&plain, header::ETAG));
    }
}
