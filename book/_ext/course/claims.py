"""The claims ledger: what is said about batch normalization, and what came of it.

The ledger is data, beside the pages: ``claims.yml``. Each claim is one sentence with a status, a
finding, the place that shows it and the papers it comes from::

    topics:
      - title: What the layer computes
        claims:
          - id: bias-in-front
            claim: A bias in front of batch normalization is wasted.
            status: exact
            finding: Its gradient is zero up to rounding.
            shown: {batchnorm_forward: bn-bias}   # page: label of the section or figure
            source: [ioffe2015batch]              # keys of the bibliography

A claim that is only ``supported elsewhere`` may have, in place of ``shown``, the reason why no
page can show it, as ``not_shown``. ``read`` refuses anything else, and ``{claims}`` puts the
ledger on a page.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

STATUSES = ("exact", "supported here", "supported elsewhere", "contested", "refuted")
TEXTS = ("id", "claim", "status", "finding")
FIELDS = {*TEXTS, "shown", "not_shown", "source"}
IDENTIFIER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
FENCE = re.compile(r"\s*(`{3,}|~{3,}|:{3,})")
HEADING = re.compile(r"#{1,6}\s+(.+?)\s*")
LABEL = re.compile(r"\(([\w-]+)\)=\s*")
FIGURE = re.compile(r"\s+name:\s*(fig-[\w-]+)\s*")


class LedgerError(ValueError):
    """What is wrong with a ledger, one fault per line."""


@dataclass(frozen=True)
class Claim:
    """One sentence, and what came of it."""

    id: str
    claim: str
    status: str
    finding: str
    source: tuple[str, ...]
    shown: tuple[tuple[str, str], ...] = ()  # (page, label)
    not_shown: str = ""


@dataclass(frozen=True)
class Topic:
    """Claims that belong together."""

    title: str
    claims: tuple[Claim, ...]


def read(text: str) -> list[Topic]:
    """Read a ledger; raise ``LedgerError`` with everything that is wrong with it."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LedgerError(f"This is not YAML: {error}") from None
    entries = data.get("topics") if isinstance(data, dict) and len(data) == 1 else None
    if not isinstance(entries, list):
        raise LedgerError("A ledger is a list of topics, under the one key 'topics'.")
    found: list[str] = []
    topics = []
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"title", "claims"}:
            found.append(f"A topic has a title and claims, and nothing else: {entry!r:.80}")
        elif not isinstance(entry["title"], str) or not entry["title"].strip():
            found.append(f"The title of a topic is a text: {entry['title']!r}")
        elif not isinstance(entry["claims"], list) or not entry["claims"]:
            found.append(f"Topic {entry['title']!r} has no claims.")
        else:
            wrong = [fault for claim in entry["claims"] for fault in faults(claim)]
            found += wrong
            if not wrong:
                topics.append(Topic(entry["title"], tuple(map(made, entry["claims"]))))
    every = [claim for topic in topics for claim in topic.claims]
    for what in ("id", "claim"):
        counts = Counter(getattr(claim, what) for claim in every)
        found += [f"Two claims have the {what} {v!r}." for v, n in counts.items() if n > 1]
    if found:
        raise LedgerError("\n".join(found))
    return topics


def faults(entry: Any) -> list[str]:
    """What is wrong with one entry, in sentences that name it."""
    if not isinstance(entry, dict):
        return [f"A claim is a mapping of {', '.join(sorted(FIELDS))}: {entry!r:.80}"]
    name = f"Claim {entry.get('id', entry.get('claim', '?'))!r}"
    found = [f"{name} has an unknown field {field!r}." for field in sorted(set(entry) - FIELDS)]
    for field in TEXTS:
        if not isinstance(entry.get(field), str) or not entry[field].strip():
            found.append(f"{name} has no {field}.")
    if isinstance(entry.get("id"), str) and not IDENTIFIER.fullmatch(entry["id"]):
        found.append(f"{name}: an id has lower-case letters, digits and hyphens.")
    if isinstance(entry.get("claim"), str) and not entry["claim"].rstrip().endswith("."):
        found.append(f"{name} is not a sentence that ends with a full stop.")
    if isinstance(entry.get("status"), str) and entry["status"] not in STATUSES:
        known = ", ".join(STATUSES)
        found.append(f"{name} has the status {entry['status']!r}, not one of: {known}.")
    source = entry.get("source")
    if not isinstance(source, list) or not source or not all(isinstance(s, str) for s in source):
        found.append(f"{name} has no source: a list of keys of the bibliography.")
    return found + faults_of_place(name, entry)


def faults_of_place(name: str, entry: dict[str, Any]) -> list[str]:
    """What is wrong with ``shown`` and ``not_shown``."""
    if "shown" in entry and "not_shown" in entry:
        return [f"{name} is shown and not shown."]
    if "not_shown" in entry:
        if not isinstance(entry["not_shown"], str) or not entry["not_shown"].strip():
            return [f"{name} does not say why it is not shown."]
        if entry.get("status") != "supported elsewhere":
            return [f"{name} has no experiment; only what is supported elsewhere needs none."]
        return []
    shown = entry.get("shown")
    if not isinstance(shown, dict) or not shown:
        return [f"{name} has no experiment: `shown` maps a page to a label on it."]
    return [
        f"{name} names no label on page {page!r}."
        for page, label in shown.items()
        if not isinstance(page, str) or not isinstance(label, str) or not label
    ]


def made(entry: dict[str, Any]) -> Claim:
    """One claim, from an entry without faults."""
    texts = {field: " ".join(entry[field].split()) for field in TEXTS}
    return Claim(
        **texts,
        source=tuple(entry["source"]),
        shown=tuple(entry.get("shown", {}).items()),
        not_shown=" ".join(entry.get("not_shown", "").split()),
    )


def places(text: str) -> dict[str, str]:
    """Labels of sections, cells and figures on a page, with the heading that each stands under."""
    found: dict[str, str] = {}
    waiting: list[str] = []
    heading, fence = "", ""
    for line in text.splitlines():
        if match := FENCE.match(line):
            mark = match.group(1)
            if not fence:
                fence = mark
            elif mark.startswith(fence) and not line.strip().strip(mark[0]):
                fence = ""
        if fence:  # a name in here belongs to a figure, and a "#" to a comment
            if figure := FIGURE.fullmatch(line):
                found[figure.group(1)] = f"{heading} (figure)"
            if waiting:
                found |= dict.fromkeys(waiting, f"{heading} (cell)")
                waiting = []
        elif label := LABEL.fullmatch(line):
            waiting.append(label.group(1))
        elif title := HEADING.fullmatch(line):
            heading = title.group(1)
            found |= dict.fromkeys(waiting, heading)
            waiting = []
        elif line.strip() and waiting:
            found |= dict.fromkeys(waiting, heading)
            waiting = []
    return found


# docutils calls a node's visitor by the name of its class, hence the lower case below.


class claims_table(nodes.General, nodes.Element):
    """The claims of one topic."""


class claims_row(nodes.Part, nodes.Element):
    """One claim: three cells."""


class claims_cell(nodes.Part, nodes.Element):
    """The claim, its status, or what was found."""


class Claims(SphinxDirective):
    """The ledger, as a table for each topic.

    ``claims.yml`` beside the page is read, or the file that the argument names::

        ```{claims}
        ```

    The places are cross-references and the sources citations, so that a strict build stops at a
    label or a key that does not exist. A ledger with a fault is an error that names the claim.
    """

    optional_arguments = 1
    final_argument_whitespace = True

    HEADER: ClassVar[tuple[str, ...]] = ("Claim", "Status", "What came of it")

    def run(self) -> list[nodes.Node]:
        """Build counts, headings and tables."""
        name = self.arguments[0] if self.arguments else "claims.yml"
        relative, path = self.env.relfn2path(name)
        self.env.note_dependency(relative)
        try:
            topics = read(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise self.error(f"The ledger cannot be read: {error}") from error
        except LedgerError as error:
            raise self.error(f"{name}: {error}") from error
        counts = Counter(claim.status for topic in topics for claim in topic.claims)
        line = nodes.paragraph("", f"{counts.total()} claims:", classes=["claims-counts"])
        used = [status for status in STATUSES if counts[status]]
        for status in used:
            end = nodes.Text("." if status == used[-1] else ",")
            line += nodes.Text(" ")
            line += nodes.inline("", f"{counts[status]} ", badge(status), end)
            line[-1]["classes"] = ["claims-count"]
        return [line, self.contents(topics), *map(self.section, topics)]

    def contents(self, topics: list[Topic]) -> nodes.bullet_list:
        """Links to the topics: a ledger is long, and a phone has no table of contents beside it."""
        items = []
        for topic in topics:
            link = nodes.reference("", "", *self.inline(topic.title), refid=target(topic))
            link["internal"] = True
            items.append(nodes.list_item("", nodes.paragraph("", "", link)))
        return nodes.bullet_list("", *items, classes=["claims-topics"])

    def section(self, topic: Topic) -> nodes.section:
        """A heading and its table."""
        heading = nodes.title("", "", *self.inline(topic.title))
        section = nodes.section("", heading, ids=[target(topic)])
        section["names"] = [nodes.fully_normalize_name(f"claims: {topic.title}")]
        self.state.document.note_implicit_target(section, section)
        size = len(topic.claims)
        table = claims_table(
            "",
            *map(self.row, topic.claims),
            title=topic.title,
            size=f"{size} claim{'s' * (size > 1)}",
        )
        self.set_source_info(section)
        section += table
        return section

    def row(self, claim: Claim) -> claims_row:
        """The three cells of a claim."""
        finding = nodes.paragraph("", "", *self.inline(claim.finding))
        evidence = nodes.paragraph("", "", classes=["claims-evidence"])
        if claim.shown:
            evidence += nodes.strong("", "Shown in:")
            for i, (page, label) in enumerate(claim.shown):
                evidence += nodes.Text("; " if i else " ")
                evidence += self.reference(page, label)
            evidence += nodes.Text(". ")
        else:
            evidence += nodes.strong("", "Not shown here:")
            evidence += [nodes.Text(" "), *self.inline(claim.not_shown), nodes.Text(" ")]
        evidence += nodes.strong("", "Source:")
        evidence += nodes.Text(" ")
        evidence += self.inline(f"{{cite:t}}`{','.join(claim.source)}`")
        evidence += nodes.Text(".")
        row = claims_row(
            "",
            claims_cell("", nodes.paragraph("", "", *self.inline(claim.claim)), kind="claim"),
            claims_cell("", nodes.paragraph("", "", badge(claim.status)), kind="status"),
            claims_cell("", finding, evidence, kind="finding"),
        )
        row["ids"] = [f"claim-{claim.id}"]
        return row

    def inline(self, text: str) -> list[nodes.Node]:
        """One line of MyST: formulas, emphasis, references, citations."""
        children, messages = self.state.inline_text(text, self.lineno)
        return [*children, *messages]

    def reference(self, page: str, label: str) -> addnodes.pending_xref:
        """Link to a place, which Sphinx resolves, and complains of if it is not there."""
        relative, path = self.env.relfn2path(f"{page}.md")
        self.env.note_dependency(relative)
        source = Path(path)
        titles = places(source.read_text(encoding="utf-8")) if source.is_file() else {}
        text = nodes.inline("", "", *self.inline(titles.get(label, label)), classes=["std-ref"])
        link = addnodes.pending_xref(
            "",
            text,
            refdomain="std",
            reftype="ref",
            reftarget=label,
            refexplicit=True,
            refwarn=True,
            refdoc=self.env.docname,
        )
        self.set_source_info(link)
        return link


def target(topic: Topic) -> str:
    """The id of a topic's section."""
    return nodes.make_id(f"claims {topic.title}")


def badge(status: str) -> nodes.inline:
    """A status, in words and, besides, in colour."""
    return nodes.inline("", status, classes=["claims-badge", nodes.make_id(f"claims {status}")])


def visit_table(writer: HTML5Translator, node: claims_table) -> None:
    """Open a table with caption and header.

    On a phone the style sheet stacks the cells; the roles then keep for screen readers what a
    browser otherwise derives from ``display: table``.
    """
    writer.body.append(
        '<table class="claims" role="table">'
        f'<caption><span class="visually-hidden">{writer.encode(node["title"])}: </span>'
        f"{node['size']}</caption>\n"
        '<thead role="rowgroup"><tr role="row">'
        + "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in Claims.HEADER)
        + '</tr></thead>\n<tbody role="rowgroup">\n'
    )


def depart_table(writer: HTML5Translator, _node: claims_table) -> None:
    """Close the table."""
    writer.body.append("</tbody></table>\n")


def visit_row(writer: HTML5Translator, node: claims_row) -> None:
    """Open a row, which can be linked to."""
    writer.body.append(writer.starttag(node, "tr", role="row"))


def depart_row(writer: HTML5Translator, _node: claims_row) -> None:
    """Close a row."""
    writer.body.append("</tr>\n")


def visit_cell(writer: HTML5Translator, node: claims_cell) -> None:
    """Open a cell; the claim is the header of its row."""
    head = node["kind"] == "claim"
    tag = '<th scope="row" role="rowheader"' if head else '<td role="cell"'
    writer.body.append(f'{tag} class="claims-{node["kind"]}">')


def depart_cell(writer: HTML5Translator, node: claims_cell) -> None:
    """Close a cell."""
    writer.body.append("</th>" if node["kind"] == "claim" else "</td>\n")


def ignore(_writer: Any, _node: nodes.Node) -> None:
    """Write nothing for the node itself."""


def setup(app: Sphinx) -> None:
    """Register nodes and directive; formats other than HTML show the parts in their order."""
    plain: Any = dict.fromkeys(("latex", "text", "man", "texinfo"), (ignore, ignore))
    app.add_node(claims_table, html=(visit_table, depart_table), **plain)
    app.add_node(claims_row, html=(visit_row, depart_row), **plain)
    app.add_node(claims_cell, html=(visit_cell, depart_cell), **plain)
    app.add_directive("claims", Claims)
