//! Colours that come out as they were meant: light, see-through and untagged ones.

use super::{RATE, S, TAGS, X264, size_of};
use crate::domain::media::Coding;
use crate::media::proof::{Clip, chunk, clip, encoded, pictures, rung};

/// The colour in the middle of the first picture that comes out, red, green and blue.
fn middle(clip: &Clip) -> [u8; 3] {
    let (heard, _) = encoded(clip, &[chunk(clip, &[0], S, vec![rung("64p", 64, 64, RATE)])]);
    let path = clip.beside("out.mp4", &heard.tracks["64p"].whole());
    let first = pictures(&path, (16, 16), "rgb24").remove(0);
    let at = (8 * 16 + 8) * 3;
    [first[at], first[at + 1], first[at + 2]]
}

fn is_near(one: [u8; 3], other: [u8; 3]) -> bool {
    one.iter().zip(other).all(|(one, other)| one.abs_diff(other) <= 6)
}

#[test]
fn what_can_be_seen_through_is_shown_on_black() {
    // Green that nobody is meant to see on the left, half of red on the right.
    let hidden = "geq=r='if(lt(X,32),0,255)':g='if(lt(X,32),255,0)':b=0:a='if(lt(X,32),0,128)'";
    for (name, coding) in [
        ("a.mov", "-c:v qtrle -pix_fmt argb"),
        ("b.mov", "-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le"),
        ("c.mov", "-c:v png -pix_fmt rgba"),
        ("d.webm", "-c:v libvpx-vp9 -b:v 500k -pix_fmt yuva420p -auto-alt-ref 0"),
        ("e.webm", "-c:v libvpx -b:v 500k -pix_fmt yuva420p -auto-alt-ref 0"),
    ] {
        let clip =
            clip(name, &format!("-f lavfi -i color=black:s=64x64:r=10:d=1,format=rgba,{hidden} {coding}"));
        let (heard, _) = encoded(&clip, &[chunk(&clip, &[0], S, vec![rung("64p", 64, 64, RATE)])]);
        let path = clip.beside("out.mp4", &heard.tracks["64p"].whole());
        let first = pictures(&path, (16, 16), "rgb24").remove(0);
        let at = |x: usize| <[u8; 3]>::try_from(&first[(8 * 16 + x) * 3..][..3]).expect("three");
        assert!(is_near(at(3), [0, 0, 0]), "{name}: hidden {:?}", at(3));
        let half = at(12);
        assert!((110..=146).contains(&half[0]) && half[1] < 20 && half[2] < 20, "{name}: half {half:?}");
    }
}

/// A plain HDR picture of this luma and transfer, without a word about its primaries where `bare`.
fn light(luma: u16, transfer: &str, bare: bool) -> Clip {
    let primaries = if bare { "" } else { "-color_primaries bt2020 -colorspace bt2020nc" };
    let plain = format!("color=black:s=64x64:r=10:d=1,format=yuv420p10le,geq=lum={luma}:cb=512:cr=512");
    clip("a.mkv", &format!("-f lavfi -i {plain} -c:v ffv1 {primaries} -color_trc {transfer} -color_range tv"))
}

#[test]
fn white_of_bright_colours_is_white_and_grey_keeps_its_light() {
    // Reference white (203 cd/m2), 18 % grey under it, and a highlight of 1000 cd/m2, by ITU-R BT.2100 and BT.2408.
    for (transfer, white, grey, brightest) in [("smpte2084", 573, 397, 723), ("arib-std-b67", 721, 397, 940)]
    {
        for bare in [false, true] {
            let shown = |luma| middle(&light(luma, transfer, bare))[1];
            let (white, grey, brightest) = (shown(white), shown(grey), shown(brightest));
            assert!((234..=246).contains(&white), "{transfer}: white is {white}");
            assert!((95..=125).contains(&grey), "{transfer}: grey is {grey}");
            assert!(brightest > 250, "{transfer}: the highlight is {brightest}");
        }
    }
}

#[test]
fn what_is_passed_through_says_which_colours_it_means() {
    for (size, tags, said) in [
        ("320x180", "", "yuv420p tv smpte170m bt709 bt709 1:1"),
        ("1280x720", "", TAGS),
        ("320x180", "-color_primaries bt709 -color_trc bt709 -colorspace bt709", TAGS),
    ] {
        let clip = clip("a.mp4", &format!("-f lavfi -i testsrc2=s={size}:r=25:d=1 {X264} -g 25 {tags}"));
        let mut task = chunk(&clip, &[0], S, vec![rung("top", 0, 0, RATE)]);
        task.rungs[0].coding = Coding::Copy;
        (task.rungs[0].width, task.rungs[0].height) = (task.video.width, task.video.height);
        assert_eq!(size_of(&clip, &task).2, said, "{size} {tags}");
    }
}
