//! A revision's rows as the playlists need them.

use std::sync::Arc;

use super::super::{App, Error};
use super::gate::Pass;
use crate::catalogue::pack::{self, Pack};
use crate::catalogue::revision::{self, Revision};
use crate::catalogue::rung::{self, Rung};
use crate::domain::VideoId;
use crate::domain::media::{Fraction, RungState, Segment, Ticks, Timeline};
use crate::media::playlist;
use crate::publishing::{self, pack_key};
use crate::storage::{Folder, Key};

/// A revision with its rungs and packs.
pub struct Shown {
    pub revision: Revision,
    pub number: u32,
    rungs: Vec<Rung>,
    packs: Vec<Pack>,
}

impl Shown {
    /// A revision, read once for all who ask at the same moment; `rung` narrows its packs to one.
    pub async fn find(app: &App, id: (VideoId, u32), rung: Option<&str>) -> Result<Arc<Self>, Error> {
        let key = (id.0, id.1, rung.map(ToOwned::to_owned));
        Ok(app.recent.revisions.get(key, async || Self::read(app, id, rung).await.map(Arc::new)).await?)
    }

    async fn read(app: &App, (id, number): (VideoId, u32), rung: Option<&str>) -> Result<Self, Error> {
        let mut read = app.read().await?;
        let found = revision::find(read.conn(), id, number).await?;
        let revision = found.ok_or(publishing::Error::NotFound("revision"))?;
        let rungs = rung::list(read.conn(), id, number).await?;
        let packs = pack::list(read.conn(), (id, number), rung).await?;
        Ok(Self { revision, number, rungs, packs })
    }

    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        let segments: usize = self.packs.iter().map(|pack| pack.segments.len()).sum();
        size_of::<Self>() + self.packs.len() * (size_of::<Pack>() + 32) + segments * size_of::<Segment>()
    }

    /// The size in bytes and the key of a pack that was there when its rung was last looked at. No other one ever has
    /// its address; its object may have another name since.
    pub async fn known_pack(
        app: &App,
        (id, number): (VideoId, u32),
        rung: &str,
        (first, attempt): (u32, u32),
    ) -> Option<(i64, Key)> {
        let shown = app.recent.revisions.last(&(id, number, Some(rung.to_owned()))).await?;
        let name = (i64::from(first), i64::from(attempt));
        let found = shown.packs.iter().find(|pack| (pack.first_segment, pack.attempt) == name);
        found.map(|pack| (pack.size_bytes, pack_key((id, number), pack)))
    }

    /// The key of an initialisation segment: beside the packs that go with it.
    pub fn init_key(&self, rung: &str, which: u32) -> Key {
        let mut own = self.packs.iter().filter(|pack| pack.rung == rung);
        let nonce =
            own.find(|pack| pack.init == i64::from(which)).map_or(self.revision.nonce, |pack| pack.nonce);
        let folder = Folder { video: self.revision.video_id, revision: self.number, nonce };
        Key::init_of(folder, rung, which)
    }

    /// Nothing will be added to it any more.
    pub fn is_settled(&self) -> bool {
        self.revision.finished_at.is_some()
    }

    fn target(&self) -> u32 {
        let planned = self.revision.timeline.as_ref().map_or(0, |timeline| longest(timeline));
        let made = self.packs.iter().flat_map(|pack| pack.segments.iter()).map(|segment| segment.duration);
        playlist::target_duration(made.chain([planned]))
    }

    /// The rung's packs from the beginning up to the first gap; where a broadcast was cut off there is none, but a
    /// number that nobody uses again.
    fn packs_of<'a>(&'a self, rung: &'a str) -> impl Iterator<Item = &'a Pack> {
        let mut next = 0;
        self.packs.iter().filter(move |pack| pack.rung == rung).take_while(move |pack| {
            let fits = pack.first_segment == next || pack.discontinuity;
            next = pack.first_segment + i64::try_from(pack.segments.len()).unwrap_or(0);
            fits
        })
    }

    fn segments_of(&self, rung: &str) -> Vec<Segment> {
        self.packs_of(rung).flat_map(|pack| pack.segments.iter().copied()).collect()
    }

    /// Begun, and not given up.
    fn playable(&self) -> impl Iterator<Item = &Rung> {
        self.rungs.iter().filter(|rung| rung.state != RungState::Failed && rung.codecs.is_some())
    }

    fn rung(&self, rung: &str) -> Result<&Rung, Error> {
        let found = self.playable().find(|candidate| candidate.name == rung);
        found.ok_or_else(|| publishing::Error::NotFound("rung").into())
    }

    /// One rung's playlist.
    pub fn media(&self, pass: &Pass, rung: &str) -> Result<playlist::Media, Error> {
        let growing = !self.is_settled() && self.rung(rung)?.state != RungState::Ready;
        let packs = self.packs_of(rung).map(|pack| playlist::Pack {
            uri: pass.with_token(&format!("{}-{}.m4s", pack.first_segment, pack.attempt)),
            init_uri: pass.with_token(&init_name(pack.init)),
            segments: pack.segments.0.clone(),
            discontinuity: pack.discontinuity,
            shown_at: pack.shown_at,
        });
        let packs: Vec<_> = packs.collect();
        if packs.is_empty() {
            return Err(publishing::Error::NotFound("rung").into());
        }
        Ok(playlist::Media { packs, target: self.target(), growing, trim: pass.trim })
    }

    /// All rungs that play; once nothing is added any more, to the end.
    pub fn master(&self, pass: &Pass) -> playlist::Master {
        let whole = |rung: &&Rung| !self.is_settled() || rung.state == RungState::Ready;
        let pictures = self.playable().filter(|rung| !rung.audio).filter(whole);
        let variants = pictures.filter_map(|rung| self.variant(pass, rung));
        let audio = self.playable().find(|rung| rung.audio).and_then(|rung| self.audio(pass, rung));
        let variants: Vec<_> = variants.collect();
        // A recording has segments that no keyframe begins where its encoder sent too few.
        let is_keyed = |variant: &playlist::Variant| variant.segments.iter().all(|one| one.key_bytes > 0);
        let independent = variants.iter().all(is_keyed);
        playlist::Master { variants, audio, target: self.target(), independent }
    }

    fn uri(&self, pass: &Pass, rung: &str, file: &str) -> String {
        pass.below(&format!("{}/{rung}/{file}", self.number))
    }

    fn variant(&self, pass: &Pass, rung: &Rung) -> Option<playlist::Variant> {
        let segments = self.segments_of(&rung.name);
        let ladder = self.revision.ladder.as_ref()?;
        let planned = ladder.rungs.iter().find(|planned| planned.name == rung.name);
        (!segments.is_empty()).then(|| playlist::Variant {
            uri: self.uri(pass, &rung.name, "playlist.m3u8"),
            iframes_uri: Some(self.uri(pass, &rung.name, "iframes.m3u8")),
            codecs: rung.codecs.clone().unwrap_or_default(),
            width: u32::try_from(rung.width).unwrap_or(0),
            height: u32::try_from(rung.height).unwrap_or(0),
            frame_rate: planned.map_or(Fraction { num: 0, den: 1 }, |planned| planned.frame_rate),
            segments,
        })
    }

    fn audio(&self, pass: &Pass, rung: &Rung) -> Option<playlist::Audio> {
        let segments = self.segments_of(&rung.name);
        let planned = self.revision.ladder.as_ref()?.audio.as_ref()?;
        (!segments.is_empty()).then(|| playlist::Audio {
            uri: self.uri(pass, &rung.name, "playlist.m3u8"),
            codecs: rung.codecs.clone().unwrap_or_default(),
            language: pass.video.language.to_string(),
            channels: planned.channels,
            segments,
        })
    }
}

/// The file name of an initialisation segment; a recording may have several.
fn init_name(number: i64) -> String {
    if number == 0 { "init.mp4".to_owned() } else { format!("init-{number}.mp4") }
}

/// The longest segment planned.
fn longest(timeline: &Timeline) -> Ticks {
    let ends = timeline.starts.iter().skip(1).chain([&timeline.end]);
    timeline.starts.iter().zip(ends).map(|(start, end)| end - start).max().unwrap_or(0)
}
