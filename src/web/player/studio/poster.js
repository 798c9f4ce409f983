// The picture that stands for a broadcast: chosen, followed until it is made fit, taken away.

import { Refused } from './api.js';
import { at, hide, write } from './page.js';

/** How long until the next look at what is being processed. */
const pace = 1000;

/** `told` hears of what goes wrong with the key. */
export function poster({ api, phrases, may }, told) {
  const states = new Map(phrases.posters);
  let path = '';
  /** The video in the version that is shown here: what is changed is this one. */
  let seen = null;
  let timer = null;
  let over = false;

  function render(video) {
    const { id, language, media, poster_upload: upload } = video;
    clearTimeout(timer);
    if (over) return;
    path = `/videos/${id}`;
    seen = video;
    show(media?.poster, language);
    write(at('poster-state'), { text: states.get(upload?.state) });
    const error = upload?.error && new Refused(422, { code: upload.error.code, detail: upload.error.message });
    write(at('poster-why'), error?.words(phrases));
    const mayEdit = may.edit(video);
    hide('poster-choose', !mayEdit);
    at('poster-alt').readOnly = !mayEdit;
    hide('poster-remove', !upload || !mayEdit);
    if (upload?.state === 'processing') timer = setTimeout(look, pace);
  }

  function show(shown, language) {
    const [image, words] = [at('poster'), at('poster-alt')];
    image.hidden = !shown;
    hide('poster-words', !shown);
    if (!shown) return image.removeAttribute('src');
    image.alt = shown.alt;
    image.lang = words.lang = language;
    // Not while it is being written.
    if (document.activeElement !== words) words.value = shown.alt;
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
      if (error.status === 401 || error.status === 412 || !error.words) return told(error);
      write(at('poster-why'), error.words(phrases));
      otherwise();
    }
  }

  const upload = () => attempt(async () => {
    const [file] = at('poster-file').files;
    if (!file) return;
    render(await api.ask('PUT', `${path}/poster`, file, seen));
    at('poster-file').value = '';
  });

  const describe = () => attempt(async () => {
    write(at('poster-alt-state'));
    render(await api.ask('PATCH', path, { poster_alt: at('poster-alt').value }, seen));
    write(at('poster-alt-state'), { text: phrases.described });
  });

  const remove = () => attempt(async () => {
    await api.ask('DELETE', `${path}/poster`, undefined, seen);
    render(await api.ask('GET', path));
    at('poster-file').focus();
  });

  const quit = new AbortController();
  at('poster-file').addEventListener('change', upload, { signal: quit.signal });
  at('poster-alt').addEventListener('change', describe, { signal: quit.signal });
  at('poster-remove').addEventListener('click', remove, { signal: quit.signal });
  return {
    render,
    seen: () => seen,
    close() {
      over = true;
      clearTimeout(timer);
      quit.abort();
      show(null);
      at('poster-file').value = '';
      write(at('poster-alt-state'));
    },
  };
}
