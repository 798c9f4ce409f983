// node docs.mjs DOCS_URL: reads the page about the API as developers do, and says which promise breaks.
import { judge, open, promise, step, withBrowser } from './browser.mjs';

const [url] = process.argv.slice(2);

const READERS = [
  { name: 'on a desk', options: {} },
  { name: 'on a phone, in the dark', options: { viewport: { width: 320, height: 640 }, colorScheme: 'dark' } },
  { name: 'without a script', options: { javaScriptEnabled: false } },
];

await withBrowser(async (browser) => {
  for (const { name, options } of READERS.slice(0, 2)) {
    await step(`axe finds nothing ${name}`, async () => {
      const page = await open(browser, url, options);
      await page.evaluate(() => document.querySelectorAll('details').forEach((it) => { it.open = true; }));
      const lesser = await judge(page);
      promise(lesser === '', lesser);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      promise(wide <= 0, `the page is ${wide} pixels too wide`);
      promise(page.troubles.length === 0, page.troubles.join('; '));
      await page.context().close();
    });
  }
  await step('what anybody may read can be tried from a form, without a script', async () => {
    const context = await browser.newContext(READERS[2].options);
    const page = await context.newPage();
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(url);
    promise(asked.length <= 2, `the page asks for ${asked.length} things: ${asked.join(' ')}`);
    const [answer] = await Promise.all([
      context.waitForEvent('page'),
      page.locator('form[action="/api/v1/topics"] button').click(),
    ]);
    await answer.waitForLoadState();
    const topics = JSON.parse(await answer.locator('body').innerText());
    promise(topics.items.some(({ slug }) => slug === 'environment/air'), JSON.stringify(topics));
    await context.close();
  });
});
