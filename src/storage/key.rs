//! Names every object in the bucket, its content type and its cache rule, and reads the names back.

use std::fmt;
use std::str::FromStr;

use crate::domain::{Nonce, PosterId, UploadId, VideoId};

/// Media and stills never change under their name: a viewer may keep them for a year. A cache that viewers share asks
/// again within minutes, because a video may be taken back.
pub const SHOWN: &str = "public, max-age=31536000, s-maxage=300, immutable";
/// Sources and what is on the way to one are nobody's to cache.
const PRIVATE: &str = "private, no-store";

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Object {
    /// The finished original, as uploaded.
    Source { video: VideoId, upload: UploadId },
    /// A finished part of a tus concatenation.
    Partial { upload: UploadId },
    /// The end of an unfinished upload that isn't part-sized yet, up to `offset` in bytes.
    Tail { upload: UploadId, offset: u64 },
    /// A rung's initialisation segment; a recording whose encoder changed has more than number 0.
    Init { folder: Folder, rung: String, number: u32 },
    /// Consecutive segments of a rung.
    Pack { folder: Folder, rung: String, first_segment: u32, attempt: u32 },
    /// A picture to stand for a video, as uploaded.
    NewPoster { video: VideoId, poster: PosterId },
    /// The same, made fit to be shown.
    Poster { video: VideoId, poster: PosterId },
    /// A picture or the index of pictures.
    Still { folder: Folder, still: Still },
}

/// Where what is made by one revision lies: `{video}/{revision}-{nonce}`, and `{video}/{revision}` where it was made
/// before there were nonces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Folder {
    pub video: VideoId,
    pub revision: u32,
    /// Changes when the video is taken back.
    pub nonce: Option<Nonce>,
}

/// The stills of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Still {
    Poster,
    Storyboard,
    StoryboardIndex,
}

/// The name of one object.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    text: String,
    object: Object,
}

/// The text names no object of ours.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} names no object of policast")]
pub struct ParseKeyError(String);

impl Key {
    /// The name of `object`.
    pub fn new(object: Object) -> Self {
        Self { text: object.to_string(), object }
    }

    /// `sources/{video}/{upload}`
    pub fn source(video: VideoId, upload: UploadId) -> Self {
        Self::new(Object::Source { video, upload })
    }

    /// `arriving/{upload}`
    pub fn partial(upload: UploadId) -> Self {
        Self::new(Object::Partial { upload })
    }

    /// `arriving/{upload}.tail-{offset}`, `offset` in bytes.
    pub fn tail(upload: UploadId, offset: u64) -> Self {
        Self::new(Object::Tail { upload, offset })
    }

    /// What every tail of an upload begins with.
    pub fn tail_prefix(upload: UploadId) -> String {
        format!("arriving/{upload}.tail-")
    }

    /// `media/{folder}/{rung}/init.mp4`
    pub fn init(folder: Folder, rung: &str) -> Self {
        Self::init_of(folder, rung, 0)
    }

    /// `media/{folder}/{rung}/init-{number}.mp4`; number 0 is `init.mp4`.
    pub fn init_of(folder: Folder, rung: &str, number: u32) -> Self {
        Self::new(Object::Init { folder, rung: rung.to_owned(), number })
    }

    /// `media/{folder}/{rung}/{first_segment}-{attempt}.m4s`
    pub fn pack(folder: Folder, rung: &str, first_segment: u32, attempt: u32) -> Self {
        Self::new(Object::Pack { folder, rung: rung.to_owned(), first_segment, attempt })
    }

    /// `stills/{folder}/poster.jpg` and its neighbours.
    pub fn still(folder: Folder, still: Still) -> Self {
        Self::new(Object::Still { folder, still })
    }

    /// `arriving/{video}/{poster}`
    pub fn new_poster(video: VideoId, poster: PosterId) -> Self {
        Self::new(Object::NewPoster { video, poster })
    }

    /// `stills/{video}/poster-{poster}.jpg`
    pub fn poster(video: VideoId, poster: PosterId) -> Self {
        Self::new(Object::Poster { video, poster })
    }

    /// What every uploaded picture of a video begins with, once it is fit to be shown.
    pub fn poster_prefix(video: VideoId) -> String {
        format!("stills/{video}/poster-")
    }

    /// Of all pictures of a video, shown or arriving.
    pub fn poster_prefixes(video: VideoId) -> [String; 2] {
        [format!("arriving/{video}/"), Self::poster_prefix(video)]
    }

    /// The prefixes that hold everything made by one revision, whatever its nonces were.
    pub fn revision_prefixes(video: VideoId, revision: u32) -> [String; 4] {
        let of = |folder: &str, end: &str| format!("{folder}/{video}/{revision}{end}");
        [of("media", "/"), of("media", "-"), of("stills", "/"), of("stills", "-")]
    }

    /// The folder of the revision that made it.
    pub fn folder(&self) -> Option<Folder> {
        match self.object {
            Object::Init { folder, .. } | Object::Pack { folder, .. } | Object::Still { folder, .. } => {
                Some(folder)
            }
            _ => None,
        }
    }

    /// The same in another folder, where it lies in one.
    pub fn inside(&self, folder: Folder) -> Self {
        let mut object = self.object.clone();
        match &mut object {
            Object::Init { folder: of, .. }
            | Object::Pack { folder: of, .. }
            | Object::Still { folder: of, .. } => {
                *of = folder;
            }
            _ => {}
        }
        Self::new(object)
    }

    /// The prefixes that hold everything of one video.
    pub fn video_prefixes(video: VideoId) -> [String; 4] {
        ["sources", "arriving", "media", "stills"].map(|folder| format!("{folder}/{video}/"))
    }

    /// The name as S3 has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the object is.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The upload whose bytes it holds.
    pub fn upload(&self) -> Option<UploadId> {
        match self.object {
            Object::Source { upload, .. } | Object::Partial { upload } | Object::Tail { upload, .. } => {
                Some(upload)
            }
            Object::Init { .. }
            | Object::Pack { .. }
            | Object::NewPoster { .. }
            | Object::Poster { .. }
            | Object::Still { .. } => None,
        }
    }

    /// The media type the object is stored with.
    pub fn content_type(&self) -> &'static str {
        match &self.object {
            Object::Source { .. }
            | Object::Partial { .. }
            | Object::Tail { .. }
            | Object::NewPoster { .. } => "application/octet-stream",
            Object::Init { rung, .. } if rung == "audio" => "audio/mp4",
            Object::Pack { rung, .. } if rung == "audio" => "audio/mp4",
            Object::Init { .. } | Object::Pack { .. } => "video/mp4",
            Object::Still { still: Still::StoryboardIndex, .. } => "text/vtt; charset=utf-8",
            Object::Poster { .. } | Object::Still { .. } => "image/jpeg",
        }
    }

    /// The `Cache-Control` the object is stored with.
    pub fn cache_control(&self) -> &'static str {
        match &self.object {
            Object::Source { .. }
            | Object::Partial { .. }
            | Object::Tail { .. }
            | Object::NewPoster { .. } => PRIVATE,
            _ => SHOWN,
        }
    }
}

impl Still {
    fn file_name(self) -> &'static str {
        match self {
            Self::Poster => "poster.jpg",
            Self::Storyboard => "storyboard.jpg",
            Self::StoryboardIndex => "storyboard.vtt",
        }
    }

    fn from_file_name(name: &str) -> Option<Self> {
        [Self::Poster, Self::Storyboard, Self::StoryboardIndex].into_iter().find(|s| s.file_name() == name)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { video, upload } => write!(f, "sources/{video}/{upload}"),
            Self::Partial { upload } => write!(f, "arriving/{upload}"),
            Self::Tail { upload, offset } => write!(f, "arriving/{upload}.tail-{offset}"),
            Self::Init { folder, rung, number: 0 } => write!(f, "media/{folder}/{rung}/init.mp4"),
            Self::Init { folder, rung, number } => write!(f, "media/{folder}/{rung}/init-{number}.mp4"),
            Self::Pack { folder, rung, first_segment, attempt } => {
                write!(f, "media/{folder}/{rung}/{first_segment}-{attempt}.m4s")
            }
            Self::NewPoster { video, poster } => write!(f, "arriving/{video}/{poster}"),
            Self::Poster { video, poster } => write!(f, "stills/{video}/poster-{poster}.jpg"),
            Self::Still { folder, still } => write!(f, "stills/{folder}/{}", still.file_name()),
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { video, revision, nonce } = self;
        match nonce {
            Some(nonce) => write!(f, "{video}/{revision}-{nonce}"),
            None => write!(f, "{video}/{revision}"),
        }
    }
}

/// Where revisions were made before there were nonces.
impl From<(VideoId, u32)> for Folder {
    fn from((video, revision): (VideoId, u32)) -> Self {
        Self { video, revision, nonce: None }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.text)
    }
}

impl FromStr for Key {
    type Err = ParseKeyError;

    /// Only the exact text that `as_str` gives is taken: `007` is no revision.
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        parse(text)
            .map(Self::new)
            .filter(|key| key.text == text)
            .ok_or_else(|| ParseKeyError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Object> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts[..] {
        ["sources", video, upload] => {
            Some(Object::Source { video: video.parse().ok()?, upload: upload.parse().ok()? })
        }
        ["arriving", name] => parse_arriving(name),
        ["arriving", video, poster] => {
            Some(Object::NewPoster { video: video.parse().ok()?, poster: poster.parse().ok()? })
        }
        ["media", video, revision, rung, name] if !rung.is_empty() => {
            parse_media(parse_folder(video, revision)?, (rung, name))
        }
        ["stills", video, name] => {
            let poster = name.strip_prefix("poster-")?.strip_suffix(".jpg")?;
            Some(Object::Poster { video: video.parse().ok()?, poster: poster.parse().ok()? })
        }
        ["stills", video, revision, name] => {
            let still = Still::from_file_name(name)?;
            Some(Object::Still { folder: parse_folder(video, revision)?, still })
        }
        _ => None,
    }
}

fn parse_arriving(name: &str) -> Option<Object> {
    match name.split_once(".tail-") {
        None => Some(Object::Partial { upload: name.parse().ok()? }),
        Some((upload, offset)) => {
            Some(Object::Tail { upload: upload.parse().ok()?, offset: offset.parse().ok()? })
        }
    }
}

fn parse_folder(video: &str, revision: &str) -> Option<Folder> {
    let (revision, nonce) = match revision.split_once('-') {
        Some((revision, nonce)) => (revision, Some(nonce.parse().ok()?)),
        None => (revision, None),
    };
    Some(Folder { video: video.parse().ok()?, revision: revision.parse().ok()?, nonce })
}

fn parse_media(folder: Folder, (rung, name): (&str, &str)) -> Option<Object> {
    let rung = rung.to_owned();
    if name == "init.mp4" {
        return Some(Object::Init { folder, rung, number: 0 });
    }
    if let Some(number) = name.strip_prefix("init-").and_then(|name| name.strip_suffix(".mp4")) {
        return Some(Object::Init { folder, rung, number: number.parse().ok()? });
    }
    let (first_segment, attempt) = name.strip_suffix(".m4s")?.split_once('-')?;
    let (first_segment, attempt) = (first_segment.parse().ok()?, attempt.parse().ok()?);
    Some(Object::Pack { folder, rung, first_segment, attempt })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of_each() -> Vec<Key> {
        let (video, upload, poster) = (VideoId::new(), UploadId::new(), PosterId::new());
        let rung = "720p".to_owned();
        let (old, folder) =
            (Folder::from((video, 3)), Folder { video, revision: 3, nonce: Some(Nonce::random()) });
        let pack = Object::Pack { folder, rung, first_segment: 21, attempt: 2 };
        let stills = [Still::Poster, Still::Storyboard, Still::StoryboardIndex];
        let made = [
            Key::source(video, upload),
            Key::partial(upload),
            Key::tail(upload, 1 << 40),
            Key::init(old, "audio"),
            Key::init(folder, "audio"),
            Key::init_of(folder, "720p", 1),
            Key::pack(old, "720p", 21, 2),
            Key::still(old, Still::Poster),
            Key::new_poster(video, poster),
            Key::poster(video, poster),
        ];
        let stills = stills.into_iter().map(|still| Key::still(folder, still));
        made.into_iter().chain([Key::new(pack)]).chain(stills).collect()
    }

    #[test]
    fn a_name_survives_its_text() {
        for key in one_of_each() {
            assert_eq!(key.as_str().parse::<Key>().ok().as_ref(), Some(&key), "{key}");
        }
    }

    #[test]
    fn names_are_laid_out_as_documented() {
        let video: VideoId = "0197a0f0-0000-7000-8000-000000000001".parse().expect("an id");
        let upload: UploadId = "0197a0f0-0000-7000-8000-000000000002".parse().expect("an id");
        let poster: PosterId = "0197a0f0-0000-7000-8000-000000000003".parse().expect("an id");
        let nonce: Nonce = "0123456789abcdef01234567".parse().expect("a nonce");
        let rung = "720p".to_owned();
        let folder = Folder { nonce: Some(nonce), ..Folder::from((video, 1)) };
        let pack = Object::Pack { folder, rung, first_segment: 5, attempt: 2 };
        let (arriving, shown) = (Key::new_poster(video, poster), Key::poster(video, poster));
        let names = [Key::source(video, upload), Key::tail(upload, 5), Key::new(pack), arriving, shown];
        let names: Vec<String> =
            names.iter().map(|key| key.as_str().replace(&video.to_string(), "V")).collect();
        assert_eq!(names[0], format!("sources/V/{upload}"));
        assert_eq!(names[1], format!("arriving/{upload}.tail-5"));
        assert_eq!(names[2], "media/V/1-0123456789abcdef01234567/720p/5-2.m4s");
        assert_eq!(names[3], format!("arriving/V/{poster}"));
        assert_eq!(names[4], format!("stills/V/poster-{poster}.jpg"));
    }

    #[test]
    fn a_text_that_is_not_exactly_a_name_is_refused() {
        let video = VideoId::new();
        let wrong = ["", "sources", "sources/x/y", "media/../../etc/passwd", "stills//1/poster.jpg"];
        for text in wrong {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
        for text in ["01/poster.jpg", "1/poster.png", "+1/poster.jpg", "1/poster.jpg/"] {
            assert!(format!("stills/{video}/{text}").parse::<Key>().is_err(), "{text}");
        }
        for text in [
            "1/720p/1.m4s",
            "1/720p/1-1.mp4",
            "1//init.mp4",
            "1/720p/x-1.m4s",
            "1-/720p/1-1.m4s",
            "1-0123/720p/1-1.m4s",
        ] {
            assert!(format!("media/{video}/{text}").parse::<Key>().is_err(), "{text}");
        }
    }

    /// The video an object belongs to; what is still arriving of a source belongs to its upload only.
    fn video_of(key: &Key) -> Option<VideoId> {
        match *key.object() {
            Object::Source { video, .. } | Object::NewPoster { video, .. } | Object::Poster { video, .. } => {
                Some(video)
            }
            Object::Init { folder, .. } | Object::Pack { folder, .. } | Object::Still { folder, .. } => {
                Some(folder.video)
            }
            Object::Partial { .. } | Object::Tail { .. } => None,
        }
    }

    #[test]
    fn what_has_arrived_lies_under_its_videos_prefixes() {
        for key in one_of_each() {
            let begins = |prefix: &String| key.as_str().starts_with(prefix);
            match video_of(&key) {
                Some(video) => assert!(Key::video_prefixes(video).iter().any(begins), "{key}"),
                None => assert!(key.as_str().starts_with("arriving/"), "{key}"),
            }
        }
    }

    #[test]
    fn what_a_revision_made_lies_under_its_prefixes_and_what_was_uploaded_does_not() {
        for key in one_of_each() {
            let Some(video) = video_of(&key) else { continue };
            let uploaded = matches!(
                key.object(),
                Object::Source { .. } | Object::NewPoster { .. } | Object::Poster { .. }
            );
            let prefixes = Key::revision_prefixes(video, 3);
            assert_eq!(prefixes.iter().any(|prefix| key.as_str().starts_with(prefix)), !uploaded, "{key}");
        }
    }

    #[test]
    fn only_what_never_changes_may_be_cached_by_anyone() {
        for key in one_of_each() {
            let as_uploaded = key.upload().is_some() || matches!(key.object(), Object::NewPoster { .. });
            assert_eq!(key.cache_control() == PRIVATE, as_uploaded, "{key}");
        }
    }

    #[test]
    fn tails_of_an_upload_are_found_by_their_prefix() {
        let upload = UploadId::new();
        assert!(Key::tail(upload, 7).as_str().starts_with(&Key::tail_prefix(upload)));
        assert!(!Key::partial(upload).as_str().starts_with(&Key::tail_prefix(upload)));
    }
}
