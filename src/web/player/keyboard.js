// Keys beyond media-chrome's own: 0-9 jump to that tenth, Home and End to either end; on the embed page keys work wherever the focus is.

/** Letters work only while the player has the focus (WCAG 2.1.4), or where there is nothing but the player. */
export function keyboard(controller, video, alone) {
  controller.addEventListener('keydown', (event) => jump(event, controller, video));
  if (!alone) return;
  document.addEventListener('keydown', (event) => {
    if (event.target !== document.body || event.ctrlKey || event.metaKey || event.altKey) return;
    jump(event, controller, video);
    controller.keyboardShortcutHandler(event);
    if ([' ', 'ArrowUp', 'ArrowDown', 'Home', 'End'].includes(event.key)) event.preventDefault();
  });
}

/** How far along a key leads, from 0 to 1; undefined for other keys. */
function place({ key }) {
  if (/^[0-9]$/.test(key)) return Number(key) / 10;
  return { Home: 0, End: 1 }[key];
}

function jump(event, controller, video) {
  const part = place(event);
  if (event.ctrlKey || event.metaKey || event.altKey || part === undefined) return;
  // In a menu these keys lead to its entries, and on a range to its values.
  const inside = event.composedPath().some((at) => ['menu', 'slider'].includes(at.role ?? at.getAttribute?.('role')));
  if (inside && ['Home', 'End'].includes(event.key)) return;
  const { seekable } = video;
  if (!seekable.length) return;
  // What is live may begin later than at 0.
  const [start, end] = [seekable.start(0), seekable.end(seekable.length - 1)];
  if (['Home', 'End'].includes(event.key)) event.preventDefault();
  controller.dispatchEvent(new CustomEvent('mediaseekrequest', { detail: start + (end - start) * part }));
}
