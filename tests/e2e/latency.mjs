// node latency.mjs SECONDS NAME=URL…: plays all pages at once, and reads how old their pictures are from the wall clock
// painted into them: 32 squares at the top, each a bit of the milliseconds since 1970. Prints JSON.
import { setTimeout as sleep } from 'node:timers/promises';

import { open, until, withBrowser } from './browser.mjs';

const [seconds, ...pages] = process.argv.slice(2);
if (!(seconds > 0) || !pages.length) {
  console.error('usage: node latency.mjs SECONDS NAME=URL…');
  process.exit(2);
}

await withBrowser(async (browser) => {
  const players = await Promise.all(pages.map((page) => begin(browser, page)));
  await Promise.all(players.map(({ page }) => page.evaluate(observe)));
  await sleep(seconds * 1000);
  const seen = await Promise.all(players.map(async ({ name, page }) => ({ name, troubles: page.troubles, ...(await page.evaluate(sum)) })));
  console.log(JSON.stringify(seen));
});

async function begin(browser, page) {
  const at = page.indexOf('=');
  const name = page.slice(0, at);
  const opened = await open(browser, page.slice(at + 1));
  const plays = () => {
    const played = window.policast?.video?.played;
    return played?.length && played.end(played.length - 1) > played.start(0) + 1;
  };
  await until(opened, plays, null, `${name} does not play`, 60_000);
  return { name, page: opened };
}

/** In the page: looks at every picture from now on. */
function observe() {
  const { hls, video } = policast;
  const seen = (window.seen = { ages: [], stalls: 0, waits: 0, fatal: [] });
  hls.on('hlsError', (_, { details, fatal }) => {
    if (details === 'bufferStalledError') seen.stalls += 1;
    if (fatal) seen.fatal.push(details);
  });
  video.addEventListener('waiting', () => (seen.waits += 1));
  const canvas = new OffscreenCanvas(640, 40).getContext('2d', { willReadFrequently: true });
  const look = () => {
    canvas.drawImage(video, 0, 0, 640, 40, 0, 0, 640, 40);
    const row = canvas.getImageData(0, 20, 640, 1).data;
    let painted = 0;
    for (let bit = 0; bit < 32; bit++) if (row[(bit * 20 + 10) * 4] > 125) painted += 2 ** bit;
    const age = (Date.now() % 2 ** 32) - painted;
    // A picture that isn't painted like that tells nothing.
    if (age >= 0 && age < 60_000) seen.ages.push(age);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}

/** In the page: what it has seen. */
function sum() {
  const { ages, ...seen } = window.seen;
  ages.sort((a, b) => a - b);
  const part = (share) => ages[Math.min(ages.length - 1, Math.floor(ages.length * share))] ?? -1;
  return { ...seen, pictures: ages.length, p50: part(0.5), p95: part(0.95), max: part(1) };
}
