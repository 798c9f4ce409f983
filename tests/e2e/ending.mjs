// The end of a broadcast, for who has watched it and for who comes then: the recording, from its start.
import { open, promise, until } from './browser.mjs';

/** Waits until a page that was live offers the recording. */
export async function offered(page, timeout = 30_000) {
  await page.locator('.trouble button').waitFor({ timeout });
  promise(!(await page.locator('.badge').isVisible()), 'the badge still says that it is live');
}

/** Takes the offer; answers with the recording's length in seconds. */
export async function takes(page) {
  await page.locator('.trouble button').click();
  const begins = () => !policast.video.paused && policast.video.currentTime > 0.3 && policast.video.currentTime < 5;
  await until(page, begins, null, 'the recording does not play from its start');
  const length = await page.evaluate(() => policast.video.duration);
  promise(Number.isFinite(length), `the recording is ${length} s long`);
  return length;
}

/** Opens the page after the end, and presses play. */
export async function arrives(browser, url) {
  const page = await open(browser, url);
  await until(page, () => window.policast?.video?.readyState >= 2, null, 'no first picture came');
  promise(await page.evaluate(() => policast.video.paused && policast.video.currentTime === 0), 'it does not wait at its start');
  await page.locator('.big').click();
  await until(page, () => policast.video.currentTime > 0.5, null, 'the recording does not play');
  promise(page.troubles.length === 0, page.troubles.join('; '));
  return page;
}
