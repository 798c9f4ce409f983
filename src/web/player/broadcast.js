// A broadcast's page: counts down, plays what is live, says that it is interrupted, hands over the recording.

import { countdown } from './countdown.js';
import { follow } from './follow.js';

const playable = new Set(['playable', 'ready', 'degraded']);

/** Follows the broadcast shown in `stage` to its end. */
export function attend(stage, { events, player }) {
  const phrases = JSON.parse(stage.dataset.phrases).broadcast;
  const card = stage.querySelector('#announced');
  const counting = card && countdown(card, phrases);
  let mounted = !card;
  if (mounted) player.tell(stage.dataset.broadcast);

  function begin(live) {
    counting.end();
    mounted = true;
    stage.replaceChildren(stage.querySelector('template').content.cloneNode(true));
    player.mount(stage, { live, eager: live });
  }

  const stop = follow(events, ({ state, media, broadcast, language }) => {
    // Withdrawn: the server has the words for that.
    if (state === 'withdrawn' || !media || !broadcast) return location.reload();
    stage.dataset.broadcast = broadcast.state;
    const live = broadcast.state !== 'ended';
    if (!live) stop();
    if (!live && !playable.has(media.state)) return location.reload();
    const begun = broadcast.state === 'live' || broadcast.state === 'interrupted';
    if (!mounted && (begun || !live) && playable.has(media.state)) begin(live);
    if (mounted) return player.tell(broadcast.state);
    counting.move(broadcast.starts_at ? Date.parse(broadcast.starts_at) : null);
    pose(stage, media.poster, language);
  });
}

/** Puts the picture of now behind the countdown, and where the player will look for it. */
function pose(stage, poster, language) {
  const shown = stage.querySelector('.backdrop');
  stage.dataset.poster = poster?.url ?? '';
  if (shown?.src === stage.dataset.poster) return;
  shown?.remove();
  stage.querySelector('template').content.querySelector('[slot=poster]')?.remove();
  if (!poster) return;
  const { url: src, alt } = poster;
  stage.prepend(Object.assign(document.createElement('img'), { className: 'backdrop', src, alt, lang: language }));
}
