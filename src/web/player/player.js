// One player: the stream, the thumbnails, the keyboard, and what it says when playback fails.
import { Hls } from 'hls-video-element';

import { keyboard } from './keyboard.js';
import { remember, startOf } from './start.js';

let current = null;

/** Sets the player in `stage` going on the addresses of its data attributes. */
export function mount(stage) {
  const { video: id, hls, poster, storyboard } = stage.dataset;
  const phrases = JSON.parse(stage.dataset.phrases);
  const controller = stage.querySelector('media-controller');
  const video = controller.querySelector('hls-video');
  current = { stage, controller, video, hls, phrases, recovered: 0 };

  addPoster(controller, poster);
  addThumbnails(video, storyboard);
  hold(video);
  load(startOf(id));
  remember(id, video);
  keyboard(controller, video, stage.closest('.embed') !== null);
  video.addEventListener('error', () => complain(phrases.unsupported));
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

function load(start) {
  const { video, hls } = current;
  current.start = start;
  // Without a start position hls.js joins a playlist that still grows at its end, as if it were live.
  video.config = { startPosition: start, capLevelToPlayerSize: true, abrEwmaDefaultEstimate: 1_500_000 };
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

/** A decoder gets two fresh starts; everything else is told to the viewer. */
function recover({ type }) {
  const { video, phrases } = current;
  const again = type === Hls.ErrorTypes.MEDIA_ERROR && current.recovered++ < 2;
  if (again) video.api.recoverMediaError();
  else complain(type === Hls.ErrorTypes.MEDIA_ERROR ? phrases.unsupported : phrases.stopped);
}

function complain(sentence) {
  const { controller, phrases, video } = current;
  controller.querySelector('.trouble')?.remove();
  const trouble = document.createElement('div');
  trouble.className = 'trouble';
  trouble.slot = 'centered-chrome';
  trouble.toggleAttribute('noautohide', true);
  trouble.lang = document.documentElement.lang;
  trouble.setAttribute('role', 'alert');
  const text = document.createElement('p');
  text.textContent = sentence;
  const retry = document.createElement('button');
  retry.type = 'button';
  retry.textContent = phrases.again;
  retry.addEventListener('click', () => {
    trouble.remove();
    current.recovered = 0;
    load(video.currentTime || current.start);
    // Not at once: attaching the stream would end what is being played.
    video.addEventListener('loadeddata', () => video.play().catch(() => {}), { once: true });
  });
  trouble.append(text, retry);
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
