// Where the encoder sends to: addresses to copy, and the stream key for as long as this page has it.

import { at, hide, write } from './page.js';

const fields = ['rtmp_url', 'rtmps_url', 'srt_url', 'stream_key'];

export function encoder({ broadcast: id, phrases }) {
  const kept = `policast:made:${id}`;
  // Handed over by the page that announced it; a reload doesn't show it again.
  let own = JSON.parse(sessionStorage.getItem(kept));
  let revoked = false;
  sessionStorage.removeItem(kept);

  function put(ingest, mayEdit = false) {
    for (const field of fields) {
      const input = at(field);
      const value = ingest[field] ?? '';
      if (input.value !== value) input.value = value;
      input.closest('.copied').hidden = !value;
    }
    hide('key-once', !own);
    const { made, revoked: none } = at('key-hidden').dataset;
    write(at('key-hidden'), { text: own ? '' : revoked ? none : made });
    hide('revoke', revoked || !mayEdit);
    hide('rotate', !mayEdit);
  }

  async function copy(field) {
    const input = at(field);
    const done = await navigator.clipboard?.writeText(input.value).then(() => true, () => false);
    // Without HTTPS browsers keep the clipboard to themselves; what is selected can be copied by its reader.
    if (!done) input.select();
    write(at('copied'), { text: done ? phrases.copied : '' });
    setTimeout(() => write(at('copied')), 3000);
  }

  const quit = new AbortController();
  for (const button of document.querySelectorAll('[data-copy]')) {
    button.addEventListener('click', () => copy(button.dataset.copy), { signal: quit.signal });
  }
  return {
    render({ state, ingest }, mayEdit) {
      hide('encoder', state === 'ended');
      put(own ?? ingest, mayEdit);
    },
    /** The key was replaced, or is none any more. */
    changed(how, answer) {
      if (how === 'end') return;
      own = how === 'rotate' ? answer.ingest : null;
      revoked = how === 'revoke';
    },
    close() {
      quit.abort();
      own = null;
      put({});
    },
  };
}
