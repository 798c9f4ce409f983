//! What ffmpeg-next's safe API doesn't reach: the only unsafe code of encoding.
#![expect(unsafe_code, reason = "ffmpeg-next has no safe call for these")]

use ffmpeg_next::codec::packet::{Mut as _, Ref as _};
use ffmpeg_next::format::context::Output;
use ffmpeg_next::{Dictionary, Packet, Rational, codec, ffi, format, frame};

use super::error::Error;

/// Presentation times are kept in this base everywhere.
pub(super) const TICK: Rational = Rational(1, 90_000);

/// An MP4 muxer in memory; the bytes are taken out with [`Memory::take`].
pub(super) struct Memory {
    output: Output,
}

impl Memory {
    /// Opens a muxer that writes into memory only.
    pub fn open() -> Result<Self, Error> {
        // SAFETY: the context is checked before use; its `pb` is a dynamic buffer, closed again in `drop`.
        unsafe {
            let mut context = std::ptr::null_mut();
            let status = ffi::avformat_alloc_output_context2(
                &raw mut context,
                std::ptr::null_mut(),
                c"mp4".as_ptr(),
                std::ptr::null(),
            );
            if status < 0 {
                return Err(Error::libav("open the muxer")(status.into()));
            }
            let output = Output::wrap(context);
            let status = ffi::avio_open_dyn_buf(&raw mut (*context).pb);
            if status < 0 {
                (*context).pb = std::ptr::null_mut();
                return Err(Error::libav("open the muxer")(status.into()));
            }
            (*context).flags |= ffi::AVFMT_FLAG_CUSTOM_IO | ffi::AVFMT_FLAG_BITEXACT;
            Ok(Self { output })
        }
    }

    /// Adds the one stream, with a time base of a tick, and writes the header.
    pub fn begin(&mut self, parameters: &codec::Parameters, options: Dictionary) -> Result<(), Error> {
        // SAFETY: the context is open and the new stream is checked; its tag is cleared so the muxer chooses one.
        unsafe {
            let context = self.output.as_mut_ptr();
            let stream = ffi::avformat_new_stream(context, std::ptr::null());
            if stream.is_null() {
                return Err(Error::libav("add a stream")(ffmpeg_next::Error::Other { errno: ffi::ENOMEM }));
            }
            let status = ffi::avcodec_parameters_copy((*stream).codecpar, parameters.as_ptr());
            if status < 0 {
                return Err(Error::libav("add a stream")(status.into()));
            }
            (*(*stream).codecpar).codec_tag = 0;
            (*stream).time_base = TICK.into();
        }
        self.output.write_header_with(options).map(drop).map_err(Error::libav("write the header"))
    }

    /// The time base the muxer chose.
    pub fn time_base(&self) -> Rational {
        self.output.stream(0).map_or(TICK, |stream| stream.time_base())
    }

    /// Hands over one packet, in decoding order.
    pub fn write(&mut self, packet: &mut Packet) -> Result<(), Error> {
        packet.set_stream(0);
        packet.write(&mut self.output).map(drop).map_err(Error::libav("mux a packet"))
    }

    /// Ends the fragment.
    pub fn flush(&mut self) -> Result<(), Error> {
        // SAFETY: a null packet asks an open muxer to flush.
        match unsafe { ffi::av_write_frame(self.output.as_mut_ptr(), std::ptr::null_mut()) } {
            status if status < 0 => Err(Error::libav("end a fragment")(status.into())),
            _ => Ok(()),
        }
    }

    /// The bytes written since the last time.
    pub fn take(&mut self) -> Result<Vec<u8>, Error> {
        // SAFETY: the dynamic buffer is closed, copied out, freed, and replaced by a new one, or by null on failure.
        unsafe {
            let context = self.output.as_mut_ptr();
            let bytes = close((*context).pb);
            (*context).pb = std::ptr::null_mut();
            let status = ffi::avio_open_dyn_buf(&raw mut (*context).pb);
            if status < 0 {
                return Err(Error::libav("write a fragment")(status.into()));
            }
            Ok(bytes)
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the buffer, where there is one, is closed once and the context forgets it before it is freed.
        unsafe {
            let context = self.output.as_mut_ptr();
            if !(*context).pb.is_null() {
                close((*context).pb);
                (*context).pb = std::ptr::null_mut();
            }
        }
    }
}

// SAFETY: `pb` must be an open dynamic buffer; it is gone afterwards.
unsafe fn close(pb: *mut ffi::AVIOContext) -> Vec<u8> {
    unsafe {
        let mut start = std::ptr::null_mut();
        let length = ffi::avio_close_dyn_buf(pb, &raw mut start);
        let bytes = match usize::try_from(length) {
            Ok(length) if !start.is_null() => std::slice::from_raw_parts(start, length).to_vec(),
            _ => Vec::new(),
        };
        ffi::av_free(start.cast());
        bytes
    }
}

/// The parameters of an opened encoder, for its muxer.
pub(super) fn parameters(context: &codec::Context) -> Result<codec::Parameters, Error> {
    let mut parameters = codec::Parameters::new();
    // SAFETY: both are allocated; libav copies.
    match unsafe { ffi::avcodec_parameters_from_context(parameters.as_mut_ptr(), context.as_ptr()) } {
        status if status < 0 => Err(Error::libav("describe the encoder")(status.into())),
        _ => Ok(parameters),
    }
}

/// Marks an encoder's output as BT.709 in limited range.
pub(super) fn tag_bt709(context: &mut codec::Context) {
    // SAFETY: the context is allocated and not opened yet.
    unsafe {
        let context = &mut *context.as_mut_ptr();
        context.color_primaries = ffi::AVColorPrimaries::AVCOL_PRI_BT709;
        context.color_trc = ffi::AVColorTransferCharacteristic::AVCOL_TRC_BT709;
        context.colorspace = ffi::AVColorSpace::AVCOL_SPC_BT709;
        context.color_range = ffi::AVColorRange::AVCOL_RANGE_MPEG;
        context.sample_aspect_ratio = ffi::AVRational { num: 1, den: 1 };
    }
}

/// Pictures of this size mean BT.709's colours where nothing is said of them, and smaller ones BT.601's.
pub(super) fn is_hd(width: u32, height: u32) -> bool {
    width.min(height) >= 720
}

/// A stream's parameters with what they don't say of its colours: players guess, and not all alike. Primaries and
/// transfer are those that encoded rungs are made with.
pub(super) fn with_colours(parameters: &codec::Parameters) -> Result<codec::Parameters, Error> {
    use ffi::{AVColorPrimaries, AVColorRange, AVColorSpace, AVColorTransferCharacteristic};
    let mut copy = codec::Parameters::new();
    // SAFETY: both are allocated; libav copies, and the fields of the copy are plain.
    unsafe {
        let status = ffi::avcodec_parameters_copy(copy.as_mut_ptr(), parameters.as_ptr());
        if status < 0 {
            return Err(Error::libav("take over the stream's parameters")(status.into()));
        }
        let said = &mut *copy.as_mut_ptr();
        if said.color_space == AVColorSpace::AVCOL_SPC_UNSPECIFIED {
            let hd = is_hd(said.width.unsigned_abs(), said.height.unsigned_abs());
            said.color_space =
                if hd { AVColorSpace::AVCOL_SPC_BT709 } else { AVColorSpace::AVCOL_SPC_SMPTE170M };
        }
        if said.color_primaries == AVColorPrimaries::AVCOL_PRI_UNSPECIFIED {
            said.color_primaries = AVColorPrimaries::AVCOL_PRI_BT709;
        }
        if said.color_trc == AVColorTransferCharacteristic::AVCOL_TRC_UNSPECIFIED {
            said.color_trc = AVColorTransferCharacteristic::AVCOL_TRC_BT709;
        }
        if said.color_range == AVColorRange::AVCOL_RANGE_UNSPECIFIED {
            said.color_range = AVColorRange::AVCOL_RANGE_MPEG;
        }
    }
    Ok(copy)
}

/// Sets the size of the rate control's buffer, in bits.
pub(super) fn set_rate_buffer(context: &mut codec::Context, bits: u64) {
    // SAFETY: the context is allocated and not opened yet.
    unsafe { (*context.as_mut_ptr()).rc_buffer_size = i32::try_from(bits).unwrap_or(i32::MAX) }
}

/// Puts a new reference to the same packet's bytes beside it, without what the container said of it.
pub(super) fn share(packet: &Packet) -> Packet {
    let mut copy = Packet::empty();
    // SAFETY: both packets are initialised; on failure the copy stays empty.
    unsafe {
        if ffi::av_packet_ref(copy.as_mut_ptr(), packet.as_ptr()) >= 0 {
            ffi::av_packet_free_side_data(copy.as_mut_ptr());
        }
    }
    copy
}

/// A second frame over the same picture.
pub(super) fn repeat(picture: &frame::Video) -> frame::Video {
    let mut copy = frame::Video::empty();
    // SAFETY: both frames are allocated; on failure the copy stays empty and is refused by the filter graph.
    unsafe { ffi::av_frame_ref(copy.as_mut_ptr(), picture.as_ptr()) };
    copy
}

/// The decoder had to make up part of this picture.
pub(super) fn is_damaged(picture: &frame::Video) -> bool {
    picture.is_corrupt() || is_made_up(picture)
}

/// The decoder found mistakes in this picture's own data.
pub(super) fn is_made_up(picture: &frame::Video) -> bool {
    // SAFETY: a frame's fields may always be read.
    unsafe { (*picture.as_ptr()).decode_error_flags != 0 }
}

/// The codec header that is in force from this packet on, where it brings one (`AV_PKT_DATA_NEW_EXTRADATA`).
pub(super) fn new_parameters(packet: &Packet) -> Option<&[u8]> {
    let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA;
    let mut size = 0;
    // SAFETY: the packet is initialised, and keeps `size` bytes there for as long as it is borrowed.
    unsafe {
        let header = ffi::av_packet_get_side_data(packet.as_ptr(), kind, &raw mut size);
        if header.is_null() { None } else { Some(std::slice::from_raw_parts(header, size)) }
    }
}

/// Lets a packet bring a codec header; false where there is no memory for it.
pub(super) fn set_new_parameters(packet: &mut Packet, header: &[u8]) -> bool {
    let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA;
    // SAFETY: the packet is initialised; what libav allocates, with the padding it asks for, is as long as asked.
    unsafe {
        let place = ffi::av_packet_new_side_data(packet.as_mut_ptr(), kind, header.len());
        if !place.is_null() {
            std::ptr::copy_nonoverlapping(header.as_ptr(), place, header.len());
        }
        !place.is_null()
    }
}

/// Marks a picture as one of two fields, where the container says that it is and the picture doesn't.
pub(super) fn set_fields(picture: &mut frame::Video, top_first: Option<bool>) {
    let Some(top_first) = top_first.filter(|_| !picture.is_interlaced()) else { return };
    // SAFETY: the frame is allocated.
    unsafe {
        let picture = &mut *picture.as_mut_ptr();
        picture.interlaced_frame = 1;
        picture.top_field_first = i32::from(top_first);
    }
}

/// A black picture.
pub(super) fn black(width: u32, height: u32) -> frame::Video {
    let mut picture = frame::Video::new(format::Pixel::YUV420P, width.max(2), height.max(2));
    for (plane, black) in [16, 128, 128].into_iter().enumerate() {
        picture.data_mut(plane).fill(black);
    }
    picture
}

/// Leaves a packet with its bytes only.
pub(super) fn forget_side_data(packet: &mut Packet) {
    // SAFETY: the packet is initialised.
    unsafe { ffi::av_packet_free_side_data(packet.as_mut_ptr()) }
}

/// Gives a block of sound without a channel layout the usual one for its number of channels, and one of a single channel
/// the middle: a track for the left speaker alone would be heard by one ear.
pub(super) fn settle_layout(block: &mut frame::Audio) {
    // SAFETY: the frame is allocated, and what its layout owns is freed before another takes its place.
    unsafe {
        let block = &mut *block.as_mut_ptr();
        let channels = block.ch_layout.nb_channels;
        if block.ch_layout.order == ffi::AVChannelOrder::AV_CHANNEL_ORDER_UNSPEC || channels == 1 {
            ffi::av_channel_layout_uninit(&raw mut block.ch_layout);
            ffi::av_channel_layout_default(&raw mut block.ch_layout, channels);
        }
    }
}

/// The name of a block's channel layout, as the filters read it.
pub(super) fn layout_name(block: &frame::Audio) -> String {
    let mut name = [0_u8; 128];
    // SAFETY: the buffer's length is told, and libav ends the text with a zero.
    let written = unsafe {
        ffi::av_channel_layout_describe(
            &raw const (*block.as_ptr()).ch_layout,
            name.as_mut_ptr().cast(),
            name.len(),
        )
    };
    match std::ffi::CStr::from_bytes_until_nul(&name) {
        Ok(text) if written > 0 => text.to_string_lossy().into_owned(),
        _ => "stereo".to_owned(),
    }
}

/// Silence of the same kind as `block`.
pub(super) fn silence_like(block: &frame::Audio, samples: usize) -> frame::Audio {
    let mut silence = blank_like(block, samples);
    // SAFETY: the planes hold `samples` of this format and number of channels.
    unsafe {
        let inner = &mut *silence.as_mut_ptr();
        ffi::av_samples_set_silence(
            inner.extended_data,
            0,
            inner.nb_samples,
            inner.ch_layout.nb_channels,
            block.format().into(),
        );
    }
    silence
}

/// The same sound without its first samples.
pub(super) fn without_start(block: &frame::Audio, skip: usize) -> frame::Audio {
    let rest = block.samples().saturating_sub(skip);
    let mut copy = blank_like(block, rest);
    // SAFETY: both have planes of the same format; `skip + rest` is within the source, `rest` within the copy.
    unsafe {
        let (to, from) = (&mut *copy.as_mut_ptr(), &*block.as_ptr());
        ffi::av_samples_copy(
            to.extended_data,
            from.extended_data,
            0,
            i32::try_from(skip).unwrap_or(0),
            to.nb_samples,
            to.ch_layout.nb_channels,
            block.format().into(),
        );
    }
    copy
}

fn blank_like(block: &frame::Audio, samples: usize) -> frame::Audio {
    let mut blank = frame::Audio::empty();
    // SAFETY: the frame is allocated and described before libav makes its buffers; on failure it has no samples.
    unsafe {
        let (to, from) = (&mut *blank.as_mut_ptr(), &*block.as_ptr());
        to.format = from.format;
        to.sample_rate = from.sample_rate;
        to.nb_samples = i32::try_from(samples).unwrap_or(0);
        ffi::av_channel_layout_copy(&raw mut to.ch_layout, &raw const from.ch_layout);
        if ffi::av_frame_get_buffer(blank.as_mut_ptr(), 0) < 0 {
            (*blank.as_mut_ptr()).nb_samples = 0;
        }
    }
    blank
}

/// A time from one base to another, rounded to the nearest.
pub(super) fn rescale(value: i64, from: Rational, to: Rational) -> i64 {
    use ffmpeg_next::Rescale as _;
    if from.0 <= 0 || from.1 <= 0 { value } else { value.rescale(from, to) }
}

/// Sets a constant quality, on the scale of libav's own encoders.
pub(super) fn set_quality(context: &mut codec::Context, quality: i32) {
    // SAFETY: the context is allocated and not opened yet.
    unsafe { (*context.as_mut_ptr()).global_quality = quality.saturating_mul(ffi::FF_QP2LAMBDA) }
}
