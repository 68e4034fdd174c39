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

// And a button keeps the focus when it is pressed by key. The theme takes it away, so that no hint is
// left over a button that was clicked; by key one would begin again at the top of the page.
addEventListener("DOMContentLoaded", () => {
  const buttons = ".theme-switch-button, .search-button, .primary-toggle, .secondary-toggle";
  for (const button of document.querySelectorAll(buttons)) {
    button.blur = () => {
      if (!button.matches(":focus-visible")) HTMLElement.prototype.blur.call(button);
    };
  }
});

// And paper gets the light theme: pale letters on white cannot be read, and browsers leave out the
// dark page behind them.
(() => {
  const page = document.documentElement.dataset;
  let theme = "";
  addEventListener("beforeprint", () => {
    theme = page.theme;
    page.theme = "light";
  });
  addEventListener("afterprint", () => {
    page.theme = theme;
  });
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

// And it shows sentences of the page: by itself it takes buttons and contents for text, runs what
// stands below one another together, and of a term shows the term alone, not what it means.
addEventListener("DOMContentLoaded", () => {
  if (!document.getElementById("search-results")) return;
  const unseen = ".headerlink, .katex-mathml, script, style";
  const blocks = "p, li, dt, dd, td, th, pre, figcaption, caption, h1, h2, h3, h4, h5, h6";
  const text = (element) => element?.textContent.replace(/\s+/g, " ").trim();
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html").querySelector("article");
    if (!page) return "";
    page.querySelectorAll(unseen).forEach((element) => element.remove());
    page.querySelectorAll(blocks).forEach((element) => element.append(" "));
    const found = anchor ? page.querySelector(anchor) : null;
    const meaning = found?.matches("dt") ? page.querySelector(`${anchor} ~ dd`) : found;
    return text(meaning) || text(page);
  };
});
