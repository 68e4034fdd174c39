"""The course's secret: made once, kept to oneself, and the source of every student's inputs."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from autograder.classroom.release import CourseError
from autograder.classroom.secret import BYTES, course_secret, secret_path, seed

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOGRADER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_it_is_made_once(place):
    first = course_secret("bn")
    assert len(first) == BYTES
    assert course_secret("bn") == first
    assert [p.name for p in place.iterdir()] == ["bn.secret"]


def test_every_course_has_its_own():
    assert course_secret("bn") != course_secret("cnn")


def test_only_its_owner_can_read_it(place):
    course_secret("bn")
    assert place.stat().st_mode & 0o777 == 0o700
    assert secret_path("bn").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_one_that_others_can_read_is_refused(mode):
    course_secret("bn")
    secret_path("bn").chmod(mode)
    with pytest.raises(CourseError, match="chmod 600"):
        course_secret("bn")


def test_what_to_do_about_it_can_be_typed(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOGRADER_HOME", str(tmp_path / "my home"))
    course_secret("bn")
    secret_path("bn").chmod(0o644)
    with pytest.raises(CourseError, match="others; run: chmod 600") as caught:
        course_secret("bn")
    subprocess.run(str(caught.value).partition("run: ")[2], shell=True, check=True)
    course_secret("bn")


@pytest.mark.parametrize("text", ["", "xyz", "00" * 31, "00" * 33, "\xff"])
def test_one_that_is_none_is_refused(text):
    course_secret("bn")
    secret_path("bn").write_text(text, encoding="latin-1")
    with pytest.raises(CourseError, match="is no secret"):
        course_secret("bn")


def test_a_place_where_nothing_can_be_kept(place, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUTOGRADER_HOME", str(tmp_path / "file"))
    with pytest.raises(CourseError, match="AUTOGRADER_HOME"):
        course_secret("bn")


def test_a_folder_in_its_place():
    secret_path("bn").mkdir(parents=True, mode=0o700)
    with pytest.raises(CourseError, match="cannot be kept"):
        course_secret("bn")


def test_runs_that_begin_at_once_agree(place):
    with ThreadPoolExecutor(16) as executor:
        found = set(executor.map(lambda _: course_secret("bn"), range(64)))
    assert len(found) == 1
    assert [p.name for p in place.iterdir()] == ["bn.secret"]


@pytest.mark.parametrize("course", ["", "../../etc", "a/b", "..", "batch normalization", "Größe"])
def test_its_name_stays_in_its_folder(course, place):
    assert secret_path(course).parent == place
    course_secret(course)


def test_where_it_lies_without_being_told(monkeypatch, tmp_path):
    monkeypatch.delenv("AUTOGRADER_HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert secret_path("bn") == tmp_path / "config" / "autograder" / "bn.secret"


def test_seeds_differ_in_all_that_they_depend_on():
    key, other = bytes(32), bytes(31) + b"\1"
    seeds = [
        seed(key, "a", "eve", "x"),
        seed(other, "a", "eve", "x"),
        seed(key, "b", "eve", "x"),
        seed(key, "a", "bob", "x"),
        seed(key, "a", "eve", "y"),
        seed(key, "a", "ev", "ex"),
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= s < 2**128 for s in seeds)
    assert seeds[0] == seed(key, "a", "eve", "x")
