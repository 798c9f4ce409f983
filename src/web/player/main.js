// The script of the watch and embed pages: mounts the player, or waits until there is something to play.
import './language.js';
import 'media-chrome';
import 'media-chrome/menu';
import 'hls-video-element';

import { attend } from './broadcast.js';
import { enrich, mount, refresh, tell } from './player.js';
import { isMuted } from './start.js';
import { wait } from './wait.js';

const stage = document.getElementById('stage');
if (stage) {
  const { state, events, broadcast } = stage.dataset;
  const live = Boolean(broadcast) && broadcast !== 'ended';
  // What others embed in their pages begins when its viewer wants it to.
  if (stage.querySelector('media-controller')) mount(stage, { live, eager: live && (isMuted() || !stage.closest('.embed')) });
  if (live) attend(stage, { events, player: { mount, tell } });
  else if (events) wait(stage, { state, events, player: { mount, enrich, refresh } });
}

for (const code of document.querySelectorAll('.embed-code textarea')) {
  code.addEventListener('focus', () => code.select());
}
