// The list of a key's broadcasts, and the form that announces one.

import { at, element, hide, problem, row, solved, spoken, write } from './page.js';
import { moment } from './words.js';

/** States change by themselves; this often the list is read again while somebody looks at it. */
const pace = 10_000;

export function show(studio) {
  const { api, phrases, language, leave, me } = studio;
  const titles = new Map();
  const states = new Map(phrases.states);
  let timer = null;
  let pages = 1;
  let over = false;

  const link = (id) => `/studio/broadcasts/${id}?lang=${language}`;

  async function titleOf({ video }) {
    if (!titles.has(video)) {
      const found = await api.ask('GET', `/videos/${video}`).catch(() => null);
      if (!found) return { text: video, lang: '' };
      titles.set(video, spoken(found.title, language));
    }
    return titles.get(video);
  }

  async function line(broadcast) {
    const { text, lang } = await titleOf(broadcast);
    const state = element('span', states.get(broadcast.state) ?? broadcast.state, { className: 'state' });
    state.dataset.state = broadcast.state;
    const start = broadcast.started_at ?? broadcast.starts_at;
    const title = element('a', text, { href: link(broadcast.id), lang, dir: 'auto' });
    return row(title, state, start ? moment(start, language) : '');
  }

  async function read() {
    const items = [];
    let cursor = '';
    for (let page = 0; page < pages && cursor !== null; page++) {
      const found = await api.ask('GET', `/broadcasts?limit=20${cursor && `&cursor=${cursor}`}`);
      items.push(...found.items);
      cursor = found.next ?? null;
    }
    return { items, more: cursor !== null };
  }

  async function look() {
    clearTimeout(timer);
    if (over || document.hidden) return;
    try {
      const { items, more } = await read();
      const lines = await Promise.all(items.map(line));
      if (over) return;
      fill(lines);
      hide('none', items.length > 0);
      hide('list', items.length === 0);
      hide('more', !more);
      solved('list');
    } catch (error) {
      if (error.status === 401) return leave(phrases.errors.key);
      if (!error.words) throw error;
      problem(error.words(phrases), 'list');
    }
    timer = setTimeout(look, pace);
  }

  /** Only where something changed: a reader may be in the middle of it. */
  function fill(lines) {
    const body = at('list').tBodies[0];
    if (lines.map((line) => line.outerHTML).join('') !== body.innerHTML) body.replaceChildren(...lines);
  }

  async function offerTopics() {
    const topics = await api.all('/topics').catch(() => []);
    at('topic').replaceChildren(...topics.map(({ slug, name }) => option(slug, spoken(name, language))));
    if (topics.length === 0) write(at('refused'), { text: phrases.errors.no_topics });
  }

  function option(value, { text, lang }) {
    return element('option', `${text} (${value})`, { value, lang });
  }

  /** An operator's key speaks for no account: one is chosen. */
  async function offerAccounts() {
    const accounts = await api.all('/accounts').catch(() => []);
    at('account').replaceChildren(...accounts.map(({ handle, name }) => option(handle, spoken(name, language))));
    hide('account-field', false);
  }

  async function announce(event) {
    event.preventDefault();
    const starts = at('starts').value;
    const account = at('account-field').hidden ? {} : { account: at('account').value };
    const draft = { topic: at('topic').value, title: at('title').value, language: at('language').value, ...account };
    if (at('slate').checked) draft.slate = true;
    if (starts) draft.starts_at = new Date(starts).toISOString();
    try {
      const made = await api.ask('POST', '/broadcasts', draft);
      // The page that shows it takes it away at once.
      sessionStorage.setItem(`policast:made:${made.id}`, JSON.stringify(made.ingest));
      location.assign(link(made.id));
    } catch (error) {
      if (error.status === 401) return leave(phrases.errors.key);
      if (!error.words) throw error;
      write(at('refused'), error.words(phrases));
      if (error.code !== 'account_missing') return;
      await offerAccounts();
      at('account').focus();
    }
  }

  const quit = new AbortController();
  const on = (target, name, work) => target.addEventListener(name, work, { signal: quit.signal });
  on(document, 'visibilitychange', look);
  on(at('announce'), 'submit', announce);
  on(at('more'), 'click', () => {
    pages += 1;
    look();
  });
  look();
  offerTopics();
  if (me?.account === null) offerAccounts();
  return {
    close() {
      over = true;
      clearTimeout(timer);
      quit.abort();
      at('list').tBodies[0].replaceChildren();
    },
  };
}
