//! What the catalogue is asked: every list and search, a page of each reprocessing, a claim.

use std::time::Duration;

use policast::catalogue::job::{self, Claim};
use policast::catalogue::overview::{self, Owner};
use policast::catalogue::revision::{self, Selection};
use policast::catalogue::video::{self, Filter, Sight};
use policast::catalogue::{Db, account};
use policast::domain::media::MediaState;
use policast::domain::video::VideoState;
use policast::domain::{AccountId, VideoId};

/// Jobs an account may have running, and so many claims that the largest is at its cap.
const CAP: u32 = 16;
const CLAIMS: u32 = 40;
/// Videos on a page, and looked at in one go by a reprocessing.
const PAGE: u32 = 24;
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
    Claim,
}

/// Every question, for a catalogue of so many videos.
pub fn all(videos: i64) -> Vec<Question> {
    let mut all = lists(videos);
    all.extend(searches());
    all.push(Question { name: "accounts", what: What::Accounts });
    all.extend(selections(videos));
    all.push(Question { name: "claim, one account at its cap", what: What::Claim });
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
            (f.sight, f.account, f.state) = (member(1), handle(1), Some(VideoState::Draft));
        }),
        filter("one's own failed", |f| (f.sight, f.media_state) = (member(1), Some(MediaState::Failed))),
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
        filter("an account and a rare topic", move |f| (f.account, f.topic) = (handle(2), slug("rare"))),
        filter("search: a word of all", move |f| f.tokens = words(&["policy"])),
        filter("search: a word of newer drafts", move |f| f.tokens = words(&["import"])),
        filter("search: a rare word", move |f| f.tokens = words(&["number4711"])),
        filter("search: two frequent words", move |f| f.tokens = words(&["policy", "north"])),
        filter("search: two frequent words that never meet", move |f| f.tokens = words(&["north", "south"])),
        filter("search: two middling words that never meet", move |f| {
            f.tokens = words(&["district3", "district4"]);
        }),
        filter("search: a frequent and a rare word", move |f| f.tokens = words(&["policy", "place99"])),
        filter("search: four words", move |f| {
            f.tokens = words(&["policy", "north", "district4", "street17"]);
        }),
        filter("search in a topic", move |f| {
            (f.topic, f.tokens) = (slug("environment/air"), words(&["north"]));
        }),
        filter("search in one's own account", move |f| {
            (f.sight, f.account, f.tokens) = (member(1), handle(1), words(&["theme4"]));
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
    /// Brings about what it is put to.
    pub async fn prepare(&self, db: &Db) {
        if matches!(self.what, What::Claim) {
            for _ in 0..CLAIMS {
                claim(db, true).await;
            }
        }
    }

    /// Puts it, and reads the whole answer.
    pub async fn put(&self, db: &Db) {
        match &self.what {
            What::Videos(filter) => {
                let mut read = db.read().await.expect("a connection");
                let page = video::list(read.conn(), filter).await.expect("a page");
                let ids: Vec<VideoId> = page.items.iter().map(|video| video.id).collect();
                overview::list(read.conn(), &ids, Owner::Nobody).await.expect("overviews");
            }
            What::Accounts => {
                let filter = account::Filter { limit: PAGE, ..account::Filter::default() };
                let mut read = db.read().await.expect("a connection");
                account::list(read.conn(), &filter).await.expect("a page");
            }
            What::Selection(selection) => {
                let mut read = db.read().await.expect("a connection");
                revision::select(read.conn(), selection, None, SELECTED).await.expect("a page");
            }
            What::Claim => claim(db, false).await,
        }
    }
}

/// Whether it is kept, or taken back so that the next is the same.
async fn claim(db: &Db, is_kept: bool) {
    let claim = Claim { worker: "scale", lease: Duration::from_hours(1), account_cap: CAP };
    let mut tx = db.begin().await.expect("a transaction");
    job::claim(&mut tx, &claim).await.expect("a claim").expect("a job");
    if is_kept {
        tx.commit().await.expect("committed");
    }
}
