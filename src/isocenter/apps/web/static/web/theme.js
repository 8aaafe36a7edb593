// Runs before the page is drawn, so that a dark page never flashes white.
(function () {
  const key = "isocenter-theme";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  function choice() {
    try {
      return localStorage.getItem(key) || "auto";
    } catch {
      return "auto"; // storage is forbidden
    }
  }
  function apply() {
    const wanted = choice();
    const root = document.documentElement;
    root.dataset.bsTheme = wanted === "auto" ? (dark.matches ? "dark" : "light") : wanted;
    root.dataset.themeChoice = wanted;
  }
  dark.addEventListener("change", apply);
  window.isocenterTheme = function (wanted) {
    try {
      localStorage.setItem(key, wanted);
    } catch {
      // it holds for this page then
      document.documentElement.dataset.bsTheme = wanted;
    }
    apply();
  };
  apply();
})();
