//! What the catalogue is asked: every list and search, a page of each reprocessing, a claim.

use std::time::Duration;

use policast::catalogue::job::{self, Claim};
use policast::catalogue::overview::{self, Owner};
use policast::catalogue::revision::{self, Selection};
use policast::catalogue::video::{self, Filter, Sight};
use policast::catalogue::{Conn, Db, account};
use policast::domain::media::MediaState;
use policast::domain::video::VideoState;
use policast::domain::{AccountId, VideoId};
use sqlx::Executor;

/// Jobs an account may have running.
const CAP: u32 = 16;
/// Brings the largest account, whose turn is the first, to its cap, and lets the queue know every account that waits.
const AT_THE_CAP: [&str; 3] = [
    "update job set state = 'running', ready = false, attempt = 1, lease_until = 9999999999999, lease_by = 'scale'
     where id in (select id from job where account_id = '01970000-0000-7000-8000-000000000002' order by id limit 16)",
    "insert into job_flow (flow, turn, served, waiting) select flow, 0, 0, true from job_arrival",
    "delete from job_arrival",
];
/// Videos on a page, and looked at in one go by a reprocessing.
const PAGE: u32 = 24;
/// The same where the small catalogue has no more: what is compared is one full page with another.
const SHORT_PAGE: u32 = 10;
const SHORTEST_PAGE: u32 = 5;
const SELECTED: u32 = 200;

/// A question and its name.
pub struct Question {
    pub name: &'static str,
    what: What,
}

enum What {
    Videos(Box<Filter>),
    Accounts,
    Selection(Selection),
    /// One account is at its cap, or others arrive.
    Claim {
        at_the_cap: bool,
    },
}

/// Every question, for a catalogue of so many videos.
pub fn all(videos: i64) -> Vec<Question> {
    let mut all = lists(videos);
    all.extend(searches());
    all.push(Question { name: "accounts", what: What::Accounts });
    all.extend(selections(videos));
    let claim = |name, at_the_cap| Question { name, what: What::Claim { at_the_cap } };
    all.push(claim("claim, a hundred accounts arriving", false));
    all.push(claim("claim, one account at its cap", true));
    all
}

fn filter(name: &'static str, change: impl FnOnce(&mut Filter)) -> Question {
    let mut filter = Filter { sight: Sight::Public, limit: PAGE, ..Filter::default() };
    change(&mut filter);
    Question { name, what: What::Videos(Box::new(filter)) }
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(i: i64) -> T {
    format!("01970000-0000-7000-8000-{i:012}").parse().expect("an id")
}

fn member(i: i64) -> Sight {
    Sight::Member(number::<AccountId>(i))
}

fn lists(videos: i64) -> Vec<Question> {
    let handle = |i: i64| Some(format!("account-{i}").parse().expect("a handle"));
    vec![
        filter("home", |_| ()),
        filter("home, in the middle", move |f| f.cursor = Some(number(videos / 2))),
        filter("everything, for an operator", |f| f.sight = Sight::Everything),
        filter("a member's", |f| f.sight = member(1)),
        filter("an account, public", move |f| f.account = handle(2)),
        filter("a small account, public", move |f| f.account = handle(77)),
        filter("one's own account", move |f| (f.sight, f.account) = (member(1), handle(1))),
        filter("one's own drafts", move |f| {
            (f.sight, f.account, f.state) = (member(2), handle(2), Some(VideoState::Draft));
            f.limit = SHORTEST_PAGE;
        }),
        filter("one's own failed", move |f| {
            (f.sight, f.account, f.media_state) = (member(2), handle(2), Some(MediaState::Failed));
            f.limit = SHORT_PAGE;
        }),
        filter("withdrawn, for an operator", |f| {
            (f.sight, f.state) = (Sight::Everything, Some(VideoState::Withdrawn));
        }),
        filter("failed, for an operator", |f| {
            (f.sight, f.media_state) = (Sight::Everything, Some(MediaState::Failed));
        }),
    ]
}

fn searches() -> Vec<Question> {
    let handle = |i: i64| Some(format!("account-{i}").parse().expect("a handle"));
    let slug = |text: &str| Some(text.parse().expect("a slug"));
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    vec![
        filter("a topic", move |f| f.topic = slug("environment")),
        filter("a rare topic", move |f| f.topic = slug("rare")),
        filter("an account and a rare topic", move |f| {
            (f.account, f.topic, f.limit) = (handle(2), slug("rare"), SHORT_PAGE);
        }),
        filter("search: a word of all", move |f| f.tokens = words(&["policy"])),
        filter("search: a word of newer drafts", move |f| f.tokens = words(&["import"])),
        filter("search: a rare word", move |f| f.tokens = words(&["number4711"])),
        filter("search: two frequent words", move |f| f.tokens = words(&["policy", "north"])),
        filter("search: two frequent words that never meet", move |f| f.tokens = words(&["north", "south"])),
        filter("search: two middling words that never meet", move |f| {
            f.tokens = words(&["district3", "district4"]);
        }),
        filter("search: a frequent and a rare word", move |f| f.tokens = words(&["policy", "rare"])),
        filter("search: four words", move |f| {
            f.tokens = words(&["policy", "north", "district4", "theme4"]);
        }),
        filter("search: four words that never meet", move |f| {
            f.tokens = words(&["policy", "south", "district4", "street17"]);
        }),
        filter("search in a topic", move |f| {
            (f.topic, f.tokens) = (slug("environment/air"), words(&["north"]));
        }),
        filter("search in one's own account", move |f| {
            (f.sight, f.account, f.tokens) = (member(2), handle(2), words(&["theme4"]));
            f.limit = SHORT_PAGE;
        }),
        filter("search for a member", move |f| (f.sight, f.tokens) = (member(1), words(&["policy"]))),
    ]
}

fn selections(videos: i64) -> Vec<Question> {
    let one = |name, selection| Question { name, what: What::Selection(selection) };
    let none = Selection::default;
    vec![
        one("reprocess --all", none()),
        one("reprocess --account", Selection { account: "account-2".parse().ok(), ..none() }),
        one("reprocess --topic", Selection { topic: "environment".parse().ok(), ..none() }),
        one("reprocess --state failed", Selection { state: Some(MediaState::Failed), ..none() }),
        one("reprocess --missing-only", Selection { missing_only: true, ..none() }),
        one("reprocess --ladder-before, none is", Selection { ladder_before: Some(1), ..none() }),
        one("reprocess --video", Selection { video: Some(number(videos / 2)), ..none() }),
    ]
}

impl Question {
    /// Words are searched for.
    pub fn is_search(&self) -> bool {
        matches!(&self.what, What::Videos(filter) if !filter.tokens.is_empty())
    }

    /// Brings about what it is put to.
    pub async fn prepare(&self, db: &Db) {
        if matches!(self.what, What::Claim { at_the_cap: true }) {
            for statement in AT_THE_CAP {
                match db {
                    Db::Sqlite { write, .. } => write.execute(statement).await.map(drop).expect("prepared"),
                    Db::Pg(pool) => pool.execute(statement).await.map(drop).expect("prepared"),
                }
            }
        }
    }

    /// Puts it, and reads the whole answer; how many rows that has.
    pub async fn put(&self, db: &Db) -> usize {
        match &self.what {
            What::Videos(filter) => {
                let mut read = db.read().await.expect("a connection");
                let page = video::list(read.conn(), filter).await.expect("a page");
                let ids: Vec<VideoId> = page.items.iter().map(|video| video.id).collect();
                overview::list(read.conn(), &ids, Owner::Nobody).await.expect("overviews").len()
            }
            What::Accounts => {
                let filter = account::Filter { limit: PAGE, ..account::Filter::default() };
                let mut read = db.read().await.expect("a connection");
                account::list(read.conn(), &filter).await.expect("a page").items.len()
            }
            What::Selection(selection) => {
                let mut read = db.read().await.expect("a connection");
                let page = revision::select(read.conn(), selection, None, SELECTED).await.expect("a page");
                page.videos.len()
            }
            What::Claim { .. } => claim(db).await,
        }
    }
}

/// It is taken back, so that the next is the same.
async fn claim(db: &Db) -> usize {
    let claim = Claim { worker: "scale", lease: Duration::from_hours(1), account_cap: CAP };
    let mut tx = db.begin().await.expect("a transaction");
    let claimed = job::claim(&mut tx, &claim).await.expect("a claim");
    // Waited for: a transaction that is merely dropped goes back behind the next claim's back, with all it locked.
    match tx.conn() {
        Conn::Sqlite(conn) => conn.execute("rollback").await.map(drop).expect("taken back"),
        Conn::Pg(conn) => conn.execute("rollback").await.map(drop).expect("taken back"),
    }
    claimed.into_iter().count()
}
