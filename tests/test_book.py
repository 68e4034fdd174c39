"""Do the book's sources agree with one another: chapters, contents, times?"""

from __future__ import annotations

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
