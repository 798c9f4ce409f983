// The menus for those who don't see them: a menu has a name, and holds entries only (ARIA, menu role).

/** Names the menus of a player; `back` is what the entry on top of each submenu does. */
export function nameMenus(controller, { back }) {
  for (const menu of controller.querySelectorAll('media-settings-menu, [slot="submenu"]')) {
    const title = menu.querySelector('[slot="title"]')?.textContent;
    // media-chrome has a button there, named in English.
    const button = menu.shadowRoot?.querySelector('button[part~="back"]');
    if (!button) continue;
    button.setAttribute('role', 'menuitem');
    button.setAttribute('aria-label', title ? `${title}: ${back}` : back);
  }
}
