//! FFmpeg pushes, over a good line and over bad ones.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use policast::domain::media::TICKS_PER_SECOND;
use policast::live::frame::{Media, VideoConfig};
use policast::live::srt::{Error, Limits};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::flv;
use super::rig::{KEY, Server, clip, counted, frames, hevc, plain, push, run, with_b_frames};

async fn pushed(clip: &Path) -> Vec<Media> {
    let mut server = Server::start(Limits::default());
    let (output, broadcast) =
        tokio::join!(push(clip, server.url(&format!("streamid={KEY}"))), server.broadcast());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    broadcast.end.unwrap();
    broadcast.media
}

fn video(media: &[Media]) -> Vec<(i64, i32, bool)> {
    let of = |item: &Media| match item {
        Media::Video(frame) => Some((frame.dts_ticks, frame.cts_ticks, frame.key)),
        _ => None,
    };
    media.iter().filter_map(of).collect()
}

fn audio(media: &[Media]) -> Vec<i64> {
    let of = |item: &Media| if let Media::Audio(frame) = item { Some(frame.pts_ticks) } else { None };
    media.iter().filter_map(of).collect()
}

#[tokio::test]
async fn every_frame_of_a_good_key_arrives_once() {
    let media = pushed(&plain()).await;
    assert_eq!(frames(&media), counted(&plain()).await);
    assert!(matches!(
        media.iter().find(|item| !matches!(item, Media::Audio(_) | Media::AudioConfig(_))),
        Some(Media::VideoConfig(VideoConfig::Avc(_)))
    ));
    let configs = media.iter().filter(|item| matches!(item, Media::VideoConfig(_) | Media::AudioConfig(_)));
    assert_eq!(configs.count(), 2);
    let keys: Vec<usize> =
        video(&media).iter().enumerate().filter(|(_, frame)| frame.2).map(|(at, _)| at).collect();
    assert_eq!(keys, [0, 25, 50]);
    assert!(video(&media).windows(2).all(|pair| pair[1].0 - pair[0].0 == 3600));
    assert!(audio(&media).windows(2).all(|pair| (1919..=1921).contains(&(pair[1] - pair[0]))));
}

#[tokio::test]
async fn a_decoder_takes_what_came_out() {
    let media = pushed(&with_b_frames()).await;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("out.flv");
    std::fs::write(&file, flv::file(&media)).unwrap();
    assert_eq!(counted(&file).await, counted(&with_b_frames()).await);
    let output =
        run("ffmpeg", &["-nostdin", "-v", "warning", "-i", file.to_str().unwrap(), "-f", "null", "-"]).await;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[tokio::test]
async fn frames_in_decoding_order_say_when_they_are_shown() {
    let media = pushed(&with_b_frames()).await;
    let video = video(&media);
    assert!(video.windows(2).all(|pair| pair[1].0 > pair[0].0));
    assert!(video.iter().any(|frame| frame.1 > 3600) && video.iter().all(|frame| frame.1 >= 0));
    let mut shown: Vec<i64> = video.iter().map(|frame| frame.0 + i64::from(frame.1)).collect();
    shown.sort_unstable();
    assert!(shown.windows(2).all(|pair| pair[1] - pair[0] == 3600));
}

#[tokio::test]
async fn hevc_comes_with_the_record_that_ffmpeg_writes() {
    let media = pushed(&hevc()).await;
    assert_eq!(frames(&media), counted(&hevc()).await);
    let records: Vec<&[u8]> = media
        .iter()
        .filter_map(|item| {
            if let Media::VideoConfig(VideoConfig::Hevc(record)) = item { Some(&record[..]) } else { None }
        })
        .collect();
    let theirs = boxed(&hevc(), b"hvcC").await;
    let [ours] = records[..] else { panic!("{records:?}") };
    // Theirs says which arrays are complete and how many slices may be decoded at once; both are optional.
    assert_eq!(ours[..13], theirs[..13]);
    assert_eq!(ours[16..23], theirs[16..23]);
    assert_eq!(video(&media).iter().filter(|frame| frame.2).count(), 3);
}

#[tokio::test]
async fn h264_comes_with_the_record_that_ffmpeg_writes() {
    let media = pushed(&with_b_frames()).await;
    let Some(Media::VideoConfig(VideoConfig::Avc(record))) =
        media.iter().find(|item| matches!(item, Media::VideoConfig(_)))
    else {
        panic!("no record")
    };
    assert_eq!(record[..], boxed(&with_b_frames(), b"avcC").await[..]);
}

/// The content of a box of the MP4 that ffmpeg makes of the clip.
async fn boxed(clip: &Path, name: &[u8; 4]) -> Vec<u8> {
    let file = clip.with_extension(format!("{}.mp4", std::str::from_utf8(name).unwrap()));
    let arguments =
        ["-nostdin", "-v", "error", "-y", "-i", clip.to_str().unwrap(), "-c", "copy", file.to_str().unwrap()];
    run("ffmpeg", &arguments).await;
    let bytes = std::fs::read(file).unwrap();
    let at = bytes.windows(4).position(|window| window == name).unwrap();
    let size = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap());
    bytes[at + 4..at - 4 + usize::try_from(size).unwrap()].to_vec()
}

#[tokio::test]
async fn audio_may_begin_later_than_video() {
    let late = clip(
        "late.ts",
        "-itsoffset 1.5 -f lavfi -i sine=r=44100:d=1.5 -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac",
    );
    let media = pushed(&late).await;
    assert_eq!(frames(&media), counted(&late).await);
    let gap = audio(&media)[0] - video(&media)[0].0;
    assert!((120_000..150_000).contains(&gap), "{gap}");
    let audio = audio(&media);
    assert_eq!((audio[43] - audio[0] - 43 * 1024 * TICKS_PER_SECOND / 44_100).abs() / 100, 0);
}

#[tokio::test]
async fn a_list_names_the_key_too() {
    let mut server = Server::start(Limits::default());
    let url = server.url(&format!("streamid=#!::u=me,r={KEY},m=publish"));
    let plain = plain();
    let (output, broadcast) = tokio::join!(push(&plain, url), server.broadcast());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(frames(&broadcast.media).0 > 0);
}

#[tokio::test]
async fn a_bad_key_is_refused_and_the_encoder_says_so() {
    let server = Server::start(Limits::default());
    for options in ["streamid=another-key", "streamid=%23!::r=nope", "mode=caller"] {
        let output = push(&plain(), server.url(options)).await;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert!(log.contains("Connection to srt://") && log.contains("REJECT reported"), "{log}");
    }
}

#[tokio::test]
async fn a_packet_filter_is_refused_and_the_encoder_says_so() {
    let mut server = Server::start(Limits::default());
    let url = server.url(&format!("streamid={KEY}&packetfilter=fec,cols:10,rows:5"));
    let sent =
        format!("cat {} | srt-live-transmit -auto:no -loglevel:warn file://con '{url}'", plain().display());
    let output = run("sh", &["-c", &sent]).await;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("Packet Filter settings error"), "{log}");
    assert_eq!(server.count().await, 0);
}

fn locked() -> Limits {
    Limits { passphrase: Some("correct horse".to_owned()), ..Limits::default() }
}

#[tokio::test]
async fn with_a_passphrase_keys_of_every_size_work() {
    let mut server = Server::start(locked());
    for size in ["", "&pbkeylen=16", "&pbkeylen=24", "&pbkeylen=32"] {
        let url = server.url(&format!("streamid={KEY}&passphrase=correct horse{size}"));
        let plain = plain();
        let (output, broadcast) = tokio::join!(push(&plain, url), server.broadcast());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(frames(&broadcast.media), counted(&plain).await);
    }
}

#[tokio::test]
async fn a_wrong_passphrase_or_none_is_refused() {
    let mut server = Server::start(locked());
    for extra in ["&passphrase=wrong horse", ""] {
        let output = push(&plain(), server.url(&format!("streamid={KEY}{extra}"))).await;
        assert!(!output.status.success());
    }
    assert!(matches!(server.broadcast().await.end, Err(Error::Secret { .. })));
    assert_eq!(server.count().await, 0);
}

#[tokio::test]
async fn a_passphrase_that_was_not_asked_for_is_refused() {
    let mut server = Server::start(Limits::default());
    let output = push(&plain(), server.url(&format!("streamid={KEY}&passphrase=correct horse"))).await;
    assert!(!output.status.success());
    assert_eq!(server.count().await, 0);
}

#[tokio::test]
async fn an_encoder_left_at_its_defaults_is_told_which_codec_it_sends() {
    let mut server = Server::start(Limits::default());
    let mpeg2 = clip("mpeg2.ts", "-c:v mpeg2video");
    let (_, broadcast) =
        tokio::join!(push(&mpeg2, server.url(&format!("streamid={KEY}"))), server.broadcast());
    let error = broadcast.end.unwrap_err();
    assert_eq!(
        error.to_string(),
        "video has the MPEG-TS stream type 0x02, expected 0x1b (H.264) or 0x24 (HEVC)"
    );
}

/// Passes datagrams both ways, all but those that `loses` names.
async fn relay(
    server: SocketAddr,
    mut loses: impl FnMut(&[u8]) -> bool + Send + 'static,
) -> (SocketAddr, JoinSet<()>) {
    let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    back.connect(server).await.unwrap();
    let addr = front.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut there, mut here) = ([0; 2048], [0; 2048]);
        let mut caller = None;
        loop {
            tokio::select! {
                received = front.recv_from(&mut there) => {
                    let (size, from) = received.unwrap();
                    caller = Some(from);
                    if !loses(&there[..size]) {
                        back.send(&there[..size]).await.unwrap();
                    }
                }
                received = back.recv(&mut here) => {
                    let size = received.unwrap();
                    if !loses(&here[..size]) {
                        front.send_to(&here[..size], caller.unwrap()).await.unwrap();
                    }
                }
            }
        }
    });
    (addr, tasks)
}

#[tokio::test]
async fn one_lost_datagram_in_ten_costs_no_frame() {
    let mut server = Server::start(Limits { latency: Duration::from_secs(1), ..Limits::default() });
    let (addr, _relay) = relay(server.addr, {
        let mut count = 0;
        move |_| {
            count += 1;
            // Not at the end: what was lost last is not asked for again, and a goodbye is said once.
            count % 10 == 3 && count < 200
        }
    })
    .await;
    let plain = plain();
    let url = format!("srt://{addr}?streamid={KEY}&linger=3");
    let (output, broadcast) = tokio::join!(push(&plain, url), server.broadcast());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(frames(&broadcast.media), counted(&plain).await, "{:?}", broadcast.end);
}

#[tokio::test]
async fn a_hole_that_is_never_filled_costs_only_the_frames_in_it() {
    let mut server = Server::start(Limits { latency: Duration::from_millis(20), ..Limits::default() });
    let (addr, _relay) = relay(server.addr, {
        let mut first = None;
        move |datagram| {
            let number = u32::from_be_bytes(datagram[..4].try_into().unwrap());
            number >> 31 == 0 && (100..130).contains(&number.wrapping_sub(*first.get_or_insert(number)))
        }
    })
    .await;
    let plain = plain();
    let url = format!("srt://{addr}?streamid={KEY}&linger=3&latency=20000");
    let (_, broadcast) = tokio::join!(push(&plain, url), server.broadcast());
    broadcast.end.unwrap();
    let (video, audio) = frames(&broadcast.media);
    assert!((40..75).contains(&video) && (60..142).contains(&audio), "{video} {audio}");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hole.flv");
    std::fs::write(&file, flv::file(&broadcast.media)).unwrap();
    assert_eq!(counted(&file).await, (video, audio));
}
