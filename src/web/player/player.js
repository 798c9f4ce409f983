// One player: the stream, the thumbnails, the keyboard, and what it says when playback fails.
import { Hls } from 'hls-video-element';

import { common } from './hls.js';
import { keyboard } from './keyboard.js';
import * as live from './live.js';
import { nameMenus } from './menus.js';
import { isMuted, remember, startOf } from './start.js';

let current = null;

/** What no further try makes playable. */
const hopeless = new Set([
  Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR,
  Hls.ErrorDetails.BUFFER_ADD_CODEC_ERROR,
  Hls.ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR,
]);

/** Sets the player in `stage` going on the addresses of its data attributes: `live` at the edge, `eager` by itself. */
export function mount(stage, { live: isLive = false, eager = false } = {}) {
  const { video: id, hls, poster, storyboard } = stage.dataset;
  const phrases = JSON.parse(stage.dataset.phrases);
  const controller = stage.querySelector('media-controller');
  const video = controller.querySelector('hls-video');
  current = { stage, controller, video, hls, phrases, id, recovered: 0, edge: null, retry: null, wanted: eager };
  if (isMuted()) video.muted = true;
  if (isLive) current.edge = live.keepUp(current, tryAgain);

  addPoster(controller, poster);
  addThumbnails(video, storyboard);
  nameMenus(controller, phrases);
  shape(stage, video);
  hold(video);
  persist(current);
  load(isLive ? -1 : startOf(id));
  if (eager) play();
  if (!isLive) remember(id, video);
  keyboard(controller, video, stage.closest('.embed') !== null);
  // hls.js tells its own errors; this is the browser's, where that plays HLS by itself.
  video.addEventListener('error', () => (current.edge && !video.api ? tryAgain() : complain(phrases.unsupported)));
  video.addEventListener('playing', () => controller.querySelector('.trouble')?.remove());
}

/** Adds the poster and the thumbnails that were made after the player was there. */
export function enrich({ poster, storyboard }) {
  if (!current) return;
  const { controller, video } = current;
  addPoster(controller, poster?.url);
  addThumbnails(video, storyboard);
}

/** Reads the master playlist again, now that more qualities are there: at once where that disturbs nobody. */
export function refresh() {
  if (!current) return;
  const { video } = current;
  const again = () => load(video.currentTime);
  if (video.paused) again();
  else video.addEventListener('pause', again, { once: true });
}

/** Says how the broadcast is that is played; at its end the recording takes its place. */
export function tell(state) {
  if (!current?.edge) return;
  const { edge, phrases } = current;
  if (state === 'ended') return finish();
  if (state === 'live') edge.resume();
  edge.say(state === 'interrupted' ? phrases.broadcast.interrupted : '');
}

/** Lets the viewer see what is left, and then offers the recording. */
function finish() {
  const { edge, phrases, video } = current;
  edge.end();
  current.edge = null;
  const replay = () => {
    record();
    play();
  };
  const offer = () => {
    edge.say();
    complain(phrases.broadcast.over, [phrases.broadcast.replay, replay]);
  };
  current.rest = untilEnd(video, () => {
    record();
    offer();
  });
  if (video.paused) offer();
}

/** Calls `over` when what is left has been played, or nothing more of it comes; answers with what forgets that. */
function untilEnd(video, over) {
  let [at, since] = [video.currentTime, Date.now()];
  const watch = setInterval(() => {
    if (video.paused || video.currentTime !== at) [at, since] = [video.currentTime, Date.now()];
    else if (Date.now() - since > 4000) over();
  }, 500);
  video.addEventListener('ended', over);
  return () => {
    clearInterval(watch);
    video.removeEventListener('ended', over);
  };
}

/** Plays the recording from its start from now on. */
function record() {
  const { id, video, rest } = current;
  if (rest) remember(id, video);
  rest?.();
  current.rest = null;
  load(0);
}

/** As soon as there is a picture; without sound, where the browser wants its viewer to ask for that. */
function play() {
  const { video } = current;
  const begin = async () => {
    try {
      await video.play();
    } catch (error) {
      if (error.name !== 'NotAllowedError') return;
      video.muted = true;
      current.edge?.offerSound();
      video.play().catch(() => {});
    }
  };
  // Not at once: attaching the stream would end what is being played.
  video.addEventListener('loadeddata', begin, { once: true });
}

function load(start) {
  const { video, hls } = current;
  current.start = start;
  // Without a start position hls.js joins a playlist that still grows at its end, as if it were live.
  const recorded = { ...common, startPosition: start };
  video.config = current.edge ? live.config : recorded;
  video.preload = current.edge ? 'auto' : 'metadata';
  if (video.src === hls) video.load();
  else video.src = hls;
  // hls-video makes its hls.js one microtask later.
  queueMicrotask(() => attend(start));
}

function attend(start) {
  const { video } = current;
  window.policast = { hls: video.api ?? null, video: video.nativeEl };
  if (video.api) video.api.on(Hls.Events.ERROR, (_, data) => data.fatal && recover(data));
  else if (start > 0) video.addEventListener('loadedmetadata', () => (video.currentTime = start), { once: true });
}

/** What is higher than wide gets a stage of its own shape; what is live may be turned while it is watched. */
function shape(stage, video) {
  const look = () => {
    const { videoWidth: width, videoHeight: height } = video;
    if (!width || !height) return;
    stage.classList.toggle('portrait', height > width);
    stage.style.setProperty('--shape', (width / height).toFixed(4));
  };
  for (const moment of ['loadedmetadata', 'resize']) video.addEventListener(moment, look);
}

/**
 * Holds the rung chosen in the menu. hls-video compares the choice with the next fragment's level, and so misses
 * a rung that Auto happens to play already, and Auto while nothing is buffered.
 */
function hold(video) {
  video.videoRenditions.addEventListener('change', ({ target }) => {
    const { api } = video;
    if (api && api.manualLevel !== target.selectedIndex) api.nextLevel = target.selectedIndex;
  });
}

/** A decoder that is reset leaves the picture paused, which its viewer never asked for: it goes on. */
function persist(player) {
  const { video } = player;
  video.addEventListener('playing', () => (player.wanted = true));
  video.addEventListener('pause', () => (player.wanted = false));
  video.addEventListener('emptied', () => player.wanted && play());
}

/** A decoder gets two fresh starts; everything else is told to the viewer. */
function recover({ type, details }) {
  const { video, phrases, edge } = current;
  if (edge && !hopeless.has(details)) return tryAgain(type);
  const again = type === Hls.ErrorTypes.MEDIA_ERROR && current.recovered++ < 2;
  if (again) video.api.recoverMediaError();
  else complain(type === Hls.ErrorTypes.MEDIA_ERROR ? phrases.unsupported : phrases.stopped);
}

/** What is live goes on by itself, however long it takes. */
function tryAgain(type) {
  const { video, phrases, edge } = current;
  if (type === Hls.ErrorTypes.MEDIA_ERROR && current.recovered++ < 2) return video.api.recoverMediaError();
  edge.say(phrases.broadcast.reconnecting);
  clearTimeout(current.retry);
  // Not everybody at the same moment.
  current.retry = setTimeout(() => {
    if (current.edge !== edge) return;
    current.recovered = 0;
    load(-1);
    if (current.wanted) play();
    video.addEventListener('playing', () => tell(current.stage.dataset.broadcast), { once: true });
  }, 2000 + Math.random() * 2000);
}

function retry() {
  current.recovered = 0;
  load(current.video.currentTime || current.start);
  play();
}

/** A sentence in the middle of the picture, and what can be done. */
function complain(sentence, [label, act] = [current.phrases.again, retry]) {
  const { controller } = current;
  controller.querySelector('.trouble')?.remove();
  const trouble = document.createElement('div');
  trouble.className = 'trouble';
  trouble.slot = 'centered-chrome';
  trouble.toggleAttribute('noautohide', true);
  trouble.setAttribute('role', 'alert');
  trouble.lang = document.documentElement.lang;
  const text = document.createElement('p');
  text.textContent = sentence;
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('keysused', 'Enter Space');
  button.textContent = label;
  button.addEventListener('click', () => {
    trouble.remove();
    controller.focus();
    act();
  });
  trouble.append(text, button);
  controller.append(trouble);
}

function addPoster(controller, url) {
  if (!url || controller.querySelector('[slot=poster]')) return;
  const poster = document.createElement('img');
  poster.slot = 'poster';
  poster.src = url;
  poster.alt = '';
  controller.append(poster);
}

function addThumbnails(video, url) {
  if (!url || video.querySelector('track')) return;
  const track = document.createElement('track');
  track.kind = 'metadata';
  track.label = 'thumbnails';
  track.default = true;
  track.src = url;
  video.append(track);
}
