//! Clips made for one test: heavier than their pictures, or with a flash and a beep to see and hear.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::tool::{fixture, program, run, succeed};

/// The short clip made heavy by an ISO `free` box: many chunks and parts to send, few pictures to encode.
pub fn heavy(folder: &Path, extra_bytes: u32) -> PathBuf {
    let path = folder.join("heavy.mp4");
    let mut out = BufWriter::new(File::create(&path).expect("a file"));
    std::io::copy(&mut File::open(fixture("short.mp4")).expect("a clip"), &mut out).expect("a copy");
    out.write_all(&(extra_bytes + 8).to_be_bytes()).expect("a size");
    out.write_all(b"free").expect("a type");
    // Bytes that differ everywhere, so that one block in the place of another is found.
    let words = (0_u32..).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes());
    out.write_all(&words.take(extra_bytes as usize).collect::<Vec<u8>>()).expect("a body");
    out.flush().expect("a disk");
    path
}

/// The SHA-256 of a file in hexadecimal.
pub fn sha256(path: &Path) -> String {
    let (mut digest, mut file) = (Sha256::new(), File::open(path).expect("a file"));
    let mut block = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut block).expect("a file");
        if read == 0 {
            return hex::encode(digest.finalize());
        }
        digest.update(&block[..read]);
    }
}

/// Black and silent but for a white flash and a beep that begin together, at 1 s and at 9 s of 10.
pub async fn flash_and_beep(folder: &Path) -> PathBuf {
    let path = folder.join("flash.mp4");
    let on = "between(t,1,1.2)+between(t,9,9.2)";
    let picture = format!("color=black:s=640x360:r=25:d=10,drawbox=color=white:t=fill:enable='{on}'");
    let sound = format!("aevalsrc='0.5*sin(2*PI*1000*t)*({on})':s=48000:d=10");
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound]);
    ffmpeg.args([
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "50",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
    ]);
    succeed({
        ffmpeg.arg(&path);
        ffmpeg
    })
    .await;
    path
}

/// Eleven seconds of pictures at 70 Mbit/s with a keyframe each ten, most of it stuffing, and 11.4 s of sound. Written
/// to a pipe: a Matroska file then has neither duration nor index.
pub async fn heavy_seconds(folder: &Path, container: &str) -> PathBuf {
    let path = folder.join(format!("heavy-seconds.{container}"));
    let format = if container == "mkv" { "matroska" } else { "mpegts" };
    let stuffed = "nal-hrd=cbr:filler=1:force-cfr=1:keyint=250:min-keyint=250:scenecut=0";
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=11"]);
    ffmpeg.args(["-f", "lavfi", "-i", "sine=440:d=11.4:r=48000", "-c:v", "libx264", "-preset", "ultrafast"]);
    ffmpeg.args(["-b:v", "70M", "-maxrate", "70M", "-minrate", "70M", "-bufsize", "70M"]);
    ffmpeg.args(["-x264-params", stuffed, "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", format, "pipe:1"]);
    let output = run(ffmpeg).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(&path, output.stdout).expect("a file");
    path
}
