// node watch.mjs WATCH_URL [--screenshot FILE]: plays a watch page the way a viewer does, and says which promise breaks.
import { parseArgs } from 'node:util';

import { judge, open, promise, step, until, withBrowser, withLanguage } from './browser.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { screenshot: { type: 'string' } } });
if (positionals.length !== 1) {
  console.error('usage: node watch.mjs WATCH_URL [--screenshot FILE]');
  process.exit(2);
}
const watch = new URL(positionals[0]);

await withBrowser(async (browser) => {
  const page = await open(browser, withLanguage(watch, 'en'));
  await step('the player gets its stream', () => streams(page));
  await step('the storyboard shows over the time bar', () => thumbnails(page));
  if (values.screenshot) await page.screenshot({ path: values.screenshot });
  await step('the keyboard plays, pauses and seeks', () => keyboard(page));
  await step('the time bar seeks forward and backward', () => seeks(page));
  await step('every rung can be chosen and is shown', () => rungs(page));
  await step('it plays to its end', () => toTheEnd(page));
  promise(page.troubles.length === 0, page.troubles.join('; '));
  await page.context().close();
  const embed = new URL(watch.href.replace('/watch/', '/embed/'));
  for (const [name, url] of [['watch', watch], ['embed', embed]]) {
    for (const language of ['en', 'zh-Hans']) {
      await step(`axe finds nothing serious on ${name} in ${language}`, () => accessible(browser, url, language));
    }
  }
});

async function streams(page) {
  await until(page, () => window.policast?.hls?.levels.length > 0, null, 'hls.js never got the master playlist');
  await page.evaluate(() => {
    const { hls } = window.policast;
    hls.on('hlsError', (_, { fatal, type, details }) => fatal && window.trouble(`hls.js gave up: ${type}, ${details}`));
  });
  await until(page, () => policast.video.readyState >= 2, null, 'no first picture came');
  const { levels, duration } = await state(page);
  promise(Number.isFinite(duration), 'the video has no end yet: it is still being processed');
  return `${levels.length} rungs, ${duration.toFixed(1)} s`;
}

function state(page) {
  return page.evaluate(() => {
    const { hls, video } = window.policast;
    const levels = hls.levels.map(({ width, height }) => ({ width, height }));
    return { levels, duration: video.duration, at: video.currentTime, paused: video.paused };
  });
}

async function thumbnails(page) {
  const bar = await page.locator('media-time-range').boundingBox();
  await page.mouse.move(bar.x + bar.width * 0.3, bar.y - 60);
  await page.mouse.move(bar.x + bar.width * 0.6, bar.y + bar.height / 2, { steps: 4 });
  const shown = () => {
    const picture = document.querySelector('media-preview-thumbnail').shadowRoot.querySelector('img');
    const { width, height } = picture.getBoundingClientRect();
    return picture.naturalWidth > 0 && width > 0 && height > 0 && picture.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };
  await until(page, shown, null, 'no thumbnail appears over the time bar', 10_000);
}

async function keyboard(page) {
  await page.locator('media-controller').focus();
  await page.keyboard.press('Space');
  await until(page, () => !policast.video.paused && policast.video.currentTime > 0.3, null, 'the space bar does not play');
  await page.keyboard.press('Space');
  await until(page, () => policast.video.paused, null, 'the space bar does not pause');
  const before = (await state(page)).at;
  await page.keyboard.press('ArrowRight');
  await until(page, (at) => policast.video.currentTime > at + 1, before, 'the right arrow does not seek forward');
  const after = (await state(page)).at;
  await page.keyboard.press('ArrowLeft');
  await until(page, (at) => policast.video.currentTime < at - 1, after, 'the left arrow does not seek backward');
  await page.keyboard.press('5');
  const halfway = () => Math.abs(policast.video.currentTime - policast.video.duration / 2) < 0.5;
  await until(page, halfway, null, 'the key 5 does not go to the middle');
}

async function seeks(page) {
  await page.evaluate(() => policast.video.play());
  for (const part of [0.8, 0.2]) {
    const bar = await page.locator('media-time-range').boundingBox();
    await page.mouse.move(bar.x + bar.width * 0.5, bar.y - 60);
    await page.mouse.click(bar.x + bar.width * part, bar.y + bar.height / 2);
    const there = (part) => {
      const { currentTime, duration, seeking } = policast.video;
      return !seeking && Math.abs(currentTime / duration - part) < 0.08;
    };
    await until(page, there, part, `a click at ${part * 100} % of the time bar does not lead there`);
    const { at } = await state(page);
    await until(page, (at) => policast.video.currentTime > at + 0.3, at, `playback does not go on from ${at.toFixed(1)} s`);
  }
}

async function rungs(page) {
  const { levels } = await state(page);
  const heights = [];
  for (const index of [...levels.keys(), 0]) {
    await choose(page, index);
    const shown = (index) => {
      const { hls, video } = policast;
      if (video.ended || video.currentTime > video.duration - 3) video.currentTime = 0;
      if (video.paused) video.play();
      return hls.currentLevel === index && video.videoHeight === hls.levels[index].height;
    };
    const { width, height } = levels[index];
    await until(page, shown, index, `${width}×${height} was chosen and is not shown`, 60_000);
    heights.push(height);
  }
  await choose(page, -1);
  await until(page, () => policast.hls.autoLevelEnabled, null, 'Auto was chosen, and the rung is still held', 5000);
  return heights.join(', ');
}

/** Through the menu, as a viewer would, paused so the controls stay; -1 is Auto. */
async function choose(page, index) {
  const wanted = index < 0 ? 'auto' : String(index);
  await page.evaluate(() => policast.video.pause());
  await page.locator('media-controller').hover({ position: { x: 40, y: 40 } });
  const menu = page.locator('media-rendition-menu');
  const settings = page.locator('media-settings-menu');
  const button = page.locator('media-settings-menu-button');
  if (await settings.isVisible()) await button.click();
  await settings.waitFor({ state: 'hidden' });
  await button.click();
  await page.locator('media-settings-menu-item').filter({ has: menu }).click();
  const items = menu.locator('media-chrome-menu-item');
  const values = await items.evaluateAll((all) => all.map((item) => item.value));
  promise(values.includes(wanted), `the quality menu has no entry for rung ${wanted}, only ${values.join(', ')}`);
  await items.nth(values.indexOf(wanted)).click();
}

async function toTheEnd(page) {
  const { duration } = await state(page);
  await page.evaluate(() => {
    const { video } = policast;
    video.playbackRate = video.duration > 60 ? 4 : 1;
    video.currentTime = 0;
    video.loop = false;
    return video.play();
  });
  await until(page, () => policast.video.ended, null, 'playback never reaches the end', duration * 4000 + 60_000);
  const { at } = await state(page);
  promise(Math.abs(at - duration) < 0.5, `playback ended at ${at} s of ${duration} s`);
  return `${at.toFixed(2)} s`;
}

async function accessible(browser, url, language) {
  const page = await open(browser, withLanguage(url, language));
  await until(page, () => window.policast?.hls?.levels.length > 0, null, 'hls.js never got the master playlist');
  const lang = await page.evaluate(() => document.documentElement.lang);
  promise(lang === language, `the page asked for in ${language} says it is in ${lang}`);
  await page.locator('media-controller').hover({ position: { x: 40, y: 40 } });
  const note = await judge(page);
  promise(page.troubles.length === 0, page.troubles.join('; '));
  await page.context().close();
  return note;
}
