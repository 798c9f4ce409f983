//! Posters of one's own: uploaded, made fit in the cage, shown, refused, replaced, taken away.

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::job::{self, Claim, Fence, Row};
use policast::catalogue::revision::Still;
use policast::domain::job::Job;
use policast::domain::{PosterId, VideoId};
use policast::publishing::Fsck;
use policast::storage::Key;
use serde_json::{Value, json};

use crate::app::{App, PUBLIC, Reply, request, stranger};
use crate::clip;
use crate::probe::hostile_texts;

const CHECK: Fsck = Fsck { rehash: false, repair: false, grace: Duration::ZERO };
/// How long a picture may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// One picture of this size.
fn picture(size: &str, name: &str) -> Bytes {
    clip::make(&format!("-f lavfi -i testsrc2=s={size} -frames:v 1"), name).into()
}

async fn upload(app: &App, id: &str, kind: &str, bytes: impl Into<Bytes>) -> Reply {
    let path = format!("/api/v1/videos/{id}/poster");
    let put = request("PUT", &path, &[("content-type", kind)], bytes.into());
    app.ask(put, Some(&app.editor)).await
}

async fn remove(app: &App, id: &str) -> Reply {
    let path = format!("/api/v1/videos/{id}/poster");
    app.ask(request("DELETE", &path, &[], ""), Some(&app.editor)).await
}

async fn video(app: &App, id: &str) -> Value {
    app.get(&format!("/api/v1/videos/{id}"), Some(&app.editor)).await.json()
}

/// Waits until the picture uploaded last has come to this; the video then.
async fn comes_to(app: &App, id: &str, state: &str) -> Value {
    let begun = tokio::time::Instant::now();
    loop {
        let video = video(app, id).await;
        if video["poster_upload"]["state"] == state {
            return video;
        }
        if begun.elapsed() > PATIENCE {
            let story = app.world.publishing.story(id.parse().expect("an id")).await.expect("a story");
            panic!("{}\n{}", video["poster_upload"], story.lines().join("\n"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until all jobs are done, and so many objects of posters are in the bucket: what a job removes goes after it.
async fn rests_with(app: &App, objects: usize) {
    let begun = tokio::time::Instant::now();
    loop {
        let mut read = app.world.publishing.db.read().await.expect("a connection");
        let jobs = job::list(read.conn(), &job::Filter { limit: 50, ..job::Filter::default() }).await;
        drop(read);
        let left = left(app).await;
        let working = jobs.expect("jobs").items.into_iter().filter(|row| row.finished_at.is_none());
        let working: Vec<String> = working.map(|row| row.name).collect();
        if working.is_empty() && left.len() == objects {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "at work: {working:?}; left: {left:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn address(video: &Value) -> String {
    let url = video["media"]["poster"]["url"].as_str().expect("a poster");
    url.strip_prefix(PUBLIC).expect("ours").to_owned()
}

/// A picture as `ffprobe` sees it.
fn judged(bytes: &[u8]) -> String {
    let (_folder, path) = clip::place("poster.jpg");
    std::fs::write(&path, bytes).expect("written");
    let said = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0"])
        .arg(&path)
        .output()
        .expect("ffprobe is installed");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

/// The colour of a picture's upper left corner.
fn corner(bytes: &[u8]) -> Vec<u8> {
    clip::remake(bytes, "-vf format=rgb24,crop=1:1:0:0 -f rawvideo", "corner.rgb")
}

/// The names of the objects that posters leave in the bucket.
async fn left(app: &App) -> Vec<String> {
    let names = app.world.objects().await;
    names.into_iter().filter(|name| name.starts_with("arriving/") || name.contains("/poster-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_poster_takes_the_place_of_the_frame() {
    let source = clip::make(clip::PLAIN, "clip.mp4");
    let clear = clip::make("-f lavfi -i color=red@0:s=1600x900,format=rgba -frames:v 1", "clear.png");
    for mut app in App::both().await {
        app.world.work();
        let id = app.world.upload(source.clone().into()).await;
        app.world.settled(id).await;
        let id = id.to_string();
        let frame = address(&video(&app, &id).await);
        assert!(frame.starts_with(&format!("/play/{id}/1/poster.jpg?")), "{frame}");

        let reply = upload(&app, &id, "image/png", clear.clone()).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        assert_eq!(reply.json()["poster_upload"], json!({"state": "processing", "error": null}));
        let shown = comes_to(&app, &id, "ready").await;
        let poster = address(&shown);
        assert!(poster.starts_with(&format!("/play/{id}/poster-")), "{poster}");
        let reply = app.get(&poster, None).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "image/jpeg"));
        assert_eq!(reply.header("cache-control"), "private, no-store");
        assert_eq!(judged(&reply.body), "mjpeg,1280,720");
        assert!(corner(&reply.body).iter().all(|part| *part > 250), "{:?}", corner(&reply.body));
        let known = request("GET", &poster, &[("if-none-match", reply.header("etag"))], "");
        assert_eq!(app.ask(known, None).await.status, 304);
        let bare = poster.split('?').next().expect("a path");
        assert_eq!(app.get(bare, None).await.problem(), (404, "video_not_found".to_owned()));

        app.send(
            "POST",
            &format!("/api/v1/videos/{id}/publish?without_media=true"),
            Some(&app.publisher),
            json!({}),
        )
        .await;
        let reply = app.get(bare, None).await;
        assert_eq!(reply.header("cache-control"), policast::storage::SHOWN);
        let public = app.get(&format!("/api/v1/videos/{id}"), None).await.json();
        assert_eq!((address(&public).as_str(), &public["poster_upload"]), (bare, &json!(null)));
        rests_with(&app, 1).await;
        assert_eq!(app.world.publishing.fsck(&CHECK).await.expect("checked"), []);
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poster_is_there_before_anything_can_be_played() {
    let picture = picture("320x180", "poster.webp");
    for mut app in App::both().await {
        app.world.work();
        let draft = json!({"topic": "health", "title": "Press conference", "language": "en"});
        let broadcast = app.send("POST", "/api/v1/broadcasts", Some(&app.editor), draft).await.json();
        let id = broadcast["video"].as_str().expect("an id");
        assert_eq!(video(&app, id).await["poster_upload"], json!(null));
        assert_eq!(upload(&app, id, "image/webp", picture.clone()).await.status, 202);
        let alt = json!({"poster_alt": "The press room"});
        app.send("PATCH", &format!("/api/v1/videos/{id}"), Some(&app.editor), alt).await;
        let shown = comes_to(&app, id, "ready").await;
        let media = &shown["media"];
        assert_eq!((&media["state"], &media["revision"]), (&json!("waiting"), &json!(null)));
        assert_eq!(media["poster"]["alt"], "The press room");
        let reply = app.get(&address(&shown), None).await;
        assert_eq!(judged(&reply.body), "mjpeg,320,180");
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_is_refused_and_the_frame_stays() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let texts = hostile_texts(listener.local_addr().expect("bound"));
    let mut app = App::small().await;
    app.world.work();
    let id = app.world.upload(clip::make(clip::PLAIN, "clip.mp4").into()).await;
    app.world.settled(id).await;
    let id = id.to_string();
    let movie = clip::make(clip::PLAIN, "clip.mp4");
    let files = texts.into_iter().map(|(name, text)| (name, Bytes::from(text), "not_picture"));
    let others = [("movie", movie.into(), "not_picture"), ("nothing", Bytes::new(), "empty")];
    for (name, bytes, code) in files.chain(others) {
        assert_eq!(upload(&app, &id, "image/jpeg", bytes).await.status, 202, "{name}");
        let video = comes_to(&app, &id, "refused").await;
        let error = &video["poster_upload"]["error"];
        assert_eq!(error["code"], code, "{name}");
        assert!(error["message"].as_str().is_some_and(|message| message.ends_with('.')), "{error}");
        assert!(address(&video).contains("/1/poster.jpg"), "{name}");
    }
    listener.set_nonblocking(true).expect("set");
    assert!(listener.accept().is_err(), "something called");
    rests_with(&app, 0).await;
    assert_eq!(app.world.publishing.fsck(&CHECK).await.expect("checked"), []);
    app.world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poster_over_the_limit_is_refused() {
    let app = App::small().await;
    let id = app.draft().await;
    let path = format!("/api/v1/videos/{id}/poster");
    let too_large = (413, "too_large".to_owned());
    let headers = [("content-type", "image/png"), ("content-length", "10485761")];
    let declared = app.ask(request("PUT", &path, &headers, ""), Some(&app.editor)).await;
    assert_eq!(declared.problem(), too_large);
    assert_eq!(declared.header("connection"), "close");
    let most = 10 << 20;
    assert_eq!(upload(&app, &id, "image/png", vec![0; most + 1]).await.problem(), too_large);
    assert_eq!(left(&app).await, [""; 0]);
    assert_eq!(upload(&app, &id, "image/png; q=1", vec![0; most]).await.status, 202);
    for kind in ["image/svg+xml", "application/json", "image/jpegs", ""] {
        let refused = upload(&app, &id, kind, "x").await;
        assert_eq!(refused.problem(), (415, "content_type_unsupported".to_owned()), "{kind}");
    }
}

fn fence(row: &Row) -> Fence {
    Fence { id: row.id, attempt: row.attempt }
}

/// Claims the job of the one poster that waits.
async fn claim(app: &App) -> (Row, PosterId) {
    let mut tx = app.world.publishing.db.begin().await.expect("a transaction");
    let claim = Claim { worker: "slow", lease: Duration::from_mins(5), account_cap: 9 };
    let row = job::claim(&mut tx, &claim).await.expect("an answer").expect("a job");
    tx.commit().await.expect("committed");
    let Job::Poster { poster, .. } = row.work.0 else { panic!("{row:?}") };
    (row, poster)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_poster_wins() {
    for mut app in App::both().await {
        let id = app.draft().await;
        let video_id: VideoId = id.parse().expect("an id");
        upload(&app, &id, "image/png", picture("64x64", "older.png")).await;
        let (older, poster) = claim(&app).await;
        upload(&app, &id, "image/jpeg", picture("128x64", "newer.jpg")).await;
        app.world.work();
        let newer = address(&comes_to(&app, &id, "ready").await);
        assert_eq!(judged(&app.get(&newer, None).await.body), "mjpeg,128,64");

        let storage = &app.world.publishing.storage;
        let key = Key::poster(video_id, poster);
        storage.put(&key, Bytes::from_static(b"the older one")).await.expect("stored");
        let still = Still { width: 64, height: 64, size_bytes: 13, nonce: None };
        let late = app.world.publishing.show_poster(fence(&older), (video_id, poster), still).await;
        late.expect("its job is done");
        let after = video(&app, &id).await;
        assert_eq!(address(&after).split('?').next(), newer.split('?').next());
        rests_with(&app, 1).await;

        upload(&app, &id, "image/png", picture("64x32", "newest.png")).await;
        let newest = address(&comes_to(&app, &id, "ready").await);
        assert_eq!(judged(&app.get(&newest, None).await.body), "mjpeg,64,32");
        assert_eq!(app.get(&newer, None).await.problem(), (404, "still_not_found".to_owned()));
        rests_with(&app, 1).await;
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_video_is_not_found() {
    let app = App::small().await;
    let other = stranger(&app).await;
    let id = app.draft().await;
    let path = format!("/api/v1/videos/{id}/poster");
    let ask = async |method, key| {
        let body = if method == "PUT" { "x" } else { "" };
        app.ask(request(method, &path, &[("content-type", "image/png")], body), Some(key)).await
    };
    for method in ["PUT", "DELETE"] {
        assert_eq!(ask(method, &other).await.problem(), (404, "video_not_found".to_owned()));
    }
    app.send(
        "POST",
        &format!("/api/v1/videos/{id}/publish?without_media=true"),
        Some(&app.publisher),
        json!({}),
    )
    .await;
    for (method, status) in [("PUT", 202), ("DELETE", 204)] {
        assert_eq!(ask(method, &app.editor).await.problem(), (403, "role_too_low".to_owned()));
        assert_eq!(ask(method, &app.publisher).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_poster_leaves_no_object() {
    for mut app in App::both().await {
        let id = app.draft().await;
        assert_eq!(remove(&app, &id).await.status, 204, "there is none");
        let small = picture("64x64", "small.png");
        // Before its job has begun, and once it is shown.
        upload(&app, &id, "image/png", small.clone()).await;
        assert_eq!(remove(&app, &id).await.status, 204);
        app.world.work();
        rests_with(&app, 0).await;
        upload(&app, &id, "image/png", small.clone()).await;
        comes_to(&app, &id, "ready").await;
        rests_with(&app, 1).await;
        assert_eq!(remove(&app, &id).await.status, 204);
        let after = video(&app, &id).await;
        assert_eq!((&after["poster_upload"], &after["media"]["poster"]), (&json!(null), &json!(null)));
        assert_eq!(app.world.objects().await, [""; 0]);
        // With its video.
        upload(&app, &id, "image/png", small).await;
        comes_to(&app, &id, "ready").await;
        let gone = app.ask(request("DELETE", &format!("/api/v1/videos/{id}"), &[], ""), Some(&app.editor));
        assert_eq!(gone.await.status, 204);
        rests_with(&app, 0).await;
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poster_of_a_video_that_was_taken_back_gets_a_name_that_nobody_knows() {
    for mut app in App::both().await {
        app.world.work();
        let id = app.draft().await;
        upload(&app, &id, "image/png", picture("64x64", "small.png")).await;
        comes_to(&app, &id, "ready").await;
        rests_with(&app, 1).await;
        let publish = async || {
            let path = format!("/api/v1/videos/{id}/publish?without_media=true");
            assert_eq!(app.send("POST", &path, Some(&app.publisher), json!({})).await.status, 200);
            address(&app.get(&format!("/api/v1/videos/{id}"), None).await.json())
        };
        let (shown, known) = (publish().await, left(&app).await);
        let bytes = app.get(&shown, None).await.body;
        let (path, reason) = (format!("/api/v1/videos/{id}/withdraw"), json!({"reason": "wrong"}));
        assert_eq!(app.send("POST", &path, Some(&app.publisher), reason).await.status, 200);
        rests_with(&app, 1).await;
        assert_ne!(left(&app).await, known);
        let again = publish().await;
        assert_ne!(again, shown);
        assert_eq!(app.get(&again, None).await.body, bytes);
        assert_eq!(app.get(&shown, None).await.status, 404);
        assert_eq!(app.world.publishing.fsck(&CHECK).await.expect("checked"), []);
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_poster_is_found_and_mended_by_the_frame() {
    for mut app in App::both().await {
        app.world.work();
        let id = app.draft().await;
        let video_id: VideoId = id.parse().expect("an id");
        upload(&app, &id, "image/png", picture("64x64", "small.png")).await;
        comes_to(&app, &id, "ready").await;
        rests_with(&app, 1).await;
        let publishing = &app.world.publishing;
        let lost: Key = left(&app).await[0].parse().expect("a name");
        publishing.storage.delete(&lost).await.expect("deleted");
        let orphans = [Key::poster(video_id, PosterId::new()), Key::new_poster(video_id, PosterId::new())];
        for orphan in &orphans {
            publishing.storage.put(orphan, Bytes::from_static(b"x")).await.expect("stored");
        }
        let told = async |repair| {
            let found = publishing.fsck(&Fsck { repair, ..CHECK }).await.expect("checked");
            let mut told: Vec<_> =
                found.into_iter().map(|finding| (finding.kind, finding.key, finding.repaired)).collect();
            told.sort();
            told
        };
        let expected = |repaired| {
            let [made, uploaded] = &orphans;
            let one = |kind: &str, key: &Key| (kind.to_owned(), key.as_str().to_owned(), repaired);
            [one("missing_object", &lost), one("orphan_object", uploaded), one("orphan_object", made)]
        };
        assert_eq!(told(false).await, expected(false));
        assert_eq!(told(true).await, expected(true));
        assert_eq!(told(false).await, []);
        assert_eq!(video(&app, &id).await["media"]["poster"], json!(null));
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poster_whose_job_was_called_off_says_so_and_may_be_tried_again() {
    let mut app = App::small().await;
    let id = app.draft().await;
    upload(&app, &id, "image/png", picture("64x64", "small.png")).await;
    let mut read = app.world.publishing.db.read().await.expect("a connection");
    let jobs = job::list_of_video(read.conn(), id.parse().expect("an id")).await.expect("jobs");
    drop(read);
    app.world.publishing.cancel_job(jobs[0].id).await.expect("called off");
    let told = comes_to(&app, &id, "refused").await;
    assert_eq!(told["poster_upload"]["error"]["code"], "cancelled");
    assert_eq!(app.world.publishing.fsck(&CHECK).await.expect("checked"), []);
    app.world.publishing.retry_job(jobs[0].id).await.expect("queued again");
    app.world.work();
    comes_to(&app, &id, "ready").await;
    app.world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_inflates_to_a_huge_colour_profile_is_a_poster_without_it() {
    let profile = [b"prof".as_slice(), &vec![0; 40 << 20]].concat();
    let movie = clip::with_box(&clip::make(clip::PLAIN, "clip.mp4"), *b"colr", &profile);
    let bomb = clip::remake(&movie, "-frames:v 1", "bomb.png");
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let mut app = App::small().await;
    app.world.work();
    let id = app.world.upload(clip::make(clip::PLAIN, "clip.mp4").into()).await;
    app.world.settled(id).await;
    let reply = upload(&app, &id.to_string(), "image/png", bomb).await;
    assert!(reply.status < 300, "{reply:?}");
    let shown = comes_to(&app, &id.to_string(), "ready").await;
    let poster = app.get(&address(&shown), None).await;
    assert_eq!(judged(&poster.body), "mjpeg,320,180");
    assert!(poster.body.len() < 1 << 20, "{} bytes", poster.body.len());
    let mut read = app.world.publishing.db.read().await.expect("a connection");
    let attempts = job::list_attempts(read.conn(), id).await.expect("attempts");
    assert!(attempts.iter().all(|attempt| attempt.outcome.as_deref() == Some("done")), "{attempts:?}");
}
