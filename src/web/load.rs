//! Turns rows into what pages show, by the same views and permissions as the API.

use super::home::{self, Named, Narrowed};
use super::pages::Asked;
use super::watch::{self, Account, Broadcast, Media, Poster, Topic};
use super::{links, ways};
use crate::catalogue::overview::{Overview, Owner};
use crate::catalogue::published::{self, Of};
use crate::catalogue::video::{Filter, Sight, Video};
use crate::catalogue::words::searched;
use crate::catalogue::{Page, account, topic, video};
use crate::domain::account::Handle;
use crate::domain::media::MediaState;
use crate::domain::topic::Slug;
use crate::domain::video::VideoState;
use crate::domain::{Texts, VideoId};
use crate::http::play::gate::{self, Bearer};
use crate::http::video::{self as view, Links};
use crate::http::{App, Error};
use crate::publishing;

/// Videos on one page of the list.
const VIDEOS: u32 = 24;
/// Topics on one page of the tree.
const TOPICS: u32 = 500;
/// Agencies on one page of their list.
const AGENCIES: u32 = 100;
/// Agencies shown below another; the list has them all.
const BELOW: u32 = 100;

/// The watch page of a video: of a public one for everybody, of a draft for who has a token.
pub(super) async fn watch(app: &App, id: VideoId, token: Option<String>) -> Result<watch::Page, Error> {
    let found = video::find(app.publishing.db.read().await?.conn(), id).await?;
    let row = found.ok_or(publishing::Error::NotFound("video"))?;
    if row.state == VideoState::Withdrawn && token.is_none() {
        return page(app, &row, (None, None), token).await;
    }
    let pass = gate::enter(app, id, Bearer { token, trim: None }).await?;
    let token = pass.token().map(ToOwned::to_owned);
    let links = Links::with_token(app, token.clone());
    let shown = view::describe_shared(app, &row, &links).await?;
    let broadcast = shown.broadcast.map(|broadcast| Broadcast {
        state: broadcast.state,
        starts_at: broadcast.starts_at,
        now: app.publishing.clock.now(),
    });
    page(app, &row, (shown.media, broadcast), token).await
}

async fn page(
    app: &App,
    row: &Video,
    (media, broadcast): (Option<view::Media>, Option<Broadcast>),
    token: Option<String>,
) -> Result<watch::Page, Error> {
    let mut read = app.publishing.db.read().await?;
    let speaker = account::find_by_id(read.conn(), row.account_id).await?;
    let topics = topic::list_path(read.conn(), &row.topic).await?;
    let url = |page: &str| format!("{}/{page}/{}", app.settings.public_url, row.id);
    let events = format!("{}/api/v1/videos/{}/events", app.settings.public_url, row.id);
    let events = token.as_deref().map_or(events.clone(), |token| links::with(&events, "token", token));
    let changing = broadcast.is_some_and(|broadcast| broadcast.is_open())
        || matches!(row.media_state, MediaState::Waiting | MediaState::Processing | MediaState::Playable);
    let withdrawn = row.withdrawn_reason.as_ref().filter(|_| row.state == VideoState::Withdrawn);
    Ok(watch::Page {
        id: row.id,
        title: row.title.0.clone(),
        // Of a withdrawn video only who may still play it reads more than why.
        description: if media.is_some() { row.description.0.clone() } else { Texts::default() },
        language: row.language.clone(),
        account: Account {
            handle: row.account.to_string(),
            name: speaker.as_ref().map(|account| account.name.0.clone()).unwrap_or_default(),
            sector: speaker.as_ref().map(|account| account.sector.clone()).unwrap_or_default(),
            level: speaker.as_ref().map(|account| account.level.to_string()).unwrap_or_default(),
        },
        topics: topics
            .into_iter()
            .map(|topic| Topic { slug: topic.slug.to_string(), name: topic.name.0 })
            .collect(),
        media: player(app, row, media, token.as_deref()),
        broadcast,
        published_at: row.published_at,
        draft: row.state == VideoState::Draft,
        withdrawn: withdrawn.map(|reason| reason.0.clone()),
        events: changing.then_some(events),
        url: url("watch"),
        embed_url: url("embed"),
        token,
    })
}

/// The address of the master is given while processing too: the page plays it once it hears that it plays.
fn player(app: &App, row: &Video, media: Option<view::Media>, token: Option<&str>) -> Media {
    let master = format!("{}/play/{}/master.m3u8", app.settings.public_url, row.id);
    let hls = token.map_or(master.clone(), |token| links::with(&master, "token", token));
    let Some(media) = media else {
        let state = row.media_state;
        return Media {
            state,
            progress: 0.0,
            hls,
            poster: None,
            size: None,
            storyboard: None,
            error: None,
            warnings: Vec::new(),
        };
    };
    Media {
        state: media.state,
        progress: media.progress,
        hls,
        poster: media.poster.map(|poster| Poster { url: poster.url, alt: poster.alts }),
        size: media.width.zip(media.height),
        storyboard: media.storyboard,
        error: media.error,
        warnings: media.warnings,
    }
}

/// The list of published videos: the latest, a topic's or an agency's, or what a search found.
pub(super) async fn home(app: &App, asked: &Asked) -> Result<home::Page, Error> {
    let query = asked.q.as_deref().unwrap_or_default().trim().to_owned();
    let account = asked.account.as_deref().map(|handle| parse("account", handle)).transpose()?;
    let topic = asked.topic.as_deref().map(|slug| parse("topic", slug)).transpose()?;
    let narrowed = match (&account, &topic) {
        (Some(handle), _) => Some(Narrowed::Account(agency(app, handle).await?)),
        (None, Some(slug)) => Some(Narrowed::Topic(branch(app, slug).await?)),
        (None, None) => None,
    };
    let page = if query.is_empty() {
        let of = match (&account, &topic) {
            (Some(handle), _) => Of::Account(handle),
            (None, Some(slug)) => Of::Topic(slug),
            (None, None) => Of::Everything,
        };
        let cursor = asked.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
        published::list(app.publishing.db.read().await?.conn(), of, cursor, VIDEOS).await?
    } else {
        search(app, &query, (account, topic), asked).await?
    };
    let known = view::overviews(app, &page.items, Owner::Nobody).await?;
    let items = page.items.iter().map(|row| item(app, row, known.get(&row.id))).collect();
    Ok(home::Page { query, narrowed, items, next: page.next })
}

/// What has all the words; signs alone are no word, and find nothing.
async fn search(
    app: &App,
    query: &str,
    (account, topic): (Option<Handle>, Option<Slug>),
    asked: &Asked,
) -> Result<Page<Video>, Error> {
    let tokens = searched(query);
    if tokens.is_empty() {
        return Ok(Page { items: Vec::new(), next: None });
    }
    let cursor = asked.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
    let filter =
        Filter { sight: Sight::Public, account, topic, tokens, cursor, limit: VIDEOS, ..Filter::default() };
    Ok(video::list(app.publishing.db.read().await?.conn(), &filter).await?)
}

/// What can't be one is not there.
fn parse<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T, Error> {
    text.parse().ok().ok_or_else(|| publishing::Error::NotFound(what).into())
}

fn item(app: &App, row: &Video, known: Option<&Overview>) -> home::Item {
    let shown = view::describe_known(app, row, known, &Links::with_token(app, None));
    let media = shown.media;
    home::Item {
        url: format!("/watch/{}", row.id),
        title: row.title.0.clone(),
        account: known.map(|overview| overview.account_name.0.clone()).unwrap_or_default(),
        poster: media.as_ref().and_then(|media| media.poster.as_ref()).map(|poster| poster.url.clone()),
        duration_ms: media.and_then(|media| media.duration_ms).and_then(|ms| u64::try_from(ms).ok()),
        published_at: row.published_at,
        starts_at: shown.broadcast.as_ref().and_then(|broadcast| broadcast.starts_at),
        broadcast: shown.broadcast.map(|broadcast| broadcast.state),
    }
}

async fn agency(app: &App, handle: &Handle) -> Result<home::Agency, Error> {
    let mut read = app.publishing.db.read().await?;
    let found = account::find(read.conn(), handle).await?.ok_or(publishing::Error::NotFound("account"))?;
    let above = match &found.parent {
        Some(parent) => account::find(read.conn(), parent).await?,
        None => None,
    };
    let below = account::list_below(read.conn(), found.id, BELOW).await?;
    let named = |account: account::Account| Named { value: account.handle.to_string(), name: account.name.0 };
    Ok(home::Agency {
        sector: found.sector.clone(),
        level: found.level.to_string(),
        region: found.region.clone(),
        above: above.map(named),
        below: below.into_iter().map(named).collect(),
        itself: named(found),
    })
}

async fn branch(app: &App, slug: &Slug) -> Result<home::Topic, Error> {
    let mut read = app.publishing.db.read().await?;
    let mut path = topic::list_path(read.conn(), slug).await?;
    let itself =
        path.pop().filter(|found| found.slug == *slug).ok_or(publishing::Error::NotFound("topic"))?;
    let below = topic::list_below(read.conn(), slug).await?;
    let named = |topic: topic::Topic| Named { value: topic.slug.to_string(), name: topic.name.0 };
    Ok(home::Topic {
        itself: named(itself),
        above: path.into_iter().map(named).collect(),
        below: below.into_iter().map(named).collect(),
    })
}

/// Every topic.
pub(super) async fn topics(app: &App, asked: &Asked) -> Result<ways::Topics, Error> {
    let mut read = app.publishing.db.read().await?;
    let page = topic::list(read.conn(), None, asked.cursor.as_deref(), TOPICS).await?;
    let named = page.items.into_iter().map(|topic| (topic.slug, topic.name.0)).collect();
    Ok(ways::Topics { roots: ways::tree(named), next: page.next })
}

/// Every agency, perhaps of one level.
pub(super) async fn agencies(app: &App, asked: &Asked) -> Result<ways::Agencies, Error> {
    let level = asked.level.as_deref().map(|level| parse("level", level)).transpose()?;
    let filter = account::Filter { level, sector: None, cursor: asked.cursor.clone(), limit: AGENCIES };
    let page = account::list(app.publishing.db.read().await?.conn(), &filter).await?;
    let items = page.items.into_iter().map(|account| ways::Agency {
        itself: Named { value: account.handle.to_string(), name: account.name.0 },
        sector: account.sector,
        level: account.level.to_string(),
        region: account.region,
    });
    Ok(ways::Agencies { level, items: items.collect(), next: page.next })
}

/// Where media may come from besides this server: the CDN.
pub(super) fn media_origins(app: &App) -> Vec<String> {
    app.settings.cdn_url.iter().map(|url| origin(url)).collect()
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> String {
    let host_from = url.find("://").map_or(0, |at| at + 3);
    let end = url[host_from..].find('/').map_or(url.len(), |at| host_from + at);
    url[..end].to_owned()
}
