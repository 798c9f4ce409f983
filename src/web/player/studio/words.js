// A broadcast's JSON in words and numbers of the page's language.

import { words as span } from '../countdown.js';

const fill = (text, values) => text.replace(/\{(\w*)\}/g, (_, name) => values[name] ?? '');

/** A day with its time, or the time alone where it is today. */
export function moment(time, language, now = Date.now()) {
  const today = new Date(time).toDateString() === new Date(now).toDateString();
  const day = today ? {} : { year: 'numeric', month: 'long', day: 'numeric' };
  const format = { ...day, hour: '2-digit', minute: '2-digit', ...(today && { second: '2-digit' }) };
  return new Intl.DateTimeFormat(language === 'en' ? 'en-GB' : language, format).format(new Date(time));
}

/** What `state` means now, beside its name: how long until, how long since. */
export function when(broadcast, { phrases, language, now }) {
  const { state, starts_at: starts, started_at: started, interrupted_at: gone, ended_at: ended } = broadcast;
  const at = (time) => moment(time, language, now);
  if (state === 'scheduled' && starts) {
    const left = span(Date.parse(starts) - now, language);
    return left ? `${fill(phrases.starts_in, { '': left })} (${at(starts)})` : '';
  }
  if (state === 'waiting') return phrases.starts_soon;
  if (state === 'live' && started) return fill(phrases.live_for, { '': span(now - Date.parse(started), language) });
  if (state === 'interrupted' && gone) {
    return fill(phrases.waits_until, { '': at(Date.parse(gone) + broadcast.grace_seconds * 1000) });
  }
  return state === 'ended' && ended ? fill(phrases.ended_at, { '': at(ended) }) : '';
}

/** Every value of the page's list, with its unit; `–` for what is not known. */
export function values({ health, viewers, peak_viewers: peak }, { phrases: { units }, language }) {
  const number = (value, digits = 0) =>
    new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
  const told = { viewers: number(viewers), peak: number(peak) };
  if (!health) return told;
  const { bitrate, frame_rate: rate, keyframe_interval_ms: apart, drift_ms: drift, width, height } = health;
  const large = bitrate >= 1_000_000;
  const lag = Math.abs(drift) < 500 ? units.in_time : drift > 0 ? units.behind : units.ahead;
  return {
    ...told,
    bitrate: fill(large ? units.megabits : units.kilobits, { '': large ? number(bitrate / 1e6, 1) : number(bitrate / 1e3) }),
    frame_rate: fill(units.frames_a_second, { '': number(rate, Number.isInteger(rate) ? 0 : 1) }),
    keyframes: apart === null ? '' : fill(units.seconds, { '': number(apart / 1000, 1) }),
    drift: fill(lag, { '': number(Math.abs(drift) / 1000, 1) }),
    dropped: number(health.dropped_frames),
    picture: width ? `${width} × ${height}` : '',
    codecs: health.codecs,
  };
}

/** Advice in the page's language, or as the API words it. */
export function advice({ code, message }, health, { advice: table }) {
  const text = new Map(table).get(code);
  if (!text) return { text: message, lang: 'en' };
  const tenths = (ms) => (Math.floor(ms / 100) / 10).toFixed(1);
  const known = {
    keyframes: tenths(health.keyframe_interval_ms),
    drift: tenths(health.drift_ms),
    dropped: health.dropped_frames,
    megabits: Math.floor(health.bitrate / 1e6),
  };
  return { text: fill(text, known) };
}

/** Whose sentences hold a cause that is of use to whoever sets the encoder up. */
const detailed = new Set(['encoder_dropped', 'stream_unfit', 'recording_stuck']);

/** A line of the log in the page's language with its cause, or as the API words it. */
export function event({ code, message }, { log: table }) {
  const text = new Map(table).get(code);
  return text ? { text, detail: detailed.has(code) ? message : '' } : { text: message, lang: 'en' };
}
