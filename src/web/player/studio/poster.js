// The picture that stands for a broadcast: chosen, followed until it is made fit, taken away.

import { Refused } from './api.js';
import { at, hide, write } from './page.js';

/** How long until the next look at what is being processed. */
const pace = 1000;

/** `told` hears of what goes wrong with the key. */
export function poster({ api, phrases }, told) {
  const states = new Map(phrases.posters);
  let path = '';
  let timer = null;
  let over = false;

  function render({ id, media, poster_upload: upload }) {
    clearTimeout(timer);
    if (over) return;
    path = `/videos/${id}`;
    show(media?.poster);
    write(at('poster-state'), { text: states.get(upload?.state) });
    const error = upload?.error && new Refused(422, { code: upload.error.code, detail: upload.error.message });
    write(at('poster-why'), error?.words(phrases));
    hide('poster-remove', !upload);
    if (upload?.state === 'processing') timer = setTimeout(look, pace);
  }

  function show(shown) {
    const image = at('poster');
    image.hidden = !shown;
    if (!shown) return image.removeAttribute('src');
    image.alt = shown.alt;
    // On this server, whatever name it is known by elsewhere. The token is another each time.
    const { pathname, search } = new URL(shown.url, location.href);
    if (image.getAttribute('src')?.split('?')[0] !== pathname) image.src = pathname + search;
  }

  const look = () => attempt(async () => render(await api.ask('GET', path)), () => {
    timer = setTimeout(look, pace);
  });

  async function attempt(work, otherwise = () => {}) {
    try {
      await work();
    } catch (error) {
      if (over) return;
      if (error.status === 401 || !error.words) return told(error);
      write(at('poster-why'), error.words(phrases));
      otherwise();
    }
  }

  const upload = () => attempt(async () => {
    const [file] = at('poster-file').files;
    if (!file) return;
    render(await api.ask('PUT', `${path}/poster`, file));
    at('poster-file').value = '';
  });

  const remove = () => attempt(async () => {
    await api.ask('DELETE', `${path}/poster`);
    render(await api.ask('GET', path));
    at('poster-file').focus();
  });

  const quit = new AbortController();
  at('poster-file').addEventListener('change', upload, { signal: quit.signal });
  at('poster-remove').addEventListener('click', remove, { signal: quit.signal });
  return {
    render,
    close() {
      over = true;
      clearTimeout(timer);
      quit.abort();
      show(null);
      at('poster-file').value = '';
    },
  };
}
