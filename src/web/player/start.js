// Where playback starts: `?t=` first, else where this viewer left off.

const least = 5;

/** Seconds of `90`, `90.5`, `90s`, `1m30s` or `1h2m3s`; null for anything else. */
export function seconds(text) {
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?$/.exec(text ?? '');
  if (!text || !match) return null;
  const [, hours = 0, minutes = 0, rest = 0] = match;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
}

/** Who embeds it with `?muted=1` has other sound to listen to, and wants it to begin by itself. */
export const isMuted = () => new URLSearchParams(location.search).has('muted');

export function startOf(video) {
  const asked = seconds(new URLSearchParams(location.search).get('t'));
  return asked ?? recall(video);
}

/** Keeps the place of `media` for the next visit; forgets it near the end. */
export function remember(video, media) {
  let saved = 0;
  const save = () => {
    const { currentTime, duration } = media;
    const done = Number.isFinite(duration) && currentTime > duration * 0.95;
    store(video, currentTime < least || done ? null : currentTime);
    saved = currentTime;
  };
  media.addEventListener('timeupdate', () => {
    if (!media.paused && Math.abs(media.currentTime - saved) >= 5) save();
  });
  media.addEventListener('pause', save);
  media.addEventListener('ended', () => store(video, null));
}

const key = (video) => `policast:position:${video}`;

function recall(video) {
  try {
    return Number(localStorage.getItem(key(video))) || 0;
  } catch {
    return 0;
  }
}

function store(video, time) {
  try {
    if (time === null) localStorage.removeItem(key(video));
    else localStorage.setItem(key(video), time.toFixed(1));
  } catch {
    // Storage is switched off: the next visit begins at the start.
  }
}
