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

pub const LIMITS: Limits = Limits {
    max_pixels: 8192 * 4320,
    max_duration: 90_000 * 3600,
    max_still: 90_000 * 600,
    max_tracks: 100,
    max_metadata_bytes: 16 << 20,
};

pub fn run(stream: impl Read + Seek + Send + 'static, limits: &Limits) -> Result<Probe, Refusal> {
    match probe::run(limits, stream, &Emit::new(|_, _| Ok(()))) {
        Ok(Outcome::Probed { probe }) => Ok(*probe),
        Err(Error::Refused(refusal)) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

pub fn probed(source: Vec<u8>) -> Probe {
    run(Cursor::new(source), &LIMITS).expect("a probe")
}

pub fn refused(source: Vec<u8>) -> RefusalCode {
    run(Cursor::new(source), &LIMITS).expect_err("a refusal").code
}

pub fn warnings(probe: &Probe) -> Vec<RefusalCode> {
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
fn a_file_of_a_hundred_and_twenty_tracks_is_refused() {
    let tracks = "-map 0:v ".to_owned() + &"-map 0:a ".repeat(119) + "-c copy";
    for name in ["many.mp4", "many.mkv"] {
        let source = remake(&make(PLAIN, "clip.mp4"), &tracks, name);
        let refusal = run(Cursor::new(source), &LIMITS).expect_err("a refusal");
        assert_eq!(refusal.code, RefusalCode::TooManyTracks, "{name}");
        assert!(refusal.message.contains("120") && refusal.message.contains("100"), "{}", refusal.message);
    }
}

#[test]
fn a_colour_profile_of_two_hundred_megabytes_is_refused() {
    let profile = [b"prof".as_slice(), &vec![7; 200 << 20]].concat();
    let source = clip::with_box(&make(PLAIN, "clip.mp4"), *b"colr", &profile);
    assert_eq!(refused(source), RefusalCode::TooMuchMetadata);
    let usual = [b"prof".as_slice(), &[7; 3000]].concat();
    let source = clip::with_box(&make(PLAIN, "clip.mp4"), *b"colr", &usual);
    assert_eq!(probed(source).video.width, 320);
}

#[test]
fn whatever_a_file_carries_beside_its_media_counts() {
    let (folder, cover) = clip::place("cover.png");
    std::fs::write(&cover, make("-f lavfi -i testsrc2=s=1280x720 -frames:v 1", "cover.png"))
        .expect("written");
    let chapters = folder.path().join("chapters.txt");
    let chapter = |at: usize| format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={at}\nEND={}\ntitle={at}\n", at + 1);
    std::fs::write(&chapters, ";FFMETADATA1\n".to_owned() + &(0..400).map(chapter).collect::<String>())
        .expect("written");
    let tag = "x".repeat(25_000);
    let cases = [
        ("tags", format!("-c copy -metadata comment={tag}"), "clip.mkv"),
        ("a stream's tags", format!("-c copy -metadata:s:v comment={tag}"), "clip.mkv"),
        (
            "a cover",
            format!("-i {} -map 0 -map 1 -c copy -disposition:v:1 attached_pic", cover.display()),
            "clip.mp4",
        ),
        (
            "an attachment",
            format!("-c copy -attach {} -metadata:s:t mimetype=image/png", cover.display()),
            "clip.mkv",
        ),
        ("chapters", format!("-i {} -map 0 -map_chapters 1 -c copy", chapters.display()), "clip.mkv"),
    ];
    let few = Limits { max_metadata_bytes: 20_000, ..LIMITS };
    for (what, arguments, name) in cases {
        let source = remake(&make(PLAIN, "clip.mp4"), &arguments, name);
        let told = run(Cursor::new(source.clone()), &few).expect_err(what).code;
        assert_eq!(told, RefusalCode::TooMuchMetadata, "{what}");
        assert!(run(Cursor::new(source), &LIMITS).is_ok(), "{what}");
    }
    assert!(run(Cursor::new(make(PLAIN, "clip.mp4")), &few).is_ok());
}

#[test]
fn two_pictures_twelve_hours_apart_are_no_video_of_twelve_hours() {
    let limits = Limits { max_duration: 90_000 * 3600 * 13, ..LIMITS };
    let apart = |seconds: u32| {
        format!(
            "-f lavfi -i color=s=320x180:r=1:d=2 -vf setpts=N*{seconds}/TB -vsync vfr -c:v libx264 -pix_fmt yuv420p"
        )
    };
    for name in ["still.mkv", "still.mp4"] {
        let source = make(&apart(43_200), name);
        assert!(source.len() < 4000, "{} bytes", source.len());
        let refusal = run(Cursor::new(source), &limits).expect_err("a refusal");
        assert_eq!(refusal.code, RefusalCode::StandsStill, "{name}");
        assert!(refusal.message.contains("43170") && refusal.message.contains("600"), "{}", refusal.message);
        // As long as what is allowed, and a slide that stands for as long as its sound lasts.
        assert!(run(Cursor::new(make(&apart(600), name)), &limits).is_ok(), "{name}");
    }
    let spoken = "-f lavfi -i color=s=64x64:r=1:d=1 -f lavfi -i sine=d=900:r=8000 -c:v libx264 -pix_fmt yuv420p \
                  -c:a aac";
    assert!(run(Cursor::new(make(spoken, "slide.mp4")), &limits).is_ok());
    // Sound that says nothing for hours is none.
    let silent = "-f lavfi -i color=s=64x64:r=1:d=2 -f lavfi -i sine=d=1:r=8000 -vf setpts=N*40000/TB -vsync vfr \
                  -c:v libx264 -pix_fmt yuv420p -c:a aac";
    assert_eq!(
        run(Cursor::new(make(silent, "silent.mkv")), &limits).expect_err("a refusal").code,
        RefusalCode::StandsStill
    );
}

#[test]
fn a_file_padded_to_look_like_much_is_known_by_its_index_or_read_whole() {
    let limits = Limits { max_duration: 90_000 * 3600 * 13, ..LIMITS };
    let still =
        "-f lavfi -i color=s=320x180:r=1:d=2 -vf setpts=N*43200/TB -vsync vfr -c:v libx264 -pix_fmt yuv420p";
    for padding in [80_u32 << 20, 200 << 20] {
        let mut source = make(still, "still.mp4");
        source.extend([&padding.to_be_bytes(), b"free".as_slice()].concat());
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&source).expect("written");
        file.set_len(source.len() as u64 - 8 + u64::from(padding)).expect("grown");
        file.seek(SeekFrom::Start(0)).expect("sought");
        assert_eq!(run(file, &limits).expect_err("a refusal").code, RefusalCode::StandsStill, "{padding}");
    }
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
