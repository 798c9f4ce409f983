// The page of one broadcast: follows it by asking, and does what its people want done.

import { encoder } from './encoder.js';
import { at, element, hide, overtaken, problem, row, solved, spoken, write } from './page.js';
import { poster } from './poster.js';
import { advice, event, moment, values, when } from './words.js';

/** How long until the next look; what has ended is looked at no more. */
const paces = { live: 1000, interrupted: 1000, scheduled: 2000, waiting: 2000 };
/** While the server can't be reached. */
const patience = 3000;

export function show(studio) {
  const { api, phrases, broadcast: id, language, leave, may } = studio;
  const states = new Map(phrases.states);
  const ingest = encoder(studio);
  const picture = poster(studio, told);
  let timer = null;
  let turn = 0;
  let video = null;

  async function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    const mine = ++turn;
    let pace = patience;
    try {
      const found = await api.ask('GET', `/broadcasts/${id}`);
      const first = video ? null : await api.ask('GET', `/videos/${found.video}`);
      if (mine !== turn) return;
      if (first) {
        video = first;
        picture.render(video);
      }
      render(found);
      solved('look');
      pace = paces[found.state];
    } catch (error) {
      if (mine !== turn) return;
      told(error, 'look');
      if (error.status === 404 || error.status === 401) return;
    }
    if (pace) timer = setTimeout(look, pace);
  }

  function told(error, source) {
    if (error.status === 401) return leave(phrases.errors.key);
    if (!error.words) throw error;
    if (error.status === 412) return overtaken(error.words(phrases));
    problem(error.words(phrases), source);
  }

  function render(found) {
    hide('broadcast', false);
    renderHead(found);
    renderHealth(found);
    renderLog(found.log);
    preview(found.state);
    ingest.render(found, may.edit(video));
  }

  function renderHead({ state, ...rest }) {
    const { text, lang } = spoken(video.title, language);
    write(at('title'), { text, lang });
    document.title = `${text} · ${at('studio').dataset.site}`;
    write(at('state'), { text: states.get(state) ?? state });
    at('state').dataset.state = state;
    write(at('when'), { text: when({ state, ...rest }, { phrases, language, now: Date.now() + api.ahead }) });
    at('watch').href = here(video.watch);
    hide('draft', video.state !== 'draft');
    hide('publish', !may.publish);
    hide('end', state === 'ended' || !may.publish);
  }

  function renderHealth(found) {
    const told = values(found, { phrases, language });
    const pieces = found.state === 'ended' ? [] : (found.health?.advice ?? []);
    const codes = pieces.map(({ code }) => code);
    for (const value of at('health').querySelectorAll('dd')) {
      write(value, { text: told[value.dataset.value] || '–' });
      value.classList.toggle('wrong-value', codes.includes(value.dataset.code));
    }
    const list = at('advice');
    const items = pieces.map((piece) => {
      const { text, lang } = advice(piece, found.health, phrases);
      return element('li', text, { lang });
    });
    if (items.map((item) => item.textContent).join() !== [...list.children].map((item) => item.textContent).join()) {
      list.replaceChildren(...items);
    }
    list.hidden = items.length === 0;
    const { well, none } = at('well').dataset;
    const fine = found.state === 'live' && items.length === 0;
    write(at('well'), { text: !found.health ? none : fine ? well : '' });
  }

  function renderLog(lines) {
    const rows = lines.map((line) => {
      const { text, lang, detail } = event(line, phrases);
      const time = element('time', moment(line.at, language), { dateTime: line.at });
      const told = row(time, element('span', text, { lang }));
      if (detail) told.cells[1].append(element('p', detail, { lang: 'en', className: 'hint' }));
      return told;
    });
    const body = at('log').tBodies[0];
    if (body.childElementCount !== rows.length) body.replaceChildren(...rows);
    hide('log', rows.length === 0);
    hide('no-log', rows.length > 0);
  }

  /** The address on this server, whatever name it is known by elsewhere. */
  function here(address) {
    const url = new URL(address, location.href);
    url.searchParams.set('lang', language);
    return url.pathname + url.search;
  }

  /** What viewers see, from the moment there is something to see. */
  function preview(state) {
    const place = at('preview');
    if (place.querySelector('iframe') || state !== 'live') return;
    const frame = element('iframe', '', { src: `${here(video.embed)}&muted=1`, title: at('preview-heading').textContent });
    frame.allow = 'autoplay; fullscreen';
    place.replaceChildren(frame);
  }

  /** Asks first; then does it, and looks at what came of it. */
  async function act(name, path, method = 'POST') {
    if (phrases.confirm[name] && !(await confirmed(...phrases.confirm[name]))) return;
    try {
      // What is published is what was looked at; the others change no words that somebody else may have changed.
      const answer = await api.ask(method, path, undefined, name === 'publish' ? picture.seen() : undefined);
      if (name === 'publish') picture.render((video = answer));
      else ingest.changed(name, answer);
      await look();
    } catch (error) {
      told(error);
    }
  }

  const quit = new AbortController();
  const on = (target, name, work) => target.addEventListener(name, work, { signal: quit.signal });
  on(document, 'visibilitychange', look);
  on(at('end'), 'click', () => act('end', `/broadcasts/${id}/end`));
  on(at('rotate'), 'click', () => act('rotate', `/broadcasts/${id}/key`));
  on(at('revoke'), 'click', () => act('revoke', `/broadcasts/${id}/key`, 'DELETE'));
  on(at('publish'), 'click', () => act('publish', `/videos/${video.id}/publish`));
  look();
  return {
    close() {
      turn += 1;
      clearTimeout(timer);
      quit.abort();
      ingest.close();
      picture.close();
      hide('broadcast');
      at('preview').querySelector('iframe')?.remove();
    },
  };
}

/**
 * Whether a person said yes; the dialog gives the focus back by itself. Each question has a dialog of its own: browsers
 * tell of an answer with the next picture only, when another may have been asked.
 */
function confirmed(question, yes) {
  const dialog = at('confirm').content.firstElementChild.cloneNode(true);
  write(dialog.querySelector('#question'), { text: question });
  write(dialog.querySelector('#yes'), { text: yes });
  at('confirm').after(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
  });
}
