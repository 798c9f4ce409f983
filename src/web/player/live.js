// What is live: how hls.js is set up for it, how far behind the viewer is, and what is said above the picture.

import { common } from './hls.js';

/** Farther behind, in seconds, the viewer isn't at the live edge. */
const near = 5;
/** Farther behind, a viewer who wanted to be at the edge was thrown back by the network, and is taken there again. */
const far = 8;
/** Milliseconds without a picture, while more come, after which the viewer is taken to them, and after which all begins anew. */
const still = { jump: 3000, restart: 10_000 };
/** Milliseconds after the first picture in which a jump to the edge is taken for the beginning. */
const arrival = 5000;

/** An encoder that stays away for half an hour is no error: playlists are asked for until the broadcast is over. */
const patient = { maxNumRetry: 10_000, retryDelayMs: 1000, maxRetryDelayMs: 4000 };

/** For hls.js. The distance to the edge is what the playlist asks for (PART-HOLD-BACK). */
export const config = {
  ...common,
  startPosition: -1,
  lowLatencyMode: true,
  // See `pace`: its own way changes the rate several times a second, and gains nothing by it.
  maxLiveSyncPlaybackRate: 1,
  // A second more for every stall would be the end of low latency after the first.
  liveSyncOnStallIncrease: 0.3,
  backBufferLength: 60,
  playlistLoadPolicy: {
    // A blocked reload is answered after three target durations at the latest.
    default: { maxTimeToFirstByteMs: 35_000, maxLoadTimeMs: 40_000, timeoutRetry: patient, errorRetry: patient },
  },
};

/**
 * The playback rate that brings a viewer who fell behind nearer again; 5 % are not heard. Seconds: `excess` behind the
 * target, and `ahead` in the buffer. It begins late and ends late, so that it changes seldom.
 */
export function pace(rate, { excess, ahead }) {
  const hurries = rate > 1;
  const enough = hurries ? excess > 0.1 && ahead > 0.5 : excess > 0.3 && ahead > 0.8;
  if (!enough) return 1;
  return excess > 2 ? 1.1 : 1.05;
}

/**
 * The earliest time there is to play. Before the start of any track, by a microsecond even, hls.js loads the edge
 * instead, and stands still for ever; where old segments leave the list, the first is about to.
 */
function earliest(api) {
  const tracks = [api?.latestLevelDetails, api?.audioTracks[api.audioTrack]?.details].filter(Boolean);
  const starts = tracks.map(({ fragmentStart, startSN, targetduration }) => fragmentStart + (startSN > 0 ? targetduration : 0.1));
  return Math.max(0, ...starts);
}

/**
 * The edge; where that is in pictures that build on a keyframe long before it (the playlist's EXT-X-START), and they are
 * not loaded yet, that keyframe: from anywhere else browsers show nothing up to the next one.
 */
function landingOf(edge, { api, buffered }) {
  const { startTimeOffset, edge: end } = api?.latestLevelDetails ?? {};
  const isLoaded = [...Array(buffered.length).keys()].some((at) => buffered.start(at) <= edge && edge <= buffered.end(at));
  return startTimeOffset < 0 && !isLoaded ? Math.min(edge, end + startTimeOffset) : edge;
}

/** Keeps a player at the live edge for as long as its viewer wants to be there; `restart` is the last resort. */
export function keepUp({ controller, video, phrases }, restart) {
  const button = controller.querySelector('.golive');
  const unmute = controller.querySelector('.unmute');
  const note = controller.querySelector('.note');
  const quit = new AbortController();
  const on = (target, name, work) => target.addEventListener(name, work, { signal: quit.signal });
  let following = true;
  let begun = false;
  /** Where it was at last; the first place is hls.js's choice. */
  let last = null;
  let settled = 0;
  /** When a picture was shown, and whether it has jumped since. */
  let alive = performance.now();
  let jumped = false;

  const edge = () => {
    const { api, seekable } = video;
    return api ? api.liveSyncPosition : seekable.length ? seekable.end(seekable.length - 1) - 1 : null;
  };
  const behind = () => (edge() === null ? 0 : edge() - video.currentTime);
  /** Where near the edge there is a picture at once. */
  const landing = () => landingOf(edge(), video);

  function goLive() {
    following = true;
    if (edge() !== null) video.currentTime = last = landing();
    video.play().catch(() => {});
  }

  function hurry() {
    const { api, buffered, currentTime, playbackRate } = video;
    if (!api?.targetLatency || !buffered.length) return;
    const excess = following ? api.latency - api.targetLatency : 0;
    const ahead = buffered.end(buffered.length - 1) - currentTime;
    settled ||= performance.now() + arrival;
    // What came while the player was getting ready has kept whoever has just come from the edge.
    if (performance.now() < settled && excess > 0.4 && ahead > excess + 0.5) {
      settled = performance.now();
      video.currentTime = last = currentTime + excess;
      return;
    }
    const rate = pace(playbackRate, { excess, ahead });
    if (rate !== playbackRate) video.playbackRate = rate;
  }

  /** hls.js may wait for ever for what a player skipped, or nobody has: those who follow don't wait with it. */
  function watch() {
    const since = performance.now() - alive;
    if (!begun || video.paused) alive = performance.now();
    else if (!following || behind() < near) return;
    else if (since > still.restart) {
      alive = performance.now();
      restart();
    } else if (since > still.jump && !jumped) {
      jumped = true;
      goLive();
    }
  }

  const watching = setInterval(watch, 1000);
  quit.signal.addEventListener('abort', () => clearInterval(watching));
  on(button, 'click', () => {
    goLive();
    controller.focus();
  });
  on(unmute, 'click', () => {
    video.muted = false;
    controller.focus();
  });
  on(video, 'volumechange', () => (unmute.hidden ||= !video.muted));
  // What the viewer asks for counts at once: its events may come late.
  on(controller, 'mediaseekrequest', ({ detail }) => (following = edge() === null || edge() - detail < near));
  on(video, 'pause', () => (following = false));
  on(video, 'play', () => {
    // Paused from the beginning: the edge has gone on.
    if (!begun && following && landing() - video.currentTime > 2) video.currentTime = last = landing();
    begun = true;
    following ||= behind() < near;
  });
  on(video, 'seeking', () => {
    // Beyond the edge there is nothing yet, and the picture would stand.
    if (behind() < -0.5) video.currentTime = edge();
    // Not exactly: browsers round to the microsecond, and would be sent back to where they are for ever.
    else if (earliest(video.api) - video.currentTime > 0.01) video.currentTime = earliest(video.api);
    if (last !== null && Math.abs(video.currentTime - last) > 1) following = behind() < near;
    last = video.currentTime;
  });
  on(video, 'timeupdate', () => {
    if (video.seeking) return;
    alive = performance.now();
    jumped = false;
    last = video.currentTime;
    button.hidden = behind() < near;
    if (following && !video.paused && landing() - video.currentTime > far) goLive();
    hurry();
  });
  // Tells media-chrome that one may seek back: else every press of play leads to the edge.
  video.targetLiveWindow = Infinity;

  return {
    /** The sentence above the picture; none for what is as it should be. */
    say(sentence = '') {
      if (note.textContent !== sentence) note.textContent = sentence;
    },
    offerSound: () => (unmute.hidden = false),
    /** The encoder is back: what stood still in between was not the viewer's network. */
    resume() {
      const target = video.api?.latestLevelDetails?.partHoldBack;
      if (target) video.api.targetLatency = target;
    },
    end() {
      quit.abort();
      button.hidden = true;
      video.playbackRate = 1;
      this.say(phrases.broadcast.over);
    },
  };
}
