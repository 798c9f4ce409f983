// node studio.mjs STUDIO_URL [--screenshots DIR]: announces a broadcast by the keyboard, runs it and ends it, signed in with
// POLICAST_KEY; POLICAST_EDITOR is a key that may do less. Its encoder sends a keyframe every 10 s, which is to be told.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { advice, values as shown } from '../../src/web/player/studio/words.js';
import { judge, open, promise, until, withBrowser, withLanguage } from './browser.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { screenshots: { type: 'string' } } });
const { POLICAST_KEY: key, POLICAST_EDITOR: editor } = process.env;
if (positionals.length !== 1 || !key) {
  console.error('usage: POLICAST_KEY=… node studio.mjs STUDIO_URL [--screenshots DIR]');
  process.exit(2);
}
const studio = new URL(positionals[0]);

await withBrowser(async (browser) => {
  let encoder = null;
  try {
    await step('values have their units', units);
    const page = await open(browser, withLanguage(studio, 'en'));
    await step('a wrong key is refused in words', () => wrongKey(page));
    await step('the key is in the storage of the tab and nowhere else', () => signsIn(page));
    await accessible(browser, studio, 'list');
    await step('a broadcast is announced by the keyboard', () => announces(page));
    const here = new URL(page.url());
    await step('the stream key is shown once', () => shownOnce(page));
    const ingest = await step('a new key takes a question and a yes', () => rotates(page));
    await step('an error stays until it is closed', () => staysTold(page));
    await step('axe finds nothing serious in an open question', () => questioned(page));
    await step('what a key may not do is not offered', () => editorSees(browser, here));
    await step('a poster is made of a picture, and what is none is told', () => poses(page));
    await accessible(browser, here, 'before');
    await step('what somebody else changed meanwhile is not overwritten', () => overtaken(page));
    await step('the poster is taken away by the keyboard', () => strips(page));
    encoder = push(ingest);
    await step('the page shows that it is live, how well, and what to set', () => goesLive(page));
    await step('the preview plays without sound', () => previews(page));
    await accessible(browser, here, 'live');
    await step('the end takes a question and a yes', () => ends(page));
    await accessible(browser, here, 'after');
    await step('signed out, nothing is left', () => signsOut(page));
    promise(page.troubles.length === 0, page.troubles.join('; '));
  } finally {
    if (encoder) await stop(encoder);
  }
});

async function step(promised, work) {
  const note = await work();
  console.log(`ok  ${promised}${note && !promised.includes('key') ? `: ${note}` : ''}`);
  return note;
}

/** What the page says, as people see it. */
function says(page, id) {
  return page.locator(`#${id}`).innerText();
}

function units() {
  const units = { megabits: '{} Mbit/s', kilobits: '{} kbit/s', frames_a_second: '{} frames/s', seconds: '{} s', behind: '{} s behind' };
  const health = {
    bitrate: 2_140_000, frame_rate: 29.97, keyframe_interval_ms: 10_040, drift_ms: 2600, dropped_frames: 1200, width: 1280, height: 720,
    codecs: 'avc1.640028',
  };
  const told = shown({ health, viewers: 3, peak_viewers: 4 }, { phrases: { units }, language: 'en' });
  promise(told.bitrate === '2.1 Mbit/s' && told.frame_rate === '30.0 frames/s', JSON.stringify(told));
  promise(told.keyframes === '10.0 s' && told.drift === '2.6 s behind' && told.dropped === '1,200', JSON.stringify(told));
  const chinese = { advice: [['keyframes_too_far', '关键帧间隔为 {keyframes} 秒']] };
  const translated = advice({ code: 'keyframes_too_far', message: 'keyframe' }, health, chinese);
  promise(translated.text === '关键帧间隔为 10.0 秒', translated.text);
  const unknown = advice({ code: 'made_up', message: 'what the API says' }, health, chinese);
  promise(unknown.text === 'what the API says' && unknown.lang === 'en', 'advice without words here is not told as it is');
}

async function wrongKey(page) {
  await page.locator('#key').fill('pk_wrong');
  await page.keyboard.press('Enter');
  await until(page, () => document.getElementById('problem').textContent.startsWith('This key is wrong'), null, 'a wrong key is not told');
  promise(await page.evaluate(() => sessionStorage.length === 0), 'a wrong key is kept');
}

async function signsIn(page) {
  await page.locator('#key').fill(key);
  await page.keyboard.press('Enter');
  await page.locator('#inside').waitFor();
  await until(page, () => !document.getElementById('none').hidden, null, 'nothing says that there are no broadcasts');
  const { kept, elsewhere } = await page.evaluate(() => ({
    kept: Object.values(sessionStorage), elsewhere: [document.cookie, location.href, document.getElementById('key').value, ...Object.values(localStorage)],
  }));
  promise(kept.length === 1 && kept[0] === key, 'the key is not kept for the tab');
  promise(!elsewhere.join().includes(key), 'the key is kept elsewhere');
}

async function announces(page) {
  await until(page, () => document.querySelector('#topic option'), null, 'no topics are offered');
  await page.locator('#leave').focus();
  await tabTo(page, 'title');
  await page.keyboard.type('Press conference');
  await tabTo(page, 'topic');
  await tabTo(page, 'language');
  promise((await page.locator('#language').inputValue()) === 'en', 'the language of the page is not the first choice');
  await tabTo(page, 'starts');
  await picture(page, 'announce');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/studio/broadcasts/**');
  await until(page, () => document.getElementById('title')?.textContent === 'Press conference', null, 'the page does not say whose it is');
  promise((await says(page, 'state')) === 'Waiting for the encoder', `it is ${await says(page, 'state')}`);
}

/** Goes on by the tab key until the element has the focus. */
async function tabTo(page, id) {
  for (let tries = 0; tries < 15; tries++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((id) => document.activeElement.id === id, id)) return;
  }
  promise(false, `the tab key does not lead to #${id}`);
}

async function shownOnce(page) {
  const made = await page.locator('#stream_key').inputValue();
  promise(/^live_[0-9a-f]{32}$/.test(made), 'no stream key is shown');
  promise((await page.locator('#key-once').isVisible()), 'nothing says that it is shown once');
  await picture(page, 'made');
  await page.reload();
  await until(page, () => !document.getElementById('broadcast').hidden, null, 'the page does not come back');
  promise(!(await page.locator('#stream_key').isVisible()) && !(await page.content()).includes(made), 'it is shown again');
}

async function rotates(page) {
  await page.locator('#rotate').focus();
  await page.keyboard.press('Enter');
  await picture(page, 'question');
  await page.keyboard.press('Escape');
  promise(!(await page.locator('#stream_key').isVisible()), 'a no makes a new key');
  // A browser tells of the first answer with its next picture, when the question stands there again.
  await page.locator('#rotate').evaluate((button) => {
    button.focus();
    button.click();
    document.querySelector('dialog[open]').close('no');
    button.click();
  });
  await agree(page);
  await until(page, () => document.getElementById('stream_key').value.startsWith('live_'), null, 'the new key is not shown');
  promise(await page.locator('#rotate').evaluate((button) => button === document.activeElement), 'the focus is lost');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.locator('[data-copy=stream_key]').press('Enter');
  await until(page, () => document.getElementById('copied').textContent === 'Copied', null, 'it is not copied');
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  promise(copied === (await page.locator('#stream_key').inputValue()), 'something else is copied');
  return `${await page.locator('#rtmp_url').inputValue()}/${copied}`;
}

async function poses(page) {
  const choose = (name, mimeType, buffer) => page.locator('#poster-file').setInputFiles({ name, mimeType, buffer });
  const says = (state) => document.getElementById('poster-state').textContent === state;
  await choose('poster.png', 'image/png', await page.screenshot());
  await until(page, says, 'The picture is shown.', 'the picture is not made fit');
  await until(page, () => document.getElementById('poster').naturalWidth === 1280, null, 'the picture is not shown');
  await choose('poster.jpg', 'image/jpeg', Buffer.from('an ordinary text'));
  await until(page, says, 'The picture can’t be used.', 'it is not told that it is no picture');
  promise((await page.locator('#poster-why').innerText()).includes('JPEG, PNG or WebP'), 'nothing says what to use');
  promise(await page.locator('#poster').isVisible(), 'the picture before is not shown any more');
  await page.getByLabel('What it shows').fill('The press room');
  await page.keyboard.press('Tab');
  const saved = () => document.getElementById('poster-alt-state').textContent === 'The description is saved.';
  await until(page, saved, null, 'the description is not saved');
  promise((await page.locator('#poster').getAttribute('alt')) === 'The press room', 'the picture is not described so');
}

/** The description is changed by another editor; this page has not seen that. */
async function overtaken(page) {
  const patch = (body) => page.evaluate(async ([key, body]) => {
    const headers = { authorization: `Bearer ${key}` };
    const id = location.pathname.split('/').pop();
    const { video } = await (await fetch(`/api/v1/broadcasts/${id}`, { headers })).json();
    const sent = body && { method: 'PATCH', body: JSON.stringify(body), headers: { ...headers, 'content-type': 'application/json' } };
    return (await fetch(`/api/v1/videos/${video}`, sent ?? { headers })).json();
  }, [key, body]);
  await patch({ poster_alt: 'The other editor’s words' });
  await page.getByLabel('What it shows').fill('My words');
  await page.keyboard.press('Tab');
  await page.locator('#problem').waitFor();
  promise((await page.locator('#problem-text').innerText()).startsWith('Somebody else changed this video'), 'it is not told in words');
  promise((await patch()).media.poster.alt === 'The other editor’s words', 'it is overwritten');
  await judge(page);
  await page.locator('#problem-reload').press('Enter');
  const shown = () => document.getElementById('poster-alt').value === 'The other editor’s words';
  await until(page, shown, null, 'the page loaded again does not show what is there now');
}

async function strips(page) {
  await page.locator('#poster-remove').press('Enter');
  await until(page, () => document.getElementById('poster').hidden, null, 'the picture stays');
  promise(await page.evaluate(() => document.activeElement.id === 'poster-file'), 'the focus is lost');
}

/** Asks for something that is asked about, and says yes, all by the keyboard. */
async function answer(page, id) {
  await page.locator(`#${id}`).focus();
  await page.keyboard.press('Enter');
  await agree(page);
}

async function agree(page) {
  await tabTo(page, 'yes');
  await page.keyboard.press('Enter');
}

function push(ingest) {
  const source = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
  const video = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '300', '-sc_threshold', '0', '-pix_fmt', 'yuv420p'];
  const sound = ['-c:a', 'aac', '-ac', '2'];
  const args = ['-hide_banner', '-nostdin', '-loglevel', 'fatal', ...source, ...video, ...sound, '-f', 'flv', ingest];
  return spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function stop(encoder) {
  if (encoder.exitCode !== null) return;
  encoder.kill('SIGINT');
  await once(encoder, 'exit');
}

async function goesLive(page) {
  await until(page, () => document.getElementById('state').textContent === 'Live', null, 'the page does not say that it is live');
  const told = (text) => [...document.querySelectorAll('#advice li')].some((item) => item.textContent === text);
  await until(page, told, 'keyframe every 10.0 s; set 2 s', 'the advice is not given');
  await until(page, () => /^[\d.]+ [Mk]bit\/s$/.test(document.querySelector('[data-value=bitrate]').textContent), null, 'no bitrate is told');
  // A busy machine's encoder may be advised of more.
  promise((await page.locator('.wrong-value[data-value=keyframes]').innerText()) === '10.0 s', 'the value is not marked that the advice is about');
  promise((await page.locator('#log td').allInnerTexts()).includes('an encoder took the channel'), 'the log does not say that the encoder came');
  return page.locator('[data-value=bitrate]').innerText();
}

async function previews(page) {
  const frame = await page.locator('#preview iframe').elementHandle();
  const inner = await frame.contentFrame();
  await until(inner, () => window.policast?.video?.currentTime > 0 && policast.video.muted, null, 'the preview does not play silently', 60_000);
  await until(page, () => Number(document.querySelector('[data-value=viewers]').textContent) > 0, null, 'nobody is counted as a viewer');
  await picture(page, 'preview');
}

async function ends(page) {
  await answer(page, 'end');
  await until(page, () => document.getElementById('state').textContent === 'Ended', null, 'it does not end');
  promise(!(await page.locator('#end').isVisible()) && !(await page.locator('#encoder').isVisible()), 'it could be ended again');
  await until(page, () => document.getElementById('log').textContent.includes('the broadcast is over'), null, 'the log does not say so');
}

/** What went wrong with something asked for is told beyond the next looks at the broadcast, which go well. */
async function staysTold(page) {
  await page.route('**/key', (route) => route.fulfill({ status: 500, json: {} }));
  await page.locator('#revoke').click();
  await page.locator('dialog #yes').click();
  await page.locator('#problem').waitFor();
  const looked = (answer) => answer.request().method() === 'GET' && /\/broadcasts\/[^/]+$/.test(answer.url());
  for (let looks = 0; looks < 2; looks++) await page.waitForResponse(looked);
  promise(await page.locator('#problem-text').isVisible(), 'the error goes by itself');
  await page.locator('#problem-close').press('Enter');
  promise(!(await page.locator('#problem').isVisible()), 'it can not be closed');
  await page.unroute('**/key');
}

async function questioned(page) {
  await page.locator('#rotate').click();
  await page.locator('dialog').waitFor();
  await judge(page);
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
}

async function editorSees(browser, url) {
  const page = await open(browser, url.href);
  await page.locator('#key').fill(editor);
  await page.keyboard.press('Enter');
  await until(page, () => document.getElementById('state')?.textContent, null, 'the page stays empty');
  const shown = Object.fromEntries(await Promise.all(['end', 'publish', 'rotate', 'poster-file'].map(async (id) => [id, await page.locator(`#${id}`).isVisible()])));
  promise(JSON.stringify(shown) === '{"end":false,"publish":false,"rotate":true,"poster-file":true}', `of a draft an editor is offered ${JSON.stringify(shown)}`);
  await page.context().close();
}

async function signsOut(page) {
  await page.locator('#leave').press('Enter');
  await page.locator('#key').waitFor();
  promise(await page.evaluate(() => sessionStorage.length === 0 && document.activeElement.id === 'key'), 'the key stays');
  promise(!(await page.locator('#broadcast').isVisible()), 'the broadcast is still shown');
}

async function picture(page, name) {
  if (values.screenshots) await page.screenshot({ path: `${values.screenshots}/studio-${name}.png`, fullPage: true });
}

async function accessible(browser, url, when) {
  for (const language of ['en', 'zh-Hans']) {
    await step(`axe finds nothing serious in ${language}, ${when}`, () => examine(browser, { url, language, when }));
  }
}

async function examine(browser, { url, language, when }) {
  const page = await open(browser, withLanguage(url, language));
  if (when === 'list') await look(page, `enter-${language}`);
  await page.locator('#key').fill(key);
  await page.keyboard.press('Enter');
  const ready = () => document.querySelector('#topic option') || document.getElementById('state')?.textContent;
  await until(page, ready, null, 'the page stays empty');
  if (when === 'live') await page.locator('#preview iframe').waitFor();
  await look(page, `${when}-${language}`);
  promise(page.troubles.length === 0, page.troubles.join('; '));
  await page.context().close();
}

async function look(page, name) {
  await picture(page, name);
  await judge(page);
}
