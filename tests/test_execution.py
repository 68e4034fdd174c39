"""The book's pages are executed several at a time, and one that fails is told of once."""

from pathlib import Path

import joblib
import pytest
from bs4 import BeautifulSoup

EXTENSIONS = Path(__file__).resolve().parent.parent / "book" / "_ext"
CONFIGURATION = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_nb", "course.execution"]
source_suffix = {{{{".md": "myst-nb"}}}}  # Sphinx keeps what another extension made of it before
nb_execution_mode = "cache"
nb_execution_cache_path = {{cache!r}}
"""
INDEX = """
# Pages

```{toctree}
one
two
```
"""
PAGE = """---
file_format: mystnb
kernelspec:
  name: python3
---
# A page

```{{code-cell}} ipython3
{code}
```
"""
# A page that needs another one that is executed at the same time.
MEETING = """
import time
from pathlib import Path
Path("{me}.met").write_text("once\\n")
end = time.monotonic() + 60
while not Path("{other}.met").exists() and time.monotonic() < end:
    time.sleep(0.05)
print("met" if Path("{other}.met").exists() else "waited in vain")
"""


@pytest.fixture
def built(tmp_path, build_site):
    """Build a book of two pages from their code; return both pages and the warnings."""

    def build(one, two):
        source = tmp_path / "source"
        source.mkdir(exist_ok=True)
        cache = str(tmp_path / "cache")
        files = {
            "conf.py": CONFIGURATION.format(cache=cache),
            "index.md": INDEX,
            "one.md": PAGE.format(code=one),
            "two.md": PAGE.format(code=two),
        }
        for name, content in files.items():
            (source / name).write_text(content, encoding="utf-8")
        warnings = build_site(source, tmp_path / "html")
        pages = (tmp_path / "html" / f"{name}.html" for name in ("one", "two"))
        return *(page.read_text(encoding="utf-8") for page in pages), warnings

    return build


def printed(page):
    """What the cells of a page printed."""
    return BeautifulSoup(page, "html.parser").select_one(".cell_output").get_text().strip()


@pytest.mark.filterwarnings("ignore")
def test_two_pages_are_executed_at_the_same_time(built, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    codes = MEETING.format(me="one", other="two"), MEETING.format(me="two", other="one")
    *pages, warnings = built(*codes)
    assert not warnings
    assert [printed(page) for page in pages] == ["met", "met"]


@pytest.mark.filterwarnings("ignore")
def test_a_page_that_fails_is_told_of_once(built, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    _, two, warnings = built("1 / 0", "print('done', 'done')")
    assert warnings.count("one.md: WARNING: Executing notebook failed") == 1
    assert warnings.count("WARNING") == 2  # and where the traceback is
    assert printed(two) == "done done"
