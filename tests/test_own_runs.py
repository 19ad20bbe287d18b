"""Own runs: the shrunk level against its limits, files of readers, the cross-validated gain."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trn3 import data
from trn3.fit import own_runs

SPREAD = own_runs.Variances(0.02, 0.01)
misses = st.lists(st.floats(-0.6, 0.6), min_size=1, max_size=20).map(np.array)


@given(misses)
def test_a_level_lies_between_no_shift_and_the_mean_of_the_runs(error):
    level, deviation = own_runs.shrunk(error, SPREAD)
    assert abs(level) <= abs(error.mean()) + 1e-12
    assert level * error.mean() >= 0
    assert 0 < deviation < SPREAD.between**0.5


@given(misses)
def test_more_runs_narrow_the_range(error):
    _, few = own_runs.shrunk(error, SPREAD)
    _, more = own_runs.shrunk(np.append(error, 0.0), SPREAD)
    assert more < few


def test_stacks_that_do_not_differ_tell_no_level():
    assert own_runs.shrunk(np.array([0.3, 0.4]), own_runs.Variances(0.0, 0.01)) == (0.0, 0.0)


def test_variances_are_those_that_made_the_runs():
    rng = np.random.default_rng(1)
    stack = np.repeat(np.arange(400), 5)
    error = rng.normal(0, 0.15, 400)[stack] + rng.normal(0, 0.1, len(stack))
    found = own_runs.variances(error, stack)
    assert found.between**0.5 == pytest.approx(0.15, rel=0.1)
    assert found.within**0.5 == pytest.approx(0.1, rel=0.05)


def test_no_file_leaves_the_level():
    assert own_runs.read("training", "").over("tuned") == {"": "tuned"}


def test_slow_runs_move_the_level_of_their_family_alone(tmp_path):
    template = data.DATA / "templates" / "training_runs.csv"
    runs = pd.read_csv(template, dtype=str, keep_default_na=False)
    h100 = runs[runs["accelerator"] == "h100"]
    first = own_runs.read("training", _written(tmp_path / "one.csv", h100))
    predicted = first.runs["predicted"].iloc[0]
    slow = h100.assign(iter_time_s=f"{1.5 * predicted:.4f}")
    found = own_runs.read("training", _written(tmp_path / "slow.csv", slow))
    assert list(found.levels) == ["hopper"]
    level = found.levels["hopper"]
    assert 1 < level.time_factor < 1.5 and level.level == "own"
    assert found.over("typical") == {"": "typical", "hopper": level}
    thrice = pd.concat([slow] * 3).assign(row_id=["a", "b", "c"])
    more = own_runs.read("training", _written(tmp_path / "thrice.csv", thrice)).levels["hopper"]
    assert more.time_factor > level.time_factor and more.spread < level.spread


def test_a_file_of_first_tokens_tells_no_level(tmp_path):
    template = data.DATA / "templates" / "inference_runs.csv"
    runs = pd.read_csv(template, dtype=str, keep_default_na=False).head(1)
    with pytest.raises(data.TrnError, match="no row tells the level of its software"):
        own_runs.read("serving", _written(tmp_path / "first.csv", runs.assign(tpot_ms="")))


@pytest.mark.parametrize("kind", ["training", "serving"])
def test_the_gain_is_scored_on_stacks_with_runs_to_spare(kind):
    gain = own_runs.gain(kind)
    assert set(own_runs.LEADS[kind]) <= set(gain["quantity"])
    assert (gain["n_stacks"] >= 1).all()
    assert np.allclose(gain["gain"], 1 - gain["after"] / gain["before"])


def _written(path, frame):
    frame.to_csv(path, index=False)
    return path
