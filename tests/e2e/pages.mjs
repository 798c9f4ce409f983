// node pages.mjs HOME_URL LANDSCAPE_ID PORTRAIT_ID: looks at every page with every menu open, in both languages, at three
// widths, in forced colours and without JavaScript. The landscape clip is white: what lies on it must be seen.
import { judge, open, promise, step, until, withBrowser, withLanguage } from './browser.mjs';

const [home, landscape, portrait] = process.argv.slice(2);
if (!portrait) {
  console.error('usage: node pages.mjs HOME_URL LANDSCAPE_ID PORTRAIT_ID');
  process.exit(2);
}
const at = (path) => new URL(path, home);
const watch = at(`/watch/${landscape}`);
const languages = ['en', 'zh-Hans'];
const widths = [{ width: 360, height: 740 }, { width: 768, height: 1024 }, { width: 1280, height: 900 }];
const lists = ['/', '/?q=%25', '/?topic=environment', '/?account=lanting-ecology', '/topics', '/agencies', '/studio'];

/** What a screen reader says of the player with its quality menu open; the rungs differ by the clip. */
const names = {
  en: `button play | menu Settings | menuitem Quality | menu Quality | menuitem Quality: back to the menu | menuitemradio 360p | menuitemradio 240p | menuitemradio Auto | menuitem Speed | slider seek | button play | button mute | slider volume | button settings | button enter picture in picture mode | button enter fullscreen mode`,
  'zh-Hans': `button 播放 | menu 设置 | menuitem 清晰度 | menu 清晰度 | menuitem 清晰度: 返回上级菜单 | menuitemradio 360p | menuitemradio 240p | menuitemradio 自动 | menuitem 播放速度 | slider 跳转 | button 播放 | button 静音 | slider 音量 | button 设置 | button 开启画中画 | button 进入全屏`,
};

await withBrowser(async (browser) => {
  for (const language of languages) {
    await step(`the player speaks to screen readers in ${language}`, () => speaks(browser, language));
    for (const viewport of widths) {
      const where = `${language}, ${viewport.width} wide`;
      await step(`axe finds nothing on lists: ${where}`, () => judges(browser, lists.map(at), { language, viewport }));
      await step(`axe finds nothing in open menus: ${where}`, () => menus(browser, watch, { language, viewport }));
    }
    await step(`axe finds nothing in forced colours: ${language}`, async () => {
      const look = { language, forcedColors: 'active' };
      await judges(browser, [at('/'), at('/topics')], look);
      await menus(browser, watch, look);
    });
    await step(`without JavaScript there is a sentence and a plain video: ${language}`, () => plain(browser, language));
  }
  await step('cards tell times in the zone of their reader, or in UTC', () => zones(browser));
  await step('a phone shows every entry of the quality menu', () => phone(browser));
  await step('the time bar is seen on a white picture', () => contrast(browser));
  await step('Home and End lead to the start and the end', () => ends(browser));
  await step('a portrait clip has a portrait stage', () => upright(browser));
});

function look({ language, ...options }) {
  return { locale: language, ...options };
}

async function judges(browser, urls, options) {
  for (const url of urls) {
    const page = await open(browser, withLanguage(url, options.language), look(options));
    const headings = await page.locator('h1:visible').count();
    promise(headings === 1, `${url.href} has ${headings} h1`);
    await all(page, url.href);
    await page.context().close();
  }
}

/** Lesser findings count too. */
async function all(page, where) {
  const lesser = await judge(page);
  promise(!lesser, `${where}: ${lesser}`);
}

async function player(browser, url, options) {
  const page = await open(browser, withLanguage(url, options.language), look(options));
  await until(page, () => window.policast?.hls?.levels.length > 0, null, 'hls.js never got the master playlist');
  await page.locator('media-controller').hover({ position: { x: 40, y: 40 } });
  return page;
}

/** Opens the settings, or one of their submenus. */
async function unfold(page, submenu) {
  const settings = page.locator('media-settings-menu');
  if (await settings.isVisible()) await page.locator('media-settings-menu-button').click();
  await settings.waitFor({ state: 'hidden' });
  await page.locator('media-settings-menu-button').click();
  await settings.waitFor({ state: 'visible' });
  if (!submenu) return;
  await page.locator('media-settings-menu-item').filter({ has: page.locator(submenu) }).click();
  await page.locator(submenu).waitFor({ state: 'visible' });
}

async function menus(browser, url, options) {
  const page = await player(browser, url, options);
  for (const submenu of [null, 'media-rendition-menu', 'media-playback-rate-menu']) {
    await unfold(page, submenu);
    await settled(page);
    await all(page, submenu ?? 'settings');
  }
  promise(page.troubles.length === 0, page.troubles.join('; '));
  await page.context().close();
}

/** A broadcast lies ahead, at 20:30 UTC of the second of May 2126: the third in Shanghai. */
async function zones(browser) {
  const told = async (options) => {
    const page = await open(browser, withLanguage(at('/'), 'en'), options);
    const text = await page.locator('time[data-told=moment]').innerText();
    promise(page.troubles.length === 0, page.troubles.join('; '));
    await page.context().close();
    return text;
  };
  const there = await told({ timezoneId: 'Asia/Shanghai', locale: 'en' });
  promise(/^3 May 2126(,| at) 04:30 (GMT\+8|CST)$/.test(there), `in Shanghai it is told as ${there}`);
  const plain = await told({ timezoneId: 'Asia/Shanghai', javaScriptEnabled: false });
  promise(plain === '2 May 2126, 20:30 UTC', `without a script it is told as ${plain}`);
}

/** Nothing moves any more. */
async function settled(page) {
  await until(page, () => document.getAnimations().every(({ playState }) => playState !== 'running'), null, 'the menu never comes to rest');
}

async function speaks(browser, language) {
  const page = await player(browser, watch, { language });
  await unfold(page, 'media-rendition-menu');
  const tree = await page.locator('media-controller').ariaSnapshot();
  const found = [...tree.matchAll(/- '?(button|menuitemradio|menuitem|menu|slider)\b(?: "([^"]*)")?/g)];
  // What is chosen, and how fast it plays, comes behind the name.
  const told = found.map(([, role, name = '']) => `${role} ${name.replace(/ (自动|Auto)? ?\(\d+p\)$| 1x$/, '$1' ? ' $1' : '').trim()}`);
  const said = told.map((line) => line.replace(/^(menuitem (?:Quality|清晰度)) (?:Auto|自动)$/, '$1')).join(' | ');
  promise(said === names[language], `a screen reader says: ${said}`);
  await page.context().close();
}

async function plain(browser, language) {
  const page = await open(browser, withLanguage(watch, language), look({ language, javaScriptEnabled: false }));
  const video = page.locator('video.plain');
  promise(await video.isVisible(), 'there is no plain video');
  promise((await video.locator('source').getAttribute('src')).endsWith('/master.m3u8'), 'it has no playlist');
  promise(await page.locator('.stage p').isVisible(), 'nothing is said');
  promise(!(await page.locator('media-controller').isVisible()), 'a player that can do nothing is shown');
  await page.context().close();
}

async function phone(browser) {
  const page = await player(browser, watch, { language: 'en', viewport: widths[0] });
  await unfold(page, 'media-rendition-menu');
  await settled(page);
  const stage = await page.locator('#stage').boundingBox();
  for (const entry of await page.locator('media-rendition-menu media-chrome-menu-item').all()) {
    const box = await entry.boundingBox();
    const inside = box.y >= stage.y && box.y + box.height <= stage.y + stage.height;
    promise(inside, `${await entry.innerText()} lies outside the stage`);
    const seen = await entry.evaluate((item) => {
      const { x, y, width, height } = item.getBoundingClientRect();
      return item.contains(item.getRootNode().elementFromPoint(x + width / 2, y + height / 2));
    });
    promise(seen, `${await entry.innerText()} is covered`);
  }
  await page.context().close();
}

/** By the pixels of the bar, played to its half: played, not played, and what lies behind. */
async function contrast(browser) {
  const page = await player(browser, watch, { language: 'en' });
  await page.evaluate(() => {
    policast.video.currentTime = policast.video.duration / 2;
  });
  await until(page, () => !policast.video.seeking && policast.video.readyState >= 2, null, 'it does not seek');
  await page.locator('media-controller').hover({ position: { x: 40, y: 40 } });
  const bar = await page.locator('media-time-range').boundingBox();
  const { x, y, width, height } = bar;
  const shot = (await page.screenshot({ clip: { x, y, width, height } })).toString('base64');
  const [played, left, behind] = await page.evaluate(async ([shot, height]) => {
    const image = Object.assign(new Image(), { src: `data:image/png;base64,${shot}` });
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const drawing = canvas.getContext('2d');
    drawing.drawImage(image, 0, 0);
    const luminance = (x, y) => {
      const [r, g, b] = [...drawing.getImageData(x, y, 1, 1).data].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [middle, quarter] = [Math.floor(height / 2), Math.floor(image.width / 4)];
    return [luminance(quarter, middle), luminance(image.width - quarter, middle), luminance(quarter, 1)];
  }, [shot, height]);
  const ratio = (one, two) => (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  const pairs = { 'played and not played': ratio(played, left), 'not played and behind': ratio(left, behind), 'played and behind': ratio(played, behind) };
  for (const [pair, value] of Object.entries(pairs)) promise(value >= 3, `${pair} are ${value.toFixed(2)} to 1`);
  await page.context().close();
  return Object.values(pairs).map((value) => value.toFixed(1)).join(', ');
}

async function ends(browser) {
  const page = await player(browser, watch, { language: 'en' });
  await page.locator('media-controller').focus();
  await page.keyboard.press('End');
  await until(page, () => policast.video.duration - policast.video.currentTime < 0.3, null, 'End does not lead to the end');
  await page.keyboard.press('Home');
  await until(page, () => policast.video.currentTime < 0.3, null, 'Home does not lead to the start');
  await page.context().close();
}

async function upright(browser) {
  for (const viewport of widths) {
    for (const javaScriptEnabled of [true, false]) {
      const page = await open(browser, at(`/watch/${portrait}`).href, { viewport, javaScriptEnabled });
      const { width, height } = await page.locator(javaScriptEnabled ? '#stage' : 'video.plain').boundingBox();
      promise(height > width, `at ${viewport.width} the stage is ${width}×${height}`);
      const body = javaScriptEnabled ? await page.evaluate(() => document.documentElement.scrollWidth) : 0;
      promise(body <= viewport.width, `at ${viewport.width} the page is ${body} wide`);
      await page.context().close();
    }
  }
}
