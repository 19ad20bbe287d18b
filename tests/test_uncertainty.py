"""Distributions from ranges, quasi-random draws, tornado and thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trn3 import uncertainty
from trn3.uncertainty import Input

values = st.floats(0.01, 1e6)


@given(values, values, values, st.sampled_from(["band", "limits"]))
@settings(max_examples=60)
def test_quantiles_rise_and_keep_their_reading(a, b, c, kind):
    low, mid, high = sorted((a, b, c))
    x = Input(low, mid, high, kind).quantile(np.linspace(0.001, 0.999, 101))
    assert np.all(np.diff(x) >= -1e-9 * high)
    if kind == "limits":
        assert x.min() >= low * (1 - 1e-9) and x.max() <= high * (1 + 1e-9)
    else:
        assert Input(low, mid, high, kind).quantile(np.array([0.1, 0.5, 0.9])) == pytest.approx(
            [low, mid, high]
        )


def test_ranges_that_reach_zero_are_linear():
    assert Input(0.0, 0.3, 0.6).quantile(np.array([0.5])) == pytest.approx([0.3])
    assert Input(-1.0, 0.0, 1.0, "band").quantile(np.array([0.1, 0.9])) == pytest.approx(
        [-1.0, 1.0]
    )
    assert Input(2.0, 2.0, 2.0).quantile(np.array([0.01, 0.99])) == pytest.approx([2.0, 2.0])


@pytest.mark.parametrize(
    "bad", [(2.0, 1.0, 3.0), (1.0, 2.0, float("inf")), (float("nan"), 1.0, 2.0)]
)
def test_a_range_out_of_order_is_refused(bad):
    with pytest.raises(ValueError, match="rent: low, mid, high"):
        Input(*bad, label="rent")


def test_an_unknown_reading_is_refused():
    with pytest.raises(ValueError, match="allowed are band, limits"):
        Input(1.0, 2.0, 3.0, "normal")


def test_draws_repeat_and_match_the_exact_moments():
    given_ = {"a": Input(1.0, 2.0, 3.0), "b": Input(1.0, 2.0, 4.0, "band")}
    x, y = uncertainty.draws(given_, 4096), uncertainty.draws(given_, 4096)
    assert all(np.array_equal(x[n], y[n]) for n in given_)
    assert not np.array_equal(x["a"], uncertainty.draws(given_, 4096, seed=4)["a"])
    # ln b is symmetric about ln 2 with its 10th percentile at ln 1: sigma = ln 2 / 1.28155
    assert np.log(x["b"]).mean() == pytest.approx(np.log(2), abs=1e-3)
    assert np.log(x["b"]).std() == pytest.approx(np.log(2) / stats.norm.ppf(0.9), rel=5e-3)
    assert abs(np.corrcoef(x["a"], x["b"])[0, 1]) < 0.02


def test_quasi_random_draws_beat_random_ones():
    # mean of a product of ten uniform inputs; pseudo-random draws of this number miss by about 1 %
    given_ = {str(i): Input(-1.0, 0.0, 1.0) for i in range(10)}
    x = uncertainty.draws(given_, 8192)
    assert abs(np.mean(sum(x.values()))) < 1e-3


def test_tornado_of_a_linear_result():
    given_ = {
        "big": Input(0.0, 10.0, 20.0),
        "small": Input(0.0, 1.0, 2.0),
        "idle": Input(1.0, 2.0, 3.0),
    }
    x = uncertainty.draws(given_, 2048)
    frame = uncertainty.tornado(lambda v: v["big"] - v["small"], given_, x, x["big"] - x["small"])
    assert frame["input"].tolist() == ["big", "small", "idle"] and frame["span"].iloc[2] == 0.0
    assert frame["span"].iloc[0] == pytest.approx(10 * frame["span"].iloc[1])
    assert frame["rank_correlation"].iloc[0] > 0.9 > 0 > frame["rank_correlation"].iloc[1]
    assert frame["at_high"].iloc[1] < frame["at_low"].iloc[1]


def test_threshold_is_where_the_result_changes_sign():
    given_ = {"a": Input(1.0, 4.0, 8.0), "b": Input(2.0, 3.0, 4.0), "z": Input(0.0, 0.5, 1.0)}
    assert uncertainty.threshold(lambda v: v["a"] ** 2 - v["b"], given_, "a") == pytest.approx(
        np.sqrt(3.0)
    )
    assert uncertainty.threshold(
        lambda v: v["z"] - 0.25 + 0 * v["a"], given_, "z"
    ) == pytest.approx(0.25)
    assert np.isnan(uncertainty.threshold(lambda v: v["a"] + v["b"], given_, "a"))


def test_a_ratio_of_independent_bands_is_wider_than_either_and_has_limits():
    a, sure = np.array([0.8, 1.0, 1.25]), np.ones(3)
    assert np.allclose(uncertainty.ratio_range(a, sure), a), (
        "a sure denominator leaves the band as it is"
    )
    assert np.allclose(uncertainty.ratio_range(sure, a), 1 / a[::-1]), (
        "and a sure numerator mirrors it"
    )
    low, mid, high = uncertainty.ratio_range(a, a)
    # 2 ** 0.5 log-widths: exp(-sqrt(2) ln 1.25) = 0.7294
    assert (low, mid, high) == pytest.approx((1.25 ** -(2**0.5), 1.0, 1.25 ** (2**0.5)))
