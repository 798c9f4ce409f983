// node processing.mjs WATCH_URL: opens the page of a video in processing; it must begin to play without a reload.
import { open, promise, until, withBrowser } from './browser.mjs';

const [, , url] = process.argv;
if (!url) {
  console.error('usage: node processing.mjs WATCH_URL');
  process.exit(2);
}

await withBrowser(async (browser) => {
  const page = await open(browser, url);
  const bar = page.locator('#wait [role=progressbar]');
  promise(await bar.count(), 'there is no progress bar: the video is not in processing');
  const seen = Number(await bar.getAttribute('aria-valuenow'));
  console.log(`ok  the page shows progress: ${seen} %`);
  await page.evaluate(() => (window.sameDocument = true));
  await until(page, () => window.policast?.video?.readyState >= 2, null, 'no first picture came', 300_000);
  promise(await page.evaluate(() => window.sameDocument), 'the page was loaded anew');
  await page.evaluate(() => policast.video.play());
  await until(page, () => policast.video.currentTime > 0.5, null, 'the player is there and does not play');
  promise(page.troubles.length === 0, page.troubles.join('; '));
  console.log('ok  it plays where the progress bar was, without a reload');
});
