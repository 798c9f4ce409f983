// node live.mjs WATCH_URL [--screenshots DIR]: sits before the page of a broadcast that has not begun, from its countdown
// to its recording. POLICAST_KEY ends the broadcast POLICAST_BROADCAST; an encoder pushes to POLICAST_INGEST.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { words } from '../../src/web/player/countdown.js';
import { judge, open, promise, step, until, withBrowser, withLanguage } from './browser.mjs';
import { arrives, offered, takes } from './ending.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { screenshots: { type: 'string' } } });
const { POLICAST_KEY: key, POLICAST_BROADCAST: broadcast, POLICAST_INGEST: ingest } = process.env;
if (positionals.length !== 1 || !key || !broadcast || !ingest) {
  console.error('usage: POLICAST_KEY=… POLICAST_BROADCAST=… POLICAST_INGEST=… node live.mjs WATCH_URL [--screenshots DIR]');
  process.exit(2);
}
const watch = new URL(positionals[0]);
const embed = new URL(watch.href.replace('/watch/', '/embed/'));

await withBrowser(async (browser) => {
  let encoder = null;
  try {
    await step('the time left is said in words', counts);
    const page = await open(browser, withLanguage(watch, 'en'));
    const other = await open(browser, withLanguage(embed, 'zh-Hans'));
    await page.evaluate(() => (window.sameDocument = true));
    await poses(browser);
    await step('before, there is a countdown', () => before(page, other));
    await step('the list of videos announces it', () => listed(browser, { en: 'Upcoming', 'zh-Hans': '即将开播' }));
    await accessible(browser, 'before');
    encoder = push();
    await step('it plays by itself when the stream comes', () => Promise.all([plays(page), plays(other)]));
    await step('the list of videos says that it is live', () => listed(browser, { en: 'Live', 'zh-Hans': '直播' }));
    await accessible(browser, 'live');
    await step('a player that waits for what never comes begins anew', () => standsStill(other));
    // hls.js loses itself only when a seek comes at the wrong moment.
    for (let turn = 1; turn <= 3; turn++) {
      await step(`who comes late seeks back by the keyboard, and a button leads to the edge again (${turn})`, () => seeks(browser));
    }
    await step('an interruption is said, and is no error', async () => {
      await end(encoder);
      await interrupted(page);
      encoder = push();
      await resumes(page);
    });
    await request(`/api/v1/broadcasts/${broadcast}/end`, { method: 'POST' });
    await step('after the end the same page plays the recording from its start', () => recording(page));
    await accessible(browser, 'after');
    await step('who comes later gets the recording', () => newcomer(browser));
    promise(await page.evaluate(() => window.sameDocument), 'the page was loaded anew');
    promise(page.troubles.length === 0, page.troubles.join('; '));
    promise(other.troubles.length === 0, other.troubles.join('; '));
  } finally {
    if (encoder) await end(encoder);
  }
});

async function request(path, { type, ...options } = {}) {
  const headers = { authorization: `Bearer ${key}`, ...(type && { 'content-type': type }) };
  const answer = await fetch(new URL(path, watch), { ...options, headers });
  promise(answer.ok, `${path} answers ${answer.status}`);
  return answer.json();
}

/** A white picture becomes the poster: what stands before it must be read all the same. */
async function poses(browser) {
  const page = await browser.newPage();
  const body = await page.screenshot();
  const video = `/api/v1/videos/${watch.pathname.split('/').pop()}`;
  await request(`${video}/poster`, { method: 'PUT', type: 'image/png', body });
  for (let tries = 0; (await request(video)).poster_upload.state !== 'ready'; tries++) {
    promise(tries < 150, 'the poster is not made fit');
    await page.waitForTimeout(200);
  }
  await page.close();
}

function push() {
  const source = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
  const video = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '60', '-pix_fmt', 'yuv420p'];
  const sound = ['-c:a', 'aac', '-ac', '2'];
  const args = ['-hide_banner', '-nostdin', '-loglevel', 'fatal', ...source, ...video, ...sound, '-f', 'flv', ingest];
  return spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function end(encoder) {
  if (encoder.exitCode !== null) return;
  encoder.kill('SIGINT');
  await once(encoder, 'exit');
}

function counts() {
  const minutes = 60_000;
  promise(words(125 * minutes, 'en') === '2 hours 5 minutes', `125 minutes are ${words(125 * minutes, 'en')}`);
  promise(words(125 * minutes, 'zh-Hans') === '2小时5分钟', `125 minutes are ${words(125 * minutes, 'zh-Hans')}`);
  promise(words(1440 * minutes, 'en') === '1 day', `a day is ${words(1440 * minutes, 'en')}`);
  promise(words(59_400, 'en') === '1 minute', `59.4 seconds are ${words(59_400, 'en')}`);
  promise(words(0, 'en') === '', `no time is ${words(0, 'en')}`);
}

async function before(page, other) {
  const told = (begin) => document.querySelector('[role=timer]').textContent.startsWith(begin);
  await until(page, told, 'Starts in 1 hour', 'the countdown does not say how long it takes');
  await until(other, told, '距开播还有', 'the countdown is not in the language of the page');
  promise(!(await page.locator('media-controller').count()), 'there is a player, and nothing to play');
  await until(page, () => document.querySelector('.backdrop')?.naturalWidth === 1280, null, 'the poster is not shown');
  return page.locator('[role=timer]').innerText();
}

async function plays(page) {
  await until(page, () => window.policast?.video?.currentTime > 0, null, 'it does not play', 60_000);
  await page.evaluate(() => {
    policast.hls.on('hlsError', (_, { fatal, details }) => fatal && window.trouble(`hls.js gave up: ${details}`));
  });
  const at = await page.evaluate(() => policast.video.currentTime);
  await until(page, (at) => policast.video.currentTime > at + 3, at, 'it does not go on playing');
  promise(await page.locator('.badge').isVisible(), 'no badge says that it is live');
  promise(!(await page.locator('.backdrop').count()), 'the poster stays behind the player');
  return `${(await page.evaluate(() => policast.hls.latency)).toFixed(2)} s behind the newest part`;
}

/** Playlists go on, segments don't: what hls.js comes to by itself where it waits for what nobody has. */
async function standsStill(page) {
  await page.evaluate(() => policast.hls.pauseBuffering());
  const at = await page.evaluate(() => policast.video.currentTime);
  await until(page, (at) => policast.video.currentTime > at + 15 && policast.video.readyState > 2, at, 'it stands still', 60_000);
  const focused = await page.evaluate(() => document.activeElement.localName);
  promise(focused === 'body', `the focus went to ${focused}`);
  await plays(page);
}

async function seeks(browser) {
  const page = await open(browser, withLanguage(watch, 'en'));
  await page.locator('media-controller').focus();
  await until(page, () => window.policast?.video?.currentTime > 12, null, 'it does not play, or not at the edge');
  const before = await page.evaluate(() => policast.video.currentTime);
  await page.keyboard.press('ArrowLeft');
  await until(page, (before) => policast.video.currentTime < before - 3, before, 'the left arrow does not seek back');
  await page.keyboard.press('0');
  const atStart = () => {
    const { seeking, paused, currentTime } = policast.video;
    return !seeking && !paused && currentTime > 0.5 && currentTime < 4;
  };
  await until(page, atStart, null, 'the key 0 does not lead back to the start');
  await page.keyboard.press('Space');
  // Not the picture but the controls: they decide what the key does next.
  const pauses = () => document.querySelector('media-controller').hasAttribute('mediapaused');
  await until(page, pauses, null, 'the space bar does not pause');
  await page.keyboard.press('Space');
  await until(page, () => !policast.video.paused, null, 'the space bar does not play');
  promise(await page.evaluate(() => policast.video.currentTime < 8), 'it does not go on where it was paused');
  await until(page, () => !document.querySelector('.golive').hidden, null, 'no button leads to the edge');
  if (values.screenshots) await page.screenshot({ path: `${values.screenshots}/behind.png` });
  await page.locator('.golive').focus();
  await page.keyboard.press('Enter');
  await until(page, () => policast.hls.latency < 4 && !policast.video.paused, null, 'the button does not lead to the edge');
  await until(page, () => document.querySelector('.golive').hidden, null, 'the button stays at the edge');
  promise(page.troubles.length === 0, page.troubles.join('; '));
  await page.context().close();
}

async function interrupted(page) {
  const said = () => document.querySelector('.note').textContent.startsWith('The stream was interrupted');
  await until(page, said, null, 'nothing says that the stream was interrupted');
  // Longer than a blocked reload waits.
  await page.waitForTimeout(15_000);
  promise(!(await page.locator('.trouble').count()), 'the interruption became an error');
  if (values.screenshots) await page.screenshot({ path: `${values.screenshots}/interrupted.png` });
}

async function resumes(page) {
  const at = await page.evaluate(() => policast.video.currentTime);
  await until(page, (at) => policast.video.currentTime > at + 3, at, 'it does not go on after the interruption', 60_000);
  await until(page, () => !document.querySelector('.note').textContent, null, 'the interruption is still said');
  return `${(await page.evaluate(() => policast.hls.latency)).toFixed(2)} s behind the newest part`;
}

async function recording(page) {
  await offered(page);
  if (values.screenshots) await page.screenshot({ path: `${values.screenshots}/over.png` });
  const length = await takes(page);
  promise(length > 15, `the recording is ${length} s long`);
  return `${length.toFixed(1)} s`;
}

async function newcomer(browser) {
  const page = await arrives(browser, withLanguage(watch, 'en'));
  await page.context().close();
}

async function accessible(browser, when) {
  for (const [name, url] of [['watch', watch], ['embed', embed]]) {
    for (const language of ['en', 'zh-Hans']) {
      await step(`axe finds nothing serious on ${name} in ${language}, ${when}`, () => examine(browser, { url, name, language, when }));
    }
  }
}

async function examine(browser, { url, name, language, when }) {
  const page = await open(browser, withLanguage(url, language));
  const shown = () => document.querySelector('[role=timer]')?.textContent || window.policast?.video?.readyState >= 2;
  await until(page, shown, null, 'neither a countdown nor a picture came');
  if (when !== 'before') await page.locator('media-controller').hover({ position: { x: 40, y: 80 } });
  if (values.screenshots) await page.screenshot({ path: `${values.screenshots}/${when}-${name}-${language}.png` });
  const note = await judge(page);
  promise(page.troubles.length === 0, page.troubles.join('; '));
  await page.context().close();
  return note;
}

/** The list of videos marks it so, in each language. */
async function listed(browser, marks) {
  for (const [language, mark] of Object.entries(marks)) {
    const page = await open(browser, withLanguage(new URL('/', watch), language));
    const shown = await page.locator('.still .badge').innerText();
    promise(shown === mark, `the mark is ${shown}, not ${mark}`);
    if (values.screenshots) await page.screenshot({ path: `${values.screenshots}/list-${mark}.png` });
    await judge(page);
    promise(page.troubles.length === 0, page.troubles.join('; '));
    await page.context().close();
  }
}
