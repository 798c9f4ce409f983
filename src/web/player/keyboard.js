// Keys beyond media-chrome's own: 0-9 jump to that tenth; on the embed page keys work wherever the focus is.

/** Letters work only while the player has the focus (WCAG 2.1.4), or where there is nothing but the player. */
export function keyboard(controller, video, alone) {
  controller.addEventListener('keydown', (event) => jump(event, controller, video));
  if (!alone) return;
  document.addEventListener('keydown', (event) => {
    if (event.target !== document.body || event.ctrlKey || event.metaKey || event.altKey) return;
    jump(event, controller, video);
    controller.keyboardShortcutHandler(event);
    if ([' ', 'ArrowUp', 'ArrowDown'].includes(event.key)) event.preventDefault();
  });
}

function jump(event, controller, video) {
  if (event.ctrlKey || event.metaKey || event.altKey || !/^[0-9]$/.test(event.key)) return;
  const { seekable } = video;
  if (!seekable.length) return;
  // What is live may begin later than at 0.
  const [start, end] = [seekable.start(0), seekable.end(seekable.length - 1)];
  const detail = start + ((end - start) * Number(event.key)) / 10;
  controller.dispatchEvent(new CustomEvent('mediaseekrequest', { detail }));
}
