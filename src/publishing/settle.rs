//! What becomes of a revision: a pure decision on its rungs and jobs, and the one row that switches the video over.

use sqlx::types::Json;

use super::{Error, Publishing};
use crate::catalogue::revision::Revision;
use crate::catalogue::rung::Rung;
use crate::catalogue::video::{SourceRefused, Video};
use crate::catalogue::{Tx, job, pack, revision, rung, upload, video};
use crate::domain::cdn::CacheTag;
use crate::domain::job::{Job, JobState};
use crate::domain::media::{MediaState, RungState};
use crate::domain::{Refusal, RefusalCode, Timestamp, VideoId, printable};

/// What a revision has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub state: MediaState,
    pub error: Option<Refusal>,
    /// Nothing more will happen to it.
    pub settled: bool,
}

/// What the decision rests on.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    pub rungs: &'a [Rung],
    /// Names of rungs with at least one pack.
    pub started: &'a [String],
    /// A job of the revision waits or runs.
    pub working: bool,
    /// A job of the revision was called off.
    pub cancelled: bool,
    /// What the last dead job said.
    pub dead: Option<&'a str>,
    /// What the probe warned of.
    pub warnings: &'a [Refusal],
}

/// The verdict on a revision.
pub(super) fn decide(facts: &Facts<'_>) -> Verdict {
    let begun = |rung: &Rung| facts.started.contains(&rung.name);
    let (audio, video): (Vec<&Rung>, Vec<&Rung>) = facts.rungs.iter().partition(|rung| rung.audio);
    let audible = audio.iter().all(|rung| begun(rung) || rung.state == RungState::Failed);
    if facts.working {
        let playable = audible && both_ends(&video).is_some_and(|ends| ends.into_iter().all(begun));
        let state = if playable { MediaState::Playable } else { MediaState::Processing };
        return Verdict { state, error: None, settled: false };
    }
    let whole = |rung: &&Rung| rung.state != RungState::Failed && begun(rung);
    if !video.iter().any(whole) {
        return Verdict { state: MediaState::Failed, error: Some(nothing_plays(facts)), settled: true };
    }
    let error = complaint(facts.rungs, facts.warnings);
    let state = if error.is_some() { MediaState::Degraded } else { MediaState::Ready };
    Verdict { state, error, settled: true }
}

/// The highest rung and the lowest that are to be had: players keep what the first master they read lists, and it has to
/// do for a good line and for a bad one.
fn both_ends<'a>(video: &[&'a Rung]) -> Option<[&'a Rung; 2]> {
    let mut kept = video.iter().copied().filter(|rung| rung.state != RungState::Failed);
    let highest = kept.next()?;
    Some([highest, kept.next_back().unwrap_or(highest)])
}

fn nothing_plays(facts: &Facts<'_>) -> Refusal {
    if facts.cancelled {
        return Refusal::new(RefusalCode::Cancelled, "Processing was called off.");
    }
    let said = facts.dead.or_else(|| facts.rungs.iter().find_map(|rung| rung.error.as_deref()));
    match said {
        Some(said) => {
            Refusal::new(RefusalCode::ProcessingFailed, format!("No rendition could be made: {said}."))
        }
        None => Refusal::new(RefusalCode::NoFrames, "The video has no picture that can be shown."),
    }
}

/// The reason a revision is no more than degraded.
fn complaint(rungs: &[Rung], warnings: &[Refusal]) -> Option<Refusal> {
    let of = |code| warnings.iter().find(|warning| warning.code == code).cloned();
    let audio = of(RefusalCode::AudioUndecodable);
    if audio.is_some() {
        return audio;
    }
    let failed: Vec<&Rung> = rungs.iter().filter(|rung| rung.state == RungState::Failed).collect();
    let Some(first) = failed.first() else { return of(RefusalCode::PicturesDamaged) };
    let names = failed.iter().map(|rung| rung.name.as_str()).collect::<Vec<_>>().join(", ");
    let code = if first.audio { RefusalCode::AudioUndecodable } else { RefusalCode::RungFailed };
    let cause = first.error.as_deref().unwrap_or("no reason was given");
    Some(Refusal::new(
        code,
        format!("These renditions are missing: {names}. The first of them said: {cause}."),
    ))
}

/// Asks for a sweep behind attempts that came to nothing: the one after the last job may die or be refused, and a worker
/// that lost its lease may still write until `due_at`.
async fn sweep_later(tx: &mut Tx, (video, revision): (VideoId, u32), due_at: Timestamp) -> Result<(), Error> {
    let jobs = job::list_of_revision(tx.conn(), video, revision).await?;
    if jobs.iter().any(|job| job.attempt > 1) {
        let work = Job::Retire { video, revision };
        job::enqueue(tx.conn(), &work, None, due_at).await?;
    }
    Ok(())
}

impl Publishing {
    /// Looks at what a revision has come to, and moves the video accordingly. Ends every step of processing.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx,
        (id, number): (VideoId, u32),
        now: Timestamp,
    ) -> Result<(), Error> {
        video::lock(tx.conn(), id, now).await?;
        let (Some(video), Some(revision)) =
            (video::find(tx.conn(), id).await?, revision::find(tx.conn(), id, number).await?)
        else {
            return Ok(());
        };
        if revision.finished_at.is_some() {
            return Ok(());
        }
        let verdict = self.weigh(tx, &revision).await?;
        let finished_at = verdict.settled.then_some(now);
        let told = (verdict.state, verdict.error.as_ref());
        revision::set_state(tx.conn(), (id, number), told, finished_at).await?;
        if verdict.state != revision.state {
            let reason = verdict.error.as_ref().map(|error| printable(&error.message).into_owned());
            tracing::info!(video = %id, revision = number, reason, "media {}", verdict.state);
        }
        if verdict.settled {
            settle_rungs(tx, (id, number)).await?;
            sweep_later(tx, (id, number), now.plus(self.limits.late_writes)).await?;
        }
        self.switch(tx, (&video, &revision), &verdict, now).await
    }

    async fn weigh(&self, tx: &mut Tx, revision: &Revision) -> Result<Verdict, Error> {
        let number = u32::try_from(revision.number).unwrap_or(0);
        let rungs = rung::list(tx.conn(), revision.video_id, number).await?;
        let packs = pack::list(tx.conn(), (revision.video_id, number), None).await?;
        let jobs = job::list_of_revision(tx.conn(), revision.video_id, number).await?;
        let mut started: Vec<String> = packs.into_iter().map(|pack| pack.rung).collect();
        started.dedup();
        let open = |state| matches!(state, JobState::Queued | JobState::Running);
        let dead = jobs.iter().rev().find(|job| job.state == JobState::Dead);
        Ok(decide(&Facts {
            rungs: &rungs,
            started: &started,
            working: jobs.iter().any(|job| open(job.state)),
            cancelled: jobs.iter().any(|job| job.state == JobState::Cancelled),
            dead: dead.and_then(|job| job.last_error.as_deref()),
            warnings: &revision.warnings,
        }))
    }

    /// Lets the video play this revision, where that is better than what plays now.
    async fn switch(
        &self,
        tx: &mut Tx,
        (video, revision): (&Video, &Revision),
        verdict: &Verdict,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (id, number) = (video.id, u32::try_from(revision.number).unwrap_or(0));
        let plays = video.revision.map(|playing| u32::try_from(playing).unwrap_or(0));
        let mine = plays.is_none_or(|playing| playing == number);
        let playable =
            matches!(verdict.state, MediaState::Playable | MediaState::Ready | MediaState::Degraded);
        // A reprocessing that turned out worse than what plays stays in the drawer.
        let better = verdict.settled
            && playable
            && (verdict.state == MediaState::Ready || video.media_state != MediaState::Ready || {
                let playing = revision::find(tx.conn(), id, plays.unwrap_or(0)).await?;
                playing.is_none_or(|playing| playing.upload_id != revision.upload_id)
            });
        if mine || better {
            if playable {
                video::set_revision(tx.conn(), id, number, now).await?;
                revision::set_retire(tx.conn(), (id, number), None).await?;
            }
            video::set_media(tx.conn(), id, (verdict.state, verdict.error.as_ref()), now).await?;
        }
        note_refusal(tx, (video, revision), verdict.error.as_ref().filter(|_| !mine && !playable), now)
            .await?;
        let grace_over = now.plus(self.limits.revision_grace);
        match plays {
            Some(old) if better && old != number => {
                self.invalidate(tx.conn(), CacheTag::Video(id)).await?;
                revision::set_retire(tx.conn(), (id, old), Some(grace_over)).await?;
            }
            Some(old) if verdict.settled && old != number => {
                revision::set_retire(tx.conn(), (id, number), Some(grace_over)).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets a video play an earlier revision again, as long as its grace is not over.
    pub async fn roll_back(&self, id: VideoId, number: u32) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        video::lock(tx.conn(), id, now).await?;
        let video = video::find(tx.conn(), id).await?.ok_or(Error::NotFound("video"))?;
        let target = revision::find(tx.conn(), id, number).await?.ok_or(Error::RevisionGone(number))?;
        if !matches!(target.state, MediaState::Ready | MediaState::Degraded) {
            return Err(Error::RevisionGone(number));
        }
        if let Some(playing) = video.revision.and_then(|playing| u32::try_from(playing).ok()) {
            let grace_over = now.plus(self.limits.revision_grace);
            revision::set_retire(tx.conn(), (id, playing), Some(grace_over)).await?;
        }
        revision::set_retire(tx.conn(), (id, number), None).await?;
        video::set_revision(tx.conn(), id, number, now).await?;
        let error = target.error.map(|Json(error)| error);
        video::set_media(tx.conn(), id, (target.state, error.as_ref()), now).await?;
        video::set_source(tx.conn(), id, target.upload_id, now).await?;
        video::set_source_refused(tx.conn(), id, None, now).await?;
        self.invalidate(tx.conn(), CacheTag::Video(id)).await?;
        tx.commit().await?;
        self.changes.tell(id);
        Ok(())
    }

    /// Fails the revision of a source that can't be played, with the probe's reason.
    pub(super) async fn refuse(
        &self,
        tx: &mut Tx,
        (id, number): (VideoId, u32),
        refusal: &Refusal,
        now: Timestamp,
    ) -> Result<(), Error> {
        video::lock(tx.conn(), id, now).await?;
        let (Some(video), Some(revision)) =
            (video::find(tx.conn(), id).await?, revision::find(tx.conn(), id, number).await?)
        else {
            return Ok(());
        };
        let verdict = Verdict { state: MediaState::Failed, error: Some(refusal.clone()), settled: true };
        revision::set_state(tx.conn(), (id, number), (MediaState::Failed, Some(refusal)), Some(now)).await?;
        self.switch(tx, (&video, &revision), &verdict, now).await
    }
}

/// The video says of its latest source why it is not played, while another one plays; or says so no more.
async fn note_refusal(
    tx: &mut Tx,
    (video, revision): (&Video, &Revision),
    error: Option<&Refusal>,
    now: Timestamp,
) -> Result<(), Error> {
    let number = u32::try_from(video.revision.unwrap_or(0)).unwrap_or(0);
    let playing = revision::find(tx.conn(), video.id, number).await?;
    let replaces = playing.is_none_or(|playing| playing.upload_id != revision.upload_id);
    let latest = video.upload_id == Some(revision.upload_id) && replaces;
    let known = video.source_refused.as_ref().is_some_and(|known| known.upload == revision.upload_id);
    match error {
        Some(error) if latest => {
            let source = upload::find(tx.conn(), revision.upload_id).await?;
            let refused = SourceRefused {
                upload: revision.upload_id,
                filename: source.as_ref().map(|source| source.filename.clone()).unwrap_or_default(),
                received_at: source.and_then(|source| source.finished_at),
                error: error.clone(),
            };
            Ok(video::set_source_refused(tx.conn(), video.id, Some(&refused), now).await?)
        }
        None if known => Ok(video::set_source_refused(tx.conn(), video.id, None, now).await?),
        _ => Ok(()),
    }
}

/// Every rung that has not failed is whole now.
async fn settle_rungs(tx: &mut Tx, (id, number): (VideoId, u32)) -> Result<(), Error> {
    for rung in rung::list(tx.conn(), id, number).await? {
        if matches!(rung.state, RungState::Queued | RungState::Encoding) {
            let state = if rung.codecs.is_some() { RungState::Ready } else { RungState::Failed };
            rung::set_state(tx.conn(), (id, number), &rung.name, (state, None)).await?;
        }
    }
    Ok(())
}

/// The jobs that a plan leads to.
pub(super) fn jobs_of(
    (video, revision): (VideoId, u32),
    timeline: &crate::domain::media::Timeline,
    audio: bool,
) -> Vec<Job> {
    let chunks = timeline.chunks.iter().map(|&first| Job::Chunk { video, revision, first });
    let audio = audio.then_some(Job::Audio { video, revision });
    audio.into_iter().chain(chunks).chain([Job::Stills { video, revision }]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(name: &str, state: RungState) -> Rung {
        Rung {
            name: name.to_owned(),
            position: 0,
            audio: name == "audio",
            width: 0,
            height: 0,
            codecs: None,
            state,
            error: (state == RungState::Failed).then(|| "encoder died".to_owned()),
        }
    }

    #[test]
    fn a_video_plays_only_once_its_sound_has_begun() {
        let rungs = [rung("360p", RungState::Encoding), rung("audio", RungState::Queued)];
        let started = ["360p".to_owned()];
        let facts = Facts { rungs: &rungs, started: &started, working: true, ..Facts::default() };
        assert_eq!(decide(&facts).state, MediaState::Processing);
        let started = ["360p".to_owned(), "audio".to_owned()];
        assert_eq!(decide(&Facts { started: &started, ..facts }).state, MediaState::Playable);
    }

    #[test]
    fn a_video_plays_only_once_its_highest_and_lowest_rung_have_begun() {
        let state = |begun: &[&str], failed: &str| {
            let of = |name| rung(name, if name == failed { RungState::Failed } else { RungState::Encoding });
            let rungs = ["1080p", "480p", "240p"].map(of);
            let started: Vec<String> = begun.iter().map(|name| (*name).to_owned()).collect();
            decide(&Facts { rungs: &rungs, started: &started, working: true, ..Facts::default() }).state
        };
        assert_eq!(state(&["1080p", "480p"], ""), MediaState::Processing);
        assert_eq!(state(&["480p", "240p"], ""), MediaState::Processing);
        assert_eq!(state(&["1080p", "240p"], ""), MediaState::Playable);
        assert_eq!(state(&["1080p", "480p"], "240p"), MediaState::Playable);
        assert_eq!(state(&["480p", "240p"], "1080p"), MediaState::Playable);
    }

    #[test]
    fn one_bad_rung_never_fails_a_video() {
        let rungs = [rung("720p", RungState::Failed), rung("360p", RungState::Encoding)];
        let started = ["360p".to_owned()];
        let facts = Facts { rungs: &rungs, started: &started, ..Facts::default() };
        let verdict = decide(&facts);
        assert_eq!(verdict.state, MediaState::Degraded);
        assert_eq!(verdict.error.map(|error| error.code), Some(RefusalCode::RungFailed));
    }

    #[test]
    fn sound_that_is_lost_is_told() {
        let rungs = [rung("360p", RungState::Encoding)];
        let warnings = [Refusal::new(RefusalCode::AudioUndecodable, "No sound.")];
        let started = ["360p".to_owned()];
        let facts = Facts { rungs: &rungs, started: &started, warnings: &warnings, ..Facts::default() };
        assert_eq!(decide(&facts).state, MediaState::Degraded);
    }

    #[test]
    fn pictures_that_are_lost_are_told() {
        let rungs = [rung("360p", RungState::Encoding)];
        let warnings = [Refusal::pictures_damaged(vec![[4, 8]])];
        let started = ["360p".to_owned()];
        let facts = Facts { rungs: &rungs, started: &started, warnings: &warnings, ..Facts::default() };
        let verdict = decide(&facts);
        assert_eq!(verdict.state, MediaState::Degraded);
        assert_eq!(verdict.error.map(|error| error.seconds), Some(vec![[4, 8]]));
    }

    #[test]
    fn without_a_picture_nothing_plays() {
        let rungs = [rung("audio", RungState::Encoding)];
        let started = ["audio".to_owned()];
        let facts = Facts { rungs: &rungs, started: &started, ..Facts::default() };
        assert_eq!(decide(&facts).state, MediaState::Failed);
    }
}
