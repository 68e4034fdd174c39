"""Answers that use other answers, which are wrong: the report says where to begin."""

import numpy as np
import pytest

from autograder import check
from autograder.answers import Answers, _names, notebook_answers
from autograder.chapters import find


@pytest.fixture(autouse=True)
def notebook():
    """A notebook in which nothing has been checked yet."""
    token = notebook_answers.set(Answers(_names))
    yield
    notebook_answers.reset(token)


right_covariance = find("covariance").reference


def covariance(X):
    return right_covariance(X) * 0.8


def pca_whiten(X, eps=1e-5):
    values, vectors = np.linalg.eigh(covariance(X))
    return (X - X.mean(axis=0)) @ vectors[:, ::-1] / np.sqrt(values[::-1] + eps)


SAYS = "It uses `covariance`, which does not pass either."


def test_an_answer_that_uses_a_wrong_one_says_so():
    assert check("covariance", covariance).uses == ()
    report = check("pca_whiten", pca_whiten)
    assert report.uses == ("covariance",)
    assert report.headline == SAYS
    assert check("pca_whiten", pca_whiten).uses == ("covariance",), "and again"


def test_what_has_not_been_checked_is_not_blamed():
    assert check("pca_whiten", pca_whiten).uses == ()


def test_what_passes_is_not_blamed():
    check("covariance", covariance)
    check("covariance", right_covariance)
    assert check("pca_whiten", lambda X, eps=0: covariance(X)).uses == ()


def test_what_is_not_used_is_not_blamed():
    check("covariance", covariance)
    assert check("pca_whiten", lambda X, eps=1e-5: np.covariance(X)).uses == ()
    assert check("pca_whiten", None).uses == ()
    assert check("pca_whiten", 3).uses == ()


def test_a_right_answer_uses_what_it_likes():
    check("covariance", covariance)
    right = find("pca_whiten").reference

    def answer(X, eps=1e-5):
        covariance(X)
        return right(X, eps)

    report = check("pca_whiten", answer)
    assert report.passed
    assert report.uses == ()


class InAMethod:
    def __call__(self, X, eps=1e-5):
        return covariance(X)


class InAStaticMethod:
    @staticmethod
    def whiten(X):
        return covariance(X)


class InAProperty:
    @property
    def whitened(self):
        return [covariance(row) for row in self]


def in_a_nested_function(X, eps=1e-5):
    def inner():
        return covariance(X)

    return inner()


@pytest.mark.parametrize("answer", [InAMethod, InAStaticMethod, InAProperty, in_a_nested_function])
def test_wherever_it_is_used(answer):
    check("covariance", covariance)
    assert check("pca_whiten", answer).uses == ("covariance",)


def test_an_object_that_cannot_be_looked_into_uses_nothing():
    class Odd:
        def __getattr__(self, name):
            raise RuntimeError(name)

    class pca_whiten:
        odd = Odd()

        @property
        def table(self):
            return covariance(np.eye(3))

    check("covariance", covariance)
    assert check("pca_whiten", Odd()).uses == ()
    assert check("pca_whiten", pca_whiten).uses == ("covariance",)
