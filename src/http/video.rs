//! A video in JSON, as much of it as the viewer may see.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Viewer;
use super::coverage::Coverage;
use super::play::stills;
use super::words::ByLanguage;
use super::{App, Error};
use crate::catalogue::overview::{self, Overview, Owner, Rung as Row};
use crate::catalogue::video::{self, Video as VideoRow};
use crate::domain::account::Handle;
use crate::domain::broadcast::BroadcastState;
use crate::domain::media::{MediaState, RungState, TICKS_PER_SECOND};
use crate::domain::topic::Slug;
use crate::domain::trim::Trim;
use crate::domain::video::{PosterState, SourceState, VideoState};
use crate::domain::{BroadcastId, Language, Refusal, Texts, Timestamp, UploadId, VideoId};
use crate::publishing;

/// What is watched.
#[derive(Debug, Serialize, ToSchema)]
pub struct Video {
    #[schema(value_type = String, format = Uuid)]
    pub id: VideoId,
    pub account: Handle,
    pub topic: Slug,
    #[schema(value_type = ByLanguage)]
    pub title: Texts,
    #[schema(value_type = ByLanguage)]
    pub description: Texts,
    pub language: Language,
    pub state: VideoState,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub published_at: Option<Timestamp>,
    /// Why it was taken back.
    #[schema(value_type = Option<ByLanguage>)]
    pub withdrawn_reason: Option<Texts>,
    /// What its `ETag` says: raised by every change that people make.
    pub version: i64,
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
    /// The upload whose bytes play, for its own account only.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub plays: Option<UploadId>,
    /// The latest source and what has become of it, for its own account only.
    pub source: Option<LatestSource>,
}

/// The source that came last.
#[derive(Debug, Serialize, ToSchema)]
pub struct LatestSource {
    #[schema(value_type = String, format = Uuid)]
    pub upload: UploadId,
    pub filename: String,
    pub state: SourceState,
    /// Why it is not played.
    pub error: Option<Refusal>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received_at: Option<Timestamp>,
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
    let described = describe_page(app, viewer, std::slice::from_ref(video)).await?;
    described.into_iter().next().ok_or(publishing::Error::NotFound("video").into())
}

/// The videos for this viewer, by one question however many they are.
pub async fn describe_page(app: &App, viewer: Viewer, videos: &[VideoRow]) -> Result<Vec<Video>, Error> {
    let owner = match viewer.0 {
        None => Owner::Nobody,
        Some(caller) => caller.account.map_or(Owner::Everybody, Owner::Account),
    };
    let mut overviews = overviews(app, videos, owner).await?;
    let described = videos.iter().map(|video| {
        let links = Links::new(app, viewer, video)?;
        let overview = overviews.remove(&video.id);
        let own = viewer.covers(video.account_id);
        let media = sees_all(viewer, video).then(|| media(video, overview.as_ref(), &links));
        let media = media.map(|media| match &overview {
            Some(overview) if own => with_source(media, video, overview),
            _ => media,
        });
        let source = overview.as_ref().filter(|_| own).and_then(source);
        let broadcast = overview.as_ref().and_then(|overview| broadcast(app, overview));
        let poster_upload = if own { poster_upload(video) } else { None };
        Ok(Video { poster_upload, broadcast, ..outline(video, &links, media, source) })
    });
    described.collect()
}

/// The video with these links, for who was let in already.
pub async fn describe_shared(app: &App, video: &VideoRow, links: &Links) -> Result<Video, Error> {
    let mut overviews = overviews(app, std::slice::from_ref(video), Owner::Nobody).await?;
    Ok(describe_known(app, video, overviews.remove(&video.id).as_ref(), links))
}

/// The same without a question: from what is known of the video.
pub fn describe_known(app: &App, video: &VideoRow, known: Option<&Overview>, links: &Links) -> Video {
    let media = media(video, known, links);
    let broadcast = known.and_then(|overview| broadcast(app, overview));
    Video { broadcast, ..outline(video, links, Some(media), None) }
}

/// What there is of each video, by its id.
pub async fn overviews(
    app: &App,
    videos: &[VideoRow],
    owner: Owner,
) -> Result<HashMap<VideoId, Overview>, Error> {
    let ids: Vec<VideoId> = videos.iter().map(|video| video.id).collect();
    let found = overview::list(app.read().await?.conn(), &ids, owner).await?;
    Ok(found.into_iter().map(|overview| (overview.video_id, overview)).collect())
}

fn broadcast(app: &App, overview: &Overview) -> Option<Broadcast> {
    let (id, state) = (overview.broadcast_id?, overview.broadcast_state?);
    Some(Broadcast {
        id,
        state: state.at(overview.starts_at, app.publishing.clock.now()),
        starts_at: overview.starts_at,
        started_at: overview.started_at,
        ended_at: overview.ended_at,
    })
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
        version: video.version,
        created_at: video.created_at,
        updated_at: video.updated_at,
        watch: links.to(&format!("/watch/{}", video.id)),
        embed: links.to(&format!("/embed/{}", video.id)),
        trim: video.trim().filter(|_| media.is_some()),
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

fn source(overview: &Overview) -> Option<Source> {
    let same_as = overview.same_as.iter().flat_map(|ids| ids.split(','));
    Some(Source {
        sha256: overview.sha256.clone(),
        size_bytes: overview.source_bytes?,
        filename: overview.filename.clone().unwrap_or_default(),
        uploaded_at: overview.uploaded_at,
        same_as: same_as.filter_map(|id| id.parse().ok()).collect(),
    })
}

fn media(video: &VideoRow, overview: Option<&Overview>, links: &Links) -> Media {
    let covered = overview.map(Coverage::of).unwrap_or_default();
    let mut rows: Vec<&Row> =
        overview.and_then(|it| it.rungs.as_ref()).map_or(&[][..], |rungs| rungs).iter().collect();
    rows.sort_unstable_by_key(|rung| rung.position);
    let rungs: Vec<Rung> = rows.into_iter().map(|row| describe_rung(row, &covered)).collect();
    Media {
        state: video.media_state,
        progress: overall(video.media_state, &rungs),
        duration_ms: covered.duration().map(|ticks| {
            let shown = video.trim().map_or(ticks, |trim| trim.duration(ticks));
            shown * 1000 / TICKS_PER_SECOND
        }),
        error: video.error.as_ref().map(|error| error.0.clone()),
        rungs,
        ..addresses(video, overview, links)
    }
}

/// With what only its own account may know: whose bytes play, and what has become of the latest ones.
fn with_source(media: Media, video: &VideoRow, overview: &Overview) -> Media {
    let plays = overview.revision_upload.filter(|_| plays(video));
    Media { plays, source: latest(video, plays, overview), ..media }
}

/// What has become of the source that came last.
fn latest(video: &VideoRow, playing: Option<UploadId>, overview: &Overview) -> Option<LatestSource> {
    if let Some(refused) = &video.source_refused {
        return Some(LatestSource {
            upload: refused.upload,
            filename: refused.filename.clone(),
            state: SourceState::Refused,
            error: Some(refused.error.clone()),
            received_at: refused.received_at,
        });
    }
    let upload = video.upload_id.filter(|_| overview.source_bytes.is_some())?;
    let (state, error) = match video.media_state {
        MediaState::Failed => (SourceState::Refused, video.error.as_ref().map(|error| error.0.clone())),
        _ if playing == Some(upload) => (SourceState::Playing, None),
        _ => (SourceState::Processing, None),
    };
    let filename = overview.filename.clone().unwrap_or_default();
    Some(LatestSource { upload, filename, state, error, received_at: overview.uploaded_at })
}

/// Something can be played.
fn plays(video: &VideoRow) -> bool {
    matches!(video.media_state, MediaState::Playable | MediaState::Ready | MediaState::Degraded)
}

fn addresses(video: &VideoRow, overview: Option<&Overview>, links: &Links) -> Media {
    let id = video.id;
    let probe = overview.and_then(|overview| overview.probe.as_ref());
    let still = |file: &str| links.to(&format!("/play/{id}/{file}"));
    let uploaded = video.poster.as_ref().map(|poster| stills::file_name(poster.id));
    let number = overview.and_then(|overview| overview.revision);
    let frame = number.filter(|_| overview.is_some_and(|overview| overview.has_poster));
    let frame = frame.map(|number| format!("{number}/poster.jpg"));
    let poster = uploaded.or(frame).map(|file| Poster {
        url: still(&file),
        alt: video.poster_alt.pick(&video.language).to_owned(),
        alts: video.poster_alt.0.clone(),
    });
    let storyboard = number.filter(|_| overview.is_some_and(|overview| overview.has_storyboard));
    Media {
        state: video.media_state,
        progress: 0.0,
        duration_ms: None,
        width: probe.map(|probe| probe.video.width),
        height: probe.map(|probe| probe.video.height),
        revision: number,
        rungs: Vec::new(),
        hls: plays(video).then(|| links.to(&format!("/play/{id}/master.m3u8"))),
        poster,
        storyboard: storyboard.map(|number| still(&format!("{number}/storyboard.vtt"))),
        error: None,
        plays: None,
        source: None,
        warnings: overview.and_then(|it| it.warnings.as_ref()).map(|list| list.0.clone()).unwrap_or_default(),
    }
}

fn describe_rung(row: &Row, covered: &Coverage) -> Rung {
    Rung {
        name: row.name.clone(),
        state: row.state,
        bitrate: covered.bitrate(&row.name),
        progress: if row.state == RungState::Ready {
            1.0
        } else {
            covered.progress(&row.name, row.audio == 1)
        },
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
