// shaka-player at a master playlist: another player's reading of what hls.js plays.
import { createRequire } from 'node:module';

import { open, promise, until } from './browser.mjs';

const script = createRequire(import.meta.url).resolve('shaka-player');

/** Plays `master` for some seconds, and from its start; gives the live latency in seconds, null where it is whole. */
export async function playsInShaka(browser, master) {
  // Any page of the same origin without a policy of its own.
  const page = await open(browser, new URL('/health/live', master).href);
  await page.addScriptTag({ path: script });
  await page.evaluate(load, master);
  await goesOn(page, 'from where shaka-player began');
  const latency = await page.evaluate(() => (policast.player.isLive() ? policast.player.getStats().liveLatency : null));
  await page.evaluate(() => (policast.video.currentTime = policast.player.seekRange().start));
  await goesOn(page, 'from the start in shaka-player');
  promise(page.troubles.length === 0, page.troubles.join('; '));
  await page.context().close();
  return latency;
}

async function load(master) {
  shaka.polyfill.installAll();
  const video = document.body.appendChild(document.createElement('video'));
  const player = new shaka.Player();
  player.addEventListener('error', ({ detail }) => window.trouble(`shaka-player tells of error ${detail.code}: ${detail.data}`));
  player.configure({ streaming: { lowLatencyMode: true } });
  await player.attach(video);
  await player.load(master);
  await video.play();
  window.policast = { player, video };
}

async function goesOn(page, where) {
  const at = await page.evaluate(() => policast.video.currentTime);
  await until(page, (at) => !policast.video.seeking && policast.video.currentTime > at + 4, at, `it does not play ${where}`);
}
