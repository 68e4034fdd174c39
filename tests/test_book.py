"""Do the book's sources agree with one another: chapters, contents, times?"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from autograder.chapters import SLUGS

yaml = pytest.importorskip("yaml", reason="The book's packages are not installed: see `make`.")

BOOK = Path(__file__).parents[1] / "book"
ROW = re.compile(r"^\| (\d)\. \{doc\}`[^`<]+ <(\w+)>` \|.*\| (\d+) \| (\d+) \|$", re.M)
TIME = re.compile(r"^:time: (\d+) minutes to read, (\d+) for the exercise$", re.M)


def test_the_contents_list_every_chapter_in_order():
    parts = yaml.safe_load((BOOK.parent / "_toc.yml").read_text())["parts"]
    listed = [Path(c["file"]).name for c in parts[0]["chapters"]]
    assert listed == list(SLUGS)


def test_the_introduction_says_how_long_each_chapter_takes():
    rows = ROW.findall((BOOK / "index.md").read_text(encoding="utf-8"))
    assert [(int(number), slug) for number, slug, _, _ in rows] == list(enumerate(SLUGS, 1))
    for _, slug, read, write in rows:
        (found,) = TIME.findall((BOOK / f"{slug}.md").read_text(encoding="utf-8"))
        assert found == (read, write), slug


@pytest.mark.parametrize("slug", SLUGS)
def test_the_notebook_takes_as_long_as_its_page_says(slug):
    (found,) = TIME.findall((BOOK / f"{slug}.md").read_text(encoding="utf-8"))
    notebook = (BOOK.parent / "solutions" / slug / f"{slug}.py").read_text(encoding="utf-8")
    said = " ".join(line.removeprefix("#").strip() for line in notebook.splitlines()[:40])
    assert any(word in said for word in WORDS[int(found[1])]), slug


def test_every_paper_in_the_bibliography_is_cited():
    """The page says that claims name their sources there; a source of nothing has no place."""
    listed = re.findall(r"^@\w+\{([^,]+),", (BOOK / "references.bib").read_text("utf-8"), re.M)
    pages = "".join(page.read_text(encoding="utf-8") for page in BOOK.glob("*.md"))
    cited = {key for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", pages) for key in keys.split(",")}
    assert sorted(listed) == sorted({key.strip() for key in cited})


def test_an_equation_of_another_page_is_named_with_its_page():
    """Equations are numbered anew on each page, so that (1) alone would be the reader's own."""
    texts = {page.stem: page.read_text(encoding="utf-8") for page in BOOK.glob("*.md")}
    home = {
        label: slug
        for slug, text in texts.items()
        for label in re.findall(r"^(?::label: |\$\$ \()([^\s)]+)\)?$", text, re.M)
    }
    for slug, text in texts.items():
        for paragraph in text.split("\n\n"):
            for label in re.findall(r"\{eq\}`([^`]+)`", paragraph):
                named = re.search(rf"`(?:[^`]*<)?{home[label]}>?`", paragraph)
                assert home[label] == slug or named, (slug, label)


@pytest.mark.parametrize("slug", SLUGS)
def test_every_question_has_a_title_of_its_own(slug):
    """A screen reader goes from one to the next by their titles."""
    text = (BOOK / f"{slug}.md").read_text(encoding="utf-8")
    titles = re.findall(r"^```\{quiz\} ?(.*)$", text, re.M)
    assert len(titles) > 5
    assert all(titles)
    assert len(set(titles)) == len(titles)


WORDS = {
    60: ("about an hour",),
    75: ("an hour and a quarter", "75 minutes"),
    90: ("an hour and a half", "90 minutes"),
    120: ("two hours",),
    150: ("two and a half hours",),
    180: ("three hours",),
}


CONFIGURATION = """
import sys
sys.path.insert(0, {extensions!r})
from course.pages import find_terms_again

def setup(app):
    app.connect("html-collect-pages", find_terms_again)
"""
PAGES = {
    "index": "Home\n====\n\n.. toctree::\n\n   words\n   text\n   quiet\n",
    # The label is on the stored page; on the page that is shown there is the title instead.
    "words": "Words\n=====\n\n.. glossary::\n\n   whitening\n      No correlation: "
    ":ref:`elsewhere`.\n",
    "text": ".. _elsewhere:\n\nText\n====\n\n.. index:: moments\n\nMean and variance.\n",
    "quiet": ":nosearch:\n\nQuiet\n=====\n\n.. index:: silence\n\nNobody finds this.\n",
}


def search_index(built: Path) -> dict:
    """What the search of a site reads."""
    text = (built / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    index["alltitles"] = sorted(index["alltitles"].items())
    return index


@pytest.mark.filterwarnings("ignore")
def test_the_search_finds_the_terms_of_a_page_that_has_not_changed(tmp_path, build_site):
    """After one page was edited the search knows what it knows after a build from the beginning."""
    source = tmp_path / "source"
    source.mkdir()
    extensions = str(Path(__file__).parent.parent / "book" / "_ext")
    (source / "conf.py").write_text(CONFIGURATION.format(extensions=extensions), encoding="utf-8")
    for name, text in PAGES.items():
        (source / f"{name}.rst").write_text(text, encoding="utf-8")
    build_site(source, tmp_path / "edited")
    (source / "text.rst").write_text(PAGES["text"] + "Both of a batch.\n", encoding="utf-8")
    for folder in ("edited", "afresh"):
        build_site(source, tmp_path / folder)
    edited = search_index(tmp_path / "edited")
    assert edited == search_index(tmp_path / "afresh")
    assert edited["indexentries"].keys() == {"whitening", "moments"}
