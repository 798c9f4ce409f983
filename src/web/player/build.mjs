// Bundles the player and the studio into ../dist, which is committed: `npm ci && npm run build`.
import { mkdir, readFile, rm, writeFile, readdir } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const dist = new URL('../dist/', import.meta.url);
const banner = '/* Built from src/web/player by npm run build. Licences: LICENSES.txt */';

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
const { metafile } = await build({
  entryPoints: { player: 'main.js', times: 'times.js', page: 'page.css', studio: 'studio/main.js' },
  outdir: dist.pathname,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome111', 'firefox115', 'safari16'],
  legalComments: 'none',
  banner: { js: banner, css: banner },
  metafile: true,
  logLevel: 'info',
});
await writeFile(new URL('icon.svg', dist), await readFile(new URL('icon.svg', import.meta.url)));
await writeFile(new URL('LICENSES.txt', dist), await licences(Object.keys(metafile.inputs)));
for (const name of ['player.js', 'times.js', 'page.css', 'studio.js', 'studio.css']) {
  const packed = gzipSync(await readFile(new URL(name, dist)), { level: 9 });
  await writeFile(new URL(`${name}.gz`, dist), packed);
}

/** The licence of every package that gave a file to the bundle. */
async function licences(inputs) {
  const names = inputs.map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1]);
  const packages = [...new Set(names.filter(Boolean))].sort();
  return (await Promise.all(packages.map(licence))).join(`\n${'-'.repeat(80)}\n\n`);
}

async function licence(name) {
  const folder = new URL(`node_modules/${name}/`, import.meta.url);
  const about = JSON.parse(await readFile(new URL('package.json', folder), 'utf8'));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? await readFile(new URL(file, folder), 'utf8') : await mit(about);
  return `${name} ${about.version} (${about.license})\n\n${text.trim()}\n`;
}

/** The text of a package that names its licence and carries none. */
async function mit({ name, license, author }) {
  if (license !== 'MIT') throw new Error(`${name} is under ${license} and carries no text of it`);
  const holder = typeof author === 'string' ? author : (author?.name ?? 'the authors');
  const text = await readFile(new URL('mit.txt', import.meta.url), 'utf8');
  return text.replace('HOLDER', `${holder} and contributors`);
}
