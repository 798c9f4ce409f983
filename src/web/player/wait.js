// Follows a video's events until its media are settled: progress first, then the player, then the better qualities.

import { follow } from './follow.js';

const playable = new Set(['playable', 'ready', 'degraded']);
const settled = new Set(['ready', 'degraded', 'failed']);

export function wait(stage, { state, events, player }) {
  let known = state;
  const stop = follow(events, ({ media }) => {
    if (!media) return;
    if (!playable.has(known) && !playable.has(media.state)) tell(stage, media);
    if (!playable.has(known) && playable.has(media.state)) begin(stage, media, player.mount);
    else if (playable.has(known)) player.enrich(media);
    if (known === 'playable' && settled.has(media.state)) player.refresh();
    if (media.state === 'failed' && known !== 'failed') location.reload();
    const coming = document.getElementById('coming');
    if (coming) coming.hidden = media.state !== 'playable';
    if (settled.has(media.state)) stop();
    known = media.state;
  });
}

/** Moves the progress bar; the sentence changes only when the state does, so a screen reader isn't flooded. */
function tell(stage, { state, progress }) {
  const card = stage.querySelector('#wait');
  const sentence = card?.querySelector('[aria-live]');
  const bar = card?.querySelector('[role=progressbar]');
  if (!sentence || !bar) return;
  const words = sentence.dataset[state];
  if (words && sentence.textContent !== words) sentence.textContent = words;
  const percent = Math.round(100 * Math.min(1, Math.max(0, progress ?? 0)));
  const note = card.querySelector('.percent');
  bar.hidden = note.hidden = state !== 'processing';
  bar.setAttribute('aria-valuenow', percent);
  bar.querySelector('rect').setAttribute('width', percent);
  note.textContent = `${percent} %`;
}

function begin(stage, media, mount) {
  const template = stage.querySelector('template');
  if (!template) return;
  stage.dataset.state = media.state;
  stage.dataset.hls ||= media.hls ?? '';
  stage.dataset.poster ||= media.poster?.url ?? '';
  stage.dataset.storyboard ||= media.storyboard ?? '';
  const controls = template.content.cloneNode(true);
  stage.replaceChildren(controls);
  mount(stage);
}
