// Sets the theme before anything is painted: the one chosen here before, else the system's.
(() => {
  const root = document.documentElement;
  let chosen = null;
  try {
    chosen = localStorage.getItem("headwater-theme");
  } catch {
    // Storage may be forbidden: then the system's theme is used.
  }
  if (chosen === "dark" || chosen === "light") {
    root.dataset.theme = chosen;
  }
})();
