// The script of the studio: asks for a key, then shows the list of broadcasts or one of them.
import './studio.css';

import { Api } from './api.js';
import { show as showBroadcast } from './broadcast.js';
import { show as showList } from './list.js';
import { at, hide, problem, write } from './page.js';

/** The key lives as long as the tab does. */
const kept = 'policast:key';

const { broadcast, phrases: json } = at('studio').dataset;
const phrases = JSON.parse(json);
let open = null;

function enter(key) {
  const studio = { api: new Api(key), phrases, broadcast, language: document.documentElement.lang, leave };
  hide('enter');
  hide('inside', false);
  open = broadcast ? showBroadcast(studio) : showList(studio);
}

/** Back to the form, with the reason where there is one. */
function leave(reason = '') {
  open?.close();
  open = null;
  sessionStorage.removeItem(kept);
  hide('inside');
  hide('enter', false);
  problem(reason);
  at('key').value = '';
  at('key').focus();
}

at('enter').addEventListener('submit', async (event) => {
  event.preventDefault();
  const key = at('key').value.trim();
  try {
    await new Api(key).ask('GET', '/broadcasts?limit=1');
  } catch (error) {
    at('key').focus();
    return write(problem(), error.words(phrases));
  }
  sessionStorage.setItem(kept, key);
  at('key').value = '';
  problem('');
  enter(key);
});
at('leave').addEventListener('click', () => leave());

const key = sessionStorage.getItem(kept);
if (key) enter(key);
else hide('enter', false);
