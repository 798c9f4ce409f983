//! Clips made for one test: heavier than their pictures, or with a flash and a beep to see and hear.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::tool::{fixture, program, succeed};

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
