"""Each kind of difference has its own sentence, and nothing that a student returns breaks it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autograder.compare import Difference, describe, difference
from autograder.exercise import Argument, Raised, Tolerance
from autograder.sandbox.remote import Remote

TOLERANCE = Tolerance(relative=1e-7, absolute=1e-9)


def found(expected, got, tolerance=TOLERANCE):
    """The sentence of a difference that must be there."""
    result = difference(expected, got, tolerance)
    assert isinstance(result, Difference), f"no difference between {expected!r} and {got!r}"
    return result.sentence


def same(expected, got):
    return difference(expected, got, TOLERANCE) is None


@pytest.fixture
def table():
    return np.random.default_rng(0).normal(size=(6, 3)) + 2


# --- what is another kind of thing -----------------------------------------------------------


class TestKind:
    def test_none_is_named(self, table):
        assert found(table, None) == (
            "it is None where an array of shape (6, 3) and dtype float64 is expected"
        )

    def test_a_list_is_not_an_array(self, table):
        assert found(table, table.tolist()) == "it is a list where a NumPy array is expected"

    def test_a_tuple_is_not_an_array(self, table):
        assert found(table, (table, 3)) == "it is a tuple where a NumPy array is expected"

    def test_a_string_is_quoted(self):
        assert found(np.ones(2), "hello").startswith("it is 'hello' where an array")

    def test_a_long_string_is_cut(self):
        assert len(found(np.ones(2), "x" * 10_000)) < 200

    def test_an_object_is_named_by_its_class(self):
        assert found(np.ones(2), {1, 2}).startswith("it is a set where an array")
        assert found(1.0, range(3)) == "it is a range where the number 1 is expected"

    def test_a_handle_is_described_as_what_it_stands_for(self):
        handle = Remote(None, 7, "set")
        assert found(1.0, handle) == "it is a set where the number 1 is expected"
        assert describe(Remote(None, 7, "function double")) == "a function"

    def test_true_is_not_the_number_one(self):
        assert found(1.0, True) == "it is True where the number 1 is expected"

    def test_one_is_not_true(self):
        assert found(True, 1) == "it is 1 where True is expected"

    def test_bools_of_numpy_are_bools(self):
        assert same(True, np.True_)
        assert found(True, np.False_) == "it is False where True is expected"

    def test_whole_numbers_and_floats_are_both_numbers(self):
        assert same(3, 3.0)
        assert same(3.0, np.int64(3))

    def test_strings(self):
        assert same("a", "a")
        assert found("a", "b") == "it is 'b' where 'a' is expected"
        assert found("a", 1) == "it is 1 where 'a' is expected"

    def test_none_where_none_is_expected(self):
        assert same(None, None)
        assert found(None, 3) == "it is 3 where None is expected"


class TestShape:
    def test_says_both_shapes(self, table):
        assert found(table, table[:4]) == "its shape is (4, 3) where (6, 3) is expected"

    def test_an_axis_left_over(self, table):
        sentence = found(table.mean(axis=0), table.mean(axis=0, keepdims=True))
        assert sentence.endswith("(1, 3) where (3,) is expected: an axis of length 1 is left over "
                                 "or missing (keepdims?)")  # fmt: skip

    def test_rows_and_columns_exchanged(self, table):
        assert found(table, table.T).endswith("rows and columns are exchanged")

    def test_reduced_to_one_number(self, table):
        assert "an axis is missing" in found(table.mean(axis=0), np.array(table.mean()))

    def test_a_reversed_cube_has_no_rows_and_columns(self):
        cube = np.zeros((2, 3, 4))
        assert found(cube, cube.T) == "its shape is (4, 3, 2) where (2, 3, 4) is expected"

    def test_empty_arrays_of_one_shape_are_the_same(self):
        assert same(np.zeros((0, 3)), np.zeros((0, 3)))
        assert "shape" in found(np.zeros((0, 3)), np.zeros((0, 4)))

    def test_zero_dimensional_arrays_are_numbers(self):
        assert same(np.array(3.0), 3.0)
        assert same(3.0, np.array(3.0))
        assert found(np.array(3.0), np.array(4.0)) == "it is 4 where 3 is expected"

    def test_zero_dimensional_arrays_of_other_things_are_described(self):
        assert found(3.0, np.array("a")) == "it is 'a' where the number 3 is expected"
        assert found(True, np.array(False)) == "it is False where True is expected"
        assert describe(np.array("a")) == "a 0-dimensional array (dtype <U1)"


class TestDtype:
    def test_cut_to_whole_numbers(self, table):
        assert found(table, table.astype(int)) == (
            "its dtype is int64 where float64 is expected: the result was cut to whole numbers"
        )

    def test_single_precision(self, table):
        sentence = found(table, table.astype(np.float32))
        assert sentence.startswith("its dtype is float32 where float64 is expected: half of the")

    def test_objects(self, table):
        assert "Python objects" in found(table, table.astype(object))

    def test_complex(self, table):
        assert found(table, table + 0j) == "its dtype is complex128 where float64 is expected"

    def test_dtype_counts_when_values_agree(self):
        assert not same(np.array([1.0, 2.0]), np.array([1, 2]))

    def test_arrays_of_strings(self):
        assert same(np.array(["a", "b"]), np.array(["a", "b"]))
        assert (
            found(np.array(["a"]), np.array(["b"])) == "its entries differ from the expected ones"
        )


# --- numbers ---------------------------------------------------------------------------------


class TestNumbers:
    def test_says_both(self):
        assert found(2.0, 3.5) == "it is 3.5 where 2 is expected"

    def test_shows_as_many_digits_as_it_takes(self):
        said = (
            "it is 1.0000003 where 1 is expected. "
            "That is nearly right: float32 on the way, or an ε too many or too few?"
        )
        assert found(1.0, 1 + 3e-7) == said
        assert found(np.ones(2), np.array([1, 1 + 3e-7])).endswith(said)

    @pytest.mark.parametrize(
        ("expected", "got"),
        [(1.0, 1.001), (100_000, 100_001), (0.0, 1e-6), (math.inf, 1.0), (1.0, -1.0)],
    )
    def test_other_differences_are_not_called_small(self, expected, got):
        assert "nearly" not in found(expected, got)
        assert "nearly" not in found(np.array([expected]), np.array([got]))

    def test_rounding_noise_is_shown_as_zero(self):
        sentence = found(np.array([3.5e-17, 1.0]), np.array([2.0, 1.0]))
        assert sentence.endswith("at [0] it is 2 where 0 is expected")

    def test_nan_and_infinity_are_spelled_out(self):
        assert found(1.0, math.nan) == "it is NaN where 1 is expected"
        assert found(math.inf, -math.inf) == "it is -infinity where infinity is expected"

    def test_nan_is_the_same_as_nan(self):
        assert same(math.nan, np.float64("nan"))

    @pytest.mark.parametrize("huge", [10**30, 10**400, -(10**400)])
    def test_whole_numbers_beyond_floats_break_nothing(self, huge):
        assert same(huge, huge)
        assert "whole number of" in found(1.0, huge)

    def test_numbers_at_the_end_of_the_floats_raise_no_warning(self):
        assert not same(1e308, -1e308)
        assert not same(np.array([1e308, 2, 3]), np.array([-1e308, 2, 3]))
        assert not same(np.full(3, 1e4, np.float16), np.full(3, -6e4, np.float16))

    def test_time_is_not_a_number(self):
        assert found(1.0, np.timedelta64(3, "s")) == (
            "it is a timedelta64 where the number 1 is expected"
        )

    def test_complex_numbers(self):
        assert same(1 + 2j, np.complex128(1 + 2j))
        assert found(1 + 2j, 1 - 2j) == "it is 1-2j where 1+2j is expected"

    def test_bools_in_arrays_are_shown_as_bools(self):
        sentence = found(np.array([True, False]), np.array([True, True]))
        assert sentence == "1 of 2 entries differs; at [1] it is True where False is expected"

    def test_small_whole_numbers_do_not_wrap_around(self):
        small = np.array([1, 2, 3], np.uint8)
        assert "it is 255 where 1" in found(small, np.array([255, 2, 3], np.uint8))


class TestEntries:
    def test_counts_them_and_shows_the_worst(self, table):
        got = table.copy()
        got[1, 2] += 0.1
        got[4, 0] += 5
        sentence = found(table, got)
        assert sentence.startswith("2 of 18 entries differ; at [4, 0] it is")

    def test_the_only_entry(self):
        assert found(np.array([1.0]), np.array([2.0])).startswith("its only entry differs; at [0]")

    def test_marks_where(self, table):
        got = table.copy()
        got[1, 2] = 9
        where = difference(table, got, TOLERANCE).where
        assert np.argwhere(where).tolist() == [[1, 2]]

    def test_marks_nothing_in_three_dimensions(self):
        assert difference(np.zeros((2, 2, 2)), np.ones((2, 2, 2)), TOLERANCE).where is None

    def test_nan_where_numbers_are_expected(self, table):
        got = table.copy()
        got[2, 1] = np.nan
        assert found(table, got) == (
            "1 of 18 entries is NaN where numbers are expected, the first at [2, 1]"
        )

    def test_nan_does_not_hide_other_differences(self, table):
        got = table.copy()
        got[2, 1], got[0, 0] = np.nan, 7
        assert found(table, got).endswith("the first at [2, 1]; 1 more differs")

    def test_infinite(self, table):
        assert "18 of 18 entries are infinite" in found(table, np.full_like(table, np.inf))

    def test_nan_and_infinite(self, table):
        got = table.copy()
        got[0, 0], got[1, 1] = np.nan, np.inf
        assert "2 of 18 entries are NaN or infinite" in found(table, got)

    def test_nan_where_nan_is_expected(self):
        assert same(np.array([np.nan, 1]), np.array([np.nan, 1]))
        assert "it is 1 where NaN is expected" in found(np.array([np.nan, 1]), np.ones(2))

    def test_a_subclass_cannot_call_itself_equal(self, table):
        class Yes(np.ndarray):
            def __eq__(self, other):
                return np.ones(self.shape, bool)

            def __ne__(self, other):
                return np.zeros(self.shape, bool)

            __hash__ = None

            def __array_ufunc__(self, *args, **kwargs):
                return np.zeros(self.shape)

            def __array_function__(self, *args, **kwargs):
                return np.ones(self.shape, bool)

        assert "18 of 18 entries differ" in found(table, (table + 1).view(Yes))
        assert same(table, table.view(Yes))


class TestPattern:
    def test_a_factor(self, table):
        assert found(table, 3 * table).endswith("Every entry is 3 times what is expected.")

    @pytest.mark.parametrize(
        ("factor", "formula"),
        [
            (6 / 5, "1.2 = N/(N-1)"),
            (5 / 6, "0.833333 = (N-1)/N"),
            (math.sqrt(6 / 5), "1.09545 = √(N/(N-1))"),
            (math.sqrt(5 / 6), "0.912871 = √((N-1)/N)"),
        ],
    )
    def test_a_factor_of_n_and_n_minus_1(self, table, factor, formula):
        assert found(table, factor * table).endswith(f"{formula} times what is expected.")

    def test_numbers_whose_squares_are_nothing(self, table):
        exact = Tolerance(relative=1e-7, absolute=0.0)
        said = found(1e-170 * table, np.zeros_like(table), exact)
        assert said.startswith("18 of 18 entries differ")

    def test_an_offset(self, table):
        assert found(table, table + 0.5).endswith("Every entry is 0.5 too high.")
        assert found(table, table - 2).endswith("Every entry is 2 too low.")

    def test_a_constant_is_off_by_an_offset_not_by_a_factor_of_rounding(self):
        noisy = np.array([1.0, 1 + 1e-16, 1 - 1e-16, 1.0])
        assert found(noisy, np.full(4, 0.9)).endswith("Every entry is 0.1 too low.")

    def test_the_sign(self, table):
        assert found(table, -table).endswith("Every sign is the opposite of what is expected.")

    def test_the_transpose_of_a_square(self):
        square = np.arange(9.0).reshape(3, 3) ** 2
        assert found(square, square.T).endswith("It is the transpose of what is expected.")

    def test_a_factor_for_each_column(self, table):
        sentence = found(table, table * [1, 2, 3])
        assert sentence.endswith("Each column is off by a factor of its own: 1, 2, 3.")

    def test_an_offset_for_each_column(self, table):
        sentence = found(table, table + np.array([1, 2, 3]))
        assert sentence.endswith("Each column is shifted by a constant of its own: 1, 2, 3.")

    def test_many_columns_are_not_all_listed(self):
        wide = np.random.default_rng(0).normal(size=(4, 9))
        assert found(wide, wide * np.arange(1, 10)).endswith("1, 2, 3, 4, 5, 6, ….")

    def test_complex_factor(self):
        z = np.array([1j, 2, 3 + 1j])
        assert found(z, 2 * z).endswith("Every entry is 2 times what is expected.")

    def test_none_where_there_is_none(self, table):
        got = table + np.random.default_rng(1).normal(size=table.shape)
        assert "very" not in found(table, got)

    def test_none_for_two_numbers(self):
        assert "very" not in found(np.array([1.0, 2.0]), np.array([2.0, 4.0]))


# --- collections, exceptions, arguments ------------------------------------------------------


class TestCollections:
    def test_the_same(self):
        value = {"a": [np.ones(3), (1, "x")], "b": None}
        assert same(value, {"a": [np.ones(3), (1, "x")], "b": None})

    def test_a_tuple_of_other_length(self):
        assert (
            found((1, 2), (1, 2, 3)) == "it is a tuple of 3 where a tuple of 2 values is expected"
        )

    def test_a_list_for_a_tuple(self):
        assert found((1, 2), [1, 2]) == "it is a list of 2 where a tuple of 2 is expected"

    def test_one_of_several_values(self):
        assert found((1, (2, 3)), (1, (2, 4))) == (
            "value 2 of 2: value 2 of 2: it is 4 where 3 is expected"
        )

    def test_a_missing_key(self):
        assert found({"x": 1, "y": 2}, {"x": 1}) == "the key 'y' is missing"

    def test_a_key_too_many(self):
        assert found({"x": 1}, {"x": 1, "y": 2}) == "the key 'y' is not asked for"
        assert len(found({"x": 1}, {"x": 1, "y" * 10_000: 2})) < 100

    def test_a_value_of_a_dict(self):
        assert found({"x": 1}, {"x": 2}) == "['x']: it is 2 where 1 is expected"

    def test_not_a_dict(self):
        assert found({"x": 1}, [1]) == "it is a list of 1 where a dict is expected"

    def test_where_comes_from_the_inside(self):
        inner = difference((np.zeros(3),), (np.array([0.0, 1, 0]),), TOLERANCE)
        assert inner.where.tolist() == [False, True, False]


class TestRaised:
    ERROR = Raised(("KeyError", "LookupError", "Exception"), "no such key")

    def test_nothing_was_raised(self):
        assert found(Raised(("ValueError",)), 3) == "it should raise ValueError, but gave 3"

    def test_something_was_raised(self):
        assert found(3, self.ERROR) == "it raised KeyError (no such key) where 3 is expected"

    def test_another_exception(self):
        assert found(Raised(("ValueError",)), self.ERROR) == (
            "it raised KeyError (no such key) where ValueError is expected"
        )

    def test_a_special_kind_is_as_good(self):
        assert same(Raised(("LookupError",)), self.ERROR)
        assert not same(self.ERROR, Raised(("LookupError",)))

    def test_the_message_does_not_count(self):
        assert same(self.ERROR, Raised(self.ERROR.kinds, "anything"))


class TestArgument:
    def test_left_alone(self, table):
        assert same(Argument(table), Argument(table.copy()))

    def test_changed(self, table):
        sentence = found(Argument(table), Argument(table - 1))
        assert sentence.startswith("the array that you were given was changed in place")
        assert sentence.endswith("Every entry is 1 too low.")


# --- in general ------------------------------------------------------------------------------

NUMBERS = st.one_of(st.integers(), st.floats(), st.complex_numbers())
ARRAYS = hnp.arrays(
    dtype=st.one_of(
        hnp.floating_dtypes(endianness="="),
        hnp.integer_dtypes(endianness="="),
        hnp.complex_number_dtypes(endianness="="),
        hnp.boolean_dtypes(),
    ),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=5), ARRAYS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=6,
)


@given(VALUES)
def test_everything_is_the_same_as_itself(value):
    assert same(value, value)


@given(VALUES, VALUES)
def test_any_two_values_can_be_compared_and_described(expected, got):
    result = difference(expected, got, TOLERANCE)
    assert result is None or result.sentence
    assert describe(got)


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.tuples(*[hnp.arrays(float, n, elements=st.floats(width=32))] * 2)
    )
)
def test_arrays_differ_just_where_isclose_says_so(pair):
    expected, got = pair
    with np.errstate(all="ignore"):
        close = np.isclose(
            got, expected, rtol=TOLERANCE.relative, atol=TOLERANCE.absolute, equal_nan=True
        )
    result = difference(expected, got, TOLERANCE)
    assert (result is None) == close.all()
    if result is not None:
        assert result.where.tolist() == (~close).tolist()


@given(st.floats(-1e6, 1e6), st.floats(-1, 1))
def test_numbers_differ_just_when_the_tolerance_says_so(expected, change):
    got = expected + change * 1e-6
    near = abs(expected - got) <= TOLERANCE.absolute + TOLERANCE.relative * abs(expected)
    assert (difference(expected, got, TOLERANCE) is None) == near


@given(st.floats(1e-3, 1e3), st.floats(1.001, 100))
def test_what_a_number_is_never_reads_like_what_it_should_be(expected, factor):
    is_, should_be = found(expected, expected * factor).removeprefix("it is ").split(" where ")
    assert is_ != should_be.removesuffix(" is expected")
