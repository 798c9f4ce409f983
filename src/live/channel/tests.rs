//! What waits at a channel is told once, in order, and let go at the end.

use super::super::window::tests::{closed, init, part};
use tokio::sync::broadcast::error::TryRecvError;

use super::*;

fn running() -> Arc<Channel> {
    let about = About { video: VideoId::new(), revision: 1 };
    let channel = Channel::new(about, Window::new(1, 0, None), 2);
    channel.tell(init("720p", 0), Bytes::from_static(b"init"));
    for segment in [0_u8, 1] {
        for number in 0..6 {
            channel.tell(part("720p", segment.into(), number), Bytes::from(vec![segment; 2]));
        }
        channel.tell(closed("720p", segment.into()), Bytes::new());
    }
    channel
}

fn text(told: Result<Bytes, Unanswered>) -> String {
    String::from_utf8(told.expect("a playlist").to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn a_reload_waits_for_the_part_it_asks_for() {
    let channel = running();
    let waiting = channel.clone();
    let told =
        tokio::join!(async move { waiting.playlist("720p", (Some((2, Some(0))), false), "").await }, async {
            channel.tell(part("720p", 2, 0), Bytes::from_static(b"p"));
        });
    assert!(text(told.0).contains("2-1.0.m4s\",INDEPENDENT"));
}

#[tokio::test(start_paused = true)]
async fn a_part_beyond_the_last_of_its_segment_is_the_first_of_the_next() {
    let channel = running();
    let ask = async |place| {
        tokio::time::timeout(Duration::from_millis(100), channel.playlist("720p", (Some(place), false), ""))
            .await
    };
    assert!(ask((1, Some(5))).await.is_ok() && ask((1, None)).await.is_ok());
    for beyond in [6, 7, 99] {
        assert!(
            ask((1, Some(beyond))).await.is_err(),
            "part {beyond} of 6 was answered before the next segment"
        );
    }
    channel.tell(part("720p", 2, 0), Bytes::from_static(b"p"));
    for beyond in [6, 7, 99] {
        let told = text(ask((1, Some(beyond))).await.expect("an answer"));
        assert!(told.contains("2-1.0.m4s\",INDEPENDENT"), "{told}");
    }
}

#[tokio::test]
async fn a_reload_too_far_ahead_is_refused() {
    let told = running().playlist("720p", (Some((9, None)), false), "").await;
    assert_eq!(told.err(), Some(Unanswered::TooFarAhead));
}

#[tokio::test]
async fn the_end_lets_everybody_go() {
    let channel = running();
    let waiting = channel.clone();
    let told =
        tokio::join!(async move { waiting.playlist("720p", (Some((3, Some(0))), false), "").await }, async {
            channel.tell(News::Over, Bytes::new());
        });
    assert!(text(told.0).ends_with("#EXT-X-ENDLIST\n"));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_told_with_the_end_or_when_released() {
    let ask = async |channel: &Channel| channel.playlist("720p", (Some((2, Some(0))), false), "").await;
    for news in [Some(News::Over), None] {
        let channel = running();
        channel.hold();
        channel.tell(part("720p", 2, 0), Bytes::from_static(b"p"));
        let early = tokio::time::timeout(Duration::from_secs(1), ask(&channel)).await;
        assert!(early.is_err(), "{early:?}");
        match &news {
            Some(over) => channel.tell(over.clone(), Bytes::new()),
            None => channel.release(),
        }
        let told = text(ask(&channel).await);
        assert_eq!(told.contains("#EXT-X-ENDLIST"), news.is_some(), "{told}");
        assert_eq!(told.contains("2-1.0.m4s\",INDEPENDENT"), news.is_none(), "{told}");
    }
}

#[test]
fn what_an_older_tenure_tells_is_heard_no_more() {
    let channel = running();
    channel.tell(News::Tenure { epoch: 2, next: 2, lost: 0 }, Bytes::new());
    channel.tell_of(1, part("720p", 2, 0), Bytes::from_static(b"old"));
    assert_eq!(channel.look(|window| window.tracks[0].newest()), Some((1, 5)));
    channel.tell_of(2, part("720p", 2, 0), Bytes::from_static(b"new"));
    assert_eq!(channel.look(|window| window.tracks[0].newest()), Some((2, 0)));
}

#[tokio::test]
async fn a_segment_is_its_parts() {
    let channel = running();
    assert_eq!(channel.media("720p", (1, (1, None))).await.as_deref(), Some(&[1_u8; 12][..]));
    assert_eq!(channel.media("720p", (1, (1, Some(5)))).await.as_deref(), Some(&[1_u8; 2][..]));
    assert_eq!(channel.media("720p", (2, (1, None))).await, None);
}

#[tokio::test]
async fn a_follower_comes_to_the_same_window() {
    let channel = running();
    channel.tell(part("720p", 2, 0), Bytes::from_static(b"p"));
    let mirror = Channel::new(channel.about, Window::new(1, 0, None), 2);
    for (news, bytes) in channel.subscribe().snapshot {
        mirror.tell(news, bytes);
    }
    let text = |channel: &Channel| text(channel.render("720p", false, ""));
    assert_eq!(text(&mirror), text(&channel));
    assert_eq!(mirror.media("720p", (1, (2, Some(0)))).await.as_deref(), Some(&b"p"[..]));
}

/// The order in which threads get the lock is anybody's guess: so often that each order comes.
const ROUNDS: u32 = 20_000;

#[test]
fn whoever_subscribes_beside_an_event_hears_of_it_once() {
    let channel = Channel::new(About { video: VideoId::new(), revision: 1 }, Window::new(1, 0, None), 0);
    let number = |(news, _): Told| if let News::Target { seconds } = news { Some(seconds) } else { None };
    let subscribe = || {
        while !channel.is_over() {
            let Subscription { snapshot, mut events, .. } = channel.subscribe();
            let known = snapshot.into_iter().find_map(number).expect("a target");
            let next = std::iter::repeat_with(|| events.try_recv())
                .take_while(|event| !matches!(event, Err(TryRecvError::Lagged(_))))
                .take_while(|event| event.is_ok() || !channel.is_over())
                .find_map(Result::ok)
                .and_then(number);
            assert!(next.is_none_or(|next| next == known + 1), "{known} and then {next:?}");
        }
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(subscribe)));
        (1..=10 * ROUNDS).for_each(|seconds| channel.tell(News::Target { seconds }, Bytes::new()));
        channel.tell(News::Over, Bytes::new());
    });
}

#[test]
fn events_come_in_the_order_of_their_changes() {
    let channel = Channel::new(About { video: VideoId::new(), revision: 1 }, Window::new(1, 0, None), 0);
    for round in 0..ROUNDS {
        let mut events = channel.subscribe().events;
        let both = std::sync::Barrier::new(2);
        let tell = |seconds| {
            both.wait();
            channel.tell(News::Target { seconds }, Bytes::new());
        };
        std::thread::scope(|scope| {
            scope.spawn(|| tell(2 * round));
            tell(2 * round + 1);
        });
        let last = std::iter::from_fn(|| events.try_recv().ok()).last();
        let seconds = channel.read().target;
        assert_eq!(last.map(|(news, _)| news), Some(News::Target { seconds }), "in round {round}");
    }
}

#[test]
fn subscribers_of_a_channel_that_becomes_another_begin_anew() {
    let (channel, other) = (running(), running());
    other.tell(part("720p", 2, 0), Bytes::from_static(b"p"));
    let mut events = channel.subscribe().events;
    channel.adopt(&other);
    channel.tell(part("720p", 2, 1), Bytes::from_static(b"q"));
    assert!(matches!(events.try_recv(), Err(TryRecvError::Closed)));
    let snapshot = channel.subscribe().snapshot.into_iter().rev();
    assert_eq!(snapshot.map(|(_, bytes)| bytes).take(2).collect::<Vec<_>>(), ["q", "p"]);
}
