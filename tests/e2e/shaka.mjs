// node shaka.mjs MASTER_URL: plays it in shaka-player, from where it begins and from the start; prints the live latency in
// seconds, or that it is whole.
import { createRequire } from 'node:module';

import { open, promise, until, withBrowser } from './browser.mjs';

const script = createRequire(import.meta.url).resolve('shaka-player');
const [master] = process.argv.slice(2);
if (!master) {
  console.error('usage: node shaka.mjs MASTER_URL');
  process.exit(2);
}

await withBrowser(async (browser) => {
  // Any page of the same origin without a policy of its own.
  const page = await open(browser, new URL('/health/live', master).href);
  await page.addScriptTag({ path: script });
  await page.evaluate(load, master);
  await goesOn(page, 'from where it began');
  console.log(await page.evaluate(() => (policast.player.isLive() ? policast.player.getStats().liveLatency : 'whole')));
  await page.evaluate(() => (policast.video.currentTime = policast.player.seekRange().start));
  await goesOn(page, 'from the start');
  promise(page.troubles.length === 0, page.troubles.join('; '));
});

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
