"""The claims ledger: every claim has a status, an experiment that is there, and a source."""

import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from pybtex.database import parse_string

sys.path.insert(0, str(Path(__file__).parent.parent / "book" / "_ext"))

from course.claims import STATUSES, Claim, LedgerError, places, read

BOOK = Path(__file__).resolve().parent.parent / "book"
LEDGER = (BOOK / "claims.yml").read_text(encoding="utf-8")
KEYS = set(parse_string((BOOK / "references.bib").read_text(encoding="utf-8"), "bibtex").entries)


def ledger() -> list[Claim]:
    """All claims of the book."""
    return [claim for topic in read(LEDGER) for claim in topic.claims]


def missing(claims: list[Claim], book: Path = BOOK, keys: set[str] = KEYS) -> list[str]:
    """What the claims point to and is not there."""
    pages = {path.stem: places(path.read_text(encoding="utf-8")) for path in book.glob("*.md")}
    return [
        f"{claim.id}: {page} has no label {label}"
        for claim in claims
        for page, label in claim.shown
        if label not in pages.get(page, {})
    ] + [
        f"{claim.id}: {key} is not in references.bib"
        for claim in claims
        for key in claim.source
        if key not in keys
    ]


# --- the ledger of the book -----------------------------------------------------------------------


def test_there_are_at_least_forty_claims() -> None:
    assert len(ledger()) >= 40


def test_every_status_occurs() -> None:
    """A ledger in which nothing is contested would be none."""
    assert {claim.status for claim in ledger()} == set(STATUSES)


def test_every_experiment_and_every_source_is_there() -> None:
    assert not missing(ledger())


def test_every_chapter_is_in_the_ledger() -> None:
    card = re.compile(r"^```\{graded\}", re.MULTILINE)
    chapters = {path.stem for path in BOOK.glob("*.md") if card.search(path.read_text("utf-8"))}
    assert chapters <= {page for claim in ledger() for page, _ in claim.shown}


def test_a_finding_says_more_than_the_status() -> None:
    for claim in ledger():
        assert len(claim.finding) > 30, claim.id
        assert claim.finding.endswith("."), claim.id


def test_only_what_no_page_can_show_is_not_shown() -> None:
    assert all(claim.shown or claim.not_shown for claim in ledger())
    assert {claim.status for claim in ledger() if not claim.shown} <= {"supported elsewhere"}


def test_the_page_on_the_evidence_shows_the_ledger() -> None:
    assert re.search(r"^```\{claims\}$", (BOOK / "evidence.md").read_text("utf-8"), re.MULTILINE)


# --- what is refused ------------------------------------------------------------------------------

GOOD = {
    "id": "sum",
    "claim": "The sum is zero.",
    "status": "exact",
    "finding": "It is zero up to rounding, in each of five seeds.",
    "shown": {"page": "page-sum"},
    "source": ["key2015"],
}


def written(*claims: dict) -> str:
    """A ledger of one topic."""
    return yaml.safe_dump({"topics": [{"title": "Sums", "claims": list(claims)}]}, sort_keys=False)


def without(field: str) -> dict:
    return {name: value for name, value in GOOD.items() if name != field}


def test_a_good_claim_is_read_as_written() -> None:
    [topic] = read(written(GOOD))
    assert topic.title == "Sums"
    assert topic.claims == (
        Claim(
            "sum",
            "The sum is zero.",
            "exact",
            "It is zero up to rounding, in each of five seeds.",
            ("key2015",),
            (("page", "page-sum"),),
        ),
    )


def test_what_is_supported_elsewhere_may_say_why_it_is_not_shown() -> None:
    claim = without("shown") | {"status": "supported elsewhere", "not_shown": "Too large."}
    [topic] = read(written(claim))
    assert topic.claims[0].not_shown == "Too large."


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (without("status"), "Claim 'sum' has no status"),
        (GOOD | {"status": ""}, "Claim 'sum' has no status"),
        (GOOD | {"status": "true"}, "'true', not one of: exact, supported here"),
        (without("finding"), "Claim 'sum' has no finding"),
        (without("claim"), "Claim 'sum' has no claim"),
        (without("id"), "Claim 'The sum is zero.' has no id"),
        (GOOD | {"id": "The sum"}, "an id has lower-case letters"),
        (GOOD | {"claim": "The sum"}, "not a sentence"),
        (without("source"), "Claim 'sum' has no source"),
        (GOOD | {"source": []}, "Claim 'sum' has no source"),
        (GOOD | {"source": "key2015"}, "Claim 'sum' has no source"),
        (without("shown"), "Claim 'sum' has no experiment"),
        (GOOD | {"shown": {}}, "Claim 'sum' has no experiment"),
        (GOOD | {"shown": "page-sum"}, "maps a page to a label"),
        (GOOD | {"shown": {"page": None}}, "names no label on page 'page'"),
        (GOOD | {"not_shown": "Too large."}, "is shown and not shown"),
        (without("shown") | {"not_shown": "Too large."}, "only what is supported elsewhere"),
        (
            without("shown") | {"status": "supported elsewhere", "not_shown": " "},
            "does not say why",
        ),
        (GOOD | {"sauce": ["key2015"]}, "unknown field 'sauce'"),
    ],
)
def test_a_bad_claim_is_refused_by_name(claim: dict, said: str) -> None:
    with pytest.raises(LedgerError, match=re.escape(said)):
        read(written(claim))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topics: [", "not YAML"),
        ("claims: []", "a list of topics"),
        ("topics: {title: Sums}", "a list of topics"),
        ("topics: [{title: Sums}]", "A topic has a title and claims"),
        ("topics: [{title: '', claims: [{}]}]", "title of a topic"),
        ("topics: [{title: Sums, claims: []}]", "Topic 'Sums' has no claims"),
        ("topics: [{title: Sums, claims: [sum]}]", "A claim is a mapping"),
    ],
)
def test_a_bad_file_is_refused(text: str, said: str) -> None:
    with pytest.raises(LedgerError, match=said):
        read(text)


def test_two_claims_cannot_be_the_same() -> None:
    other = GOOD | {"id": "other", "claim": "Another sum is zero."}
    assert len(read(written(GOOD, other))[0].claims) == 2
    with pytest.raises(LedgerError, match="Two claims have the id 'sum'"):
        read(written(GOOD, other | {"id": "sum"}))
    with pytest.raises(LedgerError, match=r"Two claims have the claim 'The sum is zero\.'"):
        read(written(GOOD, other | {"claim": GOOD["claim"]}))


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(LedgerError) as error:
        read(written(without("status"), GOOD | {"id": "other", "source": []}))
    assert len(str(error.value).splitlines()) == 2


PAGE = """
# A page

(page-sum)=
## Sums

(page-cell)=
```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-sum
---
# (page-comment)=
```

(page-text)=
Text.

````{note}
```
## No heading
```
````
"""


def test_labels_are_found_with_their_headings() -> None:
    assert places(PAGE) == {
        "page-sum": "Sums",
        "page-cell": "Sums (cell)",
        "fig-sum": "Sums (figure)",
        "page-text": "Sums",
    }


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    [topic] = read(written(GOOD))
    assert not missing(list(topic.claims), tmp_path, {"key2015"})
    [topic] = read(written(GOOD | {"shown": {"page": "page-gone", "gone": "page-sum"}}))
    assert missing(list(topic.claims), tmp_path, {"key2016"}) == [
        "sum: page has no label page-gone",
        "sum: gone has no label page-sum",
        "sum: key2015 is not in references.bib",
    ]


# --- the directive --------------------------------------------------------------------------------

CONFIGURATION = """
import sys
sys.path.insert(0, {extensions!r})
extensions = ["myst_parser", "sphinxcontrib.bibtex", "course.claims"]
myst_enable_extensions = ["dollarmath"]
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
"""
BIBLIOGRAPHY = """
@misc{key2015, title = {Sums}, author = {Ann Author}, year = {2015}}
"""
INDEX = """
# Ledger

## Claims

```{claims}
```

## References

```{bibliography}
```

```{toctree}
page
```
"""


@pytest.fixture
def built(tmp_path: Path, build_site) -> Callable[[str], tuple[str, str]]:
    """Build a small book around a ledger; return its first page and the warnings."""

    def build(text: str) -> tuple[str, str]:
        source = tmp_path / "source"
        source.mkdir()
        files = {
            "conf.py": CONFIGURATION.format(extensions=str(BOOK / "_ext")),
            "references.bib": BIBLIOGRAPHY,
            "index.md": INDEX,
            "page.md": PAGE.replace("{code-cell} ipython3", ""),
            "claims.yml": text,
        }
        for name, content in files.items():
            (source / name).write_text(content, encoding="utf-8")
        warnings = build_site(source, tmp_path / "html")
        return (tmp_path / "html" / "index.html").read_text(encoding="utf-8"), warnings

    return build


@pytest.mark.filterwarnings("ignore")
def test_the_ledger_becomes_a_table_that_can_be_walked_through(built) -> None:
    other = GOOD | {"id": "other", "claim": "It is $a^2$.", "status": "refuted"}
    html, warnings = built(written(GOOD, other))
    assert not warnings
    page = BeautifulSoup(html, "html.parser")
    assert page.select_one(".claims-counts").get_text() == "2 claims: 1 exact, 1 refuted."
    assert page.select_one("#claims-sums h3").get_text().startswith("Sums")
    assert [link["href"] for link in page.select(".claims-topics a")] == ["#claims-sums"]
    table = page.select_one("#claims-sums table")
    assert table.caption.get_text() == "Sums: 2 claims"
    assert [head.get_text() for head in table.select("thead th[scope=col]")] == [
        "Claim",
        "Status",
        "What came of it",
    ]
    rows = table.select("tbody tr")
    assert [row["id"] for row in rows] == ["claim-sum", "claim-other"]
    for row, claim in zip(rows, (GOOD, other), strict=True):
        assert len(row.select("th[scope=row]")) == 1
        assert row.td.get_text(strip=True) == claim["status"]
        place, source = row.select("td a")
        assert place["href"] == "page.html#page-sum"
        assert place.get_text() == "Sums"
        assert page.find(id=source["href"].removeprefix("#")) is not None
        assert "Source: Author [2015]." in row.get_text()
    assert rows[0].th.get_text(strip=True) == GOOD["claim"]
    assert rows[1].select(".math")
    # On a phone the cells are no longer laid out as a table; these roles say what they are.
    tags = Counter((tag.name, tag["role"]) for tag in [table, *table.select("[role]")])
    assert tags == {
        ("table", "table"): 1,
        ("thead", "rowgroup"): 1,
        ("tbody", "rowgroup"): 1,
        ("tr", "row"): 3,
        ("th", "columnheader"): 3,
        ("th", "rowheader"): 2,
        ("td", "cell"): 4,
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (GOOD | {"shown": {"page": "page-gone"}}, "undefined label: 'page-gone'"),
        # a label that is only a comment in a cell is found by nobody
        (GOOD | {"shown": {"page": "page-comment"}}, "undefined label: 'page-comment'"),
        (GOOD | {"source": ["key2016"]}, 'could not find bibtex key "key2016"'),
        (without("status"), "claims.yml: Claim 'sum' has no status"),
    ],
)
def test_a_strict_build_stops(claim: dict, said: str, built) -> None:
    """Every one of these is a warning, and `-W` makes it an error."""
    _, warnings = built(written(claim))
    assert said in warnings
    assert len(warnings.strip().splitlines()) < 10
