// node pictures.mjs WATCH_URL: plays a video in each of its rungs from start to end; prints a JSON with the colour in the
// middle of the picture of each.
import { open, promise, until, withBrowser } from './browser.mjs';

const [, , watch] = process.argv;
if (!watch) {
  console.error('usage: node pictures.mjs WATCH_URL');
  process.exit(2);
}

await withBrowser(async (browser) => {
  const page = await open(browser, watch);
  await until(page, () => window.policast?.hls?.levels.length > 0, null, 'hls.js never got the master playlist');
  await until(page, () => policast.video.readyState >= 2, null, 'no first picture came');
  await page.evaluate(() => {
    policast.hls.on('hlsError', (_, { fatal, type, details }) => fatal && window.trouble(`hls.js gave up: ${type}, ${details}`));
    policast.video.muted = true;
  });
  const heights = await page.evaluate(() => policast.hls.levels.map(({ height }) => height));
  const seen = [];
  for (const [level, height] of heights.entries()) {
    await page.evaluate((chosen) => {
      policast.hls.currentLevel = chosen;
    }, level);
    // A picture that stands still stays the one of the rung before.
    const shown = (wanted) => {
      const { video } = policast;
      if (video.ended) video.currentTime = 0;
      if (video.paused) video.play().catch(() => {});
      return video.videoHeight === wanted && !video.seeking && video.readyState >= 2;
    };
    await until(page, shown, height, `${height}p is never shown`);
    const colour = await page.evaluate(() => {
      const { video } = policast;
      const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
      const context = canvas.getContext('2d');
      context.drawImage(video, 0, 0);
      return [...context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data.slice(0, 3)];
    });
    await page.evaluate(() => {
      policast.video.currentTime = 0;
      return policast.video.play();
    });
    await until(page, () => policast.video.ended, null, `${height}p never plays to its end`, 60_000);
    promise(page.troubles.length === 0, page.troubles.join('; '));
    seen.push({ height, colour });
  }
  console.log(JSON.stringify(seen));
});
