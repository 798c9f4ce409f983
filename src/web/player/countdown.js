// Counts down to a start, in words of the page's language.

const units = [['day', 86_400], ['hour', 3_600], ['minute', 60], ['second', 1]];

/** The time left in its two largest units, such as `2 hours 5 minutes` or `2小时5分钟`; empty when none is left. */
export function words(milliseconds, language) {
  let left = Math.ceil(milliseconds / 1000);
  if (left <= 0) return '';
  const first = units.findIndex(([, seconds]) => left >= seconds);
  const said = units.slice(first, first + 2).map(([unit, seconds]) => {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    return count && new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(count);
  });
  return said.filter(Boolean).join(language.startsWith('zh') ? '' : ' ');
}

/** Keeps the card of an announced broadcast; answers with what tells it of another start, and what ends it. */
export function countdown(card, phrases) {
  const language = card.lang;
  const timer = card.querySelector('[role=timer]');
  const sentence = card.querySelector('[aria-live]');
  // The viewer's clock may be wrong by minutes.
  const ahead = Number(card.dataset.now) - Date.now();
  let starts = Number(card.dataset.starts) || null;
  let next = null;

  function tick() {
    clearTimeout(next);
    const left = starts === null ? 0 : starts - Date.now() - ahead;
    timer.hidden = left <= 0;
    timer.textContent = left > 0 ? phrases.starts_in.replace('{}', words(left, language)) : '';
    // Announced when it changes: not every second.
    const told = left > 0 ? phrases.announced : phrases.waiting;
    if (sentence.textContent !== told) sentence.textContent = told;
    if (left > 0) next = setTimeout(tick, (left % 1000) + 20);
  }

  function show() {
    const time = card.querySelector('time');
    if (!time || starts === null) return;
    const date = { year: 'numeric', month: 'long', day: 'numeric', hour: '2-digit', minute: '2-digit' };
    time.dateTime = new Date(starts).toISOString();
    time.textContent = new Intl.DateTimeFormat(language === 'en' ? 'en-GB' : language, date).format(starts);
  }

  show();
  tick();
  return {
    move(to) {
      starts = to;
      show();
      tick();
    },
    end: () => clearTimeout(next),
  };
}
