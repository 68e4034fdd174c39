"""Benchmarks run hostile notebooks with stock nbgrader: they must not reach what is not theirs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks import alone

sys.path.insert(0, str(Path(__file__).parent / "classroom"))
from attacks import ATTACKS

RESULT, SCORE = '{"submissions": []}', 7


@pytest.fixture(autouse=True, scope="module")
def _possible():
    if not alone.possible():
        pytest.skip("NO NAMESPACES HERE: whether attacks on stock nbgrader are walled in")


@pytest.fixture
def courses(tmp_path):
    """The course that is attacked, and another one beside it."""
    for name in ("mine", "other"):
        (tmp_path / name / "grades").mkdir(parents=True)
        (tmp_path / name / "grades" / "feature_scaling.json").write_text(RESULT)
        book = sqlite3.connect(tmp_path / name / "gradebook.db")
        book.executescript(f"create table grade (auto_score); insert into grade values ({SCORE});")
        book.close()
    return tmp_path / "mine", tmp_path / "other"


def score(course):
    """What the gradebook says."""
    with closing(sqlite3.connect(course / "gradebook.db")) as book:
        return book.execute("select * from grade").fetchone()[0]


def run(course, code):
    """Run code in the course, as an attack on stock nbgrader is."""
    command = [*alone.prefix(course), sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["gradebook", "ledger"])
def test_an_attack_changes_grades_of_its_own_course_only(name, courses):
    mine, other = courses
    run(mine, ATTACKS[name].code)
    changed = [score(mine) != SCORE, (mine / "grades/feature_scaling.json").read_text() != RESULT]
    assert any(changed), "the attack works where it may"
    assert score(other) == SCORE
    assert (other / "grades" / "feature_scaling.json").read_text() == RESULT


def test_nothing_can_be_written_but_one_folder_and_a_tmp_that_vanishes(courses):
    mine, other = courses
    places = [other / "left", Path(alone.__file__), Path(sys.prefix) / "left", Path("/left")]
    places.append(Path.home() / "left")
    code = f"for place in {[str(p) for p in places]}:\n"
    code += "    try:\n        open(place, 'a').close()\n    except OSError:\n        continue\n"
    code += "    raise SystemExit(place)\n"
    code += "open('left', 'w'); open('/tmp/left_by_an_attack', 'w')"
    run(mine, code)
    assert (mine / "left").exists()
    assert not Path("/tmp/left_by_an_attack").exists()


def test_what_is_read_only_cannot_be_mounted_anew(courses):
    mine, other = courses
    code = "import ctypes\nlibc = ctypes.CDLL(None)\n"
    code += "places = [line.split()[4] for line in open('/proc/self/mountinfo')]\n"
    code += "for place in places:\n"
    code += "    libc.mount(None, place.encode(), None, 32 | 4096, None)\n"  # remount, bind
    code += "    libc.umount2(place.encode(), 2)\n"
    code += "    libc.unshare(0x10000000 | 0x00020000)\n"  # another user, another mount table
    code += f"try:\n    open({str(other / 'left')!r}, 'w')\nexcept OSError:\n    pass"
    run(mine, code)
    assert not (other / "left").exists()
