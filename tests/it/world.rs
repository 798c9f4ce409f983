//! A whole instance for a test: database, bucket, verbs and a worker, in a folder that goes with it.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::broadcast::Broadcast;
use policast::catalogue::{Db, Pool, video};
use policast::domain::broadcast::DEFAULT_GRACE;
use policast::domain::key::{Caller, Role, Secret};
use policast::domain::media::{MediaState, TICKS_PER_SECOND};
use policast::domain::upload::Door;
use policast::domain::{AccountId, Clock, Language, Texts, VideoId};
use policast::media::cage::CageLimits;
use policast::media::ladder::LadderSettings;
use policast::media::task;
use policast::publishing::{
    AccountDraft, BroadcastDraft, BroadcastPlan, Changes, Finding, Fsck, Incoming, KeyDraft, Limits,
    Publishing, Target, TopicDraft, VideoDraft,
};
use policast::storage::{Checksums, Embedded, Patience, S3Settings, Storage};
use policast::worker;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::faulty::Faults;

/// How long a clip of seconds may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// An instance.
pub struct World {
    pub publishing: Publishing,
    pub operator: Caller,
    _folder: TempDir,
    stop: CancellationToken,
    worker: Option<JoinHandle<()>>,
}

impl World {
    /// SQLite and the embedded S3 server, with one account and one topic.
    pub async fn small() -> Self {
        Self::small_pooled(Pool::default()).await
    }

    async fn small_pooled(pool: Pool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::sqlite_pooled(&folder.path().join("policast.db"), pool).await.expect("SQLite");
        let embedded = Embedded::open(&folder.path().join("objects"), None).await.expect("embedded S3");
        let storage = Storage::embedded(&embedded, "http://127.0.0.1:9");
        Self::over(db, storage, folder).await
    }

    /// PostgreSQL and a real S3 server, both the tests' own.
    pub async fn large() -> Self {
        Self::large_pooled(Pool::default()).await
    }

    async fn large_pooled(pool: Pool) -> Self {
        let db = Db::postgres_pooled(&crate::postgres::database().await, pool).await.expect("PostgreSQL");
        let storage = Storage::connect(&crate::weed::settings().await);
        Self::over(db, storage, tempfile::tempdir().expect("a folder")).await
    }

    /// One of each.
    pub async fn both() -> [Self; 2] {
        [Self::small().await, Self::large().await]
    }

    /// One of each, whose bucket may be told to be out of order.
    pub async fn with_faults() -> [(Self, Faults); 2] {
        let folder = tempfile::tempdir().expect("a folder");
        let embedded = Embedded::open(&folder.path().join("objects"), None).await.expect("embedded S3");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let keys = embedded.credentials().clone();
        let faults = Faults::before(&format!("http://{}", listener.local_addr().expect("an address"))).await;
        tokio::spawn(async move { axum::serve(listener, embedded.router()).await });
        let storage = Storage::connect(&S3Settings {
            endpoint: Some(faults.endpoint.clone()),
            public_endpoint: None,
            bucket: "policast".to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: keys.access_key_id.clone(),
            secret_access_key: keys.secret_access_key.clone(),
            checksums: Checksums::WhenRequired,
            patience: Patience::default(),
        });
        let db = Db::sqlite(&folder.path().join("policast.db")).await.expect("SQLite");
        let small = (Self::over(db, storage, folder).await, faults);

        let settings = crate::weed::settings().await;
        let faults = Faults::before(settings.endpoint.as_deref().expect("an address")).await;
        let storage = Storage::connect(&S3Settings { endpoint: Some(faults.endpoint.clone()), ..settings });
        let db = Db::postgres(&crate::postgres::database().await).await.expect("PostgreSQL");
        let large = Self::over(db, storage, tempfile::tempdir().expect("a folder")).await;
        [small, (large, faults)]
    }

    /// One of each, with pools of this size.
    pub async fn both_pooled(pool: Pool) -> [Self; 2] {
        [Self::small_pooled(pool).await, Self::large_pooled(pool).await]
    }

    /// The names of all objects in the bucket.
    pub async fn objects(&self) -> Vec<String> {
        let page = self.publishing.storage.list("", None).await.expect("a list");
        page.items.into_iter().map(|item| item.key).collect()
    }

    async fn over(db: Db, storage: Storage, folder: TempDir) -> Self {
        db.migrate().await.expect("the schema");
        storage.ensure_bucket().await.expect("a bucket");
        let publishing = Publishing {
            db,
            storage,
            clock: Clock::System,
            limits: Limits::default(),
            changes: Changes::default(),
        };
        let operator = caller(&publishing, None, Role::Admin).await;
        let world =
            Self { publishing, operator, _folder: folder, stop: CancellationToken::new(), worker: None };
        world.furnish().await;
        world
    }

    async fn furnish(&self) {
        let draft = AccountDraft {
            name: english("Test agency"),
            sector: "health".to_owned(),
            level: "municipal".parse().expect("a level"),
            region: "Riverside".to_owned(),
            parent: None,
            max_video_bytes: None,
            quota_bytes: None,
        };
        self.publishing.add_account("agency".parse().expect("a handle"), draft).await.expect("an account");
        let topic = TopicDraft { name: english("Health") };
        self.publishing.add_topic("health".parse().expect("a slug"), topic).await.expect("a topic");
    }

    /// The id of its one account.
    pub async fn agency(&self) -> AccountId {
        let mut read = self.publishing.db.read().await.expect("a connection");
        let handle = "agency".parse().expect("a handle");
        let found = policast::catalogue::account::find_id(read.conn(), &handle).await.expect("an answer");
        found.expect("the account")
    }

    /// Starts the worker.
    pub fn work(&mut self) {
        self.work_within(CageLimits::default());
    }

    /// Starts the worker with other limits for its children.
    pub fn work_within(&mut self, cage: CageLimits) {
        let settings = settings(cage);
        let (publishing, stop) = (self.publishing.clone(), self.stop.clone());
        self.worker = Some(tokio::spawn(worker::run(publishing, settings, stop.clone(), stop)));
    }

    /// Announces a broadcast; it and its stream key.
    pub async fn announce(&self, slate: bool) -> (Broadcast, Secret) {
        let plan = BroadcastPlan { starts_at: None, grace: DEFAULT_GRACE, dvr: None, slate };
        let announced = BroadcastDraft { video: draft(), plan };
        let told = self.publishing.announce_broadcast(self.operator, announced).await;
        let (broadcast, _, key) = told.expect("a broadcast");
        (broadcast, key)
    }

    /// Uploads bytes as a new video.
    pub async fn upload(&self, bytes: Bytes) -> VideoId {
        self.send(Target::New(Box::new(draft())), bytes).await
    }

    /// Uploads bytes as the new source of a video.
    pub async fn replace(&self, id: VideoId, bytes: Bytes) {
        self.send(Target::Video(id), bytes).await;
    }

    async fn send(&self, target: Target, bytes: Bytes) -> VideoId {
        let incoming = Incoming {
            door: Door::Put,
            target,
            partials: Vec::new(),
            length: Some(bytes.len() as u64),
            filename: "clip.mp4".to_owned(),
            metadata: std::collections::BTreeMap::new(),
        };
        let upload = self.publishing.begin_upload(self.operator, incoming).await.expect("an upload");
        let mut receiver =
            self.publishing.receive(self.operator, upload.id, 0, None).await.expect("a receiver");
        receiver.write(bytes).await.expect("written");
        receiver.close().await.expect("finished");
        upload.video_id.expect("a video")
    }

    /// Waits until nothing more happens to the video's media.
    pub async fn settled(&self, id: VideoId) -> video::Video {
        let begun = tokio::time::Instant::now();
        loop {
            let mut read = self.publishing.db.read().await.expect("a connection");
            let video = video::find(read.conn(), id).await.expect("an answer").expect("the video");
            drop(read);
            if matches!(video.media_state, MediaState::Ready | MediaState::Degraded | MediaState::Failed) {
                return video;
            }
            if begun.elapsed() > PATIENCE {
                let story = self.publishing.story(id).await.expect("a story");
                panic!("the video never settled:\n{}", story.lines().join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops the worker and waits for it.
    pub async fn rest(&mut self) {
        self.stop.cancel();
        if let Some(worker) = self.worker.take() {
            worker.await.expect("the worker ends in order");
        }
    }
}

/// What a worker of the tests is told.
pub fn settings(cage: CageLimits) -> worker::Settings {
    worker::Settings {
        name: "test".to_owned(),
        slots: 2,
        lease: Duration::from_secs(30),
        account_cap: 16,
        program: PathBuf::from(env!("CARGO_BIN_EXE_policast")),
        cage,
        limits: task::Limits {
            max_pixels: 1 << 25,
            max_duration: 3600 * TICKS_PER_SECOND,
            ..task::Limits::default()
        },
        ladder: LadderSettings { enable_uhd: false, preset: "ultrafast".to_owned(), passthrough: true },
    }
}

/// Everything `fsck` finds.
pub async fn fsck(world: &World, check: &Fsck) -> Vec<Finding> {
    world.publishing.fsck(check).await.expect("checked")
}

/// A key of an account, or of none, as a verb knows who asks.
pub async fn caller(publishing: &Publishing, account: Option<AccountId>, role: Role) -> Caller {
    let draft = KeyDraft { account, role, label: String::new() };
    let (key, _) = publishing.issue_key(draft).await.expect("a key");
    Caller { key: key.id, role, account }
}

/// What is said of a new video.
pub fn draft() -> VideoDraft {
    VideoDraft {
        account: "agency".parse().expect("a handle"),
        topic: "health".parse().expect("a slug"),
        title: english("A clip"),
        description: Texts::default(),
        language: Language::english(),
    }
}

/// A text in English.
pub fn english(text: &str) -> Texts {
    Texts::one(Language::english(), text)
}
