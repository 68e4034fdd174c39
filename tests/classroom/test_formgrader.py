"""What an instructor sees in formgrader, in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from classroom_helpers import SLUG


@pytest.fixture(scope="module")
def server(sample, tmp_path_factory):
    """A Jupyter server with formgrader on the sample class; yields its address."""
    home = tmp_path_factory.mktemp("jupyter")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "HOME": str(home),
        **{f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")},
    }
    command = [
        *(sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=course"),
        "--ServerApp.jpserver_extensions=nbgrader.server_extensions.formgrader=True",
    ]
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=sample.folder, env=environment, stdout=log, stderr=log
        )
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(200):
                with contextlib.suppress(urllib.error.URLError, ConnectionError):
                    urllib.request.urlopen(f"{address}/formgrader?token=course", timeout=5).close()
                    break
                assert process.poll() is None, Path(home / "log").read_text()
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def page(browser, server):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.route(lambda url: not url.startswith(server), lambda route: route.abort())
    page.goto(f"{server}/formgrader?token=course")
    return page


@pytest.fixture(scope="module")
def submissions(server):
    """formgrader's own list of what can be graded by hand, by student."""
    url = f"{server}/formgrader/api/submitted_notebooks/{SLUG}/{SLUG}?token=course"
    with urllib.request.urlopen(url, timeout=20) as reply:
        return {s["student"]: s for s in json.load(reply)}


def test_the_assignment_is_listed(page):
    page.get_by_role("link", name=SLUG, exact=True).first.wait_for()


def test_every_submission_is_listed_with_its_score(page, server, sample):
    page.goto(f"{server}/formgrader/manage_submissions/{SLUG}")
    page.get_by_text("kathleen").wait_for()
    rows = {
        cells[1].strip(): cells
        for cells in (row.inner_text().split("\t") for row in page.locator("tbody tr").all())
    }
    assert set(rows) == set(sample.deserved)
    for student, graded in sample.graded.items():
        text = " ".join(rows[student])
        assert f"{graded['score']:g} / 42" in text, text
        waits = bool(graded["problem"]) or any(g["score"] is None for g in graded["grades"])
        assert ("needs manual grading" in text) == waits, text
        assert "needs autograding" not in text


def test_everybody_can_be_looked_at(submissions, sample):
    assert set(submissions) == set(sample.deserved)
    assert not submissions["kathleen"]["needs_manual_grade"]
    assert submissions["olga"]["needs_manual_grade"]


def test_a_graded_submission_shows_the_report(page, server, submissions):
    from playwright.sync_api import expect

    page.goto(f"{server}/formgrader/submissions/{submissions['cecilia']['id']}")
    report = page.get_by_role("group", name="standardize: 3 of 7 points")
    report.wait_for()
    assert "divides by N - 1 where N is asked" in report.inner_text()
    assert report.bounding_box()["width"] > 400
    assert report.get_by_role("img", name="failed").count() == 4
    # formgrader asks for scores and for comments after the page, each on its own.
    score = page.locator("input.score").nth(2)
    expect(score).to_have_attribute("placeholder", "3")
    comment = page.locator("textarea.comment").nth(2)
    expect(comment).to_have_attribute("placeholder", re.compile("divides by N - 1"))


def test_a_submission_that_could_not_be_read_says_why(page, server, submissions):
    page.goto(f"{server}/formgrader/submissions/{submissions['noether']['id']}")
    page.get_by_text("This submission could not be graded").first.wait_for()
