// Follows a video's JSON: by server-sent events, and by asking now and then where those don't come.

/** The first event comes at once: whoever has none by then gets none. */
const patience = 10_000;

/** Calls `tell` with the video as it is and whenever it changes; answers with what ends that. */
export function follow(events, tell) {
  const address = new URL(events, location.href);
  address.pathname = address.pathname.replace(/\/events$/, '');
  let source = null;
  let timer = null;
  let over = false;

  function listen() {
    source = new EventSource(events);
    source.addEventListener('video', (event) => {
      clearTimeout(timer);
      if (!over) tell(JSON.parse(event.data));
    });
    source.addEventListener('error', soon);
  }

  // Not all at the same moment: a server that comes back has many of these.
  function soon() {
    clearTimeout(timer);
    if (!over) timer = setTimeout(ask, patience * (1 + Math.random() / 2));
  }

  async function ask() {
    soon();
    if (source.readyState === EventSource.CLOSED) listen();
    const answer = await fetch(address, { cache: 'no-store' }).catch(() => null);
    const video = answer?.ok ? await answer.json().catch(() => null) : null;
    if (video && !over) tell(video);
  }

  listen();
  soon();
  return () => {
    over = true;
    clearTimeout(timer);
    source.close();
  };
}
