// Without this script every page can be read.

// With it, what scrolls sideways can be scrolled by key. The theme does the same for code and tables,
// but not for formulas.
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

// And the search says which term of the glossary it has found: by itself it names the page alone.
addEventListener("load", () => {
  const results = document.getElementById("search-results");
  if (!results) return;
  const name = () => {
    for (const link of results.querySelectorAll("a[href*='#term-']:not([data-term])")) {
      link.dataset.term = decodeURIComponent(link.hash.slice("#term-".length)).replaceAll("-", " ");
      link.append(`: ${link.dataset.term}`);
    }
  };
  new MutationObserver(name).observe(results, { childList: true, subtree: true });
  name();
});
