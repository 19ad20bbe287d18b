"""The grammar of verdicts: limits, identities and what no sentence may say."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trn3.show import words

RATIO = st.floats(0.05, 20)


@given(RATIO, st.floats(1.01, 5), st.floats(1.01, 5))
def test_the_ends_of_an_80_percent_range_leave_a_tenth_outside(middle, down, up):
    low, high = middle / down, middle * up
    assert words.share_above(low, middle, high, low) == pytest.approx(0.9, abs=1e-9)
    assert words.share_above(low, middle, high, middle) == pytest.approx(0.5, abs=1e-9)
    assert words.share_above(low, middle, high, high) == pytest.approx(0.1, abs=1e-9)


@given(RATIO, st.floats(1.01, 5), st.floats(1.01, 5), RATIO, RATIO)
def test_a_higher_threshold_leaves_fewer_cases_above(middle, down, up, a, b):
    ends = middle / down, middle, middle * up
    shares = [words.share_above(*ends, threshold) for threshold in sorted((a, b))]
    assert shares[0] >= shares[1]


@given(RATIO, st.floats(1.01, 5), st.floats(1.01, 5))
def test_a_range_over_one_is_never_clear(middle, down, up):
    low, high = middle / down, middle * up
    assume(low < 1 < high)
    found = words.verdict(low, middle, high)
    assert found.word != "clear"
    said = words.against(found, "A", "B", "cheaper", "dearer")
    assert "likely" in said or said.startswith("either may be")


@given(RATIO, st.floats(1.01, 5), st.floats(1.01, 5))
def test_swapping_the_two_turns_the_verdict_round(middle, down, up):
    low, high = middle / down, middle * up
    one = words.verdict(low, middle, high)
    other = words.verdict(1 / high, 1 / middle, 1 / low)
    assert one.word == other.word
    assert one.share == pytest.approx(1 - other.share, abs=1e-9)


def test_a_share_that_was_drawn_wins_over_the_range():
    assert words.verdict(0.9, 1.2, 1.5, share=0.81).word == "likely"
    assert words.verdict(0.9, 1.2, 1.5, share=0.79).word == "open"


def test_an_exact_ratio_needs_no_range():
    assert words.share_above(2.0, 2.0, 2.0) == 1.0
    assert words.share_above(0.5, 0.5, 0.5) == 0.0
    assert words.share_above(1.0, 1.0, 1.0) == 0.5


def test_an_open_answer_says_what_it_is_conditional_on():
    said = words.against(words.Verdict("open", 0.57), "A", "B", "cheaper", "dearer", "at 3.50 USD")
    assert said.endswith("at 3.50 USD, 57% of the cases say A")


def test_deviation_of_the_80_percent_range_is_that_of_the_normal_distribution():
    assert 0.5 * math.erfc(-words.Z80 / math.sqrt(2)) == pytest.approx(0.9, abs=1e-12)
