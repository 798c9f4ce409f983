//! The names of objects: nobody guesses them, and whoever has seen one of a video that was taken back finds nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use policast::catalogue::pack::{self, Pack};
use policast::catalogue::revision::{self, Still as Row};
use policast::domain::{Nonce, PosterId, VideoId};
use policast::publishing::Fsck;
use policast::storage::{Folder, Key, Still};
use serde_json::json;

use crate::app::App;
use crate::play::{addresses, ready};
use crate::world::World;

const CHECK: Fsck = Fsck { rehash: true, repair: false, grace: Duration::ZERO };

/// How long a rename may take on a busy machine; a worker that stopped would be waited for without end.
const RENAMED: Duration = Duration::from_mins(5);

/// The names of what viewers are shown.
async fn shown(world: &World) -> BTreeSet<String> {
    let names = world.objects().await.into_iter();
    names.filter(|name| name.starts_with("media/") || name.starts_with("stills/")).collect()
}

/// Waits until nothing is left under these names.
async fn gone(world: &World, before: &BTreeSet<String>) {
    let begun = tokio::time::Instant::now();
    while !shown(world).await.is_disjoint(before) {
        assert!(begun.elapsed() < RENAMED, "the old names are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every address of a public video's media, each with its bytes.
async fn media(app: &App, id: &str) -> Vec<(String, bytes::Bytes)> {
    let master = format!("/play/{id}/master.m3u8");
    let mut found = Vec::new();
    for playlist in addresses(&master, &app.get(&master, None).await.text()) {
        for address in addresses(&playlist, &app.get(&playlist, None).await.text()) {
            let reply = app.get(&address, None).await;
            assert_eq!(reply.status, 200, "{address}");
            found.push((address, reply.body));
        }
    }
    for still in ["poster.jpg", "storyboard.jpg"] {
        let address = format!("/play/{id}/1/{still}");
        let reply = app.get(&address, None).await;
        assert_eq!(reply.status, 200, "{address}");
        found.push((address, reply.body));
    }
    found
}

async fn publish(app: &App, id: &str) {
    let path = format!("/api/v1/videos/{id}/publish?without_media=true");
    assert_eq!(app.send("POST", &path, Some(&app.publisher), json!({})).await.status, 200);
}

async fn withdraw(app: &App, id: &str) {
    let path = format!("/api/v1/videos/{id}/withdraw");
    let reason = json!({"reason": "wrong"});
    assert_eq!(app.send("POST", &path, Some(&app.publisher), reason).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_has_names_that_nobody_knows_and_plays_on_once_it_is_public_again() {
    for mut app in App::both().await {
        let id = ready(&mut app).await;
        publish(&app, &id).await;
        let (before, played) = (shown(&app.world).await, media(&app, &id).await);
        let guessed = [format!("media/{id}/1/"), format!("stills/{id}/1/")];
        assert!(
            before.iter().all(|name| guessed.iter().all(|prefix| !name.starts_with(prefix))),
            "{before:?}"
        );
        withdraw(&app, &id).await;
        gone(&app.world, &before).await;
        publish(&app, &id).await;
        for (address, bytes) in &played {
            let reply = app.get(address, None).await;
            assert_eq!((reply.status, &reply.body), (200, bytes), "{address}, as a running viewer has it");
        }
        assert_eq!(shown(&app.world).await.len(), before.len());
        assert_eq!(app.world.publishing.fsck(&CHECK).await.expect("checked"), []);
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_was_cut_off_anywhere_goes_on() {
    let mut app = App::small().await;
    let id = ready(&mut app).await;
    app.world.rest().await;
    publish(&app, &id).await;
    let played = media(&app, &id).await;
    let video: VideoId = id.parse().expect("an id");
    let (publishing, to) = (&app.world.publishing, (Nonce::random(), PosterId::new()));
    // Copied, and not yet in its row; in its row, and the old one still there.
    let packs = list(&app.world, video).await;
    for (pack, rowed) in [(&packs[0], false), (&packs[1], true)] {
        let new = Pack { nonce: Some(to.0), ..pack.clone() };
        publishing.storage.copy(&key(video, pack), &key(video, &new)).await.expect("copied");
        if rowed {
            let init = Key::init(folder(video, pack.nonce), &pack.rung);
            publishing.storage.copy(&init, &init.inside(folder(video, new.nonce))).await.expect("copied");
            keep(&app.world, video, &new).await;
        }
    }
    for _ in 0..2 {
        publishing.rename(video, to).await.expect("renamed");
        assert!(shown(&app.world).await.iter().all(|name| name.contains(&to.0.to_string())));
        assert_eq!(publishing.fsck(&CHECK).await.expect("checked"), []);
    }
    for (address, bytes) in &played {
        assert_eq!(app.get(address, None).await.body, bytes, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_release_made_plays_and_gets_names_that_nobody_guesses_when_it_is_taken_back() {
    for mut app in App::both().await {
        let id = ready(&mut app).await;
        app.world.rest().await;
        publish(&app, &id).await;
        let played = media(&app, &id).await;
        let video: VideoId = id.parse().expect("an id");
        as_it_was(&app.world, video).await;
        let guessed = [format!("media/{id}/1/"), format!("stills/{id}/1/")];
        let named = |name: &String| guessed.iter().any(|prefix| name.starts_with(prefix));
        assert!(shown(&app.world).await.iter().all(named));
        app.world.publishing.changes.tell(video);
        assert_eq!(app.world.publishing.fsck(&CHECK).await.expect("checked"), []);
        for (address, bytes) in &played {
            assert_eq!(app.get(address, None).await.body, bytes, "{address}");
        }
        app.world.publishing.rename(video, (Nonce::random(), PosterId::new())).await.expect("renamed");
        assert!(!shown(&app.world).await.iter().any(named));
        assert_eq!(app.world.publishing.fsck(&CHECK).await.expect("checked"), []);
        for (address, bytes) in &played {
            assert_eq!(app.get(address, None).await.body, bytes, "{address}");
        }
    }
}

/// Names everything of revision 1 as it was named before there were nonces.
async fn as_it_was(world: &World, video: VideoId) {
    let storage = &world.publishing.storage;
    let names: Vec<Key> = shown(world).await.iter().map(|name| name.parse().expect("a name")).collect();
    for name in &names {
        storage.copy(name, &name.inside(folder(video, None))).await.expect("copied");
    }
    for pack in list(world, video).await {
        keep(world, video, &Pack { nonce: None, ..pack }).await;
    }
    let mut tx = world.publishing.db.begin().await.expect("a transaction");
    let found = revision::find(tx.conn(), video, 1).await.expect("an answer").expect("the revision");
    let bare = |row: Option<sqlx::types::Json<Row>>| row.map(|row| Row { nonce: None, ..row.0 });
    let (poster, storyboard) = (bare(found.poster), bare(found.storyboard));
    let id = (video, 1);
    revision::set_stills(tx.conn(), id, poster.as_ref(), storyboard.as_ref()).await.expect("kept");
    tx.commit().await.expect("committed");
    for name in &names {
        storage.delete(name).await.expect("deleted");
    }
    let poster = Key::still(folder(video, None), Still::Poster);
    assert!(storage.head(&poster).await.expect("an answer").is_some());
}

async fn list(world: &World, video: VideoId) -> Vec<Pack> {
    let mut read = world.publishing.db.read().await.expect("a connection");
    pack::list(read.conn(), (video, 1), None).await.expect("packs")
}

async fn keep(world: &World, video: VideoId, pack: &Pack) {
    let mut tx = world.publishing.db.begin().await.expect("a transaction");
    pack::set_nonce(tx.conn(), (video, 1), pack).await.expect("kept");
    tx.commit().await.expect("committed");
}

fn folder(video: VideoId, nonce: Option<Nonce>) -> Folder {
    Folder { video, revision: 1, nonce }
}

fn key(video: VideoId, pack: &Pack) -> Key {
    let (first, attempt) = (pack.first_segment.try_into(), pack.attempt.try_into());
    Key::pack(folder(video, pack.nonce), &pack.rung, first.expect("small"), attempt.expect("small"))
}
