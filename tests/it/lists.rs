//! Every list goes along an index: what it reads grows with its page, not with its table. Counted, not timed: by
//! SQLite's virtual machine and by PostgreSQL's statistics of the transaction.

use policast::catalogue::published::{self, Of};
use policast::catalogue::revision::Selection;
use policast::catalogue::video::{Filter, Sight};
use policast::catalogue::{Conn, Db, account, job, revision, upload, video};
use policast::domain::job::{JobKind, JobState};
use policast::domain::media::MediaState;
use policast::domain::topic::Slug;
use policast::domain::video::VideoState;
use policast::domain::{AccountId, Timestamp, VideoId};
use sqlx::Executor;

use crate::bulk::Bulk;
use crate::meter::Meter;

/// Of them the newest half are drafts that never had a source, as after an import.
const VIDEOS: i64 = 20_000;
/// One page is 21 rows here, and of each word of a search up to a thousand entries of the index are counted in each state;
/// a list that goes through a table or an index reads all of it.
const MOST_ROWS: i64 = 8000;
/// What SQLite's machine does for `MOST_ROWS`; going through every video takes more than ten times as much.
const MOST_STEPS: i64 = 60_000;
/// Videos enough for several pages of every kind.
const FEW: i64 = 60;

const TOKENS_OF_ACCOUNTS: &str =
    "insert into video_token (token, video_id) select '@' || account_id, id from video";
/// SQLite has no trigger for what is inserted: the product says the state itself.
pub const STATES_OF_TOKENS: &str =
    "update video_token set state = (select v.state from video v where v.id = video_id)";

/// Numbers from one.
pub fn numbers(db: &Db, last: i64) -> String {
    match db {
        Db::Sqlite { .. } => format!(
            "with recursive n (i) as (select 1 union all select i + 1 from n where i < {last}) select i from n"
        ),
        Db::Pg(_) => format!("select i from generate_series(1, {last}) n (i)"),
    }
}

/// The id of a number.
pub fn id(db: &Db, i: &str) -> String {
    match db {
        Db::Sqlite { .. } => format!("printf('01970000-0000-7000-8000-%012d', {i})"),
        Db::Pg(_) => format!("'01970000-0000-7000-8000-' || lpad(({i})::text, 12, '0')"),
    }
}

/// Account 1 owns every second video; the oldest is the only one withdrawn, failed, of `rare/below` and named `rare`.
pub fn many(db: &Db) -> Vec<String> {
    let id = |i: &str| id(db, i);
    let (one, own, half) = (id("i"), id("case when i % 2 = 0 then 1 else i end"), VIDEOS / 2);
    let numbers = numbers(db, VIDEOS);
    let rare = "case when i = 1 then 1 else 2 end";
    vec![
        format!(
            "insert into account (id, handle, name, sector, level, region, created_at, updated_at)
             select {one}, 'account-' || i, '{{}}', case when i = 7777 then 'rare' else 'health' end,
               case when i in (7777, 8888) then 'central' else 'district' end, '', 0, 0 from ({numbers}) n"
        ),
        format!(
            "insert into topic (id, slug, name, created_at, updated_at)
             select {one}, case i when 1 then 'rare' when 2 then 'health' else 'rare/below' end, '{{}}', 0, 0
             from ({}) n",
            self::numbers(db, 3)
        ),
        format!(
            "insert into video (id, account_id, topic_id, title, description, language, state, poster_alt, media_state,
               created_at, updated_at, upload_id)
             select {one}, {own}, {}, '{{}}', '{{}}', 'en',
               case when i = 1 then 'withdrawn' when i > {half} then 'draft' else 'published' end, '{{}}',
               case when i = 1 then 'failed' when i > {half} then 'waiting' else 'ready' end, 0, 0, {one}
             from ({numbers}) n",
            id("case when i = 1 then 3 else 2 end")
        ),
        format!(
            "insert into video_token (token, video_id) select case {rare} when 1 then 'rare' else 'often' end, {one}
             from ({numbers}) n"
        ),
        format!(
            "insert into video_token (token, video_id) select case {rare} when 1 then '/rare' else '/health' end, {one}
             from ({numbers}) n"
        ),
        format!("insert into video_token (token, video_id) select 'word', {one} from ({numbers}) n"),
        format!(
            "insert into video_token (token, video_id) select 'import', {one} from ({numbers}) n where i > {half} or i = 2"
        ),
        format!(
            "insert into video_token (token, video_id)
             select case i % 2 when 0 then 'even' else 'odd' end, {one} from ({numbers}) n"
        ),
        TOKENS_OF_ACCOUNTS.to_owned(),
        STATES_OF_TOKENS.to_owned(),
        format!(
            "insert into upload (id, video_id, account_id, api_key_id, door, concat, partials, received, part_size,
               tail, fence, state, filename, metadata, created_at, expires_at)
             select {one}, {one}, {own}, '', 'put', 'none', '[]', 1, 1, 0, 0, 'finished', '', '{{}}', 0, 0
             from ({numbers}) n"
        ),
        format!(
            "insert into job (id, kind, lane, position, name, work, video_id, state, attempt, max_attempts, run_at,
               progress, cancel_requested, created_at, finished_at)
             select {one}, case when i = 1 then 'purge' else 'chunk' end, 0, 0, 'name/' || i,
               '{{}}', {one}, case when i = 2 then 'dead' else 'done' end, 1, 1, 0, 1, false, 0, 1000 from ({numbers}) n"
        ),
    ]
}

/// Both engines with what these statements fill them with.
pub async fn filled(filling: fn(&Db) -> Vec<String>) -> Vec<(Db, Option<tempfile::TempDir>)> {
    let both = crate::catalogue::both().await;
    for (db, _) in &both {
        for statement in filling(db) {
            let statement = sqlx::AssertSqlSafe(statement);
            match db {
                Db::Sqlite { write, .. } => write.execute(statement).await.expect("filled").rows_affected(),
                Db::Pg(pool) => pool.execute(statement).await.expect("filled").rows_affected(),
            };
        }
        if let Db::Pg(pool) = db {
            pool.execute("vacuum analyze").await.expect("analysed");
        }
    }
    both
}

/// Asks and refuses a question that reads more than its page.
pub async fn cheap<T>(db: &Db, name: &str, ask: impl AsyncFnOnce(Conn<'_>) -> T) -> T {
    let (answer, cost) = measured(db, ask).await;
    match db {
        Db::Sqlite { .. } => assert!(cost < MOST_STEPS, "SQLite: {name} takes {cost} steps"),
        Db::Pg(_) => assert!(cost < MOST_ROWS, "PostgreSQL: {name} reads {cost} rows"),
    }
    answer
}

/// Asks, and counts SQLite's steps or the rows that PostgreSQL reads.
pub async fn measured<T>(db: &Db, ask: impl AsyncFnOnce(Conn<'_>) -> T) -> (T, i64) {
    let mut tx = db.begin().await.expect("a transaction");
    let meter = Meter::begin(tx.conn()).await;
    let answer = ask(tx.conn()).await;
    (answer, meter.end(tx.conn()).await)
}

fn own() -> AccountId {
    "01970000-0000-7000-8000-000000000001".parse().expect("an id")
}

pub fn narrowed(change: impl FnOnce(&mut Filter)) -> Filter {
    let mut filter = Filter { limit: 20, ..Filter::default() };
    change(&mut filter);
    filter
}

/// What people narrow lists by, and how many videos are on the first page.
fn filters() -> Vec<(&'static str, usize, Filter)> {
    let handle = |text: &str| Some(text.parse().expect("a handle"));
    let slug = |text: &str| Some(text.parse().expect("a slug"));
    let one = |name, count, change: Box<dyn FnOnce(&mut Filter)>| (name, count, narrowed(change));
    vec![
        one("everything", 20, Box::new(|_| ())),
        one("what is published", 20, Box::new(|f| f.sight = Sight::Public)),
        one("a member's", 20, Box::new(|f| f.sight = Sight::Member(own()))),
        one("an account", 20, Box::new(move |f| f.account = handle("account-1"))),
        one("a small account", 1, Box::new(move |f| f.account = handle("account-777"))),
        one("no account", 0, Box::new(move |f| f.account = handle("nobody"))),
        one(
            "an account's published",
            20,
            Box::new(move |f| (f.sight, f.account) = (Sight::Public, handle("account-1"))),
        ),
        one(
            "another's for a member",
            1,
            Box::new(move |f| (f.sight, f.account) = (Sight::Member(own()), handle("account-777"))),
        ),
        one("a topic", 20, Box::new(move |f| f.topic = slug("health"))),
        one("a rare topic", 1, Box::new(move |f| f.topic = slug("rare"))),
        one("a state", 1, Box::new(|f| f.state = Some(VideoState::Withdrawn))),
        one(
            "a member's state",
            1,
            Box::new(|f| (f.sight, f.state) = (Sight::Member(own()), Some(VideoState::Withdrawn))),
        ),
        one("a state of the media", 1, Box::new(|f| f.media_state = Some(MediaState::Failed))),
        one(
            "published of a state",
            0,
            Box::new(|f| (f.sight, f.media_state) = (Sight::Public, Some(MediaState::Failed))),
        ),
        one(
            "published and ready",
            20,
            Box::new(|f| (f.sight, f.media_state) = (Sight::Public, Some(MediaState::Ready))),
        ),
    ]
}

/// The same of searches.
fn searches() -> Vec<(&'static str, usize, Filter)> {
    let handle = |text: &str| Some(text.parse().expect("a handle"));
    let slug = |text: &str| Some(text.parse().expect("a slug"));
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let one = |name, count, change: Box<dyn FnOnce(&mut Filter)>| (name, count, narrowed(change));
    vec![
        one("a word", 20, Box::new(move |f| f.tokens = words(&["word"]))),
        one("a frequent and a rare word", 1, Box::new(move |f| f.tokens = words(&["word", "rare"]))),
        one(
            "a word of a topic",
            1,
            Box::new(move |f| (f.topic, f.tokens) = (slug("rare"), words(&["word"]))),
        ),
        one(
            "a word of newer drafts",
            1,
            Box::new(move |f| (f.sight, f.tokens) = (Sight::Public, words(&["import"]))),
        ),
        one(
            "words of newer drafts",
            1,
            Box::new(move |f| (f.sight, f.tokens) = (Sight::Public, words(&["import", "word"]))),
        ),
        one(
            "a topic with newer drafts",
            20,
            Box::new(move |f| (f.sight, f.topic) = (Sight::Public, slug("health"))),
        ),
        one(
            "an account's rare topic",
            1,
            Box::new(move |f| (f.account, f.topic) = (handle("account-1"), slug("rare"))),
        ),
        one(
            "a search of one's own",
            20,
            Box::new(move |f| {
                (f.sight, f.account, f.tokens) =
                    (Sight::Member(own()), handle("account-1"), words(&["even"]));
            }),
        ),
        one(
            "one's own failed",
            1,
            Box::new(move |f| (f.sight, f.media_state) = (Sight::Member(own()), Some(MediaState::Failed))),
        ),
        one(
            "an account's failed",
            1,
            Box::new(move |f| (f.account, f.media_state) = (handle("account-1"), Some(MediaState::Failed))),
        ),
        one(
            "an account's drafts",
            20,
            Box::new(move |f| (f.account, f.state) = (handle("account-1"), Some(VideoState::Draft))),
        ),
        one(
            "words of an account",
            1,
            Box::new(move |f| (f.account, f.tokens) = (handle("account-777"), words(&["often", "word"]))),
        ),
    ]
}

#[tokio::test]
async fn lists_of_videos_read_no_more_than_their_page() {
    for (db, _folder) in filled(many).await {
        // A plan that is made for any values comes after some for these.
        for (name, count, filter) in (0..7).flat_map(|_| filters().into_iter().chain(searches())) {
            let page = cheap(&db, name, async |conn| video::list(conn, &filter).await.expect("a page")).await;
            assert_eq!(page.items.len(), count, "{}: {name}", db.engine());
            assert_eq!(page.next.is_some(), count == 20, "{}: {name}", db.engine());
            let sorted = page.items.is_sorted_by(|one, next| one.id > next.id);
            assert!(sorted, "{}: {name} is not newest first", db.engine());
        }
    }
}

#[tokio::test]
async fn what_is_public_is_listed_by_its_publication_and_costs_no_more_than_its_page() {
    let filling = |db: &Db| {
        // Published in the opposite order of their ids.
        let turned =
            format!("update video set published_at = {VIDEOS} - created_at where state = 'published'");
        [Bulk::new(db, VIDEOS).statements(), vec![turned]].concat()
    };
    for (db, _folder) in filled(filling).await {
        let (handle, slug) = ("account-2".parse().expect("a handle"), "environment".parse().expect("a slug"));
        for (name, of) in [
            ("everything", Of::Everything),
            ("an agency's", Of::Account(&handle)),
            ("a topic's", Of::Topic(&slug)),
        ] {
            let mut seen: Vec<(Option<Timestamp>, VideoId)> = Vec::new();
            let mut cursor = None;
            for _ in 0..3 {
                let page = cheap(&db, name, async |conn| {
                    published::list(conn, of, cursor, 20).await.expect("a page")
                })
                .await;
                assert_eq!(page.items.len(), 20, "{}: {name}", db.engine());
                seen.extend(page.items.iter().map(|video| (video.published_at, video.id)));
                cursor = page.next.map(|cursor| cursor.parse().expect("a cursor"));
            }
            assert!(seen.is_sorted_by(|one, next| one > next), "{}: {name}: {seen:?}", db.engine());
            assert!(seen[0].1 < seen[59].1, "{}: {name}: by id, not by publication", db.engine());
        }
    }
}

/// Each of them is in half of all videos.
#[tokio::test]
async fn two_frequent_words_that_never_meet_cost_one_walk_through_both() {
    for (db, _folder) in filled(many).await {
        let filter = narrowed(|f| f.tokens = ["even", "odd"].map(str::to_owned).into());
        let (page, cost) =
            measured(&db, async |conn| video::list(conn, &filter).await.expect("a page")).await;
        assert!(page.items.is_empty(), "{}", db.engine());
        let most = match db {
            // In the index alone, but for rows that are too new for the map of what is visible; probing looks each up in both.
            Db::Pg(_) => VIDEOS + MOST_ROWS,
            Db::Sqlite { .. } => VIDEOS * 20,
        };
        assert!(cost < most, "{}: {cost}", db.engine());
    }
}

#[tokio::test]
async fn lists_of_accounts_read_no_more_than_their_page() {
    for (db, _folder) in filled(many).await {
        let filters = [(None, None, 20), (Some("central"), None, 2), (None, Some("rare"), 1)];
        for (level, sector, count) in filters.into_iter().chain([(Some("central"), Some("health"), 1)]) {
            let filter = account::Filter {
                level: level.map(|level| level.parse().expect("a level")),
                sector: sector.map(str::to_owned),
                cursor: None,
                limit: 20,
            };
            let name = format!("{level:?} {sector:?}");
            let page =
                cheap(&db, &name, async |conn| account::list(conn, &filter).await.expect("a page")).await;
            assert_eq!(page.items.len(), count, "{}: {name}", db.engine());
        }
    }
}

#[tokio::test]
async fn lists_of_jobs_and_uploads_read_no_more_than_their_page() {
    for (db, _folder) in filled(many).await {
        let narrowed = |state, kind| job::Filter { state, kind, limit: 20, ..job::Filter::default() };
        let jobs = [
            ("dead jobs", narrowed(Some(JobState::Dead), None)),
            ("purges", narrowed(None, Some(JobKind::Purge))),
            ("finished purges", narrowed(Some(JobState::Done), Some(JobKind::Purge))),
            ("dead purges", narrowed(Some(JobState::Dead), Some(JobKind::Purge))),
        ];
        for (name, filter) in jobs {
            cheap(&db, name, async |conn| {
                // What the filling says of work can't be read: it is counted only.
                drop(job::list(conn, &filter).await);
            })
            .await;
        }
        cheap(&db, "expired uploads", async |conn| {
            assert!(upload::list_expired(conn, Timestamp(i64::MAX), None).await.expect("a list").is_empty());
        })
        .await;
        cheap(&db, "finished jobs", async |conn| job::expire(conn, Timestamp(0)).await.expect("an answer"))
            .await;
        let one =
            Selection { video: Some(own().to_string().parse().expect("an id")), ..Selection::default() };
        let found = cheap(&db, "one video", async |conn| revision::select(conn, &one, None, 20).await).await;
        assert_eq!(found.expect("a selection").videos.len(), 1, "{}", db.engine());
    }
}

/// A few videos of every kind: by their number all of them can be told what they are.
fn few(db: &Db) -> Vec<String> {
    let id = |i: &str| id(db, i);
    let one = id("i");
    // As the migration does it for the videos that were there before.
    let migration = include_str!("../../migrations/postgres/0002_lists.sql");
    let start = migration.find("insert into video_token").expect("the topics' tokens");
    vec![
        format!(
            "insert into account (id, handle, name, sector, level, region, created_at, updated_at)
             select {one}, 'account-' || i, '{{}}', '', 'district', '', 0, 0 from ({}) n",
            numbers(db, 3)
        ),
        format!(
            "insert into topic (id, slug, name, created_at, updated_at)
             select {one}, case i when 1 then 'air' when 2 then 'air/clean' else 'air-fare' end, '{{}}', 0, 0
             from ({}) n",
            numbers(db, 3)
        ),
        format!(
            "insert into video (id, account_id, topic_id, title, description, language, state, poster_alt, media_state,
               created_at, updated_at)
             select {one}, {}, {}, '{{}}', '{{}}', 'en',
               case i % 4 when 0 then 'draft' when 1 then 'withdrawn' else 'published' end, '{{}}',
               case i % 5 when 0 then 'failed' else 'ready' end, 0, 0 from ({}) n",
            id("1 + i % 3"),
            id("1 + i / 2 % 3"),
            numbers(db, FEW)
        ),
        format!("insert into video_token (token, video_id) select 'all', {one} from ({}) n", numbers(db, FEW)),
        format!(
            "insert into video_token (token, video_id) select 'even', {one} from ({}) n where i % 2 = 0",
            numbers(db, FEW)
        ),
        migration[start..].to_owned(),
        TOKENS_OF_ACCOUNTS.to_owned(),
        STATES_OF_TOKENS.to_owned(),
        format!("update video set deleted_at = 1, state = 'deleted' where id = {}", id("7")),
    ]
}

/// Whether the list has the video of a number, told from `few`.
fn lists(filter: &Filter, i: i64) -> bool {
    let account = format!("account-{}", 1 + i % 3);
    let topic = ["air", "air/clean", "air-fare"][usize::try_from(i / 2 % 3).expect("small")];
    let state = [VideoState::Draft, VideoState::Withdrawn, VideoState::Published, VideoState::Published]
        [usize::try_from(i % 4).expect("small")];
    let media_state = if i % 5 == 0 { MediaState::Failed } else { MediaState::Ready };
    let seen = match filter.sight {
        Sight::Everything => true,
        Sight::Public => state == VideoState::Published,
        Sight::Member(_) => state == VideoState::Published || account == "account-1",
    };
    let below = |slug: &Slug| topic == slug.as_str() || topic.starts_with(&format!("{slug}/"));
    seen && i != 7
        && filter.account.as_ref().is_none_or(|handle| handle.as_str() == account)
        && filter.topic.as_ref().is_none_or(below)
        && filter.state.is_none_or(|one| one == state)
        && filter.media_state.is_none_or(|one| one == media_state)
        && filter.tokens.iter().all(|token| token == "all" || i % 2 == 0)
}

/// Everything a list can be narrowed by, with everything else.
fn combinations() -> Vec<Filter> {
    let mut filters = Vec::new();
    for sight in [Sight::Everything, Sight::Public, Sight::Member(own())] {
        for account in [None, Some("account-1"), Some("account-2")] {
            for topic in [None, Some("air"), Some("air/clean")] {
                for state in [None, Some(VideoState::Draft), Some(VideoState::Published)] {
                    for (media_state, tokens) in [
                        (None, vec![]),
                        (Some(MediaState::Failed), vec![]),
                        (None, vec!["all".to_owned(), "even".to_owned()]),
                        (Some(MediaState::Ready), vec!["even".to_owned()]),
                    ] {
                        let account = account.map(|handle| handle.parse().expect("a handle"));
                        let topic = topic.map(|slug| slug.parse().expect("a slug"));
                        filters.push(Filter {
                            sight,
                            account,
                            topic,
                            state,
                            media_state,
                            tokens,
                            cursor: None,
                            limit: 7,
                        });
                    }
                }
            }
        }
    }
    filters
}

#[tokio::test]
async fn pages_have_every_video_once_however_they_are_narrowed() {
    for (db, _folder) in filled(few).await {
        let mut read = db.read().await.expect("a connection");
        for mut filter in combinations() {
            let expected: Vec<i64> = (1..=FEW).rev().filter(|i| lists(&filter, *i)).collect();
            let mut found = Vec::new();
            loop {
                let page = video::list(read.conn(), &filter).await.expect("a page");
                found.extend(page.items.iter().map(|video| number(video.id)));
                let Some(next) = page.next else { break };
                filter.cursor = Some(next.parse().expect("a cursor"));
            }
            assert_eq!(found, expected, "{}: {filter:?}", db.engine());
        }
    }
}

fn number(id: VideoId) -> i64 {
    id.to_string()[24..].parse().expect("a number")
}
