//! The probe on sources of every kind, in process: what the cage would add is left out on purpose.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener};

use policast::domain::media::{Fraction, Probe};
use policast::domain::{Refusal, RefusalCode};
use policast::media::task::{Limits, Outcome};
use policast::media::wire::Emit;
use policast::media::{Error, probe};

use crate::clip::{self, PLAIN, box_at, make, remake};

const LIMITS: Limits = Limits { max_pixels: 8192 * 4320, max_duration: 90_000 * 3600 };

fn run(stream: impl Read + Seek + Send + 'static, limits: &Limits) -> Result<Probe, Refusal> {
    match probe::run(limits, stream, &Emit::new(|_, _| Ok(()))) {
        Ok(Outcome::Probed { probe }) => Ok(*probe),
        Err(Error::Refused(refusal)) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

fn probed(source: Vec<u8>) -> Probe {
    run(Cursor::new(source), &LIMITS).expect("a probe")
}

fn refused(source: Vec<u8>) -> RefusalCode {
    run(Cursor::new(source), &LIMITS).expect_err("a refusal").code
}

fn warnings(probe: &Probe) -> Vec<RefusalCode> {
    probe.warnings.iter().map(|warning| warning.code).collect()
}

/// Playlists, scripts and manifests that name a file of this machine and a listener on it.
pub fn hostile_texts(listener: SocketAddr) -> Vec<(&'static str, String)> {
    let url = format!("http://{listener}/x.ts");
    vec![
        (
            "m3u8",
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/passwd\n#EXTINF:2,\n{url}\n"),
        ),
        ("ffconcat", format!("ffconcat version 1.0\nfile '/etc/passwd'\nfile '{url}'\n")),
        (
            "mpd",
            format!(
                "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
             mediaPresentationDuration=\"PT2S\"><Period><AdaptationSet mimeType=\"video/mp4\"><Representation \
             id=\"1\" bandwidth=\"1\"><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>\n"
            ),
        ),
        (
            "sdp",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n\
                 a=rtpmap:96 H264/90000\n"
                .to_owned(),
        ),
        ("svg", format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"{url}\"/></svg>\n")),
        ("smil", format!("<smil><body><video src=\"{url}\"/></body></smil>\n")),
        ("asx", format!("<asx version=\"3.0\"><entry><ref href=\"{url}\"/></entry></asx>\n")),
        ("pls", format!("[playlist]\nFile1={url}\nNumberOfEntries=1\n")),
        ("text", "An ordinary text about air quality.\n".repeat(40)),
    ]
}

#[test]
fn a_plain_clip_is_known_exactly() {
    let probe = probed(make(PLAIN, "clip.mp4"));
    let video = &probe.video;
    assert_eq!((video.width, video.height, video.rotation, video.bit_depth), (320, 180, 0, 8));
    assert_eq!(video.frame_rate, Fraction { num: 30, den: 1 });
    assert!(video.web_friendly && !video.hdr && !video.interlaced && probe.seekable);
    assert!((180_000..=183_000).contains(&probe.duration), "{}", probe.duration);
    assert_eq!(probe.audio.map(|audio| (audio.codec, audio.sample_rate)), Some(("aac".to_owned(), 44_100)));
    assert_eq!(probe.keyframes, [0, 90_000]);
    assert!(probe.warnings.is_empty());
}

#[test]
fn a_source_too_large_to_read_whole_is_known_by_its_index() {
    let mut source = make(PLAIN, "clip.mp4");
    let whole = probed(source.clone());
    let padding: u32 = 80 << 20;
    source.extend([&padding.to_be_bytes(), b"free".as_slice()].concat());
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&source).expect("written");
    file.set_len(source.len() as u64 - 8 + u64::from(padding)).expect("grown");
    file.seek(SeekFrom::Start(0)).expect("sought");
    let (counted, read) = counting(file);
    let large = run(counted, &LIMITS).expect("a probe");
    assert!(read() < 4 << 20, "{} bytes read", read());
    assert_eq!(large.keyframes, whole.keyframes);
    assert!(large.seekable && large.duration.abs_diff(whole.duration) < 900);
}

fn counting(file: File) -> (impl Read + Seek + Send + 'static, impl Fn() -> u64) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    struct Counting(File, Arc<AtomicU64>);
    impl Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let read = self.0.read(buffer)?;
            self.1.fetch_add(read as u64, Ordering::Relaxed);
            Ok(read)
        }
    }
    impl Seek for Counting {
        fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
            self.0.seek(to)
        }
    }
    let count = Arc::new(AtomicU64::new(0));
    (Counting(file, Arc::clone(&count)), move || count.load(Ordering::Relaxed))
}

#[test]
fn a_turned_phone_is_shown_upright_and_not_passed_through() {
    let source = remake(&make(PLAIN, "clip.mp4"), "-c copy -metadata:s:v rotate=90", "turned.mp4");
    let probe = probed(source);
    // FFmpeg's muxer turns the other way round than the tag says; ffprobe calls this one rotation=90, against the clock.
    assert_eq!((probe.video.width, probe.video.height, probe.video.rotation), (180, 320, 270));
    assert!(!probe.video.web_friendly && probe.keyframes.is_empty());
}

#[test]
fn wide_pixels_are_shown_square() {
    let probe = probed(make(
        "-f lavfi -i testsrc2=s=720x576:r=25:d=1 -vf setsar=16/11 -c:v mpeg4 -pix_fmt yuv420p",
        "clip.avi",
    ));
    assert_eq!((probe.video.width, probe.video.height), (1048, 576));
}

#[test]
fn a_clip_cut_off_plays_as_far_as_it_goes_and_says_so() {
    let whole = make(&format!("{PLAIN} -movflags +faststart"), "clip.mp4");
    let cut = whole[..whole.len() * 6 / 10].to_vec();
    let probe = probed(cut);
    assert_eq!(warnings(&probe), [RefusalCode::Truncated]);
    assert!(probe.duration < 170_000, "{}", probe.duration);
}

#[test]
fn a_matroska_file_cut_off_says_so_too() {
    let whole = make(PLAIN, "clip.mkv");
    let probe = probed(whole[..whole.len() / 2].to_vec());
    assert_eq!(warnings(&probe), [RefusalCode::Truncated]);
}

#[test]
fn an_edit_list_that_starts_between_keyframes_moves_the_first_picture() {
    let (folder, path) = clip::place("clip.mp4");
    std::fs::write(&path, make(PLAIN, "clip.mp4")).expect("written");
    let probe = probed(make(&format!("-ss 0.5 -i {} -c copy", path.display()), "cut.mp4"));
    drop(folder);
    assert_eq!(probe.video.start_pts, 0);
    assert!((135_000..=138_000).contains(&probe.duration), "{}", probe.duration);
    assert!(probe.keyframes.is_empty(), "the first picture shown is no keyframe: {:?}", probe.keyframes);
}

#[test]
fn sound_that_nothing_decodes_is_told_and_the_video_goes_on() {
    let mut source = remake(&make(PLAIN, "clip.mp4"), "-c:v copy -c:a pcm_s16le", "clip.mov");
    let entry = box_at(&source, *b"sowt") + 4;
    source[entry..entry + 4].copy_from_slice(b"zzzz");
    let probe = probed(source);
    assert!(probe.audio.is_none());
    assert_eq!(warnings(&probe), [RefusalCode::AudioUndecodable]);
}

#[test]
fn a_codec_that_nothing_decodes_is_named() {
    let mut source = make(PLAIN, "clip.mp4");
    // The brand list says `avc1` as well; the sample entry is the last.
    let entry = source.windows(4).rposition(|window| window == b"avc1").expect("a sample entry");
    source[entry..entry + 4].copy_from_slice(b"zzzz");
    let refusal = run(Cursor::new(source), &LIMITS).expect_err("a refusal");
    assert_eq!(refusal.code, RefusalCode::UndecodableCodec);
    assert!(refusal.message.contains("zzzz"), "{}", refusal.message);
}

#[test]
fn encrypted_samples_are_told_from_damaged_ones() {
    let key = "-encryption_scheme cenc-aes-ctr -encryption_key 00112233445566778899aabbccddeeff \
               -encryption_kid 00112233445566778899aabbccddeeff";
    let source = remake(&make(PLAIN, "clip.mp4"), &format!("-c copy {key}"), "locked.mp4");
    assert_eq!(refused(source), RefusalCode::Encrypted);
}

#[test]
fn what_is_no_video_is_refused_by_what_it_is() {
    assert_eq!(refused(Vec::new()), RefusalCode::Empty);
    assert_eq!(refused(make("-f lavfi -i sine=d=1", "tone.mp3")), RefusalCode::NoVideoStream);
    assert_eq!(refused(make("-f lavfi -i testsrc2=d=0.2", "moving.gif")), RefusalCode::StillPicture);
    assert_eq!(refused(make("-f lavfi -i testsrc2 -frames:v 1", "still.png")), RefusalCode::StillPicture);
    assert_eq!(refused(vec![7; 100_000]), RefusalCode::NotMedia);
}

#[test]
fn the_parts_of_a_stream_are_no_file() {
    let fragmented =
        make(&format!("{PLAIN} -movflags +frag_keyframe+empty_moov+default_base_moof"), "clip.mp4");
    let (init, segment) = fragmented.split_at(box_at(&fragmented, *b"moof"));
    assert_eq!(refused(init.to_vec()), RefusalCode::Incomplete);
    assert_eq!(refused(segment.to_vec()), RefusalCode::Incomplete);
    assert_eq!(probed(fragmented).keyframes.len(), 2);
}

#[test]
fn limits_are_told_with_both_numbers() {
    let source = make(PLAIN, "clip.mp4");
    let small = Limits { max_pixels: 1000, ..LIMITS };
    let refusal = run(Cursor::new(source.clone()), &small).expect_err("a refusal");
    assert_eq!(refusal.code, RefusalCode::TooManyPixels);
    assert!(refusal.message.contains("320 × 180") && refusal.message.contains("1000"));
    let short = Limits { max_duration: 90_000, ..LIMITS };
    let refusal = run(Cursor::new(source), &short).expect_err("a refusal");
    assert_eq!(refusal.code, RefusalCode::TooLong);
}

#[test]
fn texts_that_name_other_sources_are_refused_without_the_cage_too() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    for (name, text) in hostile_texts(listener.local_addr().expect("bound")) {
        assert_eq!(refused(text.into_bytes()), RefusalCode::NotMedia, "{name}");
    }
    listener.set_nonblocking(true).expect("set");
    assert!(listener.accept().is_err(), "something called");
}

#[test]
fn a_movie_whose_media_lies_in_another_file_does_not_get_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let movie = make("-f lavfi -i testsrc2=s=64x64:r=10:d=1 -c:v mpeg4", "clip.mov");
    let path = folder.path().join("other.mov");
    std::fs::write(&path, &movie).expect("written");
    let mut pointing = clip::point_elsewhere(&movie, &path);
    let data = box_at(&pointing, *b"mdat") + 8;
    let end = box_at(&pointing, *b"moov");
    pointing[data..end].fill(0);
    assert_ne!(pointing, movie);
    assert_eq!(refused(pointing), RefusalCode::Incomplete);
}
