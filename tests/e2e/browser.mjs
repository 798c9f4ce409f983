// Debian's Chromium, headless, and a page that reports what it trips over.
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const args = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
];

/** A broken promise, told in one sentence. */
export class Broken extends Error {}

export function promise(kept, sentence) {
  if (!kept) throw new Broken(sentence);
}

/** Runs `work` with a browser and ends the process: 0, or 1 with the sentence of what is broken. */
export async function withBrowser(work) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
  try {
    await work(browser);
  } catch (error) {
    console.error(error instanceof Broken ? `broken: ${error.message}` : error);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

/** Opens `url`; what scripts, the policy or hls.js complain of is gathered in `page.troubles`. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.troubles = [];
  page.on('pageerror', (error) => page.troubles.push(`the script threw ${error.message}`));
  await page.exposeFunction('trouble', (text) => page.troubles.push(text));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      window.trouble(`the content security policy refused ${blockedURI} (${violatedDirective})`));
  });
  const answer = await page.goto(url);
  promise(answer?.ok(), `${url} answers ${answer?.status()}`);
  return page;
}

/** The address of a page in this language. */
export function withLanguage(url, language) {
  const copy = new URL(url);
  copy.searchParams.set('lang', language);
  return copy.href;
}

/** Waits until `check` holds in the page, or tells `sentence`. */
export async function until(page, check, argument, sentence, timeout = 30_000) {
  try {
    await page.waitForFunction(check, argument, { timeout, polling: 100 });
  } catch (error) {
    if (error.name !== 'TimeoutError') throw error;
    throw new Broken(`${sentence} (after ${timeout / 1000} s)`);
  }
}

/** Prints what was kept, with what `work` notes. */
export async function step(promised, work) {
  const note = await work();
  console.log(`ok  ${promised}${note ? `: ${note}` : ''}`);
}

/** Axe finds nothing serious on the page; answers with what else it finds. */
export async function judge(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  const told = serious.map(({ id, help, nodes }) => `${id}, ${help}: ${nodes.map((node) => node.target).join(' ')}`);
  promise(serious.length === 0, told.join('; '));
  const lesser = violations.map(({ id }) => id);
  return lesser.length ? `lesser ones: ${lesser.join(', ')}` : '';
}
