"""Pages are executed several at a time, before they are read.

MyST-NB executes a page when it is read, one after another. Here it executes those that its cache
does not have on all cores, and finds them done when it comes to them. A page that fails is
executed again then: MyST-NB says where and why.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
from jupyter_cache import get_cache
from myst_nb.core.execute import create_client
from myst_nb.core.read import create_nb_reader
from sphinx.util.display import status_iterator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

# A page's name, and what MyST-NB makes a client of.
Page = tuple[str, tuple[Any, ...]]


def outdated(env: BuildEnvironment, names: list[str]) -> Iterator[Page]:
    """Those of some pages that have cells to execute, and are not in the cache as they stand."""
    settings = env.mystnb_config
    cache = get_cache(settings.execution_cache_path)
    for name in names:
        path = env.doc2path(name)
        text = Path(path).read_text(encoding="utf-8")
        if reader := create_nb_reader(path, env.myst_config, settings, text):
            notebook = reader.read(text)
            try:
                cache.match_cache_notebook(notebook)
            except KeyError:
                yield name, (notebook, path, settings, reader.read_fmt)


def execute(page: Page) -> str:
    """Execute a page into the cache, in a process of its own; return its name."""
    name, (notebook, path, settings, read_fmt) = page
    logging.disable()
    with (
        suppress(Exception),  # the reader meets it again, and tells of it
        create_client(notebook, path, settings, logging.getLogger(), read_fmt),
    ):
        pass
    return name


def execute_pages(app: Sphinx, env: BuildEnvironment, names: list[str]) -> None:
    """Execute the pages that are about to be read, as many at a time as there are cores."""
    if env.mystnb_config.execution_mode != "cache":
        return
    pages = list(outdated(env, names))
    together = min(len(pages), joblib.cpu_count())
    if together > 1:
        parallel = joblib.Parallel(together, return_as="generator_unordered", batch_size=1)
        done = parallel(map(joblib.delayed(execute), pages))
        about = f"executing pages, {together} at a time... "
        for _ in status_iterator(done, about, "purple", len(pages), app.verbosity):
            pass


def setup(app: Sphinx) -> None:
    """Execute before anything is read."""
    app.connect("env-before-read-docs", execute_pages)
