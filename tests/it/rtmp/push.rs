//! Pushing on to a further server: what arrives there, and what it says.

use bytes::Bytes;
use policast::live::frame::Media;
use policast::live::rtmp::{Destination, Error, Limits, Target, accept};

use super::encoder::*;

fn destination() -> Destination {
    Destination { app: "live".into(), tc_url: "rtmp://host/live".into(), key: "KEY".into() }
}

#[tokio::test]
async fn what_is_pushed_on_arrives_as_it_was() {
    let enhanced = [whole(9, 80, b"\x90av01config"), whole(9, 80, b"\x91av01obus")].concat();
    let late = [&[0x27, 1, 0, 0, 80], &vec![9; 90_000][..]].concat();
    let fields = object(&[("width", number(1920.0)), ("encoder", text("obs"))]);
    let bytes = [
        whole(18, 0, &[text("onMetaData"), fields].concat()),
        configs(),
        whole(9, 0, &picture(true, &[9; 300])),
        whole(9, 40, &late),
        whole(8, 50, &sound(&[1; 20])),
        enhanced,
    ]
    .concat();
    let sent = publish(&bytes).await.media;
    let (ours, theirs) = tokio::io::duplex(4096);
    let limits = Limits::default();
    let pushing = async {
        let mut target = Target::connect(theirs, &destination(), &limits).await?;
        for media in &sent {
            target.send(media).await?;
        }
        target.finish().await
    };
    let receiving = async {
        let mut publisher = accept(ours, &limits).await?.permit().await?;
        let mut media = Vec::new();
        while let Some(next) = publisher.next().await? {
            media.push(next);
        }
        Ok::<_, Error>(media)
    };
    let (pushed, received) = tokio::join!(pushing, receiving);
    pushed.unwrap();
    assert_eq!(received.unwrap(), sent);
}

#[tokio::test]
async fn a_target_tells_why_it_refuses_at_the_door_and_later() {
    let limits = Limits::default();
    let (ours, theirs) = tokio::io::duplex(4096);
    let receiving = async { accept(ours, &limits).await.unwrap().reject("The key is not known.").await };
    let destination = destination();
    let (pushed, told) = tokio::join!(Target::connect(theirs, &destination, &limits), receiving);
    told.unwrap();
    let error = pushed.map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "target refuses with NetStream.Publish.BadName: The key is not known.");

    let (ours, theirs) = tokio::io::duplex(4096);
    let receiving =
        async { accept(ours, &limits).await?.permit().await?.refuse("The key was revoked.").await };
    let pushing = async {
        let mut target = Target::connect(theirs, &destination, &limits).await?;
        loop {
            target.send(&Media::AudioConfig(Bytes::from_static(&ASC))).await?;
            tokio::task::yield_now().await;
        }
    };
    let (pushed, told): (Result<(), Error>, _) = tokio::join!(pushing, receiving);
    told.unwrap();
    assert!(pushed.unwrap_err().to_string().ends_with("The key was revoked."));
}
