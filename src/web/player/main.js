// The script of the watch and embed pages: mounts the player, or waits until there is something to play.
import 'media-chrome';
import 'media-chrome/menu';
import 'media-chrome/dist/lang/zh-CN.js';
import 'hls-video-element';

import { enrich, mount, refresh } from './player.js';
import { wait } from './wait.js';

const stage = document.getElementById('stage');
if (stage) {
  const { state, events } = stage.dataset;
  if (stage.querySelector('media-controller')) mount(stage);
  if (events) wait(stage, { state, events, player: { mount, enrich, refresh } });
}

for (const code of document.querySelectorAll('.embed-code textarea')) {
  code.addEventListener('focus', () => code.select());
}
