//! FFmpeg as the encoder, and as the server that is pushed on to.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use policast::live::frame::{Media, VideoConfig};
use policast::live::rtmp::{Destination, Error, Limits, Target, accept};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::encoder::{publish, whole};
use crate::clip;
use crate::ports::Port;

const PICTURE: &str = "testsrc2=size=320x180:rate=30:duration=4";
const SOUND: &str = "sine=frequency=440:sample_rate=48000:duration=4";

fn ffmpeg(arguments: &[&str], output: &str) -> Child {
    let common = ["-hide_banner", "-nostdin", "-loglevel", "info"];
    let input = ["-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", SOUND];
    Command::new("ffmpeg")
        .args(common)
        .args(input)
        .args(arguments)
        .args(["-f", "flv", output])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn log_of(mut child: Child) -> (bool, String) {
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    (child.wait().await.unwrap().success(), log)
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("rtmp://{}/live/KEY", listener.local_addr().unwrap());
    (listener, address)
}

/// All that FFmpeg pushes with these arguments.
async fn pushed(arguments: &[&str]) -> Vec<Media> {
    let (listener, address) = listener().await;
    let child = ffmpeg(arguments, &address);
    let receiving = async {
        let (socket, _) = listener.accept().await.unwrap();
        let request = accept(socket, &Limits::default()).await.unwrap();
        assert_eq!((request.app.as_str(), request.key.as_str()), ("live", "KEY"));
        assert!(request.encoder.is_some());
        let mut publisher = request.permit().await.unwrap();
        let mut media = Vec::new();
        while let Some(next) = publisher.next().await.unwrap() {
            media.push(next);
        }
        media
    };
    let (media, (fine, log)) = tokio::join!(receiving, log_of(child));
    assert!(fine, "{log}");
    media
}

fn count(media: &[Media], is: impl Fn(&Media) -> bool) -> usize {
    media.iter().filter(|media| is(media)).count()
}

const X264: [&str; 8] = ["-c:v", "libx264", "-preset", "veryfast", "-g", "60", "-c:a", "aac"];

#[tokio::test]
async fn every_frame_of_a_push_arrives_with_cts_for_b_frames() {
    let media = pushed(&[&X264[..], &["-bf", "3"]].concat()).await;
    let Some(Media::Metadata(metadata)) = media.first() else { panic!("{:?}", media.first()) };
    assert_eq!((metadata.width, metadata.height), (Some(320.0), Some(180.0)));
    assert_eq!(metadata.frames_per_second, Some(30.0));
    assert!(metadata.encoder.as_deref().unwrap().starts_with("Lavf"));
    assert_eq!(count(&media, |media| matches!(media, Media::VideoConfig(VideoConfig::Avc(_)))), 1);
    assert_eq!(count(&media, |media| matches!(media, Media::AudioConfig(_))), 1);
    assert_eq!(count(&media, |media| matches!(media, Media::Video(_))), 120);
    assert_eq!(count(&media, |media| matches!(media, Media::Video(frame) if frame.key)), 2);
    assert!(count(&media, |media| matches!(media, Media::Video(frame) if frame.cts_ticks > 3000)) > 20);
    let audio = count(&media, |media| matches!(media, Media::Audio(_)));
    assert!((187..=190).contains(&audio), "{audio}");
    let mut decoded = media.iter().filter_map(|media| match media {
        Media::Video(frame) => Some(frame.dts_ticks),
        _ => None,
    });
    let first = decoded.next().unwrap();
    let whole_ms = (decoded.next_back().unwrap() - first) / 90;
    assert!((3966..=3967).contains(&whole_ms), "{whole_ms}");
}

#[tokio::test]
async fn silence_of_one_size_keeps_its_times() {
    let media = pushed(&[&X264[..], &["-af", "volume=0"]].concat()).await;
    let times: Vec<_> = media
        .iter()
        .filter_map(|media| match media {
            Media::Audio(frame) => Some(frame.pts_ticks),
            _ => None,
        })
        .collect();
    for (index, time) in times.iter().enumerate() {
        let exact = i64::try_from(index).unwrap() * 1920;
        assert!((time - times[0] - exact).abs() <= 90, "frame {index} is at {time}");
    }
    assert!(times.len() > 180);
}

#[tokio::test]
async fn times_past_24_bits_arrive() {
    let media = pushed(&[&X264[..], &["-output_ts_offset", "16777"]].concat()).await;
    let times: Vec<_> = media
        .iter()
        .filter_map(|media| match media {
            Media::Video(frame) => Some(frame.dts_ticks / 90),
            _ => None,
        })
        .collect();
    assert_eq!(times.len(), 120);
    assert!((16_776_900..16_777_216).contains(&times[0]), "{}", times[0]);
    assert!(times.is_sorted() && *times.last().unwrap() > 16_780_800, "{times:?}");
}

#[tokio::test]
async fn a_rejected_encoder_logs_our_sentence() {
    let (listener, address) = listener().await;
    let child = ffmpeg(&X264, &address);
    let receiving = async {
        let (socket, _) = listener.accept().await.unwrap();
        let request = accept(socket, &Limits::default()).await.unwrap();
        request.reject("This stream key was revoked on Tuesday.").await.unwrap();
    };
    let ((), (fine, log)) = tokio::join!(receiving, log_of(child));
    assert!(!fine);
    assert!(log.contains("This stream key was revoked on Tuesday."), "{log}");
}

#[tokio::test]
async fn an_encoder_refused_while_it_publishes_logs_our_sentence() {
    let (listener, address) = listener().await;
    let child = ffmpeg(&[&["-re"], &X264[..]].concat()[1..], &address);
    let receiving = async {
        let (socket, _) = listener.accept().await.unwrap();
        let mut publisher = accept(socket, &Limits::default()).await.unwrap().permit().await.unwrap();
        for _ in 0..40 {
            publisher.next().await.unwrap().unwrap();
        }
        publisher.refuse("Another encoder took over.").await.unwrap();
    };
    let ((), (_, log)) = tokio::join!(receiving, log_of(child));
    assert!(log.contains("Another encoder took over."), "{log}");
}

#[tokio::test]
async fn an_encoder_with_a_codec_we_cannot_take_logs_which() {
    let (listener, address) = listener().await;
    let child = ffmpeg(&["-c:v", "flv", "-c:a", "aac"], &address);
    let receiving = async {
        let (socket, _) = listener.accept().await.unwrap();
        let mut publisher = accept(socket, &Limits::default()).await.unwrap().permit().await.unwrap();
        loop {
            match publisher.next().await {
                Ok(Some(_)) => {}
                other => return other.unwrap_err().to_string(),
            }
        }
    };
    let (error, (_, log)) = tokio::join!(receiving, log_of(child));
    assert_eq!(error, "video codec is H.263, expected H.264, H.265 or AV1");
    assert!(log.contains("Video codec is H.263, expected H.264, H.265 or AV1."), "{log}");
}

#[tokio::test]
async fn made_parameter_sets_equal_the_encoders_own() {
    // What is in the sequence header is in band too: the header is taken away.
    let media =
        pushed(&[&X264[..], &["-bsf:v", "dump_extra=freq=keyframe", "-pix_fmt", "yuv420p"]].concat()).await;
    let Some(Media::VideoConfig(VideoConfig::Avc(own))) =
        media.iter().find(|media| matches!(media, Media::VideoConfig(_)))
    else {
        panic!("no configuration")
    };
    assert_eq!(count(&media, |media| matches!(media, Media::VideoConfig(_))), 1);
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let limits = Limits::default();
    let destination = Destination { app: "live".into(), tc_url: String::new(), key: "KEY".into() };
    // An empty configuration is none: only the frames tell.
    let pushing = async {
        let mut target = Target::connect(theirs, &destination, &limits).await?;
        target.send(&Media::VideoConfig(VideoConfig::Avc(bytes::Bytes::new()))).await?;
        for next in media.iter().filter(|media| matches!(media, Media::Video(_))) {
            target.send(next).await?;
        }
        target.finish().await
    };
    let receiving = async {
        let mut publisher = accept(ours, &limits).await?.permit().await?;
        let first = publisher.next().await?;
        while publisher.next().await?.is_some() {}
        Ok::<_, Error>(first)
    };
    let (pushed, made) = tokio::join!(pushing, receiving);
    pushed.unwrap();
    let Some(Media::VideoConfig(VideoConfig::Avc(made))) = made.unwrap() else {
        panic!("no configuration made")
    };
    assert_eq!(made, *own);
}

#[tokio::test]
async fn a_made_hvcc_says_of_the_picture_what_ffmpegs_own_says() {
    for format in ["yuv420p", "yuv422p10"] {
        let arguments = format!("-f lavfi -i {PICTURE} -frames:v 1 -pix_fmt {format} -c:v libx265");
        let (mp4, raw) = (clip::make(&arguments, "a.mp4"), clip::make(&arguments, "a.hevc"));
        let theirs = clip::box_payload(&mp4, *b"hvcC");
        let frame = [&[0x1C, 1, 0, 0, 0], &raw[..]].concat();
        let outcome = publish(&whole(9, 0, &frame)).await;
        let Some(Media::VideoConfig(VideoConfig::Hevc(ours))) = outcome.media.first() else {
            panic!("{format}")
        };
        assert_eq!(ours[..13], theirs[..13], "{format}");
        assert_eq!(ours[16..19], theirs[16..19], "{format}");
        assert_eq!(ours[21], theirs[21], "{format}");
        let sps = |hvcc: &[u8]| {
            hvcc.windows(2).position(|window| window == [0x42, 1]).map(|at| hvcc[at..at + 20].to_vec())
        };
        assert_eq!(sps(ours), sps(theirs), "{format}");
    }
}

/// Connects to an FFmpeg that waits for one stream at a free port and writes it to `output`.
async fn server(output: &Path) -> (Child, TcpStream, String) {
    let reserved = Port::reserve();
    let port = reserved.number;
    let tc_url = format!("rtmp://127.0.0.1:{port}/live");
    let mut child = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-loglevel", "info", "-listen", "1", "-f", "flv", "-i"])
        .arg(format!("{tc_url}/KEY"))
        .args(["-c", "copy", "-f", "flv"])
        .arg(output)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    loop {
        if let Ok(socket) = TcpStream::connect(("127.0.0.1", port)).await {
            return (child, socket, tc_url);
        }
        assert!(child.try_wait().unwrap().is_none(), "{}", log_of(child).await.1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_pushed_on_to_another_server_decodes_frame_for_frame() {
    let media = pushed(&[&X264[..], &["-bf", "2"]].concat()).await;
    let (_folder, recorded) = clip::place("recorded.flv");
    let (child, socket, tc_url) = server(&recorded).await;
    let destination = Destination { app: "live".into(), tc_url, key: "KEY".into() };
    let pushing = async {
        let mut target = Target::connect(socket, &destination, &Limits::default()).await.unwrap();
        for next in &media {
            target.send(next).await.unwrap();
        }
        target.finish().await.unwrap();
    };
    let ((), (_, log)) = tokio::join!(pushing, log_of(child));
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=codec_name,nb_read_frames"])
        .arg(&recorded)
        .output()
        .await
        .unwrap();
    let told = String::from_utf8(probe.stdout).unwrap();
    assert!(probe.stderr.is_empty(), "{}", String::from_utf8_lossy(&probe.stderr));
    assert!(told.contains("h264,120"), "{told}\n{log}");
    assert!(told.contains("aac,18") || told.contains("aac,19"), "{told}\n{log}");
}
