// Sets the theme before anything is painted: the one chosen here before, else the system's.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const set = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("headwater-theme");
    } catch {
      // Storage may be forbidden: then the system's theme is used.
    }
    const isKnown = chosen === "dark" || chosen === "light";
    document.documentElement.dataset.theme = isKnown ? chosen : dark.matches ? "dark" : "light";
    document.dispatchEvent(new Event("theme"));
  };
  dark.addEventListener("change", set);
  set();
})();
