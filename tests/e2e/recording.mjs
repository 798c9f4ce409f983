// node recording.mjs WATCH_URL: watches a broadcast, ends it (POLICAST_KEY, POLICAST_BROADCAST), and prints as JSON after
// how many milliseconds its recording was offered at the same address and played there from its start; how long it took
// then on the page of somebody who came, and to play from its middle; and its length in seconds.
import { open, promise, until, withBrowser } from './browser.mjs';
import { arrives, offered, takes } from './ending.mjs';

const { POLICAST_KEY: key, POLICAST_BROADCAST: broadcast } = process.env;
const [watch] = process.argv.slice(2);
if (!watch || !key || !broadcast) {
  console.error('usage: POLICAST_KEY=… POLICAST_BROADCAST=… node recording.mjs WATCH_URL');
  process.exit(2);
}

await withBrowser(async (browser) => {
  const page = await open(browser, watch);
  await until(page, () => window.policast?.video?.currentTime > 3, null, 'it does not play');
  const begun = performance.now();
  const since = () => Math.round(performance.now() - begun);
  const end = new URL(`/api/v1/broadcasts/${broadcast}/end`, watch);
  const answer = await fetch(end, { method: 'POST', headers: { authorization: `Bearer ${key}` } });
  promise(answer.ok, `the request to end it answers ${answer.status}`);
  await offered(page);
  const offer = since();
  const length = await takes(page);
  const played = since();
  await arrives(browser, watch);
  const sought = since();
  await page.evaluate((middle) => (policast.video.currentTime = middle), length / 2);
  await until(page, (middle) => policast.video.currentTime > middle + 0.3, length / 2, 'it does not play from its middle');
  promise(page.troubles.length === 0, page.troubles.join('; '));
  console.log(JSON.stringify({ offer, played, newcomer: sought - played, middle: since() - sought, length }));
});
