// Without this script every page can be read; with it, what scrolls sideways can be scrolled by key.
// The theme does the same for code and tables, but not for formulas.
(() => {
  const mend = () => {
    for (const formula of document.querySelectorAll("div.math")) {
      if (formula.scrollWidth > formula.clientWidth) {
        formula.tabIndex = 0;
        formula.setAttribute("role", "group");
        formula.setAttribute("aria-label", "Formula, wider than the page");
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) formula.removeAttribute(name);
      }
    }
  };
  addEventListener("load", mend);
  addEventListener("resize", mend);
})();
