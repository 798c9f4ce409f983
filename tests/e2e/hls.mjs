// node hls.mjs MASTER_URL: reads a master playlist and all below it with hls-parser in strict mode; prints one JSON.
import HLS from 'hls-parser';

HLS.setOptions({ strictMode: true });

const [, , master] = process.argv;
if (!master) {
  console.error('usage: node hls.mjs MASTER_URL');
  process.exit(2);
}

try {
  console.log(JSON.stringify(await summary(master), null, 2));
} catch (error) {
  console.error(`broken: ${error.message}`);
  process.exitCode = 1;
}

async function summary(url) {
  const playlist = await read(url);
  if (!playlist.isMasterPlaylist) throw new Error(`${url} is not a master playlist`);
  const renditions = new Map();
  for (const { audio, subtitles } of playlist.variants) {
    for (const rendition of [...audio, ...subtitles]) {
      if (rendition.uri) renditions.set(rendition.uri, rendition);
    }
  }
  return {
    url,
    version: playlist.version,
    independent_segments: playlist.independentSegments,
    variants: await each(playlist.variants, url, variant),
    renditions: await each([...renditions.values()], url, rendition),
  };
}

function each(list, base, describe) {
  return Promise.all(
    list.map(async (entry) => {
      const url = new URL(entry.uri, base).href;
      return { ...describe(entry), url, ...media(await read(url), url) };
    }),
  );
}

function variant({ bandwidth, averageBandwidth, codecs, resolution, frameRate, isIFrameOnly, audio }) {
  return {
    bandwidth,
    average_bandwidth: averageBandwidth ?? null,
    codecs,
    resolution: resolution ?? null,
    frame_rate: frameRate ?? null,
    iframe_only: Boolean(isIFrameOnly),
    audio_groups: [...new Set(audio.map(({ groupId }) => groupId))],
  };
}

function rendition({ type, groupId, name, language, isDefault, channels }) {
  return { type, group: groupId, name, language: language ?? null, default: Boolean(isDefault), channels: channels ?? null };
}

function media(playlist, base) {
  // Of the segment that is still being made there are parts only.
  const segments = playlist.segments.filter(({ uri }) => uri).map((segment) => ({
    url: new URL(segment.uri, base).href,
    duration: segment.duration,
    byterange: segment.byterange ?? null,
    discontinuity: Boolean(segment.discontinuity),
    gap: Boolean(segment.gap),
    map: segment.map
      ? { url: new URL(segment.map.uri, base).href, byterange: segment.map.byterange ?? null }
      : null,
  }));
  return {
    playlist_type: playlist.playlistType ?? null,
    ended: Boolean(playlist.endlist),
    target_duration: playlist.targetDuration,
    media_sequence: playlist.mediaSequenceBase ?? 0,
    duration: segments.reduce((sum, { duration }) => sum + duration, 0),
    segments,
  };
}

async function read(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  const text = await answer.text();
  try {
    return HLS.parse(text);
  } catch (error) {
    throw new Error(`${url}: ${error.message}`, { cause: error });
  }
}
