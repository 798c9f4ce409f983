// The few things the studio's pages do with their elements.

export const at = (id) => document.getElementById(id);

export function hide(id, hidden = true) {
  at(id).hidden = hidden;
}

/** Puts words into an element, and only where they changed: what is announced isn't announced again. */
export function write(element, { text = '', lang = '' } = {}) {
  if (element.textContent !== text) element.textContent = text;
  speak(element, lang);
  element.hidden = !text;
}

/** Says which language an element is in; the page's own needs no saying. */
function speak(element, lang) {
  if (lang && element.lang !== lang) element.lang = lang;
  else if (!lang) element.removeAttribute('lang');
}

/**
 * Tells on top of the page what went wrong, and leaves it there until its reader closes it. What comes again and again
 * by itself, such as a server out of reach, has a `source` and goes once that is well again.
 */
export function problem({ text = '', lang = '' } = {}, source = '') {
  write(at('problem-text'), { text, lang });
  hide('problem-reload');
  at('problem').dataset.source = source;
  hide('problem', !text);
}

/** Tells that somebody else was faster, and offers to look at what is there now. */
export function overtaken(words) {
  problem(words);
  hide('problem-reload', false);
  at('problem-reload').focus();
}

/** What this source told is over; what others told stays. */
export function solved(source) {
  if (at('problem').dataset.source === source) problem();
}

/** A row of a table. */
export function row(...cells) {
  const line = document.createElement('tr');
  for (const cell of cells) line.insertCell().append(cell);
  return line;
}

/** An element with words in it. */
export function element(name, text, { lang = '', ...properties } = {}) {
  const made = Object.assign(document.createElement(name), { textContent: text }, properties);
  speak(made, lang);
  return made;
}

/** The best of a text's languages for the reader, and which one that is. */
export function spoken(texts, reader) {
  const tags = Object.keys(texts);
  const primary = reader.split('-')[0];
  const lang = tags.find((tag) => tag === reader) ?? tags.find((tag) => tag.split('-')[0] === primary) ?? tags[0];
  return { text: texts[lang] ?? '', lang: lang ?? reader };
}
