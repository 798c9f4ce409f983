//! What ffmpeg-next's safe API doesn't reach: the only unsafe code of reading sources.
#![expect(unsafe_code, reason = "ffmpeg-next has no safe call for these")]

use std::ptr;

use ffmpeg_next::codec::packet::Ref as _;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::format::context::{Input, StreamIo};
use ffmpeg_next::format::stream::Stream;
use ffmpeg_next::{Dictionary, Packet, Rational, ffi, frame};

use super::error::Error;

/// An entry of a demuxer's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub position: i64,
    pub size: i64,
    /// Decoding time in the stream's time base.
    pub timestamp: i64,
    pub key: bool,
    pub discarded: bool,
}

/// Reads a container's header only: no stream is looked into, nothing is decoded.
pub(super) fn open_header(mut io: StreamIo, options: Dictionary) -> Result<Input, Error> {
    // SAFETY: the context is allocated here and, on failure, freed by `avformat_open_input` itself; `io` outlives it,
    // as `wrap_with_custom_io` keeps both together.
    unsafe {
        let mut context = ffi::avformat_alloc_context();
        if context.is_null() {
            return Err(Error::libav("allocate")(ffmpeg_next::Error::Other { errno: ffi::ENOMEM }));
        }
        (*context).pb = io.as_mut_ptr();
        (*context).flags |= ffi::AVFMT_FLAG_CUSTOM_IO;
        let mut options = options.disown();
        let status =
            ffi::avformat_open_input(&raw mut context, ptr::null(), ptr::null_mut(), &raw mut options);
        drop(Dictionary::own(options));
        match status {
            0 => Ok(Input::wrap_with_custom_io(context, io)),
            error => Err(Error::libav("read the header")(error.into())),
        }
    }
}

/// Reads ahead until the streams' parameters are known; what stays unknown is seen in the parameters.
pub(super) fn find_stream_info(input: &mut Input) -> Result<(), Error> {
    // SAFETY: the context is open, and no options are passed.
    match unsafe { ffi::avformat_find_stream_info(input.as_mut_ptr(), ptr::null_mut()) } {
        status if status < 0 => Err(Error::libav("look into the streams")(status.into())),
        _ => Ok(()),
    }
}

/// The codec parameters of a stream.
pub(super) fn parameters<'a>(stream: &'a Stream<'_>) -> &'a ffi::AVCodecParameters {
    // SAFETY: a stream of an open context always has parameters; they live as long as the context the stream borrows.
    unsafe { &*(*stream.as_ptr()).codecpar }
}

/// The shape of a pixel by the container alone; 0 where it doesn't say.
pub(super) fn container_aspect(stream: &Stream<'_>) -> Rational {
    // SAFETY: the stream is valid as long as it borrows its context.
    unsafe { (*stream.as_ptr()).sample_aspect_ratio }.into()
}

/// The shape of a decoded picture's pixels by the container or else the picture; 0 where neither says.
pub(super) fn pixel_aspect_of(input: &Input, index: usize, picture: &frame::Video) -> Rational {
    let Some(stream) = input.stream(index) else { return Rational(0, 1) };
    // SAFETY: context, stream and picture are valid; libav only reads them.
    unsafe {
        let (stream, picture) = (stream.as_ptr().cast_mut(), picture.as_ptr().cast_mut());
        ffi::av_guess_sample_aspect_ratio(input.as_ptr().cast_mut(), stream, picture).into()
    }
}

/// Tells the demuxer which streams to leave out.
pub(super) fn keep_only(input: &mut Input, kept: &[usize]) {
    // SAFETY: every index is below the context's number of streams, and each stream pointer is valid.
    unsafe {
        for index in 0..input.nb_streams() as usize {
            let discard = if kept.contains(&index) {
                ffi::AVDiscard::AVDISCARD_DEFAULT
            } else {
                ffi::AVDiscard::AVDISCARD_ALL
            };
            (**(*input.as_mut_ptr()).streams.add(index)).discard = discard;
        }
    }
}

/// How many entries the demuxer's index of a stream has.
pub(super) fn index_len(stream: &Stream<'_>) -> i32 {
    // SAFETY: the stream is valid as long as it borrows its context.
    unsafe { ffi::avformat_index_get_entries_count(stream.as_ptr()) }
}

/// The entries of the demuxer's index of a stream, in decoding order.
pub(super) fn index<'a>(stream: &'a Stream<'_>) -> impl DoubleEndedIterator<Item = Entry> + 'a {
    (0..index_len(stream)).filter_map(|at| {
        // SAFETY: the entry is read at once, before the index can change; out of range gives null.
        let entry = unsafe { ffi::avformat_index_get_entry(stream.as_ptr().cast_mut(), at).as_ref() }?;
        Some(Entry {
            position: entry.pos,
            size: i64::from(entry.size()),
            timestamp: entry.timestamp,
            key: entry.flags() & ffi::AVINDEX_KEYFRAME != 0,
            discarded: entry.flags() & ffi::AVINDEX_DISCARD_FRAME != 0,
        })
    })
}

/// Jumps to the last keyframe of `stream` at or before `timestamp`, in the stream's base.
pub(super) fn seek_back(input: &mut Input, stream: usize, timestamp: i64) -> Result<(), Error> {
    let stream = i32::try_from(stream).unwrap_or(-1);
    // SAFETY: the context is open; libav checks the stream's index.
    match unsafe { ffi::av_seek_frame(input.as_mut_ptr(), stream, timestamp, ffi::AVSEEK_FLAG_BACKWARD) } {
        status if status < 0 => Err(Error::libav("seek")(status.into())),
        _ => Ok(()),
    }
}

/// An edit list leaves this packet's picture or sound out.
pub(super) fn is_discarded(packet: &Packet) -> bool {
    // SAFETY: a packet's fields may always be read.
    unsafe { (*packet.as_ptr()).flags & ffi::AV_PKT_FLAG_DISCARD != 0 }
}

/// Makes a decoder also give pictures it doubts, as every player does, and refuse pictures larger than `max_pixels`.
pub(super) fn prepare_decoder(context: &mut ffmpeg_next::codec::Context, max_pixels: u64) {
    // SAFETY: the context is allocated and not opened yet.
    unsafe {
        let context = &mut *context.as_mut_ptr();
        context.flags |= i32::try_from(ffi::AV_CODEC_FLAG_OUTPUT_CORRUPT).unwrap_or(0);
        context.max_pixels = i64::try_from(max_pixels).unwrap_or(i64::MAX);
    }
}

/// Gives a decoder the codec's own header, as a container would.
pub(super) fn set_extradata(context: &mut ffmpeg_next::codec::Context, header: &[u8]) -> Result<(), Error> {
    const PADDING: usize = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
    let size = i32::try_from(header.len()).unwrap_or(0);
    // SAFETY: the context is allocated and not opened yet, and owns the buffer from here on, which libav allocated
    // with the padding it asks for, and which is as long as what is copied into it.
    unsafe {
        let buffer = ffi::av_mallocz(header.len() + PADDING).cast::<u8>();
        if buffer.is_null() {
            return Err(Error::libav("allocate")(ffmpeg_next::Error::Other { errno: ffi::ENOMEM }));
        }
        ptr::copy_nonoverlapping(header.as_ptr(), buffer, header.len());
        let context = &mut *context.as_mut_ptr();
        context.extradata = buffer;
        context.extradata_size = size;
    }
    Ok(())
}

/// The codec's own header, as the container keeps it.
pub(super) fn extradata<'a>(stream: &'a Stream<'_>) -> &'a [u8] {
    let parameters = parameters(stream);
    let length = usize::try_from(parameters.extradata_size).unwrap_or(0);
    if parameters.extradata.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: libav keeps `extradata_size` bytes there for as long as the stream lives.
    unsafe { std::slice::from_raw_parts(parameters.extradata, length) }
}

/// The container allows that its clock is set anew on the way, as streams that were cut out or joined have it.
pub(super) fn has_many_clocks(input: &Input) -> bool {
    // SAFETY: the context is open; its demuxer is a constant of libav's.
    let flags = unsafe { (*(*input.as_ptr()).iformat).flags };
    flags & ffi::AVFMT_TS_DISCONT != 0
}

/// How many programmes a transport stream declares.
pub(super) fn count_programs(input: &Input) -> u32 {
    // SAFETY: the context is open.
    unsafe { (*input.as_ptr()).nb_programs }
}

/// The streams of the programme that a stream belongs to; empty where there are no programmes.
pub(super) fn programme_of(input: &Input, stream: usize) -> Vec<usize> {
    let Ok(index) = i32::try_from(stream) else { return Vec::new() };
    // SAFETY: the context is open and only looked at; the programme's list is as long as it says.
    unsafe {
        let context = input.as_ptr().cast_mut();
        let Some(found) = ffi::av_find_program_from_stream(context, ptr::null_mut(), index).as_ref() else {
            return Vec::new();
        };
        let length = found.nb_stream_indexes as usize;
        if found.stream_index.is_null() {
            return Vec::new();
        }
        std::slice::from_raw_parts(found.stream_index, length).iter().map(|index| *index as usize).collect()
    }
}

/// The size of the cover that a stream is.
pub(super) fn cover_bytes(stream: &Stream<'_>) -> usize {
    // SAFETY: the packet is part of the stream, and empty where that is no cover.
    usize::try_from(unsafe { (*stream.as_ptr()).attached_pic.size }).unwrap_or(0)
}

/// How many channels the header declares.
pub(super) fn channels(stream: &Stream<'_>) -> u16 {
    u16::try_from(parameters(stream).ch_layout.nb_channels).unwrap_or(0)
}

/// The speaker that a track of one channel says it is for, by its number in `AVChannel`; `None` where it doesn't say, or
/// has more.
pub(super) fn speaker(stream: &Stream<'_>) -> Option<u32> {
    let layout = &parameters(stream).ch_layout;
    let native = layout.order == ffi::AVChannelOrder::AV_CHANNEL_ORDER_NATIVE;
    // SAFETY: a layout in libav's own order has its mask in the union.
    (native && layout.nb_channels == 1).then(|| unsafe { layout.u.mask }.trailing_zeros())
}

/// Bits of a pixel format's first component; 0 where there is no such format.
pub(super) fn bit_depth(format: Pixel) -> u8 {
    // SAFETY: the descriptor is a constant of libav's, or null.
    let descriptor = unsafe { ffi::av_pix_fmt_desc_get(format.into()).as_ref() };
    descriptor.map_or(0, |descriptor| u8::try_from(descriptor.comp[0].depth).unwrap_or(0))
}

/// Pictures of this format may let through what is behind them.
pub(super) fn has_alpha(format: Pixel) -> bool {
    // SAFETY: the descriptor is a constant of libav's, or null.
    let descriptor = unsafe { ffi::av_pix_fmt_desc_get(format.into()).as_ref() };
    descriptor.is_some_and(|descriptor| {
        descriptor.flags & u64::try_from(ffi::AV_PIX_FMT_FLAG_ALPHA).unwrap_or(0) != 0
    })
}

/// The duration is the size divided by a bit rate, and worth as much.
pub(super) fn duration_is_a_guess(input: &Input) -> bool {
    // SAFETY: the context is open.
    let method = unsafe { (*input.as_ptr()).duration_estimation_method };
    method == ffi::AVDurationEstimationMethod::AVFMT_DURATION_FROM_BITRATE
}
