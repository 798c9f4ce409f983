// node viewer.mjs WATCH_URL: watches a broadcast and touches nothing. Prints a line when it plays, and one more for each
// line it is sent: when it has played on, well beyond all that was there to play.
import { createInterface } from 'node:readline';

import { open, promise, until, withBrowser } from './browser.mjs';

const [watch] = process.argv.slice(2);
if (!watch) {
  console.error('usage: node viewer.mjs WATCH_URL');
  process.exit(2);
}

await withBrowser(async (browser) => {
  const page = await open(browser, watch);
  await until(page, () => window.policast?.hls, null, 'there is no player', 60_000);
  await page.evaluate(count);
  // A picture, not only a time: browsers show nothing before the first keyframe they are given.
  await until(page, () => policast.video.currentTime > 1 && pictures > 2, null, 'it does not play', 60_000);
  const { first, known } = await page.evaluate(() => ({ first, known }));
  promise(first < known, `the first picture is one of ${first} s, and there was one at ${known} s when it came`);
  console.log('plays');
  for await (const _ of createInterface({ input: process.stdin })) {
    const from = await page.evaluate(() => {
      const { buffered } = policast.video;
      return { end: buffered.length ? buffered.end(buffered.length - 1) : 0, pictures };
    });
    const on = ({ end, pictures: before }) => policast.video.currentTime > end + 2 && pictures > before + 30;
    try {
      await until(page, on, from, 'it stands still', 60_000);
      const [complaint] = await page.locator('.trouble').allInnerTexts();
      promise(!complaint, `the viewer is told: ${complaint}`);
      promise(page.troubles.length === 0, page.troubles.join('; '));
    } catch (error) {
      console.error(await page.evaluate(told));
      throw error;
    }
    console.log('goes on');
  }
});

/** In the page: counts the pictures that are shown, and hears hls.js. A page that is loaded anew has no such count. */
function count() {
  const { hls, video } = policast;
  Object.assign(window, { pictures: 0, errors: [], first: null, known: hls.latestLevelDetails?.edge });
  hls.on('hlsLevelUpdated', (_, { details }) => (known ??= details.edge));
  const note = (what) => errors.push(`${new Date().toISOString()}, at ${video.currentTime}: ${what}`);
  hls.on('hlsError', (_, { details, fatal, error }) => note(`${fatal ? 'fatal ' : ''}${details}, ${error?.message}`));
  video.addEventListener('error', () => note(video.error?.message));
  const shown = (_, { mediaTime }) => {
    pictures += 1;
    first ??= mediaTime;
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
}

/** In the page: how it stands, for who reads why it failed. */
function told() {
  const { hls, video } = policast;
  const ranges = [...Array(video.buffered.length).keys()].map((at) => [video.buffered.start(at), video.buffered.end(at)]);
  const { currentTime, paused, readyState } = video;
  const { pictures, errors } = window;
  return JSON.stringify({ pictures, currentTime, paused, readyState, ranges, edge: hls?.liveSyncPosition, errors }, null, 1);
}
