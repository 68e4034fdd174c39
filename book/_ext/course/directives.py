"""The directives which pages of the course are written with.

They need no server and no script: an option of a quiz is a ``<details>``, which every browser
can open with a key, every screen reader announces, and which prints open.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, cast

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from docutils.parsers.rst.states import RSTState
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

# docutils calls a node's visitor by the name of its class, hence the lower case below.
MARK = re.compile(r"\[([ xX])\]\s+")


class quiz(nodes.General, nodes.Element):
    """A question with its options."""


class quiz_option(nodes.Part, nodes.Element):
    """One option: a ``quiz_choice`` and a ``quiz_answer``."""


class quiz_choice(nodes.Part, nodes.TextElement):
    """What can be chosen, always visible."""


class quiz_answer(nodes.Part, nodes.Element):
    """Whether that is right, and why; visible once the option is opened."""


class Quiz(SphinxDirective):
    """A question to check oneself, with options that explain themselves.

    The body is the question, then one list. Each item of the list is an option: it begins with
    ``[x]`` if it is right and ``[ ]`` if it is wrong, and goes on, after a blank line, with the
    reason, indented like any continued list item::

        ```{quiz}
        You divide every feature by its range. Which of these changes?

        - [ ] The order of the samples along a feature

          No: $x \\mapsto (x - a) / b$ with $b > 0$ is increasing, so the order stays.
        - [x] The ratio of two features' variances

          Yes: each variance is divided by the square of its own range.
        ```

    An optional argument replaces the title "Check yourself"; ``:name:`` makes the question a
    target for ``{ref}``. Several options may be right. A quiz without a right option or with an
    option that is not explained is an error, which stops a strict build.
    """

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {"name": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Turn question and list into nodes."""
        self.assert_has_content()
        body = nodes.container()
        nested_parse(self, body)
        children = list(body.children)
        if not children or not isinstance(children[-1], nodes.bullet_list):
            raise self.error("A quiz ends with the list of its options.")
        items = cast("nodes.bullet_list", children.pop())
        if not children:
            raise self.error("A quiz begins with its question.")

        title = self.arguments[0] if self.arguments else "Check yourself"
        question = nodes.container("", *children, classes=["quiz-question"])
        question["ids"] = [f"quiz-question-{self.env.new_serialno('quiz')}"]
        result = quiz("", question, title=title)
        self.set_source_info(result)
        self.add_name(result)
        result += [self.option(cast("nodes.list_item", item)) for item in items]
        if not any(option["right"] for option in result.findall(quiz_option)):
            raise self.error("A quiz needs a right option: begin it with [x].")
        return [result]

    def option(self, item: nodes.list_item) -> quiz_option:
        """Read one item: ``[x] choice``, then the blocks which explain it."""
        first, *reasons = item.children
        text = first.children[0] if first.children else None
        mark = MARK.match(text.astext()) if isinstance(text, nodes.Text) else None
        if not isinstance(first, nodes.paragraph) or text is None or mark is None:
            raise self.error("An option of a quiz begins with [x] or [ ].")
        if not reasons:
            raise self.error(f"This option of a quiz is not explained: {first.astext()!r}")
        choice = quiz_choice("", "", nodes.Text(text.astext()[mark.end() :]), *first.children[1:])
        right = mark.group(1) != " "
        return quiz_option("", choice, quiz_answer("", *reasons, right=right), right=right)


class Objectives(SphinxDirective):
    """What a chapter teaches, what it needs, and how long it takes: the head of a page.

    The body is a list that completes "After this chapter you can"; both options are MyST::

        ```{objectives}
        :prerequisites: mean and variance; NumPy arrays ({doc}`notation`)
        :time: 40 minutes to read, 60 for the exercise

        - say which models care about the scale of a feature, and why;
        - fit a scaler without looking at the test set.
        ```
    """

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "prerequisites": directives.unchanged_required,
        "time": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Build the box."""
        self.assert_has_content()
        box = nodes.admonition(classes=["objectives"])
        box += nodes.title("", "After this chapter you can")
        nested_parse(self, box)
        facts = nodes.definition_list(classes=["objectives-facts"])
        for option, term in (("prerequisites", "You need"), ("time", "Time")):
            if option in self.options:
                inline, messages = self.state.inline_text(self.options[option], self.lineno)
                fact = nodes.paragraph("", "", *inline)
                facts += nodes.definition_list_item(
                    "", nodes.term("", term), nodes.definition("", fact, *messages)
                )
        if facts.children:
            box += facts
        return [box]


class Graded(SphinxDirective):
    """The card that leads from a page to its exercise notebook.

    The argument is the chapter's slug; the body says what is asked::

        ```{graded} feature_scaling
        Write `Standardizer` and find the leak in a pipeline. Each answer is checked as you go.
        ```

    The card offers ``exercises/<slug>/<slug>.ipynb`` as a download and, where the repository is
    known (see ``settings.use_repository``), a link that opens it in Colab. A notebook which does
    not exist is a warning, which stops a strict build.
    """

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build the card."""
        slug = self.arguments[0]
        path = f"exercises/{slug}/{slug}.ipynb"
        self.env.metadata[self.env.docname]["exercise"] = path
        card = nodes.admonition(classes=["graded"])
        card += nodes.title("", "Graded exercise")
        nested_parse(self, card)

        links = nodes.paragraph(classes=["graded-links"])
        download = addnodes.download_reference(
            "",
            "",
            nodes.inline("", "Download the notebook"),
            reftarget=f"/{path}",
            refdoc=self.env.docname,
        )
        self.set_source_info(download)
        links += download
        if url := colab_url(self.config.course_repository, self.config.course_branch, path):
            links += [nodes.Text(" "), nodes.reference("", "Open it in Colab", refuri=url)]
        card += links
        card += nodes.paragraph(
            "",
            "",
            nodes.Text("In a copy of the repository it is "),
            nodes.literal("", path),
            nodes.Text("."),
            classes=["graded-path"],
        )
        return [card]


def nested_parse(directive: SphinxDirective, into: nodes.Element) -> None:
    """Parse a directive's body as MyST, into a node."""
    state = cast("RSTState", directive.state)
    state.nested_parse(directive.content, directive.content_offset, into)


def colab_url(repository: str, branch: str, path: str) -> str:
    """Address that opens a notebook of the repository in Colab; empty when it is not known."""
    if not repository:
        return ""
    return f"https://colab.research.google.com/github/{repository}/blob/{branch}/{path}"


def visit_quiz(writer: HTML5Translator, node: quiz) -> None:
    """Open the group, named by its question."""
    label = node[0]["ids"][0]
    attributes = {"role": "group", "aria-labelledby": label}
    writer.body.append(writer.starttag(node, "div", CLASS="quiz", **attributes))
    writer.body.append(f'<p class="quiz-title">{writer.encode(node["title"])}</p>\n')


def visit_option(writer: HTML5Translator, node: quiz_option) -> None:
    """Open an option, and the list before the first of them."""
    if isinstance(node.parent, quiz) and node.parent.index(node) == 1:
        writer.body.append('<ol class="quiz-options">\n')
    kind = "quiz-right" if node["right"] else "quiz-wrong"
    writer.body.append(f'<li><details class="{kind}">\n')


def depart_option(writer: HTML5Translator, node: quiz_option) -> None:
    """Close an option, and the list after the last of them."""
    writer.body.append("</details></li>\n")
    if isinstance(node.parent, quiz) and node.parent[-1] is node:
        writer.body.append("</ol>\n")


def visit_answer(writer: HTML5Translator, node: quiz_answer) -> None:
    """Open the answer with its verdict, in words and not in colour alone."""
    verdict = "Right." if node["right"] else "Not this one."
    writer.body.append(f'<div class="quiz-answer"><p class="quiz-verdict">{verdict}</p>\n')


def opening(tag: str) -> Any:
    """Visitor that opens a plain tag."""
    return lambda writer, node: writer.body.append(f"<{tag}>")


def closing(tag: str) -> Any:
    """Visitor that closes a tag."""
    return lambda writer, node: writer.body.append(f"</{tag}>\n")


def setup(app: Sphinx) -> None:
    """Register nodes and directives; formats other than HTML show the parts in their order."""
    plain: Any = dict.fromkeys(("latex", "text", "man", "texinfo"), (ignore, ignore))
    app.add_node(quiz, html=(visit_quiz, closing("div")), **plain)
    app.add_node(quiz_option, html=(visit_option, depart_option), **plain)
    app.add_node(quiz_choice, html=(opening("summary><span"), closing("span></summary")), **plain)
    app.add_node(quiz_answer, html=(visit_answer, closing("div")), **plain)
    app.add_directive("quiz", Quiz)
    app.add_directive("objectives", Objectives)
    app.add_directive("graded", Graded)


def ignore(_writer: Any, _node: nodes.Node) -> None:
    """Write nothing for the node itself."""
