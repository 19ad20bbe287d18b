"""Validation: scores of known residuals, the bars on published runs, and clear errors for
foreign files.
"""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import data
from trn3.fit import evidence, run_files, scores, training_fit, validation

KOR, NAR = "Korthikanti table 5", "Narayanan table 2, PTD"


@pytest.fixture(scope="module")
def left(left_out) -> dict[str, dict]:
    return {fold: left_out("training", fold) for fold in ("source", "publisher", "generation")}


def test_weighted_quantile_is_the_plain_one_for_equal_weights() -> None:
    x = np.random.default_rng(0).normal(size=4001)
    for q in (0.1, 0.5, 0.9):
        assert scores.weighted_quantile(x, q, np.ones(4001)) == pytest.approx(
            np.quantile(x, q), abs=2e-3
        )


def test_weights_are_repetitions() -> None:
    twice = scores.weighted_quantile(np.array([1.0, 1.0, 5.0, 9.0]), 0.5, np.ones(4))
    assert scores.weighted_quantile(
        np.array([1.0, 5.0, 9.0]), 0.5, np.array([2.0, 1.0, 1.0])
    ) == pytest.approx(twice, abs=1.1)


def test_interval_score_by_hand() -> None:
    # Gneiting and Raftery 2007, equation 43: width + 2 / alpha times the miss; alpha = 0.2
    band = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
    group = np.array(["a", "b", "c"])
    score = scores.interval_score(np.array([0.0, 1.5, -2.0]), band, group)
    assert score == pytest.approx((2.0 + (2.0 + 5.0) + (2.0 + 10.0)) / 3)
    assert scores.coverage(np.array([0.0, 1.5, -2.0]), band, group) == pytest.approx(1 / 3)
    open_band = np.where([True, True, False], band, np.nan)
    assert scores.coverage(np.array([0.0, 1.5, -2.0]), open_band, group) == pytest.approx(1 / 2)


def test_groups_count_equally() -> None:
    error = np.log1p(np.array([0.1] * 9 + [0.3]))
    score = scores.group_score(error, np.array(["big"] * 9 + ["small"]))
    assert score["median_abs_error"].median() == pytest.approx(0.2)


def residuals(
    n_folds: int,
    per_fold: int = 40,
    family: str = "x",
    spread: float = 0.1,
    seed: int = 1,
    between=0.0,
):
    """Normal errors in folds of one family, each fold with an offset of its own; generations are
    as many as folds.
    """
    rng = np.random.default_rng(seed)
    fold = np.repeat([f"{family}{i}" for i in range(n_folds)], per_fold)
    offset = np.repeat(between * rng.normal(size=n_folds), per_fold)
    error = offset + spread * rng.normal(size=fold.size)
    group = np.array([f"{f} {i % 4}" for i, f in enumerate(fold)])
    same = np.full(fold.size, "t")
    return scores.Residuals(error, fold, error, fold, group, np.full(fold.size, family), same)


def together(*parts: scores.Residuals) -> scores.Residuals:
    names = [f.name for f in dataclasses.fields(scores.Residuals)]
    return scores.Residuals(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))


def test_a_family_of_many_folds_has_the_quantiles_of_its_own_errors() -> None:
    both = together(residuals(400, 8), residuals(3, family="y", spread=3.0))
    own = np.quantile(both.error[both.family == "x"], [0.1, 0.9])
    assert both.band("x", "t") == pytest.approx(own, rel=0.06)


def test_few_folds_are_wider_and_a_new_family_is_widest() -> None:
    widths = [np.ptp(residuals(n, 4000 // n).band("x", "t")) for n in (2, 4, 8, 40)]
    assert widths == sorted(widths, reverse=True) and widths[0] > 1.2 * widths[-1]
    known = residuals(8)
    assert np.ptp(known.band("unknown", "t")) > np.ptp(known.band("x", "t"))


def test_the_factor_of_a_new_family_is_that_of_a_prediction_interval() -> None:
    # Student's t at 0.9 with 3 degrees of freedom is 1.638, the normal's 1.2816 (any table); UNSEEN
    # = 4 folds count
    ends = np.quantile(residuals(50).error, [0.1, 0.9])
    factor = 1.638 / 1.2816 * np.sqrt(1 + 1 / 4)
    wide = ends.mean() + factor * (ends - ends.mean())
    assert scores.UNSEEN == 4 and residuals(50).band("new", "t") == pytest.approx(wide, rel=0.02)


def test_a_bias_moves_the_ends_apart_and_the_prediction_stays_inside() -> None:
    slow = residuals(40, spread=0.05)
    slow = dataclasses.replace(slow, error=slow.error - 0.04, unseen=slow.error - 0.04)
    low, high = slow.band("x", "t")
    assert -low > 2 * high > 0
    far = dataclasses.replace(slow, error=slow.error - 1.0, unseen=slow.error - 1.0)
    assert far.band("x", "t")[1] == 0.0


def test_another_metric_tells_nothing() -> None:
    other = dataclasses.replace(residuals(8, family="y", spread=5.0), metric=np.full(320, "u"))
    np.testing.assert_array_equal(
        together(residuals(8), other).band("x", "t"), residuals(8).band("x", "t")
    )


@given(st.integers(2, 12), st.sampled_from([0.0, 0.05, 0.15]), st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_bands_hold_zero_and_grow_with_the_level(n_folds, between, seed) -> None:
    known = residuals(n_folds, between=between, seed=seed)
    bands = [known.band("x", "t", level) for level in (0.5, 0.8, 0.95)]
    assert all(low <= 0 <= high for low, high in bands)
    assert (np.diff(np.array(bands)[:, 0]) <= 0).all() and (
        np.diff(np.array(bands)[:, 1]) >= 0
    ).all()


@pytest.mark.parametrize(("n_folds", "between"), [(20, 0.0), (20, 0.1), (6, 0.1), (3, 0.1)])
def test_bands_hold_what_they_say_of_a_fold_that_they_have_not_seen(n_folds, between) -> None:
    held = []
    for seed in range(30):
        known = residuals(n_folds, seed=seed, between=between)
        held.append(scores.coverage(known.error, known.held_out(), known.group))
    assert 0.76 <= np.mean(held) <= 0.92


def test_a_band_never_sees_its_own_fold() -> None:
    known = residuals(5)
    far = dataclasses.replace(known, error=np.where(known.fold == "x0", 50.0, known.error))
    mine = known.fold == "x0"
    np.testing.assert_array_equal(far.held_out()[:, mine], known.held_out()[:, mine])
    assert (far.held_out()[1, ~mine] > known.held_out()[1, ~mine]).all()


def test_constant_baseline_is_the_median_of_the_others() -> None:
    ratio = np.array([2.0, 2.0, 2.0, 8.0])
    got = validation.baseline_errors(
        ratio, ["h"] * 4, np.array(list("abcd")), np.array(list("aabb"))
    )
    np.testing.assert_allclose(np.exp(got[2:]) * ratio[2:], 2.0)


FAMILIES = ("A100", "H100", "Blackwell", "TPU", "Trainium", "MoE")
SAME_ROWS = evidence.text_table("rules_0_1_scores").set_index(["kind", "fold", "part"])


def beside(fold: str, part: str = "everything") -> pd.Series:
    """Today's scores and those of the rules of 0.1 on the same training rows and folds."""
    row = SAME_ROWS.loc[("training", fold, part)]
    return row.astype(float)


@pytest.mark.parametrize("fold", ["publisher", "generation"])
def test_the_stored_comparison_is_that_of_a_fresh_fit(left, fold):
    fresh, stored = left[fold]["rules_0_1"]["everything"], beside(fold)
    assert fresh["n"] == stored["n"]
    for when in ("now", "before"):
        factor = fresh[when]["group_median_factor"]
        assert factor == pytest.approx(stored[f"{when}_group_median_factor"], abs=2e-3)
        assert fresh[when]["interval_score"] == pytest.approx(
            stored[f"{when}_interval_score"], abs=0.02
        )


@pytest.mark.parametrize("fold", ["origin", "publisher", "source"])
def test_no_further_off_than_the_rules_of_the_first_version(fold):
    row = beside(fold)
    assert row["now_group_median_factor"] <= row["before_group_median_factor"]
    assert row["now_interval_score"] <= row["before_interval_score"]


def test_ranges_on_unseen_generations_score_better_than_those_of_the_first_version():
    row = beside("generation")
    assert row["now_interval_score"] <= row["before_interval_score"]


@pytest.mark.parametrize(
    ("fold", "column", "ceiling"),
    [
        ("generation", "group_median_factor", 1.105),
        ("model", "group_median_factor", 1.08),
        ("model", "interval_score", 0.58),
    ],
)
def test_what_is_further_off_than_the_first_version_does_not_grow(fold, column, ceiling):
    """Bars that are missed, with a ceiling against regression: generation left out 1.102 where the
    rules of 0.1 had 1.093, model left out 1.077 where they had 1.074, and there an interval score
    of 0.568 where they had 0.561. Docs state them as missed.
    """
    row = beside(fold)
    assert row[f"before_{column}"] < row[f"now_{column}"] <= ceiling


@pytest.mark.parametrize("fold", ["origin", "publisher", "generation", "source", "model"])
def test_the_range_of_the_coverage_reaches_what_was_asked(fold):
    """75 to 85 % of the runs in their 80 % range, at either end of the bootstrap."""
    row = beside(fold)
    assert row["now_coverage_low"] <= 0.85
    # with models left out stacks are known: ranges made for unknown ones hold more
    assert row["now_coverage_high"] >= 0.75


def test_every_family_is_closer_than_a_constant_share_of_peak(left):
    """With publishers left out, in every family of three sources or more."""
    constant = left["publisher"]["baselines"]["constant MFU per chip"]["by"]
    sources = training_fit.problem().rows
    for name, mask in training_fit.slices(sources).items():
        if sources.loc[mask, "source"].nunique() >= 3:
            mine = left["publisher"]["tables"][name]
            assert mine["group_median_factor"] < constant[name]["group_median_factor"], name


def test_bars_of_published_tables(left) -> None:
    """Narayanan's table 2 within its bar of 4.0 %. Korthikanti's table 5 misses its bar of 3.0 %
    (0.1: 2.6 %): it is at 3.4 %, and 3.6 % is a ceiling against regression.
    """
    tables = left["source"]["tables"]
    assert tables[KOR]["n"] == 8 and tables[KOR]["mape"] <= 0.036 and tables[KOR]["worst"] <= 0.08
    assert tables[NAR]["n"] == 6 and tables[NAR]["mape"] <= 0.040 and tables[NAR]["worst"] <= 0.07


def test_bias_and_baselines(left) -> None:
    for name, fold in left.items():
        assert name == "generation" or abs(fold["bias"]) <= 0.03
        for base in fold["baselines"].values():
            assert fold["interval_score"] < base["interval_score"]
            assert fold["group_median_factor"] < base["group_median_factor"]


def test_nearly_every_complete_row_is_scored() -> None:
    rows, problem = training_fit.read(), training_fit.problem()
    full = rows[(rows["readiness"] == "full") & rows["quality"].isin(["A", "B"])]
    assert full["row_id"].isin(problem.rows["row_id"]).mean() >= 0.97
    assert set(rows["row_id"]) == set(problem.rows["row_id"]) | set(problem.skipped)
    assert all(problem.skipped.values())


def test_result_is_json_and_text(left) -> None:
    result = json.loads(json.dumps(left["source"]))
    needed = "folds corrections baselines tables rows scored skipped group_median_abs_error "
    needed += "mape bias worst band_coverage"
    assert {*needed.split(), "groups", "by", "runs"} <= set(result)
    assert {"row_id", "quantity", "measured", "predicted", "low", "high"} <= set(result["runs"][0])
    assert all(r["low"] < r["predicted"] < r["high"] for r in result["runs"])
    assert result["scored"] + sum(result["skipped"].values()) == result["rows"]
    shown = validation.text(left["source"])
    assert "Korthikanti" in shown and "half of peak" in shown


def test_corrections_refer_to_rows_that_are_there() -> None:
    raw = training_fit.read(corrections=0).set_index("row_id")
    fixes = pd.read_csv(data.DATA / "corrections.csv", dtype=str, keep_default_na=False)
    mine = fixes[fixes["row_id"].isin(raw.index)]
    assert len(mine) >= 20 and set(mine["class"]) == {"1", "2"} and (mine["reason"] != "").all()
    for fix in mine.itertuples():
        assert raw.at[fix.row_id, fix.column] == fix.old != fix.new


@pytest.fixture
def foreign(tmp_path):
    rows = training_fit.read(corrections=0)
    return rows[rows["row_id"].isin(["R0023", "R0026", "R0711"])].copy(), tmp_path / "mine.csv"


def test_foreign_rows_take_the_committed_constants(foreign) -> None:
    rows, path = foreign
    rows.to_csv(path, index=False)
    result = validation.validate("training", path, "none")
    assert result["scored"] == 3 and result["group_median_abs_error"] < 0.15
    assert all(r["low"] < r["predicted"] < r["high"] for r in result["runs"])
    assert "3 of 3 rows" in validation.text(result)


def test_foreign_columns_and_values_are_named(foreign) -> None:
    rows, path = foreign
    rows.assign(colour="red").to_csv(path, index=False)
    assert run_files.read("training", path).ignored == ("colour",)
    rows.rename(columns={"n_accel": "n_acel"}).to_csv(path, index=False)
    with pytest.raises(data.DataError, match=r"column 'n_acel' is unknown; did you mean n_accel?"):
        validation.validate("training", path, "none")
    rows.drop(columns="accelerator").to_csv(path, index=False)
    with pytest.raises(data.DataError, match=r"mine\.csv: it does not say accelerator"):
        validation.validate("training", path, "none")
    rows.assign(tp=["8", "eight", "2"]).to_csv(path, index=False)
    result = validation.validate("training", path, "none")
    assert result["scored"] == 2 and result["skipped"] == {
        "tp = 'eight': must be a whole number from 1 to 100,000 (tensor-parallel degree)": 1
    }


def test_foreign_rows_that_cannot_be_scored_say_why(foreign) -> None:
    rows, path = foreign
    rows.assign(accelerator="Abacus9").to_csv(path, index=False)
    with pytest.raises(data.TrnError, match="Abacus9"):
        validation.validate("training", path, "none")
    rows.assign(iter_time_s=["", "1", "2"]).to_csv(path, index=False)
    (why,) = validation.validate("training", path, "none")["skipped"]
    assert why.startswith("iter_time_s is empty: must be a number from")


@pytest.mark.parametrize(("kind", "folds"), [("dreams", "source"), ("training", "moon")])
def test_unknown_kind_and_folds_are_refused(kind, folds) -> None:
    with pytest.raises(data.TrnError, match="must be one of"):
        validation.validate(kind, folds=folds)


def test_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(data.DataError, match="cannot be read"):
        validation.validate("training", tmp_path / "none.csv", "none")
