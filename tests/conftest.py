"""What tests in several files share: a browser, small sites, numbers down to the smallest."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Begun in the background, as by nohup: all programs begun here would ignore an interrupt, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def subnormal_numbers(request: pytest.FixtureRequest) -> None:
    """The book's experiments take subnormal numbers for 0, in the whole process; others do not."""
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(request.path.stem.startswith("test_lab"))


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Headless Chromium, one for all tests of a file.

    Not longer: while Playwright is open, nothing else in the process can run an event loop.
    """
    unseen = f"NOT LOOKED AT IN A BROWSER ({request.path.name})"
    api = pytest.importorskip("playwright.sync_api", reason=f"{unseen}: no playwright.")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"{unseen}: none of {', '.join(NAMES)} is installed.")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def build_site() -> Callable[[Path, Path], str]:
    """Build a folder of pages into another, as Sphinx does; return what it warns of."""
    application = pytest.importorskip(
        "sphinx.application", reason="The book's packages are not installed: see `make`."
    )
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    def build(source: Path, built: Path) -> str:
        warnings = StringIO()
        with patch_docutils(str(source)), docutils_namespace():
            application.Sphinx(
                *map(str, (source, source, built, built / "trees")),
                "html",
                status=None,
                warning=warnings,
                confoverrides={"nitpicky": True},
            ).build()
        return warnings.getvalue()

    return build
