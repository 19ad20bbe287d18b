"""How predictions are judged: folds that cannot see what they score, baselines from committed rows,
intervals, and every row of a file scored or named.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from trn3 import data
from trn3.fit import evidence, scores, serving_fit, training_fit, validation


@pytest.fixture(scope="module")
def problem():
    return training_fit.problem()


@pytest.fixture
def small(problem):
    """Every third group up to 2025: two origins."""
    rows = problem.rows[problem.rows["dated"] < 2025.3]
    kept = rows["group"].drop_duplicates().to_numpy()[::3]
    rows = rows[rows["group"].isin(kept)].reset_index(drop=True)
    return dataclasses.replace(problem, rows=rows, predict=training_fit.predictor(rows))


def test_the_rolling_origin_never_sees_what_comes_later(small):
    """Times of the newest half-year, doubled, leave the scores of all earlier ones as they were."""
    problem = small
    half = np.floor(2 * problem.rows["dated"].to_numpy(float)) / 2
    newest = half == half.max()
    factor = np.where(newest, 2.0, 1.0)
    moved = problem.rows.assign(measured=problem.rows["measured"] * factor)
    plain = validation._rolling(training_fit, problem)
    other = validation._rolling(training_fit, dataclasses.replace(problem, rows=moved))
    early = ~np.isin(plain.rows["row_id"], problem.rows.loc[newest, "row_id"])
    for name, error in plain.error.items():
        np.testing.assert_allclose(other.error[name][early], error[early], atol=1e-9)
        np.testing.assert_allclose(
            other.error[name][~early], error[~early] - np.log(2), atol=1e-9, err_msg=name
        )
    np.testing.assert_allclose(other.band["model"][:, early], plain.band["model"][:, early])


def test_folds_by_publisher_hold_all_sources_of_one(problem):
    by = problem.rows.groupby("source")["publisher"].nunique()
    assert (by == 1).all() and problem.rows["publisher"].nunique() < len(by)
    served = serving_fit.problem().rows
    assert set(served.loc[served["source"].str.startswith("trtllm_v"), "harness"]) == {
        "trtllm_bench"
    }


def test_training_runs_have_no_harness():
    with pytest.raises(data.TrnError, match="take publisher"):
        validation.validate("training", folds="harness")


@pytest.fixture
def mine(tmp_path):
    rows = training_fit.read()
    rows = rows[rows["row_id"] == "R0711"]
    return rows, tmp_path / "mine.csv"


def test_a_run_three_times_does_not_flatter_the_baseline(mine):
    rows, path = mine
    pd.concat([rows] * 3).to_csv(path, index=False)
    found = validation.validate("training", path, "none")
    assert (found["rows"], found["scored"], found["n"]) == (3, 3, 3)
    constant = found["baselines"]["constant MFU per chip"]
    assert constant["group_median_factor"] > 1.001
    once = path.with_name("once.csv")
    rows.to_csv(once, index=False)
    alone = validation.validate("training", once, "none")["baselines"]["constant MFU per chip"]
    assert constant["group_median_factor"] == pytest.approx(alone["group_median_factor"])


def test_every_row_of_a_serving_file_is_scored_or_named(tmp_path):
    rows = serving_fit.read().head(3).copy()
    rows.loc[rows.index[0], ["ttft_ms", "tpot_ms", "throughput_tok_s"]] = ""
    rows.loc[rows.index[1], "accelerator"] = "Abacus 9"
    rows.to_csv(tmp_path / "mine.csv", index=False)
    found = validation.validate("inference", tmp_path / "mine.csv", "none")
    assert found["rows"] == 3 and found["scored"] == 1
    assert found["skipped"]["no measured time or rate that is predicted"] == 1
    assert any("Abacus 9" in why for why in found["skipped"])


@pytest.mark.parametrize(("kind", "fitter"), [("training", training_fit), ("serving", serving_fit)])
@pytest.mark.parametrize("part", ["fitted", "newer", "pool"])
def test_every_committed_row_is_scored_or_named(kind, fitter, part):
    rows = evidence.runs(kind, part)
    if len(rows):
        problem = fitter.problem(part=part)
        assert set(problem.rows["row_id"]) | set(problem.skipped) == set(rows["row_id"])
        assert not set(problem.rows["row_id"]) & set(problem.skipped)


def test_bootstrap_range_of_a_known_sample():
    """Groups of one row with errors 0.1 .. 0.9: the sample median has a known distribution."""
    error = np.arange(1, 10) / 10
    band = np.array([np.full(9, -0.55), np.full(9, 0.55)])
    found = scores.bootstrap(error, band, np.arange(9).astype(str))
    draws = np.random.default_rng(5).choice(error, size=(20_000, 9))
    low, high = np.quantile(np.exp(np.median(draws, axis=1)), [0.1, 0.9])
    assert found["group_median_factor"] == pytest.approx([low, high], abs=0.06)
    share = np.quantile((draws <= 0.55).mean(axis=1), [0.1, 0.9])
    assert found["band_coverage"] == pytest.approx(share, abs=0.06)


def test_one_group_has_no_spread_and_factors_do_not_saturate():
    error = np.log([0.1, 0.1])
    band = np.array([[-1.0, -1.0], [1.0, 1.0]])
    found = scores.bootstrap(error, band, np.array(["a", "a"]))
    assert found["group_median_factor"] == pytest.approx([10.0, 10.0])


def test_a_source_has_one_vote_in_a_family():
    rows = pd.DataFrame(
        {
            "source": ["big", "big", "big", "small"],
            "family": "f",
            "group": ["b1", "b2", "b3", "s1"],
            "publisher": "p",
            "model": "m",
        }
    )
    error = {"model": np.log([1.1, 1.1, 1.1, 1.5])}
    lines = validation.Lines(rows, error, {"model": np.full((2, 4), np.nan)}, {})
    found = lines.scores(np.ones(4, bool))
    assert found["group_median_factor"] == pytest.approx(1.1)
    assert found["n_votes"] == 2
    assert found["vote_median_factor"] == pytest.approx(np.sqrt(1.1 * 1.5))


def test_dates_of_serving_runs():
    years = serving_fit._years(pd.Series(["2025-07-01", "2024-07", "2023", ""]))
    assert years[:3] == pytest.approx([2025.5, 2024.54, 2023.5], abs=0.01) and np.isnan(years[3])
