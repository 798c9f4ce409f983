//! One target: connected, sent to, and tried again for as long as the stream comes in.

use std::error::Error as _;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::super::frame::Media;
use super::super::{Live, rtmp};
use super::notes::{self, Said};
use super::{Error, Feed, guard};
use crate::domain::printable;
use crate::domain::push::PushState;
use crate::publishing::{Push, PushNote, Tenure, one_connection};

/// The pause after the first loss; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A target that took the stream so long is tried again as if it were the first time.
const STEADY: Duration = Duration::from_secs(30);
/// A target that takes nothing for so long is lost.
const STALL: Duration = Duration::from_secs(10);
/// How long a target may take for what is left when the stream ends.
const REST: Duration = Duration::from_secs(2);
/// A piece of a stream key with fewer bytes is a word, such as `live`.
const SECRET_PIECE: usize = 8;
/// Characters of a target's own words that are kept.
const WORDS: usize = 300;

/// Pushes one stream on to one target.
pub struct Pusher {
    live: Live,
    tenure: Tenure,
    push: Push,
    feed: Feed,
}

/// How the tries went so far.
struct Tries {
    notes: UnboundedSender<Said>,
    name: String,
    stream_key: String,
    count: u32,
    /// When the present one came to its first picture.
    began: Option<Instant>,
    /// The last complaint in the log, which isn't repeated with every try.
    complaint: Option<String>,
}

impl Pusher {
    pub fn new(live: Live, tenure: Tenure, push: Push, feed: Feed) -> Self {
        Self { live, tenure, push, feed }
    }

    /// Pushes until told to stop, or until the target is found to be out of bounds.
    pub async fn run(self, stop: CancellationToken) {
        let (teller, told) = notes::notes();
        let tries = Tries {
            notes: teller,
            name: self.push.name.clone(),
            stream_key: self.push.stream_key.reveal().to_owned(),
            count: 0,
            began: None,
            complaint: None,
        };
        let place = (self.tenure, self.push.id);
        let writing = notes::write(&self.live.publishing, place, told, &stop);
        // On the heap: connections by TLS are large.
        tokio::join!(one_connection(Box::pin(self.keep_trying(tries, &stop))), one_connection(writing));
    }

    async fn keep_trying(&self, mut tries: Tries, stop: &CancellationToken) {
        loop {
            tries.count += 1;
            tries.say(PushState::Connecting, tries.complaint.clone(), None);
            let error = tokio::select! {
                () = stop.cancelled() => return,
                connected = self.connect() => match connected {
                    Ok(target) => self.send(target, &mut tries, stop).await.err(),
                    Err(error) => Some(error),
                },
            };
            let Some(error) = error else { return };
            if tries.began.take().is_some_and(|began| began.elapsed() > STEADY) {
                tries.count = 1;
            }
            tries.complain(&error);
            if matches!(error, Error::Private { .. }) {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause(tries.count, rand::random())) => {}
            }
        }
    }

    async fn connect(&self) -> Result<rtmp::Target<guard::Socket>, Error> {
        let url = &self.push.url;
        let socket = guard::connect(url, self.live.publishing.limits.push_private).await?;
        let destination = rtmp::Destination {
            app: url.app.clone(),
            tc_url: url.to_string(),
            key: self.push.stream_key.reveal().to_owned(),
        };
        let limits = rtmp::Limits { idle: STALL, ..self.live.settings.rtmp.clone() };
        Ok(rtmp::Target::connect(socket, &destination, &limits).await?)
    }

    /// Sends what comes until told to stop; then the target is told of the end.
    async fn send(
        &self,
        mut target: rtmp::Target<guard::Socket>,
        tries: &mut Tries,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let queue = self.feed.listen();
        loop {
            let sent = async {
                let media = queue.next().await;
                target.send(&media).await.map(|()| matches!(media, Media::Video(_)))
            };
            let picture = tokio::select! {
                () = stop.cancelled() => break,
                sent = sent => sent?,
            };
            if picture && tries.began.is_none() {
                tries.begin();
            }
        }
        let rest = async {
            while let Some(media) = queue.take() {
                target.send(&media).await?;
            }
            Ok::<(), rtmp::Error>(())
        };
        let told = match timeout(REST, rest).await {
            Ok(Err(error)) => Err(error),
            _ => target.finish().await,
        };
        if let Err(error) = told {
            tracing::debug!(%error, "a target went without hearing of the end");
        }
        Ok(())
    }
}

impl Tries {
    fn begin(&mut self) {
        (self.began, self.complaint) = (Some(Instant::now()), None);
        metrics::counter!("policast_pushes_total", "outcome" => "began").increment(1);
        self.say(PushState::Pushing, None, Some(("push_began", format!("{} gets the stream", self.name))));
    }

    fn complain(&mut self, error: &Error) {
        let words: String = self.without_key(&words(error)).chars().take(WORDS).collect();
        let (state, code, outcome) = match error {
            Error::Private { .. } => (PushState::Failed, "push_refused", "refused"),
            Error::Rtmp(rtmp::Error::Refused { .. }) => (PushState::Waiting, "push_refused", "refused"),
            _ => (PushState::Waiting, "push_lost", "lost"),
        };
        metrics::counter!("policast_pushes_total", "outcome" => outcome).increment(1);
        let is_news = self.complaint.as_ref() != Some(&words);
        if let Some(ip) = error.resolved().filter(|_| is_news) {
            // What a name leads to is for those who run this server, and not for those who named it.
            tracing::info!(target = %printable(&self.name), %ip, "a target can't be reached");
        }
        self.complaint = Some(words.clone());
        let line = is_news.then(|| (code, format!("{}: {words}", self.name)));
        self.say(state, Some(words), line);
    }

    fn say(&self, state: PushState, error: Option<String>, line: Option<(&'static str, String)>) {
        let note = PushNote { state, error, attempts: self.count };
        // Whoever writes it goes last.
        let _ = self.notes.send(Said { note, line });
    }

    /// Targets repeat the key in what they say, or a piece of it.
    fn without_key(&self, words: &str) -> String {
        let key = self.stream_key.as_str();
        let name = key.split('?').next().filter(|name| !name.is_empty());
        let pieces = key.split(['?', '&', '=']).filter(|piece| piece.len() >= SECRET_PIECE);
        let hidden = std::iter::once(key).chain(name).chain(pieces);
        hidden.fold(words.to_owned(), |words, secret| words.replace(secret, "…"))
    }
}

/// The error with its causes, in one line.
fn words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    printable(&line).into_owned()
}

/// 1, 2, 4 … 60 s, of which up to a half is left to chance: targets that were lost together come back one by one.
fn pause(tries: u32, chance: f64) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    longest.mul_f64(1.0 - chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute() {
        let pauses: Vec<u64> = (1..=8).map(|tries| pause(tries, 0.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX, 1.0), Duration::from_secs(30));
    }

    fn tries(stream_key: &str) -> (Tries, tokio::sync::mpsc::UnboundedReceiver<Said>) {
        let (notes, told) = notes::notes();
        let (name, stream_key) = ("Elsewhere".to_owned(), stream_key.to_owned());
        (Tries { notes, name, stream_key, count: 1, began: None, complaint: None }, told)
    }

    #[test]
    fn a_targets_own_words_are_told_once_and_without_the_key() {
        let (mut tries, mut told) = tries("abc?secret=12345678");
        for sentence in
            ["stream abc is unknown", "stream abc is unknown", "no abc?secret=12345678\nhere, 12345678"]
        {
            let refused = rtmp::Error::Refused { code: "Bad".to_owned(), sentence: sentence.to_owned() };
            tries.complain(&refused.into());
        }
        let first = told.try_recv().expect("a note");
        assert_eq!(first.note.state, PushState::Waiting);
        assert_eq!(
            first.line,
            Some(("push_refused", "Elsewhere: target refuses with Bad: stream … is unknown".to_owned()))
        );
        assert_eq!(told.try_recv().expect("a note").line, None);
        let last = told.try_recv().expect("a note");
        assert_eq!(last.note.error.as_deref(), Some("target refuses with Bad: no … here, …"));
    }

    #[test]
    fn a_target_that_took_the_stream_may_complain_the_same_again() {
        let (mut tries, mut told) = tries("key");
        let lost = || Error::NoAddress("a.example".to_owned());
        tries.complain(&lost());
        tries.begin();
        tries.complain(&lost());
        let codes: Vec<_> = std::iter::from_fn(|| told.try_recv().ok())
            .filter_map(|said| said.line)
            .map(|line| line.0)
            .collect();
        assert_eq!(codes, ["push_lost", "push_began", "push_lost"]);
    }
}
