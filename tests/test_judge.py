"""The judge: verdicts, sentences, diagnoses, and that no answer can disturb it."""

import math
import os
import re
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.chapters import find
from autograder.exercise import (
    Argument,
    Exercise,
    Raised,
    Tolerance,
    mistake,
    outcome,
    probe,
)
from autograder.judge import judge
from autograder.verdict import Failure, Lost, Verdict

# --- a small exercise: center the columns of a table -----------------------------------------


def center(X):
    return X - X.mean(axis=0)


@probe(2)
def mean_zero(f, rng):
    """Each column has mean 0."""
    return {"the column means": f(rng.normal(size=(5, 3)) + 4).mean(axis=0)}


@probe(1)
def keeps_distances(f, rng):
    """Rows keep their distances."""
    return {"the distances": np.diff(f(rng.normal(size=(5, 3))), axis=0)}


@probe(1)
def leaves_its_input_alone(f, rng):
    """The table is left as it was."""
    X = rng.normal(size=(4, 2)) + 1
    f(X)
    return {"X": Argument(X)}


@probe(1, hidden=True)
def one_row(f, rng):
    """A single row becomes 0."""
    return {"the row": f(rng.normal(size=(1, 3)))}


@mistake(earns=2, hint="Take the mean along axis 0.")
def subtracts_the_mean_of_all(X):
    """The mean of the whole table is subtracted."""
    return X - X.mean()


@mistake(earns=4, hint="`X -= m` writes into X.")
def in_place(X):
    """The table is changed in place."""
    X -= X.mean(axis=0)
    return X


@mistake(earns=4, hint="Do not divide.")
def halves(X):
    """The result is halved."""
    return (X - X.mean(axis=0)) / 2


@mistake(earns=0, hint="Return the array alone.")
def returns_a_pair(X):
    """The mean is returned, too."""
    return X - X.mean(axis=0), X.mean(axis=0)


def exercise(**changes):
    described = {
        "name": "center",
        "reference": center,
        "probes": (mean_zero, keeps_distances, leaves_its_input_alone, one_row),
        "mistakes": (subtracts_the_mean_of_all, in_place, halves, returns_a_pair),
    }
    return Exercise(**(described | changes))


CENTER = exercise()


def verdicts(report):
    return [f.verdict.value for f in report.findings]


def details(report):
    return [f.detail for f in report.findings if f.verdict is not Verdict.PASS]


def named(report):
    return [d.mistake for d in report.diagnoses]


# --- verdicts and sentences ------------------------------------------------------------------


class TestVerdict:
    def test_a_right_answer_passes_and_earns_everything(self):
        report = judge(CENTER, lambda X: X - np.mean(X, 0))
        assert verdicts(report) == ["PASS"] * 4
        assert report.passed
        assert report.earned == report.possible == report.points == 5
        assert details(report) == []
        assert named(report) == []

    def test_a_wrong_answer_is_told_what_differs(self):
        report = judge(CENTER, lambda X: X - X.mean(axis=0) + 3)
        assert verdicts(report) == ["WRONG", "PASS", "PASS", "WRONG"]
        assert details(report)[0].startswith("the column means: 3 of 3 entries differ")
        assert details(report)[0].endswith("Every entry is 3 too high.")
        assert report.earned == 2

    def test_an_error_tells_the_call_and_the_line(self):
        def answer(X):
            scale = 1 / (X.shape[1] - X.shape[1])
            return scale * X

        line = answer.__code__.co_firstlineno + 1
        report = judge(CENTER, answer, hidden=False)
        assert verdicts(report) == ["ERROR"] * 3
        assert details(report)[0] == (
            "center(5×3 float64 array) raised ZeroDivisionError: division by zero, in "
            f"line {line}: `scale = 1 / (X.shape[1] - X.shape[1])`"
        )

    def test_an_error_inside_numpy_is_shown_at_the_students_line(self):
        def answer(X):
            return np.linalg.inv(X)

        assert details(judge(CENTER, answer))[0].endswith("`return np.linalg.inv(X)`")

    def test_the_call_is_shown_with_all_that_was_given(self):
        @probe()
        def asks(f, rng):
            """Takes all kinds of arguments."""
            return {"it": f(np.zeros((2, 2), int), 3, "mean", [1, 2], axis=(0, 1), out=None)}

        report = judge(exercise(reference=lambda *a, **k: 1, probes=(asks,)), lambda: 1)
        assert details(report)[0].startswith(
            "center(2×2 int64 array, 3, 'mean', [1, 2], axis=(0, 1), out=None) raised TypeError"
        )

    def test_a_line_of_a_probe_is_not_the_students(self):
        report = judge(CENTER, lambda: 3)
        assert "takes 0 positional arguments but 1 was given" in details(report)[0]
        assert ", in line" not in details(report)[0]
        assert "rng" not in details(report)[0]

    def test_an_empty_answer_is_missing(self):
        def answer(X):
            raise NotImplementedError

        report = judge(CENTER, answer)
        assert verdicts(report) == ["MISSING"] * 4
        assert details(report)[0] == (
            "center is not written yet: it still raises NotImplementedError"
        )
        assert report.earned == 0

    def test_none_is_missing(self):
        report = judge(CENTER, None)
        assert verdicts(report) == ["MISSING"] * 4
        assert details(report)[0].startswith("there is no center: define it")

    def test_what_cannot_be_called_is_missing(self):
        report = judge(CENTER, np.zeros((2, 3)), hidden=False)
        assert verdicts(report) == ["MISSING"] * 3
        assert report.unseen == 1
        assert details(report)[0] == (
            "center is an array of shape (2, 3) and dtype float64, not a function or a class: was "
            "it called, or its name used for something else?"
        )

    @pytest.mark.parametrize(
        ("fails", "asks"),
        [
            (
                lambda X: X - m,  # noqa: F821
                "is it spelled right, and does a cell before this one define it?",
            ),
            (lambda X: self.mean, "is `self` the first parameter?"),  # noqa: F821
            (lambda X: X @ X, "`A @ B` needs as many columns in A as B has rows"),
            (lambda X: X if X > 0 else -X, "entry by entry there are `np.where`"),
        ],
    )
    def test_what_beginners_meet_comes_with_what_to_look_for(self, fails, asks):
        assert asks in details(judge(CENTER, fails))[0]

    def test_an_exception_of_another_kind_speaks_for_itself(self):
        def mean(X):
            return X.mean(axis=0)

        for fails in (lambda X: X / "2", lambda X: X - mean(X, 0)):
            assert not re.search(r"[?]|`A @ B`", details(judge(CENTER, fails))[0])

    def test_a_method_without_self_is_asked_for_it(self):
        class Forgetful:
            def fit(X):
                return X

        report = judge(find("Scaler"), Forgetful)
        assert "does it take `self`, and all that it is given?" in details(report)[0]

    def test_changing_the_input_is_told(self):
        report = judge(CENTER, in_place.implementation)
        assert verdicts(report) == ["PASS", "PASS", "WRONG", "PASS"]
        assert details(report)[0].startswith("X: the array that you were given was changed in")

    def test_a_forgotten_return_is_told_by_the_call(self):
        def answer(X):
            X - X.mean(axis=0)

        report = judge(CENTER, answer)
        assert verdicts(report) == ["WRONG", "WRONG", "PASS", "WRONG"]
        assert details(report)[0] == (
            "center(5×3 float64 array) returned None where an array of shape (5, 3) and dtype "
            "float64 is expected: is there a `return`?"
        )

    def test_none_in_what_was_returned_is_no_forgotten_return(self):
        report = judge(CENTER, lambda X: None)
        assert details(report)[0].endswith("is there a `return`?")

        @probe()
        def second(f, rng):
            """The second is right."""
            return {"the second": f()[1]}

        report = judge(Exercise("pair", lambda: (1.0, 2.0), (second,)), lambda: (1.0, None))
        assert details(report) == ["the second: it is None where 2 is expected"]

    def test_another_shape_is_told_by_the_call_and_not_by_what_follows_from_it(self):
        report = judge(CENTER, lambda X: (X - X.mean(axis=0)).T)
        assert details(report)[0] == (
            "center(5×3 float64 array) returned an array of shape (3, 5) where (5, 3) is "
            "expected: rows and columns are exchanged"
        )

    def test_another_dtype_is_told_by_the_call(self):
        report = judge(CENTER, lambda X: (X - X.mean(axis=0)).astype(np.float32))
        assert "returned an array of dtype float32 where float64" in details(report)[0]

    def test_an_object_that_is_no_data_is_named(self):
        report = judge(CENTER, lambda X: {1, 2})
        assert "returned a set where an array" in details(report)[0]
        assert "Witness" not in str(report)

    def test_an_object_among_plain_data_is_named_and_explained_by_no_mistake(self):
        @probe()
        def middle(f, rng):
            """The first result is the middle."""
            return {"the middle": f(np.arange(5.0))[0]}

        @mistake(hint="No.")
        def wrong_elsewhere(x):
            """Elsewhere it is wrong."""
            return x.mean(), None

        exercise = Exercise("middle", lambda x: (x.mean(), None), (middle,), (wrong_elsewhere,))
        report = judge(exercise, lambda x: (x.mean(), {"later": [lambda: x]}))
        assert details(report) == [
            "middle(5 float64 array) returned a tuple of 2 with a function in it, where only plain "
            "data may be: numbers, strings, arrays, lists, tuples, dicts"
        ]
        assert report.diagnoses == ()

    def test_running_out_of_memory_is_not_the_end(self):
        def answer(X):
            raise MemoryError

        assert verdicts(judge(CENTER, answer)) == ["MEMORY"] * 4

    def test_endless_recursion(self):
        def answer(X):
            return answer(X)

        report = judge(CENTER, answer)
        assert verdicts(report) == ["ERROR"] * 4
        assert "RecursionError" in details(report)[0]
        assert details(report)[0].endswith("`return answer(X)`")

    @pytest.mark.parametrize("leave", [sys.exit, lambda: sys.exit("bye"), exit])
    def test_leaving_the_program(self, leave):
        report = judge(CENTER, lambda X: leave())
        assert verdicts(report) == ["ERROR"] * 4
        assert "raised SystemExit: exit() ends the whole program; use return" in details(report)[0]

    @pytest.mark.parametrize("kind", [GeneratorExit, BaseException, StopIteration, AssertionError])
    def test_any_other_exception(self, kind):
        def answer(X):
            raise kind("!")

        assert verdicts(judge(CENTER, answer)) == ["ERROR"] * 4

    def test_an_interrupt_passes(self):
        def answer(X):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            judge(CENTER, answer)

    def test_an_exception_that_cannot_be_printed(self):
        class Mute(Exception):
            def __str__(self):
                raise ValueError("no")

        def answer(X):
            raise Mute

        assert "raised Mute" in details(judge(CENTER, answer))[0]
        assert outcome(lambda: answer(1)) == Raised(("Mute", "Exception"))

    def test_a_long_message_is_cut(self):
        def answer(X):
            raise ValueError("one\ntwo " + "x" * 100_000)

        detail = details(judge(CENTER, answer))[0]
        assert "ValueError: one two xxx" in detail
        assert len(detail) < 600

    def test_a_failing_reference_is_not_the_students_fault(self):
        def broken(X):
            raise ValueError("oops")

        report = judge(exercise(reference=broken), center)
        assert verdicts(report) == ["INTERNAL"] * 4
        assert report.verdict is Verdict.INTERNAL
        first = report.findings[0].probe
        said = f"the reference itself failed in the probe {first} (ValueError: oops)"
        assert details(report)[0] == said


class TestClasses:
    """Instances and methods are followed, too."""

    class Counter:
        def __init__(self):
            self.n = 0

        def add(self, k):
            self.n += k
            return self

        def value(self):
            return self.n

    @staticmethod
    @probe()
    def adds(C, rng):
        """Adding can be chained."""
        return {"the sum": C().add(2).add(3).value()}

    def judged(self, answer):
        task = Exercise("Counter", self.Counter, (self.adds,))
        return judge(task, answer)

    def test_a_right_one(self):
        assert self.judged(self.Counter).passed

    def test_a_method_that_returns_nothing_is_named(self):
        class Answer(self.Counter):
            def add(self, k):
                self.n += k

        assert details(self.judged(Answer)) == [
            "Counter.add(2) returned None where a Counter is expected: is there a `return`?"
        ]

    def test_a_method_after_another_is_named(self):
        class Answer(self.Counter):
            def value(self):
                return self.m

        detail = details(self.judged(Answer))[0]
        assert detail.startswith("Counter.add(…).add(…).value() raised AttributeError: 'Answer'")
        assert detail.endswith("`return self.m`")

    def test_a_method_that_is_not_there(self):
        class Answer:
            def add(self, k):
                return self

        report = self.judged(Answer)
        assert verdicts(report) == ["MISSING"]
        assert details(report) == ["there is no Counter.add(…).add(…).value: is it written yet?"]

    def test_an_empty_method(self):
        class Answer(self.Counter):
            def value(self):
                raise NotImplementedError

        assert details(self.judged(Answer)) == [
            "Counter.add(…).add(…).value is not written yet: it still raises NotImplementedError"
        ]

    def test_a_property_that_raises(self):
        class Answer(self.Counter):
            @property
            def value(self):
                return self.nothing

        report = self.judged(Answer)
        assert verdicts(report) == ["ERROR"]
        assert details(report)[0].endswith("`return self.nothing`")

    def test_an_attribute_is_seen_as_it_is(self):
        @probe()
        def reads(C, rng):
            """`n` begins at 0."""
            return {"n": C().n}

        class Answer:
            n = {1, 2}  # noqa: RUF012

        report = judge(Exercise("Counter", self.Counter, (reads,)), Answer)
        assert details(report) == ["n: it is a set where the number 0 is expected"]

    def test_an_earlier_call_explains_a_later_error(self):
        @probe()
        def chains(C, rng):
            """A value can be added."""
            first = C().value()
            return {"the sum": C().add(first).value()}

        class Answer(self.Counter):
            def value(self):
                pass

        report = judge(Exercise("Counter", self.Counter, (chains,)), Answer)
        assert details(report)[0].startswith("Counter.value() returned None where 0 is expected")

    def test_a_forgotten_return_that_nobody_used_is_not_blamed(self):
        @probe()
        def adds_in_steps(C, rng):
            """Numbers can be added one by one."""
            counter = C()
            counter.add(2)
            counter.add(3)
            return {"the sum": counter.value()}

        class Answer(self.Counter):
            def add(self, k):
                self.n += k

            def value(self):
                return self.n + 1

        report = judge(Exercise("Counter", self.Counter, (adds_in_steps,)), Answer)
        assert details(report) == ["the sum: it is 6 where 5 is expected"]

    def test_a_probe_that_cannot_go_on_names_the_call_and_what_it_gave(self):
        @probe()
        def looks_up(f, rng):
            """The dict has the key "a"."""
            return {"a": f(1)["a"]["b"]}

        task = Exercise("make", lambda n: {"a": {"b": n}}, (looks_up,))
        assert details(judge(task, lambda n: {"b": n})) == [
            "make(1) returned a dict without the key 'a'"
        ]
        assert details(judge(task, lambda n: {"a": {}})) == [
            "make(1) returned a dict of 1, and then came KeyError: 'b'"
        ]

    def test_what_a_method_returns_where_nothing_is_asked_is_no_cause(self):
        @probe()
        def resets(C, rng):
            """A counter that is reset begins anew."""
            counter = C()
            counter.add(3)
            counter.reset()
            return {"the sum": counter.value()}

        class Reference(self.Counter):
            def reset(self):
                self.n = 0

        class Answer(self.Counter):
            def reset(self):
                self.n = 1
                return self

        report = judge(Exercise("Counter", Reference, (resets,)), Answer)
        assert details(report) == ["the sum: it is 1 where 0 is expected"]

    def test_a_list_for_a_tuple_is_not_blamed_for_another_fault(self):
        @probe()
        def pair(f, rng):
            """The second value is 2."""
            _, b = f()
            return {"the second": b}

        task = Exercise("pair", lambda: (1, 2), (pair,))
        assert judge(task, lambda: [1, 2]).passed
        assert details(judge(task, lambda: [1, 3])) == ["the second: it is 3 where 2 is expected"]
        assert details(judge(task, lambda: (1, 2, 3))) == [
            "pair() returned a tuple of 3 where a tuple of 2 values is expected"
        ]


# --- what happens around a call --------------------------------------------------------------


class TestQuiet:
    def test_prints_are_kept_for_the_report(self, capfd):
        def answer(X):
            print("looking at", X.shape)
            print("oh", file=sys.stderr)
            return center(X)

        report = judge(CENTER, answer, hidden=False)
        assert report.passed
        assert report.printed.startswith("looking at (5, 3)\noh\n")
        assert capfd.readouterr() == ("", "")

    def test_warnings_are_kept_each_once(self, capfd):
        def answer(X):
            warnings.warn("careful", stacklevel=1)
            np.zeros(1) / 0
            return center(X)

        report = judge(CENTER, answer)
        assert report.warned == (
            "UserWarning: careful",
            "RuntimeWarning: invalid value encountered in divide",
        )
        assert capfd.readouterr() == ("", "")

    def test_a_flood_of_prints_is_cut(self):
        def answer(X):
            print("x" * 1_000_000)
            return center(X)

        assert len(judge(CENTER, answer).printed) <= 50_000

    def test_huge_numbers_cause_no_warning(self):
        report = judge(CENTER, lambda X: np.full_like(X, 1e308) * np.sign(X))
        assert not report.passed

    @pytest.mark.parametrize("huge", [10**400, 1e400, -(10**30)])
    def test_no_number_breaks_the_judge(self, huge):
        task = exercise(reference=lambda: 1.0, probes=(calls,), mistakes=())
        assert verdicts(judge(task, lambda: huge)) == ["WRONG"]

    def test_settings_of_numpy_do_not_change_the_verdict(self):
        def answer(X):
            np.zeros(1) / 0
            return center(X)

        with np.errstate(all="raise"):
            assert judge(CENTER, answer).passed

    def test_a_changed_setting_of_numpy_does_not_stay(self):
        def answer(X):
            np.seterr(all="ignore")
            return center(X)

        before = np.geterr()
        judge(CENTER, answer)
        assert np.geterr() == before

    def test_stdout_is_given_back_after_an_interrupt(self):
        def answer(X):
            raise KeyboardInterrupt

        out = sys.stdout
        with pytest.raises(KeyboardInterrupt):
            judge(CENTER, answer)
        assert sys.stdout is out


@probe()
def calls(f, rng):
    """It gives 1."""
    return {"the result": f()}


class TestHidden:
    def test_a_student_does_not_run_them(self):
        rows = []

        def answer(X):
            rows.append(len(X))
            return center(X)

        report = judge(CENTER, answer, hidden=False)
        assert 1 not in rows
        assert [f.probe for f in report.findings] == [p.name for p in CENTER.probes[:3]]
        assert (report.earned, report.possible, report.points, report.unseen) == (4, 4, 5, 1)

    def test_they_count_when_graded(self):
        report = judge(CENTER, lambda X: center(X) if len(X) > 1 else X)
        assert verdicts(report) == ["PASS", "PASS", "PASS", "WRONG"]
        assert report.findings[-1].hidden
        assert report.earned == 4
        assert report.unseen == 0


class TestSeeds:
    @staticmethod
    def watched(seen):
        def answer(X):
            seen.append(X.copy())
            return X - X.mean()

        return answer

    def test_the_same_seed_gives_the_same_report(self):
        one, two = (judge(CENTER, halves.implementation, seed=(1, 2)) for _ in range(2))
        assert one.to_dict() == two.to_dict()

    def test_another_seed_gives_other_inputs_and_the_same_verdict(self):
        first, second = [], []
        one = judge(CENTER, self.watched(first), seed=1)
        two = judge(CENTER, self.watched(second), seed=2)
        assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
        assert verdicts(one) == verdicts(two)
        assert named(one) == named(two) == ["subtracts_the_mean_of_all"]

    def test_probes_do_not_depend_on_their_order_or_company(self):
        answer = subtracts_the_mean_of_all.implementation
        forwards = {f.probe: f for f in judge(CENTER, answer).findings}
        turned = judge(exercise(probes=CENTER.probes[::-1]), answer)
        alone = judge(exercise(probes=(mean_zero,)), answer)
        for finding in (*turned.findings, *alone.findings):
            assert finding.detail == forwards[finding.probe].detail

    def test_each_probe_draws_its_own(self):
        seen = []
        judge(CENTER, self.watched(seen))
        assert seen[0].shape == seen[1].shape
        assert not np.allclose(seen[0] - 4, seen[1])

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 2**64))
    def test_verdicts_hold_for_every_seed(self, seed):
        assert judge(CENTER, center, seed=seed).passed
        for known in CENTER.mistakes:
            report = judge(CENTER, known.implementation, seed=seed)
            assert named(report) == [known.name]


# --- diagnoses -------------------------------------------------------------------------------


class TestDiagnosis:
    @pytest.mark.parametrize("known", CENTER.mistakes, ids=lambda m: m.name)
    def test_a_known_mistake_is_named(self, known):
        report = judge(CENTER, known.implementation)
        assert named(report) == [known.name]
        assert report.headline == known.summary
        assert report.diagnoses[0].hint == known.hint

    def test_it_is_found_in_other_words(self):
        report = judge(CENTER, lambda X: X - np.sum(X) / X.size)
        assert named(report) == ["subtracts_the_mean_of_all"]

    def test_two_mistakes_at_once_are_both_named(self):
        @mistake(earns=4, hint="A single row is its own mean.")
        def leaves_a_single_row(X):
            """A single row is returned as it is."""
            return X.copy() if len(X) == 1 else X - X.mean(axis=0)

        task = exercise(mistakes=(*CENTER.mistakes, leaves_a_single_row))
        report = judge(task, lambda X: X.copy() if len(X) == 1 else center(X) / 2)
        causes = {f.probe: f.diagnosis and f.diagnosis.mistake for f in report.findings}
        assert causes == {
            "mean_zero": None,
            "keeps_distances": "halves",
            "leaves_its_input_alone": None,
            "one_row": "leaves_a_single_row",
        }

    def test_a_mistake_that_shows_something_else_in_half_of_what_failed_is_a_guess(self):
        @probe(1)
        def keeps_distances_in_a_long_table(f, rng):
            """Rows of a long table keep their distances."""
            return {"the distances": np.diff(f(rng.normal(size=(9, 3))), axis=0)}

        def by_its_length(X):
            return center(X) / (2 if len(X) < 9 else 3)

        task = exercise(probes=(*CENTER.probes, keeps_distances_in_a_long_table))
        halved = judge(task, lambda X: center(X) / 2)
        assert halved.headline == "The result is halved."
        (guess,) = judge(task, by_its_length).diagnoses
        assert (guess.mistake, guess.summary) == ("halves", "Perhaps: The result is halved.")

    def test_an_unknown_mistake_has_a_sentence_and_no_diagnosis(self):
        report = judge(CENTER, np.cos)
        assert not report.passed
        assert named(report) == []
        assert all(details(report))
        assert report.headline == details(report)[0]

    def test_a_mistake_that_fails_what_the_answer_passes_is_not_named(self):
        def answer(X):
            return X - X.mean() if len(X) == 5 else X - X.mean(axis=0)

        # The mean of all fails on one row, too; this answer does not.
        report = judge(CENTER, answer)
        assert verdicts(report)[0] == "WRONG"
        assert verdicts(report)[3] == "PASS"
        assert named(report) == []

    def test_the_same_exception_in_another_place_is_not_the_same_mistake(self):
        @probe()
        def unpacks(f, rng):
            """Two values come back."""
            a, b = f(rng.normal(size=4))
            return {"a": a, "b": b}

        @mistake(hint="Return both.")
        def returns_all(x):
            """All values are returned at once."""
            return x

        task = Exercise("halve", lambda x: (x[:2], x[2:]), (unpacks,), (returns_all,))
        assert named(judge(task, returns_all.implementation)) == ["returns_all"]
        assert named(judge(task, lambda x: x + 1)) == []  # too many values to unpack, too

        def raises(x):
            a, b = x
            return a, b

        assert named(judge(task, raises)) == []

    def test_the_kind_of_an_exception_alone_names_no_mistake(self):
        @mistake(hint="Do not transpose.")
        def transposes(X):
            """The table is transposed."""
            return X - X.T

        task = exercise(mistakes=(transposes,), probes=(mean_zero, keeps_distances))
        assert named(judge(task, transposes.implementation)) == ["transposes"]

        def raises(X):
            raise ValueError("something else")

        assert named(judge(task, raises)) == []

    def test_a_no_for_a_yes_names_no_mistake_that_better_evidence_rules_out(self):
        @probe()
        def is_centered(f, rng):
            """The result has the mean 0."""
            return {"whether the mean is 0": bool(abs(f(rng.normal(size=(5, 3)) + 4).mean()) < 1)}

        @mistake(hint="Subtract the mean.")
        def returns_the_table(X):
            """The table is returned as it was."""
            return X.copy()

        task = exercise(mistakes=(returns_the_table,), probes=(mean_zero, is_centered))
        assert named(judge(task, returns_the_table.implementation)) == ["returns_the_table"]
        assert named(judge(task, lambda X: X * 3)) == []
        coarse = exercise(mistakes=(returns_the_table,), probes=(is_centered,))
        assert named(judge(coarse, lambda X: X * 3)) == ["returns_the_table"]

    def test_shapes_that_do_not_fit_name_no_mistake_that_better_evidence_rules_out(self):
        @probe()
        def squares(f, rng):
            """It multiplies by the transpose."""
            return {"the product": f(rng.normal(size=(3, 3)))}

        @probe()
        def rectangles(f, rng):
            """It multiplies other tables, too."""
            return {"the product": f(rng.normal(size=(3, 2)))}

        @mistake(hint="Transpose.")
        def does_not_transpose(X):
            """The table is multiplied by itself."""
            return X @ X

        task = Exercise("gram", lambda X: X @ X.T, (squares, rectangles), (does_not_transpose,))
        assert named(judge(task, does_not_transpose.implementation)) == ["does_not_transpose"]
        assert named(judge(task, lambda X: 2 * (X @ X))) == []
        alone = Exercise("gram", lambda X: X @ X.T, (rectangles,), (does_not_transpose,))
        assert named(judge(alone, lambda X: 2 * (X @ X))) == ["does_not_transpose"]

    def test_infinity_for_a_number_names_no_mistake_that_better_evidence_rules_out(self):
        @probe()
        def of_four(f, rng):
            """The half of 4 is 2."""
            return {"the half of 4": f(4.0)}

        @probe()
        def of_a_million(f, rng):
            """The half of a million is half a million."""
            return {"the half of a million": f(1e6)}

        @mistake(hint="Divide by 2.")
        def doubles_until_it_is_too_large(x):
            """It doubles, up to a limit."""
            return 2 * x if x < 1e5 else math.inf

        def squares(x):
            return x**2 if x < 1e5 else math.inf

        known = (doubles_until_it_is_too_large,)
        task = Exercise("half", lambda x: x / 2, (of_four, of_a_million), known)
        assert named(judge(task, known[0].implementation)) == [known[0].name]
        assert named(judge(task, squares)) == []

    def test_a_result_of_another_length_is_not_one_in_another_order(self):
        @probe()
        def first(f, rng):
            """The first is the mean."""
            return {"the mean": f(rng.normal(size=9))[0]}

        @mistake(hint="The mean comes first.")
        def begins_with_the_deviation(x):
            """The deviation comes first."""
            return x.std(), x.mean()

        task = Exercise(
            "two", lambda x: (x.mean(), x.std()), (first,), (begins_with_the_deviation,)
        )
        assert named(judge(task, lambda x: (x.std(), x.mean()))) == ["begins_with_the_deviation"]
        assert named(judge(task, lambda x: (x.std(),))) == []

    def test_it_names_one_where_all_else_agrees(self):
        @mistake(earns=4, hint="A single row is a table, too.")
        def refuses_a_single_row(X):
            """A single row is refused."""
            if len(X) == 1:
                raise ValueError("no")
            return X - X.mean(axis=0)

        def answer(X):
            if len(X) < 2:
                raise ValueError("at least two rows are needed")
            return X - X.mean(axis=0)

        task = exercise(mistakes=(refuses_a_single_row,))
        assert named(judge(task, answer)) == ["refuses_a_single_row"]

    def test_what_a_mistake_does_is_learned_once_and_not_for_every_student(self):
        calls = []

        @mistake(hint="Subtract the mean.")
        def doubles(X):
            """The table is doubled."""
            calls.append(len(X))
            return X * 2

        def refuses(X):
            raise RuntimeError("this cannot be")

        task = exercise(mistakes=(doubles,))
        assert named(judge(task, refuses, seed=1)) == []
        learned = len(calls)
        for seed in range(2, 6):
            assert named(judge(task, refuses, seed=seed)) == []
            assert named(judge(task, subtracts_the_mean_of_all.implementation, seed=seed)) == []
        assert len(calls) == learned
        assert named(judge(task, lambda X: X * 2, seed=6)) == ["doubles"]
        assert len(calls) > learned

    def test_a_mistake_that_shows_only_now_and_then_is_named_when_it_does(self):
        @probe(1)
        def one_number(f, rng):
            """A number is doubled."""
            return {"the double": f(float(rng.integers(10)))}

        @mistake(hint="Double large numbers, too.")
        def sometimes(x):
            """Numbers above 5 are trebled."""
            return x * 3 if x > 5 else x * 2

        task = Exercise("double", lambda x: x * 2, (one_number,), (sometimes,))
        reports = [judge(task, lambda x: x * 3 if x > 5 else x * 2, seed=seed) for seed in range(9)]
        assert {r.passed for r in reports} == {True, False}
        assert all(named(r) == ([] if r.passed else ["sometimes"]) for r in reports)

    def test_a_missing_answer_has_no_diagnosis(self):
        assert named(judge(CENTER, None)) == []

    def test_a_mistake_that_prints_is_not_heard(self, capfd):
        @mistake(hint="Be quiet.")
        def shouts(X):
            """It shouts."""
            print("HA", file=sys.stderr)
            return X * 2

        report = judge(exercise(mistakes=(shouts,)), lambda X: X * 2)
        assert named(report) == ["shouts"]
        assert report.printed == ""
        assert capfd.readouterr() == ("", "")

    def test_within_the_tolerance_is_right(self):
        task = exercise(tolerance=Tolerance(relative=0, absolute=0.01))
        assert judge(task, lambda X: center(X) + 0.009).passed
        assert not judge(task, lambda X: center(X) + 0.011).passed


# --- answers behind a wall -------------------------------------------------------------------


class TestFailures:
    """The sandbox says with a `Failure` how a call did not come back."""

    @pytest.mark.parametrize("verdict", ["TIMEOUT", "CRASH", "MEMORY", "OUTPUT"])
    def test_an_ended_worker_is_not_asked_again(self, verdict):
        asked = []

        def answer(X):
            asked.append(1)
            raise Failure(Verdict(verdict), "it took longer than 10 seconds")

        report = judge(CENTER, answer)
        assert len(asked) == 1
        assert verdicts(report) == [verdict] * 4
        assert details(report) == ["it took longer than 10 seconds"] * 4
        assert named(report) == []

    def test_what_passed_before_the_end_counts(self):
        @probe()
        def first(f, rng):
            """It takes 1."""
            return {"one": f(1)}

        @probe()
        def second(f, rng):
            """It takes 2."""
            return {"two": f(2)}

        def answer(n):
            if n == 2:
                raise Failure(Verdict.TIMEOUT, "too slow")
            return n

        task = Exercise("same", lambda n: n, (first, second))
        assert verdicts(judge(task, answer)) == ["PASS", "TIMEOUT"]

    def test_an_exception_reads_as_if_it_had_happened_here(self):
        frames = (
            '  File "cell-3", line 7, in helper\n    return 1 / n\n           ~~^~~\n'
            '  File "cell-3", line 2, in center\n    return X / helper(0)\n'
        )

        def answer(X):
            raise Failure(
                Verdict.ERROR,
                "division by zero",
                kinds=("ZeroDivisionError", "ArithmeticError", "Exception"),
                traceback=frames,
            )

        report = judge(CENTER, answer)
        assert verdicts(report) == ["ERROR"] * 4
        assert details(report)[0] == (
            "center(5×3 float64 array) raised ZeroDivisionError: division by zero, in line 2: "
            "`return X / helper(0)`"
        )

    @pytest.mark.parametrize(
        "package",
        [
            "/home/ann/.local/lib/python3.12/site-packages/numpy/linalg/_linalg.py",
            r"C:\Users\ann\AppData\Roaming\Python\Python312\site-packages\numpy\linalg\_linalg.py",
            "/usr/lib/python3/dist-packages/numpy/linalg/_linalg.py",
        ],
    )
    def test_the_line_is_the_students_wherever_packages_are_installed(self, package):
        installed = {}
        exec(compile("def inv(X):\n    return 1 / 0", package, "exec"), installed)
        answer = {"inv": installed["inv"]}
        exec(compile("def center(X):\n\n\n    return inv(X)", "cell-3", "exec"), answer)
        assert ", in line 4" in details(judge(CENTER, answer["center"]))[0]

    def test_leaving_the_program_reads_as_if_it_had_happened_here(self):
        def answer(X):
            raise Failure(Verdict.ERROR, "None", kinds=("SystemExit",))

        assert details(judge(CENTER, answer))[0] == (
            "center(5×3 float64 array) raised SystemExit: exit() ends the whole program; use return"
        )

    def test_a_probe_may_ask_for_an_exception(self):
        @probe()
        def raises(f, rng):
            """A negative number is refused with a ValueError."""
            return {"center(-1)": outcome(lambda: f(-1))}

        def reference(n):
            if n < 0:
                raise ValueError(n)

        def remote(n):
            raise Failure(Verdict.ERROR, "no", kinds=("ValueError", "Exception"))

        def slow(n):
            raise Failure(Verdict.TIMEOUT, "too slow")

        def other(n):
            return n

        task = Exercise("f", reference, (raises,))
        assert judge(task, remote).passed
        assert verdicts(judge(task, slow)) == ["TIMEOUT"]
        assert details(judge(task, other)) == [
            "center(-1): it should raise ValueError, but gave -1"
        ]

    def test_an_internal_failure_is_not_the_students(self):
        def answer(X):
            raise Failure(Verdict.INTERNAL, "the worker could not be started")

        report = judge(CENTER, answer)
        assert report.verdict is Verdict.INTERNAL
        assert verdicts(report) == ["INTERNAL"] * 4


def test_the_judge_imports_nothing_of_the_rooms_above_it():
    """Imports point one way: cli → classroom → sandbox → judge → exercise."""
    import subprocess

    code = "import sys, autograder.judge; print(*[m for m in sys.modules if 'autograder' in m])"
    got = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    ).stdout.split()
    assert {m.removeprefix("autograder.") for m in got} == {
        *("autograder", "compare", "exercise", "judge", "report", "verdict")
    }


# --- saying ahead what will be asked ----------------------------------------------------------


class Notes:
    """What is taken down of one probe."""

    def __init__(self, certain):
        self.certain = certain
        self.operations = []
        self.came = []

    def asks(self, operation):
        self.operations.append(operation)

    def answers(self, value):
        self.came.append(value)


class Listener:
    """An answer that wants to know what it will be asked; and perhaps is right about some."""

    def __init__(self, function, known=()):
        self.function = function
        self.known = known
        self.begun = []
        self.calls = 0
        self.early = False
        self.expected = None

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.function(*args, **kwargs)

    def __foresee__(self, certain):
        if self.expected is None:
            self.scripts = [Notes(count) for count in certain]
        return self

    def begin(self, number):
        self.begun.append(number)
        return number in self.known


@probe(1)
def centers_twice(f, rng):
    """Centering twice is centering once."""
    X = rng.normal(size=(3, 2))
    once = f(X)
    return {"once": once, "twice": f(once), "another": f(X + 1)}


@probe(1)
def centers_and_shifts(f, rng):
    """Centering takes a shift away."""
    X = rng.normal(size=(3, 2))
    once = f(X)
    return {"once": once, "shifted": f(once + 1), "another": f(X + 1)}


@probe(1)
def asks_twice(f, rng):
    """Twice the same is the same."""
    X = rng.normal(size=(3, 2))
    return {"first": f(X), "second": f(X)}


@probe(1)
def centers_until_it_is_centered(f, rng):
    """It is centered in the end."""
    X = rng.normal(size=(3, 2)) + 5
    while abs(X.mean()) > 1e-9:
        X = f(X)
    return {"X": X}


class TestForeseeing:
    def test_what_is_not_there_yet_is_not_called(self):
        listener = Listener(center)
        listener.early = True
        report = judge(CENTER, listener)
        assert (report.findings, report.earned) == ((), 0)
        assert (listener.begun, listener.calls) == ([], 0)
        assert [len(s.operations) for s in listener.scripts] == [1] * 4

    def test_what_is_known_of_the_reference_is_not_looked_at_again(self):
        runs = []

        @probe(1)
        def is_looked_at(f, rng):
            """It centers."""
            runs.append(f)
            return {"out": f(rng.normal(size=(3, 2)))}

        exercise = Exercise("center", center, (is_looked_at,))
        listener = Listener(center)
        listener.early = True
        judge(exercise, listener)
        listener.early = False
        runs.clear()
        report = judge(exercise, listener)
        assert report.passed
        assert (len(runs), len(report.findings)) == (1, 1)

    @pytest.mark.parametrize(
        "other",
        [
            {"seed": 1},
            {"hidden": False},
            {"exercise": Exercise("center", center, (centers_twice,))},
        ],
    )
    def test_what_was_foreseen_of_something_else_is_of_no_use(self, other):
        listener = Listener(center)
        listener.early = True
        judge(CENTER, listener, seed=0)
        listener.early = False
        asked = {"exercise": CENTER, "seed": 0, **other}
        with pytest.raises(Lost):
            judge(asked.pop("exercise"), listener, **asked)
        assert listener.calls == 0

    def test_what_the_reference_was_asked_will_be_asked(self):
        listener = Listener(center)
        assert judge(CENTER, listener).passed
        assert listener.begun == [0, 1, 2, 3, 4]  # and that the last one has ended
        assert [s.certain.operations for s in listener.scripts] == [None] * 4
        (operation,) = listener.scripts[0].operations
        assert (operation.target, operation.attribute) == (-1, None)
        assert operation.args[0].shape == (5, 3)
        np.testing.assert_array_equal(listener.scripts[0].came[0], center(*operation.args))

    def test_what_depends_on_an_answer_is_not_foreseen_nor_what_comes_behind_it(self):
        listener = Listener(center)
        exercise = Exercise("center", center, (centers_and_shifts, mean_zero))
        assert judge(exercise, listener).passed
        assert [s.certain.operations for s in listener.scripts] == [1, None]

    def test_an_array_that_is_an_answer_is_foreseen_as_that(self):
        listener = Listener(center)
        assert judge(Exercise("center", center, (centers_twice,)), listener).passed
        assert [s.certain.operations for s in listener.scripts] == [None]

    def test_an_input_that_the_reference_returns_is_not_taken_for_its_answer(self):
        def itself(X):
            return X

        exercise = Exercise("itself", itself, (asks_twice,))
        listener = Listener(itself)
        assert judge(exercise, listener).passed
        assert [s.certain.operations for s in listener.scripts] == [1]

    def test_a_probe_that_goes_on_until_the_answer_is_right_ends(self):
        listener = Listener(center)
        assert judge(Exercise("center", center, (centers_until_it_is_centered,)), listener).passed
        assert [s.certain.operations for s in listener.scripts] == [1]

    def test_what_was_answered_as_by_the_reference_passes_without_a_run(self):
        listener = Listener(center, known={0, 1, 2, 3})
        assert judge(CENTER, listener).passed
        assert listener.calls == 0
        report = judge(CENTER, Listener(lambda X: X, known={0}))
        assert report.findings[0].verdict is Verdict.PASS
        assert not report.passed

    def test_a_probe_that_warns_runs_all_the_same(self):
        """Its warning belongs on the report."""

        @probe(1)
        def warns(f, rng):
            """It warns."""
            X = rng.normal(size=(3, 2))
            warnings.warn("careful", stacklevel=1)
            return {"X": f(X)}

        exercise = Exercise("center", center, (warns,))
        reports = [judge(exercise, Listener(center, known=known)) for known in ((), {0})]
        assert reports[0].to_dict() == reports[1].to_dict()
        assert reports[1].warned

    def test_the_inputs_are_those_of_the_seed(self):
        inputs = []
        for seed in (1, 1, 2):
            listener = Listener(center)
            judge(CENTER, listener, seed=seed)
            inputs.append(listener.scripts[0].operations[0].args[0].tobytes())
        assert inputs[0] == inputs[1] != inputs[2]

    def test_an_ended_answer_begins_nothing_more(self):
        def gone(X):
            raise Failure(Verdict.CRASH, "it crashed")

        listener = Listener(gone)
        assert not judge(CENTER, listener).passed
        assert listener.begun == [0, 4]


# --- arrays that are no plain arrays ---------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("wrap", [np.matrix, np.ma.masked_array, lambda Z: Z.astype(">f8")])
def test_an_array_counts_as_what_it_holds(wrap):
    """So it comes out of a worker, and a student's own check says the same."""

    @probe(1)
    def squares(f, rng):
        """The squares of both results are right."""
        both = f(rng.normal(size=(5, 3)))
        return {"first": both[0] * both[0], "second": both[1]}

    exercise = Exercise("twice", lambda X: (X, 2 * X), (squares,))
    assert judge(exercise, lambda X: (wrap(X), wrap(2 * X))).passed
    assert not judge(exercise, lambda X: (wrap(X), wrap(3 * X))).passed


def test_an_array_of_arrays_is_several_results():
    """Where results differ in shape, a student may have put them in one."""

    @probe(1)
    def moments(f, rng):
        """The table and its mean are right."""
        centered, mean = f(rng.normal(size=(5, 3)))
        return {"centered": centered, "mean": mean}

    def reference(X):
        return X - X.mean(axis=0), X.mean(axis=0)

    def answer(X, center=1.0):
        both = np.empty(2, dtype=object)
        both[0], both[1] = X - center * X.mean(axis=0), X.mean(axis=0)
        return both

    exercise = Exercise("moments", reference, (moments,))
    assert judge(exercise, answer).passed
    assert not judge(exercise, lambda X: answer(X, 0.5)).passed


# --- answers much larger than they should be -------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 10**12), (10**5, 3), (3, 10**5)])
def test_what_is_too_large_is_not_computed_with(shape):
    @probe(1)
    def adds_nothing(f, rng):
        """It refuses tables of one row, and leaves the rest as they are."""
        seen.append(outcome(lambda: f(np.ones((1, 3)))))
        return {"refused": seen[-1], "the sum": f(np.ones((2, 3))).sum(axis=0)}

    def right(X):
        if len(X) == 1:
            raise ValueError("one row")
        return X

    def large(X):
        return np.broadcast_to(np.zeros((shape[0], 1)), shape)

    seen = []
    report = judge(Exercise("right", right, (adds_nothing,)), large)
    assert report.verdict is Verdict.WRONG
    assert [raised.kinds[0] for raised in seen] == ["ValueError", "TooLarge"]


@pytest.mark.parametrize(
    "nothing", [[[]] * 5_000, ({},) * 5_000, dict.fromkeys(range(2500), ()), [[[[]]]] * 2_000]
)
def test_lists_of_nothing_are_too_large_as_well(nothing):
    """A judge keeps what was returned, and each empty list takes room."""

    @probe(1)
    def is_fitted(f, rng):
        """What it returns is not looked at."""
        f(1)
        return {}

    report = judge(Exercise("fit", lambda x: None, (is_fitted,)), lambda x: nothing)
    assert report.earned == 0
    assert "TooLarge" in report.headline


@pytest.mark.parametrize("larger", [[0.0] * 5_000, [np.zeros((0, 10**12))]])
def test_what_is_made_too_large_in_place_is_not_computed_with(larger):
    @probe(1)
    def adds_up(f, rng):
        """It puts another one behind the others."""
        values = [1.0]
        f({"values": (values,)})
        reached.append(len(values))
        return {"values": values}

    def appends(table):
        table["values"][0].append(2.0)

    def extends(table):
        table["values"][0].extend(larger)

    reached = []
    exercise = Exercise("append", appends, (adds_up,))
    assert judge(exercise, appends).passed
    reached.clear()
    report = judge(exercise, extends)
    assert "TooLarge" in report.headline
    assert reached == [2]  # the reference


def test_how_large_an_answer_may_be_follows_the_reference():
    @probe(1)
    def many(f, rng):
        """There are many."""
        return {"the sum": f(100).sum()}

    exercise = Exercise("many", lambda n: np.ones(n * n), (many,))
    assert judge(exercise, lambda n: np.ones((n, n)).ravel()).passed
    assert judge(exercise, lambda n: np.ones(3 * n * n)).verdict is Verdict.WRONG
