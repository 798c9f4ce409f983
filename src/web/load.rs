//! Turns rows into what pages show, by the same views and permissions as the API.

use super::home::{self, Narrowed, NarrowedBy};
use super::links;
use super::pages::Asked;
use super::watch::{Account, Broadcast, Media, Page, Poster, Topic};
use crate::catalogue::overview::{Overview, Owner};
use crate::catalogue::video::{Filter, Sight, Video};
use crate::catalogue::{account, search, topic, video};
use crate::domain::media::MediaState;
use crate::domain::video::VideoState;
use crate::domain::{Texts, VideoId};
use crate::http::play::gate::{self, Bearer};
use crate::http::video::{self as view, Links};
use crate::http::{App, Error};
use crate::publishing;

/// Videos on one page of the list.
const VIDEOS: u32 = 24;

/// The watch page of a video: of a public one for everybody, of a draft for who has a token.
pub(super) async fn watch(app: &App, id: VideoId, token: Option<String>) -> Result<Page, Error> {
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
) -> Result<Page, Error> {
    let mut read = app.publishing.db.read().await?;
    let speaker = account::find_by_id(read.conn(), row.account_id).await?;
    let topics = topic::list_path(read.conn(), &row.topic).await?;
    let url = |page: &str| format!("{}/{page}/{}", app.settings.public_url, row.id);
    let events = format!("{}/api/v1/videos/{}/events", app.settings.public_url, row.id);
    let events = token.as_deref().map_or(events.clone(), |token| links::with(&events, "token", token));
    let changing = broadcast.is_some_and(|broadcast| broadcast.is_open())
        || matches!(row.media_state, MediaState::Waiting | MediaState::Processing | MediaState::Playable);
    let withdrawn = row.withdrawn_reason.as_ref().filter(|_| row.state == VideoState::Withdrawn);
    Ok(Page {
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
            verified: true,
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
        storyboard: media.storyboard,
        error: media.error,
        warnings: media.warnings,
    }
}

/// The list of published videos, searched or narrowed.
pub(super) async fn home(app: &App, asked: &Asked) -> Result<home::Page, Error> {
    let query = asked.q.clone().unwrap_or_default();
    let mut filter =
        Filter { sight: Sight::Public, limit: VIDEOS, tokens: search::tokens(&query), ..Filter::default() };
    filter.account = asked.account.as_deref().and_then(|handle| handle.parse().ok());
    filter.topic = asked.topic.as_deref().and_then(|slug| slug.parse().ok());
    filter.cursor = asked.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
    let narrowed = narrowed(app, &filter).await?;
    let page = video::list(app.publishing.db.read().await?.conn(), &filter).await?;
    let known = view::overviews(app, &page.items, Owner::Nobody).await?;
    let items = page.items.iter().map(|row| item(app, row, known.get(&row.id))).collect();
    Ok(home::Page { query, narrowed, items, next: page.next })
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
        broadcast: shown.broadcast.map(|broadcast| broadcast.state),
    }
}

async fn narrowed(app: &App, filter: &Filter) -> Result<Option<Narrowed>, Error> {
    let mut read = app.publishing.db.read().await?;
    if let Some(handle) = &filter.account {
        let account =
            account::find(read.conn(), handle).await?.ok_or(publishing::Error::NotFound("account"))?;
        let value = account.handle.to_string();
        return Ok(Some(Narrowed { by: NarrowedBy::Account, value, name: account.name.0 }));
    }
    if let Some(slug) = &filter.topic {
        let topic = topic::find(read.conn(), slug).await?.ok_or(publishing::Error::NotFound("topic"))?;
        let value = topic.slug.to_string();
        return Ok(Some(Narrowed { by: NarrowedBy::Topic, value, name: topic.name.0 }));
    }
    Ok(None)
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
