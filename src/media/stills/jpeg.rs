//! One picture as a JPEG (ITU-T T.81, JFIF colours).

use ffmpeg_next::frame::side_data::Type;
use ffmpeg_next::{Dictionary, Packet, Rational, codec, encoder, format, frame};

use super::filtered;
use crate::media::error::Error;
use crate::media::libav;

/// The encoder's scale runs from 2 (best) to 31; this looks like a quality of 85.
const QUALITY: i32 = 3;
/// The colours a JPEG without a word about them has.
const FULL_RANGE: &str =
    "[in]scale=in_color_matrix=bt709:out_color_matrix=bt601:in_range=tv:out_range=pc,format=yuvj420p[out]";

/// A larger colour profile weighs more than what it says, and one beyond 16 MB no JPEG can hold.
const MAX_PROFILE_BYTES: usize = 64 << 10;

/// Takes a colour profile off a picture that is too large to be passed on.
pub(super) fn drop_large_profile(picture: &mut frame::Video) {
    let profile = picture.side_data(Type::IccProfile).map_or(0, |profile| profile.data().len());
    if profile > MAX_PROFILE_BYTES {
        picture.remove_side_data(Type::IccProfile);
    }
}

/// Encodes a picture in BT.709 and limited range.
pub(super) fn encode(picture: &frame::Video) -> Result<Vec<u8>, Error> {
    let doing = || Error::libav("encode a still");
    let mut full = filtered(picture, FULL_RANGE)?;
    drop_large_profile(&mut full);
    let Some(mjpeg) = encoder::find_by_name("mjpeg") else {
        return Err(doing()(ffmpeg_next::Error::EncoderNotFound));
    };
    let mut context = codec::Context::new_with_codec(mjpeg);
    context.set_flags(codec::Flags::QSCALE);
    let mut video = context.encoder().video().map_err(doing())?;
    video.set_width(full.width());
    video.set_height(full.height());
    video.set_format(format::Pixel::YUVJ420P);
    video.set_time_base(Rational(1, 25));
    libav::set_quality(&mut video, QUALITY);
    let mut encoder = video.open_with(Dictionary::new()).map_err(doing())?;
    encoder.send_frame(&full).map_err(doing())?;
    encoder.send_eof().map_err(doing())?;
    let mut packet = Packet::empty();
    encoder.receive_packet(&mut packet).map_err(doing())?;
    Ok(packet.data().unwrap_or_default().to_vec())
}
