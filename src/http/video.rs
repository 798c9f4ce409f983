//! A video in JSON, as much of it as the viewer may see.

use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Viewer;
use super::coverage::{self, Coverage};
use super::play::stills;
use super::words::ByLanguage;
use super::{App, Error};
use crate::catalogue::revision::{self, Revision};
use crate::catalogue::rung::Rung as Row;
use crate::catalogue::video::Video as VideoRow;
use crate::catalogue::{Conn, broadcast, rung, upload, video};
use crate::domain::account::Handle;
use crate::domain::broadcast::BroadcastState;
use crate::domain::media::{MediaState, RungState, TICKS_PER_SECOND};
use crate::domain::topic::Slug;
use crate::domain::trim::Trim;
use crate::domain::upload::UploadState;
use crate::domain::video::{PosterState, VideoState};
use crate::domain::{BroadcastId, Language, Refusal, Texts, Timestamp, VideoId};
use crate::publishing;

/// What is watched.
#[derive(Debug, Serialize, ToSchema)]
pub struct Video {
    #[schema(value_type = String, format = Uuid)]
    pub id: VideoId,
    #[schema(value_type = String, example = "shenyang-ecology")]
    pub account: Handle,
    #[schema(value_type = String, example = "environment/air")]
    pub topic: Slug,
    #[schema(value_type = ByLanguage)]
    pub title: Texts,
    #[schema(value_type = ByLanguage)]
    pub description: Texts,
    #[schema(value_type = String, example = "zh-Hans")]
    pub language: Language,
    pub state: VideoState,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub published_at: Option<Timestamp>,
    /// Why it was taken back.
    #[schema(value_type = Option<ByLanguage>)]
    pub withdrawn_reason: Option<Texts>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// The page to watch it on.
    pub watch: String,
    /// The page to embed.
    pub embed: String,
    /// What is shown of it; null: all.
    pub trim: Option<Trim>,
    /// Null for who may not play it.
    pub media: Option<Media>,
    /// For its own account only.
    pub source: Option<Source>,
    /// What has become of the picture uploaded to stand for it, for its own account only; null where there is none.
    pub poster_upload: Option<PosterUpload>,
    /// The live event it is watched at, or was recorded from.
    pub broadcast: Option<Broadcast>,
    /// In the answer that made the video only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadTo>,
}

/// What everybody may know of a live event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VideoBroadcast)]
pub struct Broadcast {
    #[schema(value_type = String, format = Uuid)]
    pub id: BroadcastId,
    pub state: BroadcastState,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// What there is to play, and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Media {
    pub state: MediaState,
    /// 0 to 1.
    pub progress: f64,
    pub duration_ms: Option<i64>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub revision: Option<i64>,
    pub rungs: Vec<Rung>,
    /// The HLS address; null while nothing can be played.
    pub hls: Option<String>,
    pub poster: Option<Poster>,
    /// A WebVTT index of thumbnails.
    pub storyboard: Option<String>,
    /// Why it can't be played, or why not in every quality.
    pub error: Option<Refusal>,
    /// What is wrong with it and still lets it play.
    pub warnings: Vec<Refusal>,
}

/// One rendition.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rung {
    #[schema(example = "720p")]
    pub name: String,
    pub state: RungState,
    /// Average bits a second; null before the first segment.
    pub bitrate: Option<u64>,
    /// 0 to 1.
    pub progress: f64,
    pub error: Option<String>,
}

/// The still shown before playback.
#[derive(Debug, Serialize, ToSchema)]
pub struct Poster {
    pub url: String,
    /// In the video's language, or the nearest there is.
    pub alt: String,
    #[schema(value_type = ByLanguage)]
    pub alts: Texts,
}

/// The picture uploaded last.
#[derive(Debug, Serialize, ToSchema)]
pub struct PosterUpload {
    pub state: PosterState,
    /// Why it can't be shown.
    pub error: Option<Refusal>,
}

/// The finished original.
#[derive(Debug, Serialize, ToSchema)]
pub struct Source {
    /// Null while it is still being computed.
    pub sha256: Option<String>,
    pub size_bytes: i64,
    pub filename: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub uploaded_at: Option<Timestamp>,
    /// Other videos of the account with the same bytes.
    #[schema(value_type = Vec<String>)]
    pub same_as: Vec<VideoId>,
}

/// Where a new video's bytes may go.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadTo {
    /// tus 1.0; metadata `video` is the id.
    pub tus: String,
    /// One plain `PUT`.
    pub put: String,
    /// Presigned parts, straight to the bucket.
    pub parts: String,
}

/// How addresses of a video's media go on: with a token where it isn't public.
#[derive(Debug, Clone)]
pub struct Links {
    base: String,
    token: Option<String>,
}

impl Links {
    /// For a viewer who may see the video.
    fn new(app: &App, viewer: Viewer, video: &VideoRow) -> Result<Self, Error> {
        let token = if viewer.covers(video.account_id) { app.tokens.issue(video)? } else { None };
        Ok(Self { base: app.settings.public_url.clone(), token })
    }

    /// For who came with this token.
    pub fn with_token(app: &App, token: Option<String>) -> Self {
        Self { base: app.settings.public_url.clone(), token }
    }

    fn to(&self, path: &str) -> String {
        match &self.token {
            Some(token) => format!("{}{path}?token={token}", self.base),
            None => format!("{}{path}", self.base),
        }
    }
}

/// Whether the viewer gets more than a withdrawn video's stub.
fn sees_all(viewer: Viewer, video: &VideoRow) -> bool {
    video.state == VideoState::Published || viewer.covers(video.account_id)
}

/// The row and the video as a viewer sees it, who may have come with a token for what isn't public.
pub async fn look(
    app: &App,
    viewer: Viewer,
    token: Option<&str>,
    id: VideoId,
) -> Result<(VideoRow, Video), Error> {
    let found = video::find(app.read().await?.conn(), id).await?;
    let row = found.ok_or(publishing::Error::NotFound("video"))?;
    let shared = token.filter(|_| row.state != VideoState::Published && !viewer.covers(row.account_id));
    let shown = match shared {
        Some(token) => {
            app.tokens.check(&row, token)?;
            describe_shared(app, &row, &Links::with_token(app, Some(token.to_owned()))).await?
        }
        None if row.state == VideoState::Draft && !viewer.covers(row.account_id) => {
            return Err(publishing::Error::NotFound("video").into());
        }
        None => describe(app, viewer, &row).await?,
    };
    Ok((row, shown))
}

/// The video for this viewer, with the addresses the viewer may use.
pub async fn describe(app: &App, viewer: Viewer, video: &VideoRow) -> Result<Video, Error> {
    let links = Links::new(app, viewer, video)?;
    let mut read = app.read().await?;
    let media = if sees_all(viewer, video) { Some(media(read.conn(), video, &links).await?) } else { None };
    let own = viewer.covers(video.account_id);
    let source = if own { source(read.conn(), video).await? } else { None };
    let broadcast = broadcast(read.conn(), app, video).await?;
    let poster_upload = if own { poster_upload(video) } else { None };
    Ok(Video { poster_upload, broadcast, ..outline(video, &links, media, source) })
}

/// The video with these links, for who was let in already.
pub async fn describe_shared(app: &App, video: &VideoRow, links: &Links) -> Result<Video, Error> {
    let mut read = app.read().await?;
    let media = media(read.conn(), video, links).await?;
    let broadcast = broadcast(read.conn(), app, video).await?;
    Ok(Video { broadcast, ..outline(video, links, Some(media), None) })
}

async fn broadcast(conn: Conn<'_>, app: &App, video: &VideoRow) -> Result<Option<Broadcast>, Error> {
    let found = broadcast::find_by_video(conn, video.id).await?;
    Ok(found.map(|row| Broadcast {
        id: row.id,
        state: row.state_at(app.publishing.clock.now()),
        starts_at: row.starts_at,
        started_at: row.started_at,
        ended_at: row.ended_at,
    }))
}

fn outline(video: &VideoRow, links: &Links, media: Option<Media>, source: Option<Source>) -> Video {
    Video {
        id: video.id,
        account: video.account.clone(),
        topic: video.topic.clone(),
        title: video.title.0.clone(),
        description: if media.is_some() { video.description.0.clone() } else { Texts::default() },
        language: video.language.clone(),
        state: video.state,
        published_at: video.published_at,
        withdrawn_reason: video.withdrawn_reason.as_ref().map(|reason| reason.0.clone()),
        created_at: video.created_at,
        updated_at: video.updated_at,
        watch: links.to(&format!("/watch/{}", video.id)),
        embed: links.to(&format!("/embed/{}", video.id)),
        trim: video.trim(),
        media,
        source,
        poster_upload: None,
        broadcast: None,
        upload: None,
    }
}

fn poster_upload(video: &VideoRow) -> Option<PosterUpload> {
    let error = video.poster_error.as_ref().map(|error| error.0.clone());
    video.poster_state().map(|state| PosterUpload { state, error })
}

async fn source(mut conn: Conn<'_>, video: &VideoRow) -> Result<Option<Source>, Error> {
    let Some(id) = video.upload_id else { return Ok(None) };
    let found = upload::find(conn.again(), id).await?;
    let Some(upload) = found.filter(|upload| upload.state == UploadState::Finished) else { return Ok(None) };
    let same_as = match &upload.sha256 {
        Some(sha256) => upload::list_same(conn, video.account_id, sha256, video.id).await?,
        None => Vec::new(),
    };
    Ok(Some(Source {
        sha256: upload.sha256,
        size_bytes: upload.received,
        filename: upload.filename,
        uploaded_at: upload.finished_at,
        same_as,
    }))
}

/// The revision that plays, or while none does the one that is being made.
async fn find_revision(mut conn: Conn<'_>, video: &VideoRow) -> Result<Option<Revision>, Error> {
    match video.revision.and_then(|number| u32::try_from(number).ok()) {
        Some(number) => Ok(revision::find(conn.again(), video.id, number).await?),
        None => Ok(revision::list(conn, video.id).await?.into_iter().next()),
    }
}

async fn media(mut conn: Conn<'_>, video: &VideoRow, links: &Links) -> Result<Media, Error> {
    let revision = find_revision(conn.again(), video).await?;
    let (rows, covered) = match &revision {
        Some(revision) => {
            let id = (video.id, u32::try_from(revision.number).unwrap_or(0));
            (rung::list(conn.again(), id.0, id.1).await?, coverage::read(conn, revision).await?)
        }
        None => (Vec::new(), Coverage::default()),
    };
    let rungs: Vec<Rung> = rows.iter().map(|row| describe_rung(row, &covered)).collect();
    Ok(Media {
        state: video.media_state,
        progress: overall(video.media_state, &rungs),
        duration_ms: covered.duration().map(|ticks| {
            let shown = video.trim().map_or(ticks, |trim| trim.duration(ticks));
            shown * 1000 / TICKS_PER_SECOND
        }),
        error: video.error.as_ref().map(|error| error.0.clone()),
        rungs,
        ..addresses(video, revision.as_ref(), links)
    })
}

fn addresses(video: &VideoRow, revision: Option<&Revision>, links: &Links) -> Media {
    let id = video.id;
    let plays = matches!(video.media_state, MediaState::Playable | MediaState::Ready | MediaState::Degraded);
    let probe = revision.and_then(|revision| revision.probe.as_ref());
    let still = |file: &str| links.to(&format!("/play/{id}/{file}"));
    let uploaded = video.poster.as_ref().map(|poster| stills::file_name(poster.id));
    let frame = revision.filter(|revision| revision.poster.is_some());
    let frame = frame.map(|revision| format!("{}/poster.jpg", revision.number));
    let poster = uploaded.or(frame).map(|file| Poster {
        url: still(&file),
        alt: video.poster_alt.pick(&video.language).to_owned(),
        alts: video.poster_alt.0.clone(),
    });
    let storyboard = revision.filter(|revision| revision.storyboard.is_some());
    Media {
        state: video.media_state,
        progress: 0.0,
        duration_ms: None,
        width: probe.map(|probe| probe.video.width),
        height: probe.map(|probe| probe.video.height),
        revision: revision.map(|revision| revision.number),
        rungs: Vec::new(),
        hls: plays.then(|| links.to(&format!("/play/{id}/master.m3u8"))),
        poster,
        storyboard: storyboard.map(|revision| still(&format!("{}/storyboard.vtt", revision.number))),
        error: None,
        warnings: revision.map(|revision| revision.warnings.0.clone()).unwrap_or_default(),
    }
}

fn describe_rung(row: &Row, covered: &Coverage) -> Rung {
    Rung {
        name: row.name.clone(),
        state: row.state,
        bitrate: covered.bitrate(&row.name),
        progress: if row.state == RungState::Ready { 1.0 } else { covered.progress(&row.name, row.audio) },
        error: row.error.clone(),
    }
}

fn overall(state: MediaState, rungs: &[Rung]) -> f64 {
    if matches!(state, MediaState::Ready | MediaState::Degraded) {
        return 1.0;
    }
    let Ok(count @ 1..) = u32::try_from(rungs.len()) else { return 0.0 };
    rungs.iter().map(|rung| rung.progress).sum::<f64>() / f64::from(count)
}
