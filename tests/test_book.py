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
