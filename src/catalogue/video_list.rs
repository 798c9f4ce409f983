//! Lists and searches of videos: one statement a page, put together from parts that each go along one index.

use sqlx::AssertSqlSafe;

use super::frequency::{self, Frequency, Question, Rarity};
use super::search::{account_token, topic_token};
use super::video::{COLUMNS, Video};
use super::{Conn, Error, Page, account, on};
use crate::domain::account::Handle;
use crate::domain::media::MediaState;
use crate::domain::topic::Slug;
use crate::domain::video::VideoState;
use crate::domain::{AccountId, VideoId};

/// Words of a search that count, besides the topic.
const WORDS: usize = 4;
/// Videos of the rarest of several frequent words that a page looks through: a few, which fill it where the words meet now
/// and then, and more only where they don't. A page may be empty after them, and the next one goes on from there.
const WINDOWS: [i64; 2] = [500, 4500];

/// A statement with its values, for either engine. Not kept prepared: PostgreSQL then plans it for these values, not for any.
macro_rules! filled {
    ($values:expr, $statement:expr) => {{
        let (values, statement): (&Values<'_>, Statement) = ($values, $statement);
        let mut query = sqlx::query_as(AssertSqlSafe(statement.text)).persistent(false);
        for place in statement.places {
            query = match place {
                Place::Cursor => query.bind(values.cursor),
                Place::Window => query.bind(values.window),
                Place::Floor => query.bind(values.floor),
                Place::Limit => query.bind(i64::from(values.filter.limit) + 1),
                Place::Account(account) => query.bind(values.account(account)),
                Place::AccountToken(account) => query.bind(values.account(account).map(account_token)),
                Place::MediaState => query.bind(values.filter.media_state),
                Place::Token(i) => query.bind(&values.tokens[i]),
            };
        }
        query
    }};
}
/// Every kind of part, to be prepared as a check of the schema.
pub(super) fn statements(is_sqlite: bool) -> Vec<String> {
    let word = || vec![Place::Token(0), Place::Token(1)];
    let accounts = [None, Some(Account::Asked)];
    let listed = accounts.map(|of| Part {
        scope: (of, VideoState::ALL.first().copied()),
        lead: Lead::Video,
        tokens: vec![],
        is_long: false,
    });
    let searched = [Lead::Token, Lead::Merge].map(|lead| Part {
        tokens: word(),
        lead,
        is_long: true,
        ..listed[0].clone()
    });
    let everything = Part { scope: (None, None), ..listed[0].clone() };
    let parts = listed.into_iter().chain(searched).chain([everything]);
    let narrow = Narrowing { of_media: true, has_cursor: true, has_floor: true };
    let kinds = parts.flat_map(|part| [Narrowing::default(), narrow].map(|kind| (part.clone(), kind)));
    let both = kinds.flat_map(|(part, kind)| {
        let mut texts = vec![Statement::new(is_sqlite, std::slice::from_ref(&part), kind).text];
        texts.extend(Statement::floor(is_sqlite, &[part], kind).map(|floor| floor.text));
        texts
    });
    both.collect()
}

/// Whose list it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sight {
    /// All there is.
    #[default]
    Everything,
    /// What is published.
    Public,
    /// What is published, and all of this account.
    Member(AccountId),
}

/// What a list of videos is narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub sight: Sight,
    pub account: Option<Handle>,
    /// This topic and all below it.
    pub topic: Option<Slug>,
    pub state: Option<VideoState>,
    pub media_state: Option<MediaState>,
    /// Tokens that must all be there; the first four count.
    pub tokens: Vec<String>,
    pub cursor: Option<VideoId>,
    pub limit: u32,
}

/// A page of videos, newest first: one statement, one before it that counts where there are several ways to begin, and one
/// that says how far back a page of frequent words looks. Such a page may have fewer than asked for, or none, and go on.
pub async fn list(mut conn: Conn<'_>, filter: &Filter) -> Result<Page<Video>, Error> {
    let own = match filter.sight {
        Sight::Member(id) => Some(id),
        Sight::Everything | Sight::Public => None,
    };
    let topic = filter.topic.iter().map(topic_token);
    let tokens: Vec<String> = topic.chain(filter.tokens.iter().take(WORDS).cloned()).collect();
    let sources = tokens.len() + usize::from(own.is_some()) + usize::from(filter.media_state.is_some());
    let searched = !tokens.is_empty();
    let counts = if searched && (sources > 1 || filter.account.is_some()) {
        let states = states(filter);
        let question = Question { tokens: &tokens, account: filter.account.as_ref(), own, states: &states };
        frequency::list(conn.again(), &question).await?
    } else {
        Vec::new()
    };
    let account = match &filter.account {
        Some(handle) if searched => Some(counts.iter().find_map(|count| count.account(handle))),
        Some(handle) => Some(account::find_id(conn.again(), handle).await?),
        None => None,
    };
    // Nobody has an account of that name.
    let account = match account {
        Some(None) => return Ok(Page { items: Vec::new(), next: None }),
        known => known.flatten(),
    };
    let mut values =
        Values { filter, account, own, tokens: &tokens, cursor: filter.cursor, floor: None, window: 0 };
    let parts: Vec<Part> = scopes(filter, account, searched)
        .into_iter()
        .map(|scope| Part::plan(scope, &values, &counts))
        .collect();
    if parts.is_empty() {
        return Ok(Page { items: Vec::new(), next: None });
    }
    let mut rows = Vec::new();
    for window in WINDOWS {
        rows.extend(values.look(conn.again(), &parts, window).await?);
        if rows.len() > filter.limit as usize || values.cursor.is_none() {
            break;
        }
    }
    let page = Page::of(rows, filter.limit, |video: &Video| video.id.to_string());
    Ok(Page { next: page.next.or(values.cursor.map(|cursor| cursor.to_string())), ..page })
}

/// The states that a list may have.
fn states(filter: &Filter) -> Vec<VideoState> {
    match (filter.state, filter.sight) {
        (Some(state), _) => vec![state],
        (None, Sight::Public) => vec![VideoState::Published],
        (None, Sight::Everything | Sight::Member(_)) => VideoState::ALL.to_vec(),
    }
}

/// The account that a part is narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    /// The filter's.
    Asked,
    /// The reader's own.
    Own,
}

/// Videos of one account and of one state; `None`: of any.
type Scope = (Option<Account>, Option<VideoState>);

/// What the reader may see, in parts that each lie together in an index.
fn scopes(filter: &Filter, account: Option<AccountId>, searched: bool) -> Vec<Scope> {
    let asked = account.map(|_| Account::Asked);
    let all = |account| VideoState::ALL.iter().map(|state| (account, Some(*state))).collect::<Vec<_>>();
    let public = (asked, Some(VideoState::Published));
    let mut scopes = match filter.sight {
        Sight::Member(own) if account.is_some_and(|account| account != own) => vec![public],
        Sight::Public => vec![public],
        Sight::Member(_) if account.is_none() => {
            let mut scopes = all(Some(Account::Own));
            scopes.retain(|(_, state)| *state != Some(VideoState::Published));
            scopes.push(public);
            scopes
        }
        // Only what is narrowed by nothing goes along the ids; every other index has a state before them.
        Sight::Everything | Sight::Member(_)
            if filter.state.is_none() && (searched || asked.is_some() || filter.media_state.is_some()) =>
        {
            all(asked)
        }
        Sight::Everything | Sight::Member(_) => vec![(asked, filter.state)],
    };
    scopes.retain(|(_, state)| filter.state.is_none() || filter.state == *state);
    scopes
}

/// Where a part begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// Along an index of videos; nothing is searched for.
    Video,
    /// Along the first token; each video is looked up in the others.
    Token,
    /// Along all ranges at once: two frequent words that never meet cost one walk through both.
    Merge,
}

/// A part of a list: all of one scope that has the tokens.
#[derive(Debug, Clone)]
struct Part {
    scope: Scope,
    lead: Lead,
    /// The rarest first; an account is a token too.
    tokens: Vec<Place>,
    /// Whether so many videos have the rarest, and must have others, that a page looks through a window of them.
    is_long: bool,
}

impl Part {
    /// Begins with what is rarest in the part's state.
    fn plan(scope: Scope, values: &Values<'_>, counts: &[Frequency]) -> Self {
        let of = |is_it: &dyn Fn(&Frequency) -> bool| {
            counts.iter().find(|count| is_it(count)).map_or(Rarity::UNKNOWN, Frequency::rarity)
        };
        let mut tokens: Vec<(Rarity, Place)> = (values.tokens.iter().enumerate())
            .map(|(i, token)| (of(&|count| count.is_of(token, scope.1)), Place::Token(i)))
            .collect();
        if let Some(account) = scope.0.filter(|_| !tokens.is_empty()) {
            let id = values.account(account);
            tokens.push((of(&|count| count.is_of_account(id, scope.1)), Place::AccountToken(account)));
        }
        tokens.sort_by(|(one, _), (other, _)| one.order(other));
        let (rarities, tokens): (Vec<Rarity>, Vec<Place>) = tokens.into_iter().unzip();
        let ranges = tokens.len() + usize::from(values.filter.media_state.is_some());
        let lead = match ranges {
            _ if tokens.is_empty() => Lead::Video,
            1 => Lead::Token,
            _ if Rarity::is_worth_lookups(&rarities, ranges - 1) => Lead::Token,
            _ => Lead::Merge,
        };
        let is_long = ranges > 1 && rarities.first().is_some_and(Rarity::is_frequent);
        Self { scope, lead, tokens, is_long }
    }
}

/// A value that a statement has a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Cursor,
    Floor,
    Window,
    Limit,
    Account(Account),
    AccountToken(Account),
    MediaState,
    Token(usize),
}

/// What the places of a statement are filled with.
struct Values<'a> {
    filter: &'a Filter,
    account: Option<AccountId>,
    own: Option<AccountId>,
    tokens: &'a [String],
    /// Only what is older.
    cursor: Option<VideoId>,
    /// Nothing that is older.
    floor: Option<VideoId>,
    /// Videos of the rarest token down to the floor.
    window: i64,
}

impl Values<'_> {
    fn account(&self, account: Account) -> Option<AccountId> {
        match account {
            Account::Asked => self.account,
            Account::Own => self.own,
        }
    }

    /// What is in the next window; the cursor is at its end then, or `None` where nothing is left.
    async fn look(&mut self, mut conn: Conn<'_>, parts: &[Part], window: i64) -> Result<Vec<Video>, Error> {
        let is_sqlite = matches!(conn, Conn::Sqlite(_));
        let narrowing = Narrowing {
            of_media: self.filter.media_state.is_some(),
            has_cursor: self.cursor.is_some(),
            has_floor: false,
        };
        self.window = window;
        self.floor = match Statement::floor(is_sqlite, parts, narrowing) {
            Some(statement) => self.floor(conn.again(), statement).await?,
            None => None,
        };
        let narrowing = Narrowing { has_floor: self.floor.is_some(), ..narrowing };
        let rows = self.list(conn, Statement::new(is_sqlite, parts, narrowing)).await?;
        self.cursor = self.floor;
        Ok(rows)
    }

    async fn list(&self, conn: Conn<'_>, statement: Statement) -> Result<Vec<Video>, Error> {
        Ok(on!(conn, c => filled!(self, statement).fetch_all(c).await?))
    }

    async fn floor(&self, conn: Conn<'_>, statement: Statement) -> Result<Option<VideoId>, Error> {
        let (floor,) = on!(conn, c => filled!(self, statement).fetch_one(c).await?);
        Ok(floor)
    }
}

/// What all parts of a statement are narrowed by.
#[derive(Debug, Clone, Copy, Default)]
struct Narrowing {
    of_media: bool,
    has_cursor: bool,
    has_floor: bool,
}

/// A statement and what its places stand for, in order.
#[derive(Debug, Default)]
struct Statement {
    text: String,
    places: Vec<Place>,
    is_sqlite: bool,
    narrowing: Narrowing,
}

impl Statement {
    fn new(is_sqlite: bool, parts: &[Part], narrowing: Narrowing) -> Self {
        let mut statement = Self { is_sqlite, narrowing, ..Self::default() };
        let parts: Vec<String> = parts.iter().map(|part| statement.part(part)).collect();
        let ids = parts.iter().enumerate().map(|(i, part)| format!("select p{i}.id from ({part}) p{i}"));
        let ids = ids.collect::<Vec<_>>().join(" union all ");
        let limit = statement.place(Place::Limit);
        statement.text = format!(
            "{COLUMNS}({ids}) x cross join video v where v.id = x.id and v.deleted_at is null
             order by v.id desc limit {limit}"
        );
        statement
    }

    /// The oldest video that a page looks at: of each part that is long, the one at the end of a window of its rarest
    /// token. `None` where no part is long.
    fn floor(is_sqlite: bool, parts: &[Part], narrowing: Narrowing) -> Option<Self> {
        let mut statement = Self { is_sqlite, narrowing, ..Self::default() };
        let window = statement.place(Place::Window);
        let mut windows = Vec::new();
        for part in parts.iter().filter(|part| part.is_long) {
            let range = statement.token("d", *part.tokens.first()?, part.scope);
            windows.push(format!("select ({range} order by d.video_id desc limit 1 offset {window}) as id"));
        }
        let windows = Some(windows.join(" union all ")).filter(|windows| !windows.is_empty())?;
        statement.text = format!("select max(w.id) from ({windows}) w");
        Some(statement)
    }

    /// `$1`, and which value that is.
    fn place(&mut self, place: Place) -> String {
        let at = self.places.iter().position(|known| *known == place).unwrap_or_else(|| {
            self.places.push(place);
            self.places.len() - 1
        });
        format!("${}", at + 1)
    }

    /// The ids of a part, newest first.
    fn part(&mut self, part: &Part) -> String {
        let limit = self.place(Place::Limit);
        match (part.lead, part.tokens.as_slice()) {
            (Lead::Merge, _) => self.merged(part),
            (Lead::Token, [first, others @ ..]) => {
                let mut text = self.token("d", *first, part.scope);
                for token in others {
                    let range = self.token("k", *token, part.scope);
                    text = format!("{text} and ({range} and k.video_id = d.video_id) is not null");
                }
                if self.narrowing.of_media {
                    let range = self.videos((None, part.scope.1), "v.id");
                    text = format!("{text} and ({range} and v.id = d.video_id) is not null");
                }
                format!("{text} order by d.video_id desc limit {limit}")
            }
            _ => {
                let id = self.listed_id(part.scope);
                format!("{} order by {id} desc limit {limit}", self.videos(part.scope, id))
            }
        }
    }

    /// By what a list goes along its index. PostgreSQL takes the order of the primary key for cheaper, walking past
    /// everything that doesn't fit, unless the key has another order: that of bytes, which sorts ids no differently.
    fn listed_id(&self, scope: Scope) -> &'static str {
        let is_everything = scope == (None, None) && !self.narrowing.of_media;
        if self.is_sqlite || is_everything { "v.id" } else { "v.id collate \"C\"" }
    }

    /// Both engines merge sorted ranges: PostgreSQL where they are joined, SQLite where they intersect in order.
    fn merged(&mut self, part: &Part) -> String {
        let limit = self.place(Place::Limit);
        let tokens = part.tokens.iter().map(|token| self.token("k", *token, part.scope));
        let mut ranges: Vec<String> = tokens.collect();
        if self.narrowing.of_media {
            ranges.push(self.videos((None, part.scope.1), "v.id"));
        }
        if self.is_sqlite {
            return format!("{} order by id desc limit {limit}", ranges.join(" intersect "));
        }
        let same = (1..ranges.len()).map(|i| format!("r{i}.id = r0.id")).collect::<Vec<_>>().join(" and ");
        let ranges = ranges.iter().enumerate().map(|(i, range)| format!("({range}) r{i}"));
        let ranges = ranges.collect::<Vec<_>>().join(", ");
        format!("select r0.id from {ranges} where {same} order by r0.id desc limit {limit}")
    }

    /// The videos that have a token, along its index.
    fn token(&mut self, name: &str, token: Place, (_, state): Scope) -> String {
        let token = self.place(token);
        let state = state.map_or_else(String::new, |state| format!(" and {name}.state = '{state}'"));
        let within = self.within(&format!("{name}.video_id"));
        format!(
            "select {name}.video_id as id from video_token {name} where {name}.token = {token}{state}{within}"
        )
    }

    /// The videos of a scope, along the index that has all it is narrowed by. What is deleted has a state of its own.
    fn videos(&mut self, (account, state): Scope, id: &str) -> String {
        let account =
            account.map(|account| format!(" and v.account_id = {}", self.place(Place::Account(account))));
        let media = self
            .narrowing
            .of_media
            .then(|| format!(" and v.media_state = {}", self.place(Place::MediaState)));
        let state = state.map_or_else(
            || " and v.deleted_at is null".to_owned(),
            |state| format!(" and v.state = '{state}'"),
        );
        let within = self.within(id);
        let narrowed: String = [account, media, Some(state), Some(within)].into_iter().flatten().collect();
        format!("select v.id from video v where true{narrowed}")
    }

    /// After the page before, and within the window.
    fn within(&mut self, id: &str) -> String {
        let Narrowing { has_cursor, has_floor, .. } = self.narrowing;
        let mut bound = |is_bound: bool, sign, place| {
            if is_bound { format!(" and {id} {sign} {}", self.place(place)) } else { String::new() }
        };
        bound(has_cursor, "<", Place::Cursor) + &bound(has_floor, ">=", Place::Floor)
    }
}
