// The theme that was chosen, as the attribute `data-theme` of the document: "light", "dark", or none, which
// follows the system. Loaded before the first paint, so it is no module.

(() => {
  const NAME = "spinney-theme";
  const root = document.documentElement;
  const set = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  try {
    set(localStorage.getItem(NAME));
  } catch {
    // Storage may be forbidden; the system's theme will do.
  }
  globalThis.spinneyTheme = {
    get current() {
      const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      return root.dataset.theme ?? system;
    },
    toggle() {
      const theme = this.current === "dark" ? "light" : "dark";
      set(theme);
      try {
        localStorage.setItem(NAME, theme);
      } catch {
        // It lasts as long as the page.
      }
      return theme;
    },
  };
})();
