//! Videos: drafting, looking at, changing, publishing, withdrawing, deleting.

use axum::extract::State;
use serde::Deserialize;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Member, Publisher, Viewer};
use super::extract::{Json, Path, Query};
use super::page::{Page, limit};
use super::play::gate::Permit;
use super::precondition::{IfMatch, IfMatchHeader, Versioned};
use super::reply::{Created, Gone};
use super::video::{UploadTo, Video, describe, describe_page, look};
use super::words::{self, Words};
use super::{App, Error};
use crate::catalogue::account;
use crate::catalogue::video::{self, Filter, Sight};
use crate::catalogue::words::searched;
use crate::domain::account::Handle;
use crate::domain::key::Caller;
use crate::domain::media::MediaState;
use crate::domain::topic::Slug;
use crate::domain::trim::Trim;
use crate::domain::video::VideoState;
use crate::domain::{Language, TextChange, UploadId, VideoId};
use crate::publishing::{self, VideoChange, VideoDraft};

/// What is said of a new video.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VideoDraft)]
pub struct Draft {
    /// The key's own account where it is left out.
    account: Option<Handle>,
    topic: Slug,
    /// At most 200 characters.
    #[schema(schema_with = words::title)]
    title: Words,
    /// At most 10,000 characters.
    #[schema(schema_with = words::description)]
    description: Option<Words>,
    /// The language spoken, and of plain texts.
    language: Language,
}

/// What is changed of a video; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VideoChange)]
pub struct Change {
    topic: Option<Slug>,
    #[schema(schema_with = words::new_title)]
    title: Option<Words>,
    #[schema(schema_with = words::description)]
    description: Option<Words>,
    language: Option<Language>,
    /// What the poster shows, for who can't see it; at most 300 characters.
    #[schema(schema_with = words::alternative)]
    poster_alt: Option<Words>,
    /// Cuts the ends off, to the segment, without encoding anything again; `{}` puts them back.
    trim: Option<TrimTo>,
}

/// What is shown of a video; what is left out is the video's own start or end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrimTo {
    #[schema(minimum = 0)]
    start_ms: Option<u32>,
    #[schema(minimum = 1)]
    end_ms: Option<u32>,
}

/// Why a video is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// Everybody may read it; at most 300 characters.
    #[schema(schema_with = words::name)]
    reason: Words,
}

/// What a list of videos is narrowed by.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Narrowing {
    account: Option<Handle>,
    /// This topic and all below it.
    topic: Option<Slug>,
    /// A state of the video, or of its media.
    #[param(schema_with = states)]
    state: Option<String>,
    /// Words to be found, in any script.
    q: Option<String>,
    /// `next` of the page before.
    #[param(value_type = Option<String>, format = Uuid)]
    cursor: Option<VideoId>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

fn states() -> Object {
    let of_videos = VideoState::ALL.iter().map(|state| state.as_str());
    let states = of_videos.chain(MediaState::ALL.iter().map(|state| state.as_str()));
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(states)).build()
}

/// List videos
///
/// Newest first, a page at a time. Everybody sees what is published; a key also sees all of its account. A page of a
/// search for frequent words that hardly meet may have fewer items than `limit`, or none: the end is where `next` is null.
#[utoipa::path(get, path = "/api/v1/videos", operation_id = "list_videos", tag = "videos", params(Narrowing),
    security((), ("key" = [])),
    responses((status = 200, description = "A page of videos", body = Page<Video>)))]
pub async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Query(narrowing): Query<Narrowing>,
) -> Result<Json<Page<Video>>, Error> {
    let is_searched = narrowing.q.as_deref().is_some_and(|q| !q.trim().is_empty());
    let filter = filter(viewer, narrowing)?;
    if is_searched && filter.tokens.is_empty() {
        // Signs alone are no word: they find nothing, not everything.
        return Ok(Json(Page { items: Vec::new(), next: None }));
    }
    let page = video::list(app.read().await?.conn(), &filter).await?;
    let items = describe_page(&app, viewer, &page.items).await?;
    Ok(Json(Page { items, next: page.next }))
}

fn filter(viewer: Viewer, narrowing: Narrowing) -> Result<Filter, Error> {
    let word = narrowing.state.as_deref();
    let state = word.and_then(|word| word.parse::<VideoState>().ok());
    let media_state = word.and_then(|word| word.parse::<MediaState>().ok());
    if let (Some(word), None, None) = (word, state, media_state) {
        return Err(Error::Query(format!("{word:?} is no state of a video")));
    }
    let sight = match viewer.0 {
        None => Sight::Public,
        Some(caller) => caller.account.map_or(Sight::Everything, Sight::Member),
    };
    Ok(Filter {
        sight,
        account: narrowing.account,
        topic: narrowing.topic,
        state,
        media_state,
        tokens: searched(narrowing.q.as_deref().unwrap_or_default()),
        cursor: narrowing.cursor,
        limit: limit(narrowing.limit)?,
    })
}

/// Draft a video
///
/// `upload` in the answer says where its bytes may go.
#[utoipa::path(post, path = "/api/v1/videos", operation_id = "create_video", tag = "videos",
    request_body = Draft, security(("key" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The new draft, with the addresses to upload to", body = Video,
        headers(("Location" = String)))))]
pub async fn add(
    State(app): State<App>,
    Member(caller): Member,
    Json(draft): Json<Draft>,
) -> Result<Created<Video>, Error> {
    let draft = VideoDraft {
        account: account_of(&app, caller, draft.account).await?,
        topic: draft.topic,
        title: draft.title.into_texts(&draft.language),
        description: draft.description.map(|words| words.into_texts(&draft.language)).unwrap_or_default(),
        language: draft.language,
    };
    let upload = app.publishing.draft_with_parts(caller, draft).await?;
    let id = upload.video_id.ok_or(publishing::Error::NotFound("video"))?;
    let mut video = look(&app, Viewer(Some(caller)), None, id).await?.1;
    video.upload = Some(upload_to(&app, id, upload.id));
    Ok(Created(app.url(&format!("/api/v1/videos/{id}")), video))
}

fn upload_to(app: &App, video: VideoId, parts: UploadId) -> UploadTo {
    UploadTo {
        tus: app.url("/api/v1/uploads"),
        put: app.url(&format!("/api/v1/videos/{video}/source")),
        parts: app.url(&format!("/api/v1/uploads/{parts}/parts")),
    }
}

/// The account that is named, or the caller's own.
pub(super) async fn account_of(app: &App, caller: Caller, named: Option<Handle>) -> Result<Handle, Error> {
    match (named, caller.account) {
        (Some(handle), _) => Ok(handle),
        (None, Some(id)) => {
            let found = account::find_by_id(app.read().await?.conn(), id).await?;
            Ok(found.ok_or(Error::Missing("account"))?.handle)
        }
        (None, None) => Err(Error::Missing("account")),
    }
}

/// Look at one video
///
/// A draft is there for its own account and the bearer of a token; of a withdrawn one everybody may read why. The `ETag`
/// is the version of what people change of it.
#[utoipa::path(get, path = "/api/v1/videos/{id}", operation_id = "get_video", tag = "videos", security((),
    ("key" = [])),
    params(("id" = String, Path, format = Uuid), Permit),
    responses((status = 200, description = "The video, as much of it as the caller may see", body = Video,
        headers(("ETag" = String)))))]
pub async fn find(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<VideoId>,
    Query(permit): Query<Permit>,
) -> Result<Versioned<Json<Video>>, Error> {
    let video = look(&app, viewer, permit.token.as_deref(), id).await?.1;
    Ok(Versioned(video.version, Json(video)))
}

/// The video as the caller sees it after a change.
async fn changed(app: &App, caller: Caller, row: &video::Video) -> Result<Versioned<Json<Video>>, Error> {
    Ok(Versioned(row.version, Json(describe(app, Viewer(Some(caller)), row).await?)))
}

/// Change what is said of a video
///
/// A draft by an editor, what is or was public by a publisher. What is left out stays.
#[utoipa::path(patch, path = "/api/v1/videos/{id}", operation_id = "update_video", tag = "videos",
    security(("key" = [])), request_body = Change,
    params(("id" = String, Path, format = Uuid), IfMatchHeader),
    responses((status = 200, description = "The video as it is now", body = Video,
        headers(("ETag" = String)))))]
pub async fn change(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<VideoId>,
    version: IfMatch,
    Json(change): Json<Change>,
) -> Result<Versioned<Json<Video>>, Error> {
    let change = VideoChange {
        topic: change.topic,
        title: change.title.map(TextChange::from),
        description: change.description.map(TextChange::from),
        poster_alt: change.poster_alt.map(TextChange::from),
        language: change.language,
        trim: change
            .trim
            .map(|to| Trim { start_ms: to.start_ms.unwrap_or(0).into(), end_ms: to.end_ms.map(i64::from) }),
    };
    let video = app.publishing.change_video(caller, version.of(id), change).await?;
    changed(&app, caller, &video).await
}

/// Delete a video
///
/// It is gone from every page at once; its objects follow.
#[utoipa::path(delete, path = "/api/v1/videos/{id}", operation_id = "delete_video", tag = "videos",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), IfMatchHeader),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<VideoId>,
    version: IfMatch,
) -> Result<Gone, Error> {
    app.publishing.delete_video(caller, version.of(id)).await?;
    Ok(Gone)
}

/// How a video is published.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Publication {
    /// Publish also where nothing can be played yet, and no broadcast is announced that will bring it.
    without_media: Option<bool>,
}

/// Show a video to everybody
///
/// Takes a publisher's key. A withdrawn video may be published again. One that has nothing to play is refused with
/// `media_missing`, unless that is meant.
#[utoipa::path(post, path = "/api/v1/videos/{id}/publish", operation_id = "publish_video", tag = "videos",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), Publication, IfMatchHeader),
    responses((status = 200, description = "The published video", body = Video, headers(("ETag" = String)))))]
pub async fn publish(
    State(app): State<App>,
    Publisher(caller): Publisher,
    Path(id): Path<VideoId>,
    Query(publication): Query<Publication>,
    version: IfMatch,
) -> Result<Versioned<Json<Video>>, Error> {
    let video = if publication.without_media.unwrap_or(false) {
        app.publishing.publish_without_media(caller, version.of(id)).await?
    } else {
        app.publishing.publish(caller, version.of(id)).await?
    };
    changed(&app, caller, &video).await
}

/// Take a published video back
///
/// Takes a publisher's key. The reason is public.
#[utoipa::path(post, path = "/api/v1/videos/{id}/withdraw", operation_id = "withdraw_video", tag = "videos",
    security(("key" = [])),
    request_body = Withdrawal, params(("id" = String, Path, format = Uuid), IfMatchHeader),
    responses((status = 200, description = "The withdrawn video", body = Video, headers(("ETag" = String))),
        (status = 409, description = "It was never published",
        body = super::problem::Problem, content_type = "application/problem+json")))]
pub async fn withdraw(
    State(app): State<App>,
    Publisher(caller): Publisher,
    Path(id): Path<VideoId>,
    version: IfMatch,
    Json(withdrawal): Json<Withdrawal>,
) -> Result<Versioned<Json<Video>>, Error> {
    let video = app.publishing.withdraw(caller, version.of(id), withdrawal.reason).await?;
    changed(&app, caller, &video).await
}
