"""Does a notebook that wants points without an answer get any? And does anybody else notice?"""

from __future__ import annotations

import pytest
from attacks import ATTACKS, WRONG
from classroom_helpers import LIMITS, Desk, grade_class, scores

from autograder import judge
from autograder.classroom.grading import Graded

BYSTANDERS = ("aaa_first", "m_in_between", "zzz_last")


@pytest.fixture(scope="module")
def hostile_class(desk: Desk) -> dict[str, Graded]:
    """One class of all the attackers, and of three students who did their homework."""
    submissions = [
        desk.read(desk.fill_in(a.answers, above=a.code, below=a.after), name)
        for name, a in ATTACKS.items()
    ]
    submissions += [desk.read(desk.fill_in(), name) for name in BYSTANDERS]
    submissions.sort(key=lambda s: s.student)
    return grade_class(desk, submissions)


def test_the_class_is_graded_to_the_end(hostile_class):
    assert set(hostile_class) == {*ATTACKS, *BYSTANDERS}


def test_others_have_the_grades_that_they_have_alone(hostile_class, desk):
    for name in BYSTANDERS:
        alone = desk.grade(desk.fill_in(), name)
        assert hostile_class[name].to_dict() == alone.to_dict()
        assert alone.score == desk.full


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(name, hostile_class):
    attack, graded = ATTACKS[name], hostile_class[name]
    assert not graded.problem, "every attack is a notebook that can be read"
    assert not graded.blocked, f"it made the grader fail: {graded.headline}"
    assert graded.score == 0, f"{attack.idea}: {scores(graded)}"


def test_total_time_is_bounded(hostile_class):
    for name, graded in hostile_class.items():
        assert graded.seconds < 4 * LIMITS.total_seconds, name


def test_wrong_answers_alone_deserve_nothing(desk):
    assert desk.grade(desk.fill_in(WRONG)).score == 0


def test_numbers_seen_in_the_own_check_are_worth_nothing(desk, subject):
    """A36: what `check` showed to a student is drawn from another seed than what is graded."""
    table: dict[str, dict[bytes, object]] = {}
    for exercise in subject.exercises[:3]:
        answers = table[exercise.name] = {}

        def remember(*args, _right=exercise.reference, _answers=answers, **kwargs):
            result = _right(*args, **kwargs)
            _answers[args[0].tobytes()] = result.tolist()
            return result

        judge.judge(exercise, remember, seed=0, hidden=False)
        assert answers
    code = f"import numpy as np\ntable = {table!r}"
    memorized = {
        name: f"def {name}(X, *args, **kwargs):\n"
        f"    return np.array(table[{name!r}].get(X.tobytes(), 42))"
        for name in table
    }
    assert desk.grade(desk.fill_in(WRONG | memorized, above=code)).score == 0


def test_inputs_are_each_students_own_and_the_same_on_a_regrade(desk):
    """A36: the numbers of a friend are worth nothing; the own ones come back."""
    telling = "def mean_normalize(X):\n    raise ValueError(X[0, 0])"
    notebook = desk.fill_in({"mean_normalize": telling})
    said = [desk.grade(notebook, name).grades[1].headline for name in ("ada", "bob", "ada")]
    assert said[0] == said[2] != said[1]
