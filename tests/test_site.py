"""The built book: is every page described, connected, self-contained and accessible?

The first half reads the HTML. The second half opens every page in a browser, light and dark, on
a desk and on a phone, and needs Chromium; without it those tests are skipped and say so.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

bs4 = pytest.importorskip("bs4", reason="The book's packages are not installed: see `make`.")
yaml = pytest.importorskip("yaml", reason="The book's packages are not installed: see `make`.")

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "book"
HTML = BUILD / "_build" / "html"
SOURCES = ("_config.yml", "_toc.yml", "book")
PICTURE_FILE = re.compile(r"\.(png|jpe?g|svg|gif|webp)\s*$", re.IGNORECASE)
STATES = [(theme, width) for theme in ("light", "dark") for width in (1280, 390)]


def pages() -> list[str]:
    """Every page in the table of contents, and the two that Sphinx adds."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))

    def files(entry: Any) -> Iterator[str]:
        if isinstance(entry, dict):
            yield from (entry[key] for key in ("root", "file") if key in entry)
            for value in entry.values():
                yield from files(value)
        elif isinstance(entry, list):
            for value in entry:
                yield from files(value)

    return [f"{name}.html" for name in (*files(toc), "search", "genindex")]


# --- the site ------------------------------------------------------------------------------------


def outdated() -> bool:
    """Is there no site, or is a source newer than it?"""
    # Sphinx leaves the index alone when a build had nothing to do; then our own stamp is newer.
    stamp = BUILD / "_build" / ".tested"
    built = max(
        (path.stat().st_mtime for path in (stamp, HTML / "searchindex.js") if path.exists()),
        default=0.0,
    )
    sources = [
        path
        for name in SOURCES
        for path in ((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name])
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return not (HTML / "searchindex.js").exists() or built < max(
        path.stat().st_mtime for path in sources
    )


def build() -> None:
    """Build the book as `make book` does."""
    program = shutil.which("jupyter-book", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("THE BOOK WAS NOT BUILT: jupyter-book is not installed here.")
    command = [program, "build", ".", "--path-output", str(BUILD), "-W", "-n", "--keep-going"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"The book does not build:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    (BUILD / "_build" / ".tested").touch()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; built here, once, if it is missing or older than its sources."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    lock = tmp_path_factory.getbasetemp().parent / "site.lock"
    if not parallel:
        if outdated():
            build()
        return HTML
    try:
        lock.touch(exist_ok=False)
    except FileExistsError:
        while "done" not in lock.read_text():
            time.sleep(0.2)
    else:
        try:
            if outdated():
                build()
        finally:
            lock.write_text("done")
    if not HTML.exists():
        pytest.fail("The book did not build; another worker reports why.")
    return HTML


@functools.cache
def soup(path: Path) -> BeautifulSoup:
    """One page, parsed."""
    return bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(params=pages())
def page(request: pytest.FixtureRequest, site: Path) -> Path:
    """The path of each page in turn."""
    path = site / request.param
    assert path.exists(), f"{request.param} is in the table of contents, but was not built"
    return path


# --- read -----------------------------------------------------------------------------------------


def test_has_a_language_a_title_and_one_heading(page: Path) -> None:
    """Screen readers choose a voice by the language, and readers a tab by the title."""
    document = soup(page)
    assert document.html["lang"] == "en"
    assert document.title is not None
    assert len(document.title.get_text(strip=True)) > 10
    headings = document.select("main h1:not(#jb-print-docs-body *)")
    assert len(headings) == 1, [heading.get_text() for heading in headings]


def test_has_a_description(page: Path) -> None:
    """Search engines and link previews show it."""
    found = soup(page).select("meta[name=description]")
    assert len(found) == 1
    assert 20 <= len(str(found[0]["content"])) <= 200, found[0]["content"]


def test_every_header_says_what_it_heads(page: Path) -> None:
    """A screen reader says a number together with its column's name and its row's."""
    headers = soup(page).find_all("th")
    assert {header.get("scope") for header in headers} <= {"col", "row", "colgroup", "rowgroup"}


def test_every_picture_says_what_it_shows(page: Path) -> None:
    """A missing alternative, or the file's own path, tells a blind reader nothing."""
    wrong = [
        str(picture)[:200]
        for picture in soup(page).find_all("img")
        if not is_alternative(picture.get("alt"), decorative="logo__image" in str(picture))
    ]
    assert not wrong


def is_alternative(alt: Any, *, decorative: bool = False) -> bool:
    """Is this text a description, and not a path?"""
    if not isinstance(alt, str):
        return False
    text = alt.strip()
    if not text:
        return decorative
    return not PICTURE_FILE.search(text) and " " in text


@pytest.mark.parametrize(
    ("alt", "good"),
    [
        (None, False),
        ("", False),
        ("../_images/0a1b.png", False),
        ("_build/jupyter_execute/figure.svg ", False),
        ("figure", False),
        ("Two histograms, the second a thousand times wider.", True),
    ],
)
def test_the_rule_for_alternatives_sees_the_fault(alt: str | None, good: bool) -> None:
    assert is_alternative(alt) is good


PHONE = 382  # pixels across a figure on a phone 390 pixels wide, less the padding
READABLE = 8.95  # pixels


def letters(drawing: str) -> float:
    """The smallest font of a drawing by Matplotlib, in pixels, when it fills a phone's width."""
    width = float(drawing.split('viewBox="0 0 ', 1)[1].split(" ", 1)[0])
    # Before each text stands a comment that quotes it; its glyphs are 100 high, and scaled.
    scales = re.findall(r"-->\s*<g [^>]*scale\(([\d.]+) ", drawing)
    return min(100 * float(scale) for scale in scales) * PHONE / width


def test_letters_of_figures_can_be_read_on_a_phone(page: Path) -> None:
    """A figure shrinks with the window: it is drawn narrow, with letters of 10 points or more."""
    paths = [page.parent / str(img["src"]) for img in soup(page).select("figure img[src$=svg]")]
    drawings = [path.read_text(encoding="utf-8") for path in paths]
    small = {
        path.name: round(letters(drawing), 1)
        for path, drawing in zip(paths, drawings, strict=True)
        if "Matplotlib" in drawing and letters(drawing) < READABLE
    }
    assert not small


@pytest.mark.parametrize(
    ("width", "scale", "readable"), [(412, 0.1, True), (412, 0.09, False), (455, 0.1, False)]
)
def test_the_rule_for_letters_sees_the_fault(width: int, scale: float, readable: bool) -> None:
    text = '<!-- {0} -->\n<g style="fill: #767676" transform="translate(9 8) scale({0} -{0})">'
    drawing = f'<svg viewBox="0 0 {width} 232">{text.format(0.11)}{text.format(scale)}</svg>'
    assert (letters(drawing) >= READABLE) is readable


def test_loads_nothing_from_elsewhere(page: Path) -> None:
    """The book can be read on a train."""
    assert not list(external(soup(page)))


def external(document: BeautifulSoup) -> Iterator[str]:
    """Addresses on other hosts that a browser would load by itself."""
    loaded = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
    for name, attribute in loaded.items():
        for tag in document.find_all(name):
            address = str(tag.get(attribute) or "")
            if urlsplit(address).netloc:
                yield address
    for style in document.find_all("style"):
        yield from re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^\"')]+", style.get_text())


def test_style_sheets_load_nothing_from_elsewhere(site: Path) -> None:
    """Fonts and pictures named in style sheets are part of the site too."""
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        for address in re.findall(r"url\(\s*[\"']?([^\"')]+)", text):
            if address.startswith(("data:", "#")):
                continue
            assert not urlsplit(address).netloc, f"{sheet.name} loads {address}"
            target = sheet.parent / unquote(urlsplit(address).path)
            assert target.exists(), f"{sheet.name} names {address}, which is not there"


def test_every_link_within_the_site_resolves(page: Path, site: Path) -> None:
    """Every page, every download, and every place on a page that a link names."""
    broken = []
    for tag in soup(page).select("a[href], link[href], script[src], img[src]"):
        address = str(tag.get("href") or tag.get("src"))
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        path = unquote(parts.path)
        target = (page.parent / path).resolve() if path else page
        if not target.is_file() or (parts.fragment and not has_anchor(target, parts.fragment)):
            broken.append(address)
        elif site not in target.parents:
            broken.append(f"{address} leaves the site")
    assert not broken


def has_anchor(path: Path, fragment: str) -> bool:
    """Is there such a place on that page?"""
    return soup(path).find(id=unquote(fragment)) is not None


def test_titles_and_descriptions_tell_pages_apart(site: Path) -> None:
    """No two pages have the same title or the same description."""
    documents = [soup(site / name) for name in pages()]
    for texts in (
        Counter(document.title.get_text(strip=True) for document in documents),
        Counter(
            str(document.select_one("meta[name=description]")["content"]) for document in documents
        ),
    ):
        assert not [text for text, count in texts.items() if count > 1]


def test_the_front_door_leads_to_the_first_page(site: Path) -> None:
    """The address of the site itself is not a page, but it must lead to one, and say so."""
    document = soup(site / "index.html")
    assert document.html["lang"] == "en"
    assert document.title is not None
    link = document.find("a")
    assert link is not None
    assert (site / str(link["href"])).is_file()


def test_formulas_are_typeset(page: Path) -> None:
    """KaTeX marks what it could not read; raw TeX must never reach a reader."""
    document = soup(page)
    assert not [error.get("title") for error in document.select(".katex-error")]
    unset = [str(math)[:80] for math in document.select(".math") if not math.select(".katex")]
    assert not unset


def test_no_comma_behind_a_formula_begins_a_line(page: Path) -> None:
    """KaTeX's boxes let a line break behind them: the comma is joined to them, or in the last."""
    loose = [
        math.parent.get_text()[:80]
        for math in soup(page).select("span.math")
        if re.match(r"[.,;:!?]", str(math.next_sibling or ""))
        and "joined" not in math.parent.get("class", [])
    ]
    assert not loose


def test_quizzes_explain_every_option(site: Path) -> None:
    """Each option opens without a script, says whether it is right, and why."""
    for name in pages():
        for quiz in soup(site / name).select(".quiz"):
            label = soup(site / name).find(id=str(quiz["aria-labelledby"]))
            assert label is not None
            assert label.get_text(strip=True)
            options = quiz.select("ol > li > details")
            assert len(options) >= 2
            assert quiz.select("details.quiz-right")
            for option in options:
                assert option.summary.get_text(strip=True)
                assert not option.has_attr("open")
                verdict = option.select_one(".quiz-verdict")
                assert verdict.get_text() == (
                    "Right." if "quiz-right" in option["class"] else "Not this one."
                )
                assert len(option.select_one(".quiz-answer").get_text(strip=True)) > 30


def test_the_example_on_the_first_page_is_true(site: Path) -> None:
    """The grader really says what the page says it says."""
    document = soup(site / pages()[0])
    code = document.select_one("#example-answer pre").get_text().strip()
    quoted = document.select_one("#example-report pre").get_text().strip().splitlines()
    *definition, last_line = code.splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(definition), names)
    said = " ".join(str(eval(last_line, names)).split())
    assert quoted
    assert not [line for line in quoted if line not in said], said


# --- look -----------------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """The site as a server shows it."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# Two frames have been drawn since the last change, and no transition is under way.
STILL = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  await frame();
  const ends = (animation) => animation.effect?.getTiming().iterations !== Infinity;
  await Promise.allSettled(document.getAnimations().filter(ends).map((a) => a.finished));
}"""


# Links between chapters, and names of rows, that do not fit into their boxes.
CUT_OFF = """() => [...document.querySelectorAll(".prev-next-area a, table.dataframe tbody th")]
  .filter((box) => box.scrollWidth > box.clientWidth + 1)
  .map((box) => `cut off: ${box.textContent.trim()}`)"""


def look(browser: Browser, url: str, theme: str, width: int, *, audit: bool = True) -> list[str]:
    """Open a page as one reader sees it; return what is wrong with it, one line for each fault.

    With `audit`, axe looks at it too.
    """
    faults: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",  # otherwise contrast is measured half-way through a transition
    )
    context.add_init_script(
        f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}');"
    )
    home = urlsplit(url)[:2]
    tab = context.new_page()
    tab.on("console", lambda m: faults.append(f"console: {m.text}") if m.type == "error" else None)
    tab.on("pageerror", lambda error: faults.append(f"script: {error}"))
    tab.on(
        "request",
        lambda r: (
            faults.append(f"loads {r.url}")
            if urlsplit(r.url)[:2] != home and not r.url.startswith(("data:", "blob:"))
            else None
        ),
    )
    tab.on("requestfailed", lambda request: faults.append(f"not loaded: {request.url}"))
    tab.on(
        "response",
        lambda response: (
            faults.append(f"{response.status}: {response.url}") if response.status >= 400 else None
        ),
    )
    tab.goto(url, wait_until="load")
    tab.evaluate("document.fonts.ready.then(() => true)")
    shown = tab.evaluate("document.documentElement.dataset.theme")
    if shown != theme:
        faults.append(f"asked for the {theme} theme, got {shown}")
    # What is folded is part of the page; it is measured when nothing moves any more.
    tab.evaluate("document.querySelectorAll('article details').forEach(d => { d.open = true; })")
    tab.evaluate(STILL)
    excess = tab.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    if excess > 0:
        faults.append(f"wider than the window by {excess} px")
    faults += tab.evaluate(CUT_OFF)
    # A page stands still: what is wrong with it is wrong the second time, too. A browser short of
    # time has given axe colours that the page never shows.
    # The dark theme has other colours, and is the same in everything else.
    rules = COLOURS if theme == "dark" else ()
    if audit and (found := set(violations(tab, rules))):
        faults += sorted(found.intersection(violations(tab, rules)))
    context.close()
    return faults


# Texts, of which a page has thousands, that look like one before them. Axe takes two milliseconds
# to find out what is behind each.
MARK_ALIKE = """() => {
  const known = new Map();
  const behind = (part) => {
    if (!part) return "";
    if (!known.has(part)) {
      const { backgroundColor, backgroundImage, opacity } = getComputedStyle(part);
      const own = [backgroundColor, backgroundImage, opacity].join();
      const clear = own === "rgba(0, 0, 0, 0),none,1";
      known.set(part, (clear ? "" : own) + behind(part.parentElement));
    }
    return known.get(part);
  };
  const seen = new Set();
  for (const part of document.querySelectorAll("article *")) {
    if (![...part.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const { color, fontSize, fontWeight, textShadow, position } = getComputedStyle(part);
    const look = [color, fontSize, fontWeight, textShadow, position, behind(part)].join();
    part.toggleAttribute("data-alike", seen.has(look));
    seen.add(look);
  }
}"""
NOT_THOSE = "axe.configure({rules: [{id: 'color-contrast', selector: ':not([data-alike])'}]});"


COLOURS = ("color-contrast", "link-in-text-block")


def violations(tab: Page, rules: Sequence[str] = ()) -> Iterator[str]:
    """What axe finds on an open page, by these of its rules; by all if none is named."""
    from axe_playwright_python.sync_playwright import Axe

    tab.evaluate(MARK_ALIKE)
    axe = Axe()
    axe.axe_script += f";{NOT_THOSE}"
    # Preloading would resolve the style sheets' imports against the wrong folder.
    options = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = list(rules)
    for violation in axe.run(tab, options=options).response["violations"]:
        for node in violation["nodes"]:
            place, why = node["target"][-1], " ".join(node["failureSummary"].split())
            yield (
                f"axe {violation['id']} ({violation['impact']}): "
                f"{node['html'][:160]} at {place}: {why[:400]}"
            )


@pytest.mark.parametrize(("theme", "width"), STATES)
@pytest.mark.parametrize("name", pages())
def test_looks_right(name: str, theme: str, width: int, browser: Browser, address: str) -> None:
    """No axe violation, no console error, no other host, no sideways scrolling."""
    faults = look(browser, f"{address}/{name}", theme, width)
    assert not faults, "\n".join(["", *faults])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_figure_reaches_from_edge_to_edge_of_a_phone(
    theme: str, browser: Browser, site: Path
) -> None:
    """Its letters are small there; a caption keeps the margins of the text."""
    tab = browser.new_page(viewport={"width": 390, "height": 900}, color_scheme=theme)
    tab.goto((site / "book" / "gradients.html").as_uri())
    figures = tab.locator("figure:has(img)")
    assert figures.count() > 2
    for figure in figures.all():
        image, caption = (figure.locator(part).first for part in ("img", "figcaption p"))
        assert image.bounding_box()["width"] > 380
        assert image.evaluate("image => getComputedStyle(image).borderLeftStyle") == "none"
        text = tab.locator("article section > p").first.bounding_box()
        assert abs(caption.bounding_box()["x"] - text["x"]) < 1
    tab.close()


def test_pale_words_are_seen(browser: Browser, site: Path) -> None:
    """Also where a word stands for all that look like it."""
    tab = browser.new_page()
    tab.goto((site / "book" / "feature_scaling.html").as_uri())
    last = "table.dataframe tr:last-child td:last-child"
    for part, seen in (("nothing", False), ("pre .nb", True), ("article p", True), (last, True)):
        style = tab.add_style_tag(content=f"{part} {{ color: #ccc !important; }}")
        faults = set(violations(tab))
        assert any("color-contrast" in fault for fault in faults) == seen, part
        assert faults == set(violations(tab, COLOURS)), part
        style.evaluate("style => style.remove()")
    tab.close()


def test_opens_from_a_folder(browser: Browser, site: Path) -> None:
    """Without any server: style, formulas' fonts and scripts are found."""
    for name in pages():
        faults = look(browser, (site / name).as_uri(), "light", 1280, audit=False)
        assert not faults, "\n".join([name, *faults])


# One page that shows all that the pages show which may be too wide.
GATHER = """async (names) => {
  const parts = [];
  for (const name of names) {
    const page = new DOMParser().parseFromString(await (await fetch(name)).text(), "text/html");
    parts.push(...page.querySelectorAll("article :is(div.cell, div.math, table.table)"));
  }
  document.querySelector("article").replaceChildren(...parts);
  document.querySelectorAll("article details").forEach((folded) => { folded.open = true; });
}"""
CUT_OFF_ON_PAPER = """() =>
  [...document.querySelectorAll("article :is(pre, table, .text_html, .katex-html, .eqno)")]
  .filter((box) => box.getBoundingClientRect().right > innerWidth + 1
    || (getComputedStyle(box).overflowX !== "visible" && box.scrollWidth > box.clientWidth + 1))
  .map((box) => box.textContent.trim().slice(0, 80))"""


def test_nothing_is_cut_off_on_paper(browser: Browser, address: str) -> None:
    """A window scrolls what is too wide for it; a sheet of A4 between its margins cannot."""
    tab = browser.new_page(viewport={"width": 672, "height": 950})
    tab.emulate_media(media="print")
    tab.goto(f"{address}/{pages()[0]}", wait_until="domcontentloaded")
    tab.evaluate(GATHER, [f"/{name}" for name in pages()])
    assert tab.locator("article pre").count() > 100
    assert not tab.evaluate(CUT_OFF_ON_PAPER)
    tab.close()


def test_paper_shows_the_page_and_nothing_to_press(browser: Browser, site: Path) -> None:
    """Questions without answers, no navigation, and dark ink, whatever the theme."""
    tab = browser.new_page(color_scheme="dark")
    tab.goto((site / "book" / "inference.html").as_uri())
    tab.emulate_media(media="print")
    opened, closed = tab.locator(".quiz details").nth(0), tab.locator(".quiz details").nth(1)
    opened.evaluate("option => { option.open = true; }")
    assert opened.locator(".quiz-answer").is_visible()
    assert closed.locator("summary").is_visible()
    assert not closed.locator(".quiz-answer").is_visible()
    assert tab.locator("article h1").is_visible()
    for pressed in ("nav", "#jb-print-docs-body", "details.hide", ".controls"):
        assert not [box for box in tab.locator(pressed).all() if box.is_visible()], pressed
    theme = "document.documentElement.dataset.theme"
    tab.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = {theme}; }})")
    tab.pdf()
    assert tab.evaluate("printed") == "light"
    assert tab.evaluate(theme) == "dark"
    tab.close()


def test_the_search_says_which_term_it_found(browser: Browser, site: Path) -> None:
    """Without a server, too, where a result has no excerpt."""
    tab = browser.new_page()
    tab.goto(f"{(site / 'search.html').as_uri()}?q=whitening")
    tab.wait_for_function("/found/.test(document.querySelector('#search-results p')?.textContent)")
    terms = tab.locator("#search-results a[href*='#term-']").all_inner_texts()
    assert sorted(terms) == [f"Glossary: {which}whitening" for which in ("PCA ", "ZCA ", "")]
    tab.close()


def test_the_search_shows_sentences(browser: Browser, address: str) -> None:
    """Of a term what it means; no buttons, no formula twice."""
    tab = browser.new_page()
    tab.goto(f"{address}/search.html?q=whitening")
    tab.wait_for_function("/found/.test(document.querySelector('#search-results p')?.textContent)")
    tab.wait_for_function("!document.querySelector('#search-results li:not(:has(.context))')")
    results = tab.locator("#search-results li").all()
    found = {r.locator("a").inner_text(): r.locator(".context").inner_text() for r in results}
    assert "covariance matrix is the identity" in found["Glossary: whitening"]
    assert all("whitening" in said.lower() for said in found.values())
    assert not [said for said in found.values() if re.search(r"On this page|\\", said)]
    tab.close()


def test_the_keyboard_sees_where_it_is(browser: Browser, site: Path) -> None:
    """Every button of the header shows that it has the focus."""
    tab = browser.new_page()
    tab.goto((site / "book" / "feature_scaling.html").as_uri())
    tab.locator(".bd-header-article").wait_for()
    seen = []
    for _ in range(40):  # past the chapters, through the header
        tab.keyboard.press("Tab")
        at = tab.locator(":focus")
        if at.count() and at.evaluate("e => e.matches('.bd-header-article .btn')"):
            seen.append(at.get_attribute("aria-label"))
            assert at.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", seen[-1]
    assert len(seen) >= 3, seen
    tab.close()


@pytest.mark.parametrize("button", [".primary-toggle", ".secondary-toggle", ".search-button"])
def test_what_a_key_opened_gives_the_focus_back(browser: Browser, site: Path, button: str) -> None:
    """Escape closes it, and one goes on at the button that opened it."""
    tab = browser.new_page(viewport={"width": 390, "height": 844})
    tab.goto((site / "book" / "gradients.html").as_uri())
    tab.locator(f"{button}:visible").first.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function(
        "document.querySelector('dialog[open]')?.contains(document.activeElement)"
    )
    tab.keyboard.press("Escape")
    tab.wait_for_function("!document.querySelector('dialog[open]')")
    assert tab.evaluate(f"document.activeElement.matches('{button}')")
    tab.close()


def test_what_a_key_switches_keeps_the_focus(browser: Browser, site: Path) -> None:
    """The theme can be switched on; after a click, no hint is left over the button."""
    tab = browser.new_page(viewport={"width": 1280, "height": 800})
    tab.goto((site / "book" / "gradients.html").as_uri())
    switch = tab.locator(".theme-switch-button:visible").first
    focused = "document.activeElement.matches('.theme-switch-button')"
    switch.focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate(focused)
    tab.reload()
    switch.click()
    assert not tab.evaluate(focused)
    tab.close()


def test_a_quiz_works_by_keyboard_without_scripts(browser: Browser, address: str) -> None:
    """Tab to an option, press Enter, read the reason."""
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    for name in pages():
        tab.goto(f"{address}/{name}")
        options = tab.locator(".quiz details")
        if options.count() == 0:
            continue
        answer = options.first.locator(".quiz-answer")
        assert not answer.is_visible()
        options.first.locator("summary").focus()
        tab.keyboard.press("Enter")
        assert answer.is_visible()
        break
    context.close()
