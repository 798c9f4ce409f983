//! Small clips made by FFmpeg's own command, for each test anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Two seconds of a moving picture and a tone, keyframes a second apart.
pub const PLAIN: &str = "-f lavfi -i testsrc2=s=320x180:r=30:d=2 -f lavfi -i sine=d=2 \
    -c:v libx264 -preset ultrafast -profile:v main -g 30 -pix_fmt yuv420p -c:a aac";

/// Runs `ffmpeg` with `arguments` split at spaces, and gives what it wrote to `name`.
pub fn make(arguments: &str, name: &str) -> Vec<u8> {
    let (folder, path) = place(name);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .arg(&path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "ffmpeg {arguments}");
    let bytes = fs::read(&path).expect("written");
    drop(folder);
    bytes
}

/// Runs `ffmpeg` on a clip made before.
pub fn remake(clip: &[u8], arguments: &str, name: &str) -> Vec<u8> {
    let (folder, path) = place("clip");
    fs::write(&path, clip).expect("written");
    let made = make(&format!("-i {} {arguments}", path.display()), name);
    drop(folder);
    made
}

/// What `ffmpeg` says while it decodes a clip.
pub fn complaints(clip: &[u8]) -> String {
    let (folder, path) = place("clip");
    fs::write(&path, clip).expect("written");
    let said = Command::new("ffmpeg")
        .args(["-v", "warning", "-nostdin", "-i"])
        .arg(&path)
        .args(["-f", "null", "-"])
        .output()
        .expect("ffmpeg is installed");
    drop(folder);
    String::from_utf8_lossy(&said.stderr).into_owned()
}

/// Overwrites the packets of a clip's pictures that are shown from one second to another.
pub fn spoil(clip: &[u8], name: &str, (from, to): (f64, f64)) -> Vec<u8> {
    let (folder, path) = place(name);
    fs::write(&path, clip).expect("written");
    let said = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "packet=pts_time,size,pos",
            "-of",
            "csv=p=0",
        ])
        .arg(&path)
        .output()
        .expect("ffprobe is installed");
    drop(folder);
    let mut spoiled = clip.to_vec();
    for row in String::from_utf8_lossy(&said.stdout).lines() {
        let [at, size, position] = row.split(',').collect::<Vec<_>>()[..] else { continue };
        let number = |text: &str| text.parse::<usize>().expect("a number");
        if (from..to).contains(&at.parse::<f64>().expect("a time")) {
            spoiled[number(position) + 4..number(position) + number(size)].fill(0xff);
        }
    }
    spoiled
}

/// FLV files one after the other: an encoder that came back with another sequence header.
pub fn flv_joined(pieces: &[Vec<u8>]) -> Vec<u8> {
    const HEADER: usize = 13;
    let (mut joined, mut base) = (pieces[0][..HEADER].to_vec(), 0_u32);
    for piece in pieces {
        let (mut at, mut last) = (HEADER, base);
        while at + 11 < piece.len() {
            let number = |at: usize| u32::from_be_bytes([0, piece[at], piece[at + 1], piece[at + 2]]);
            let (length, time) = (number(at + 1) as usize, number(at + 4) + base);
            let (head, body) = (&piece[at..at + 11], &piece[at + 11..at + 15 + length]);
            last = last.max(time);
            let [high, rest @ ..] = time.to_be_bytes();
            // The end of a sequence would be one in the middle.
            if head[0] != 9 || body[1] != 2 {
                joined.extend([&head[..4], &rest, &[high], &head[8..], body].concat());
            }
            at += 15 + length;
        }
        base = last + 40;
    }
    joined
}

/// Clips put together without coding them anew, by FFmpeg's `concat`.
pub fn joined(pieces: &[Vec<u8>], name: &str) -> Vec<u8> {
    let (folder, list) = place("list.txt");
    let kind = name.rsplit('.').next().expect("an extension");
    let mut lines = String::new();
    for (number, piece) in pieces.iter().enumerate() {
        let path = folder.path().join(format!("{number}.{kind}"));
        fs::write(&path, piece).expect("written");
        writeln!(lines, "file '{}'", path.display()).expect("a line");
    }
    fs::write(&list, lines).expect("written");
    let made = make(&format!("-f concat -safe 0 -i {} -c copy", list.display()), name);
    drop(folder);
    made
}

/// Where a box of an ISO file begins, by the first occurrence of its type.
pub fn box_at(clip: &[u8], name: [u8; 4]) -> usize {
    let at = clip.windows(4).position(|window| window == name).expect("there is such a box");
    at.checked_sub(4).expect("a box has a size before its type")
}

/// What is in a box.
pub fn box_payload(clip: &[u8], name: [u8; 4]) -> &[u8] {
    let at = box_at(clip, name);
    let size = u32::from_be_bytes(clip[at..at + 4].try_into().expect("four bytes")) as usize;
    &clip[at + 8..at + size]
}

/// Adds a box to the sample entry of a movie's first track, whose index stands at the end.
pub fn with_box(movie: &[u8], name: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let index = box_at(movie, *b"moov");
    let mut parents = vec![index];
    for parent in [*b"trak", *b"mdia", *b"minf", *b"stbl", *b"stsd", *b"avc1"] {
        parents.push(index + box_at(&movie[index..], parent));
    }
    let size = |at: usize| u32::from_be_bytes(movie[at..at + 4].try_into().expect("four bytes")) as usize;
    let entry = *parents.last().expect("some");
    let end = entry + size(entry);
    let added = [&be32(payload.len() + 8), name.as_slice(), payload].concat();
    let mut grown = [&movie[..end], &added, &movie[end..]].concat();
    for at in parents {
        grown[at..at + 4].copy_from_slice(&be32(size(at) + added.len()));
    }
    grown
}

/// A folder of its own and a path in it.
pub fn place(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    (folder, path)
}

/// Makes a movie with its index at the end take its media from the file at `target` (an `alis` reference of `QuickTime`).
pub fn point_elsewhere(movie: &[u8], target: &Path) -> Vec<u8> {
    let alias = alias(target);
    let dref = box_at(movie, *b"dref");
    let old = u32::from_be_bytes(movie[dref..dref + 4].try_into().expect("four bytes")) as usize;
    let entry = [&be32(alias.len() + 12), b"alis".as_slice(), &[0; 4], &alias].concat();
    let new = [&be32(entry.len() + 16), b"dref".as_slice(), &[0; 4], &be32(1), &entry].concat();
    let mut pointing = [&movie[..dref], &new, &movie[dref + old..]].concat();
    for name in [*b"moov", *b"trak", *b"mdia", *b"minf", *b"dinf"] {
        let at = box_at(movie, name);
        let size = u32::from_be_bytes(movie[at..at + 4].try_into().expect("four bytes")) as usize;
        pointing[at..at + 4].copy_from_slice(&be32(size + new.len() - old));
    }
    pointing
}

/// An alias record with an absolute path, as far as demuxers read it.
fn alias(target: &Path) -> Vec<u8> {
    let path = target.to_str().expect("a plain path").as_bytes();
    let name = target.file_name().and_then(|name| name.to_str()).expect("a file name").as_bytes();
    let mut record = vec![0; 10];
    record.push(1);
    record.extend([&b"V"[..], &[0; 26]].concat());
    record.extend([0; 12]);
    record.push(u8::try_from(name.len()).expect("short"));
    record.extend([name, &vec![0; 63 - name.len()]].concat());
    record.extend([0; 16]);
    record.extend([0, 1, 0, 1]);
    record.extend([0; 16]);
    let path = [b"V", path].concat();
    let length = u16::try_from(path.len()).expect("short");
    record.extend([&[0, 2], &length.to_be_bytes()[..], &path, &vec![0; path.len() % 2]].concat());
    record.extend([0xff, 0xff, 0, 0]);
    record
}

fn be32(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("small").to_be_bytes()
}
