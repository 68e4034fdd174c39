"""What every page must be: accessible, described, and free of requests to other hosts.

Where possible the theme is corrected through its own context. What only its templates decide is
corrected in the finished text, by ``REPAIRS``. ``tests/test_site.py`` looks at the result with a
browser, so a repair that no longer fits the theme is noticed.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from docutils import nodes
from docutils.utils import new_document
from sphinx import addnodes
from sphinx.jinja2glue import BuiltinTemplateLoader
from sphinx.util import logging

from course.directives import colab_url

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

logger = logging.getLogger(__name__)

Context = dict[str, Any]

LONGEST_DESCRIPTION = 160
LONGEST_JOINED = 30
PUNCTUATION = re.compile(r"[.,;:!?)\]\u2019\u201d]+")
PICTURE = re.compile(r"<img\b[^>]*>")
ALTERNATIVE = re.compile(r"""\balt=(?:"([^"]*)"|'([^']*)')""")
PICTURE_FILE = re.compile(r"\.(?:png|jpe?g|svg|gif|webp)\s*$", re.IGNORECASE)
# What KaTeX cannot parse it replaces as a whole; a command it does not know it prints in red.
TEX_ERROR = re.compile(r'class="katex-error" title="([^"]*)"|mathcolor="#cc0000"><mtext>([^<]*)')


class Repair(NamedTuple):
    """A fault of the theme's templates, and what to write in its place."""

    why: str
    pattern: re.Pattern[str]
    replacement: str


REPAIRS = (
    Repair(
        "Without scripts the theme 'auto' has no colours at all.",
        re.compile(r'(<html\b[^>]*) data-theme="auto"'),
        r'\1 data-theme="light"',
    ),
    Repair(
        "A page opened in the dark must not flash white before its scripts have loaded.",
        re.compile(r"document\.documentElement\.dataset\.theme = [^;]*;"),
        "document.documentElement.dataset.theme ="
        ' ["light", "dark"].find((mode) => mode === document.documentElement.dataset.mode)'
        ' || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");',
    ),
    Repair(
        "1.5 MB of script that draw icons which a web font of the theme draws as well.",
        re.compile(r"\s*<!-- So that users can add custom icons -->\s*<script[^>]*></script>"),
        "",
    ),
    Repair(
        "The sidebar is no landmark, so its logo and search button are in none.",
        re.compile(r'<div id="pst-primary-sidebar"'),
        r'<div id="pst-primary-sidebar" role="region" aria-label="Course"',
    ),
    Repair(
        "The empty corner of a table, as pandas writes it, is no header.",
        re.compile(r"<th\b[^>]*></th>"),
        "<td></td>",
    ),
    Repair(
        "The header of a column does not say that it is one's.",
        re.compile(r'<th class="head'),
        r'<th scope="col" class="head',
    ),
    Repair(
        "The role of a reference is deprecated, and not allowed inside a list.",
        re.compile(r'role="doc-biblioentry"'),
        r'role="listitem"',
    ),
)


class Templates(BuiltinTemplateLoader):
    """Sphinx's templates, whose result is repaired before it is written."""

    def render(self, template: str, context: Context) -> str:  # type: ignore[override]
        """Render a page and repair it."""
        page = super().render(template, context)
        for repair in REPAIRS:
            page = repair.pattern.sub(repair.replacement, page)
        return page


def use_templates(_app: Sphinx, config: Config) -> None:
    """Have Sphinx write pages through ``Templates``."""
    config.template_bridge = f"{Templates.__module__}.{Templates.__name__}"


def without_thebe(assets: list[Any]) -> list[Any]:
    """Scripts or style sheets, except those of Thebe.

    Live code needs a server, which the course does not have, and its configuration is declared
    twice, which is an error on every page.
    """

    def mentions(asset: Any) -> bool:
        body = getattr(asset, "attributes", {}).get("body", "")
        return "thebe" in f"{getattr(asset, 'filename', asset)} {body}".lower()

    return [asset for asset in assets if not mentions(asset)]


def drop_assets(_app: Sphinx, _page: str, _template: str, context: Context, _tree: Any) -> None:
    """Leave out scripts and style sheets which nothing uses."""
    for kind in ("script_files", "css_files"):
        context[kind] = without_thebe(context.get(kind, []))


def drop_thebe_nodes(_app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Leave out the settings of Thebe at the end of each page."""
    for node in list(doctree.findall(nodes.raw)):
        if "x-thebe-config" in node.astext() or node.astext().startswith("<script>kernelName"):
            node.parent.remove(node)


def keep_punctuation(_app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Keep the comma behind a formula on the formula's line.

    Browsers may break a line behind any inline block, and KaTeX makes formulas of them. A long
    formula must be free to break within, so that the comma goes into its last box.
    """
    for formula in list(doctree.findall(nodes.math)):
        parent = formula.parent
        place = parent.index(formula)
        text = parent[place + 1] if place + 1 < len(parent) else None
        mark = PUNCTUATION.match(text) if isinstance(text, nodes.Text) else None
        if mark is None:
            continue
        if len(formula.astext()) > LONGEST_JOINED:
            whole = nodes.math("", rf"{formula.astext()}\text{{{mark.group()}}}")
        else:
            whole = nodes.inline("", "", formula, nodes.Text(mark.group()), classes=["joined"])
        parent[place : place + 2] = [whole, nodes.Text(text[mark.end() :])]


def label_buttons(app: Sphinx, page: str, _template: str, context: Context, _tree: Any) -> None:
    """Name the entries of the header's menus in words.

    A tooltip becomes the accessible name, so one that differs from the visible ".md" cannot be
    spoken to; entries with a text need no tooltip. The exercise of a page joins the menus.
    """
    texts = {
        "download-notebook-button": "Notebook (.ipynb)",
        "download-source-button": "Source of this page (.md)",
        "download-pdf-button": "Print or save as PDF",
    }
    groups = context.get("header_buttons", [])
    path = app.env.metadata.get(page, {}).get("exercise", "")
    url = colab_url(app.config.course_repository, app.config.course_branch, path)
    if path and url:
        entry = {"type": "link", "url": url, "text": "Exercise in Colab", "icon": "fas fa-pencil"}
        groups.append(
            {
                "type": "group",
                "tooltip": "Launch the exercise",
                "icon": "fas fa-rocket",
                "label": "launch-buttons",
                "buttons": [entry],
            }
        )
    for group in groups:
        for button in group.get("buttons", []):
            button["text"] = texts.get(button.get("label", ""), button.get("text"))
            if button["text"]:
                button.pop("tooltip", None)


def describe(app: Sphinx, page: str, _template: str, context: Context, tree: Any) -> None:
    """Give each page a description: its own, or the beginning of its first paragraph."""
    tags = context.get("metatags", "")
    if 'name="description"' in tags:
        return
    paragraphs = tree.findall(nodes.paragraph) if tree is not None else ()
    text = next((node.astext() for node in paragraphs if node.parent.tagname == "section"), "")
    if not text:
        text = f"{context.get('title') or page}: {app.config.html_title}"
    text = " ".join(text.split())
    if len(text) > LONGEST_DESCRIPTION:
        text = text[:LONGEST_DESCRIPTION].rsplit(" ", 1)[0] + " …"
    context["metatags"] = f'{tags}\n<meta name="description" content="{escape(text)}" />'


def inspect(_app: Sphinx, page: str, _template: str, context: Context, tree: Any) -> None:
    """Warn of pictures without a description, and of formulas that KaTeX cannot read.

    A figure made by a code cell takes its path as its alternative text, which no tool notices;
    write the description into the cell's ``mystnb: image: alt:``.
    """
    body = context.get("body", "")
    for picture in PICTURE.findall(body):
        match = ALTERNATIVE.search(picture)
        alt = (match.group(1) or match.group(2) or "") if match else ""
        if not alt.strip() or PICTURE_FILE.search(alt):
            logger.warning("this picture has no description: %s", picture[:200], location=page)
    for failure, command in TEX_ERROR.findall(body):
        logger.warning("KaTeX cannot read a formula: %s", failure or command, location=page)


def find_terms_again(app: Sphinx) -> list[tuple[str, Context, str]]:
    """Read the index entries of pages that have not changed once more; add no page.

    Sphinx loads their words and titles from the index it wrote before, but not these. Without this
    the search would find a term of the glossary only after a build from the beginning. Nothing else
    of a stored page is read: it still has the keys of its citations, and outputs in formats that
    are not shown. A page without a title there is one that the search leaves out.
    """
    index = getattr(app.builder, "indexer", None)
    if index is not None:
        for page in index._titles.keys() - index._index_entries.keys():
            title, titles = index._titles[page], index._all_titles[page]
            if title:
                entries = new_document("")
                entries += list(app.env.get_doctree(page).findall(addnodes.index))
                index.feed(page, index._filenames[page], title, entries)
                index._all_titles[page] = titles
    return []


def write_front_door(app: Sphinx, exception: Exception | None) -> None:
    """Lead from the site's own address to its first page."""
    if exception is not None or app.builder.format != "html":
        return
    target = app.builder.get_target_uri(app.config.root_doc)
    title = escape(app.config.html_title)
    Path(app.outdir, "index.html").write_text(
        f"""<!DOCTYPE html>
<html lang="{app.config.language}">
<head>
  <meta charset="utf-8">
  <title>{title}</title>
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="description" content="The course begins on the next page.">
  <meta http-equiv="refresh" content="0; url={target}">
  <link rel="canonical" href="{target}">
</head>
<body><main><h1>{title}</h1><p><a href="{target}">Begin the course</a></p></main></body>
</html>
""",
        encoding="utf-8",
    )


def setup(app: Sphinx) -> None:
    """Connect each step to its moment; 600 is after the themes, which use 500 and 501."""
    app.connect("config-inited", use_templates)
    app.connect("doctree-resolved", drop_thebe_nodes, priority=600)
    app.connect("doctree-resolved", keep_punctuation, priority=600)
    for step in (drop_assets, label_buttons, describe, inspect):
        app.connect("html-page-context", step, priority=600)
    app.connect("html-collect-pages", find_terms_again)
    app.connect("build-finished", write_front_door, priority=600)
