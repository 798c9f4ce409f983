// The script of the studio: asks for a key, then shows the list of broadcasts or one of them.
import './studio.css';

import { Api } from './api.js';
import { show as showBroadcast } from './broadcast.js';
import { show as showList } from './list.js';
import { at, hide, problem } from './page.js';

/** The key lives as long as the tab does. */
const kept = 'policast:key';

const { broadcast, phrases: json } = at('studio').dataset;
const phrases = JSON.parse(json);
let open = null;

async function enter(key, known) {
  const api = new Api(key);
  // Without an answer everything is offered, and the API says no.
  const me = known ?? (await api.ask('GET', '/me').catch(() => null));
  const studio = { api, phrases, broadcast, language: document.documentElement.lang, leave, me, may: rights(me) };
  hide('enter');
  hide('inside', false);
  open = broadcast ? showBroadcast(studio) : showList(studio);
}

/** What a key may do: an editor changes drafts, everybody else also what is public. */
function rights(me) {
  const publish = me?.role !== 'editor';
  return { publish, edit: (video) => publish || video?.state === 'draft' };
}

/** Back to the form, with the reason where there is one. */
function leave(reason = '') {
  open?.close();
  open = null;
  sessionStorage.removeItem(kept);
  hide('inside');
  hide('enter', false);
  problem({ text: reason });
  at('key').value = '';
  at('key').focus();
}

at('enter').addEventListener('submit', async (event) => {
  event.preventDefault();
  const key = at('key').value.trim();
  let me = null;
  try {
    me = await new Api(key).ask('GET', '/me');
  } catch (error) {
    at('key').focus();
    return problem(error.words(phrases));
  }
  sessionStorage.setItem(kept, key);
  at('key').value = '';
  problem();
  enter(key, me);
});
at('problem-close').addEventListener('click', () => problem());
at('problem-reload').addEventListener('click', () => location.reload());
at('leave').addEventListener('click', () => leave());

const key = sessionStorage.getItem(kept);
if (key) enter(key);
else hide('enter', false);
