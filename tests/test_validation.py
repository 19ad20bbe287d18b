"""Validation: scores of known residuals, the bars on published runs, and clear errors for foreign files."""

import json

import numpy as np
import pandas as pd
import pytest

from trn3 import data, training_fit, validation

KOR, NAR = "Korthikanti table 5", "Narayanan table 2, PTD"


@pytest.fixture(scope="module")
def left() -> dict[str, dict]:
    return {f: validation.validate("training", folds=f, beside=False) for f in ("source", "publisher", "generation")}


def test_weighted_quantile_is_the_plain_one_for_equal_weights() -> None:
    x = np.random.default_rng(0).normal(size=4001)
    for q in (0.1, 0.5, 0.9):
        assert validation.weighted_quantile(x, q, np.ones(4001)) == pytest.approx(np.quantile(x, q), abs=2e-3)


def test_weights_are_repetitions() -> None:
    twice = validation.weighted_quantile(np.array([1.0, 1.0, 5.0, 9.0]), 0.5, np.ones(4))
    assert validation.weighted_quantile(np.array([1.0, 5.0, 9.0]), 0.5, np.array([2.0, 1.0, 1.0])) == pytest.approx(
        twice, abs=1.1
    )


def test_interval_score_by_hand() -> None:
    # Gneiting and Raftery 2007, equation 43: width + 2 / alpha times the miss; alpha = 0.2
    band = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
    group = np.array(["a", "b", "c"])
    score = validation.interval_score(np.array([0.0, 1.5, -2.0]), band, group)
    assert score == pytest.approx((2.0 + (2.0 + 5.0) + (2.0 + 10.0)) / 3)
    assert validation.coverage(np.array([0.0, 1.5, -2.0]), band, group) == pytest.approx(1 / 3)


def test_groups_count_equally() -> None:
    error = np.log1p(np.array([0.1] * 9 + [0.3]))
    score = validation.group_score(error, np.array(["big"] * 9 + ["small"]))
    assert score["median_abs_error"].median() == pytest.approx(0.2)


def test_bands_hold_what_they_say() -> None:
    rng = np.random.default_rng(1)
    n = 4000
    fold = rng.integers(0, 20, n).astype(str)
    group = np.array([f"{f} {g}" for f, g in zip(fold, rng.integers(0, 10, n))])
    family = np.where(rng.random(n) < 0.5, "x", "y")
    error = rng.normal(size=n) * 0.1
    band = validation.bands(error, group, family, fold)
    assert validation.coverage(error, band, group) == pytest.approx(0.8, abs=0.03)
    wide = validation.bands(error, group, family, fold, level=0.95)
    assert (wide[0] < band[0]).all() and (wide[1] > band[1]).all()


def test_a_band_never_sees_its_own_fold() -> None:
    error = np.array([0.0] * 20 + [5.0])
    fold = np.array(["a", "b"] * 10 + ["c"])
    band = validation.bands(error, fold, np.full(21, "x"), fold)
    assert band[1][-1] == 0.0 < 5.0


def test_constant_baseline_is_the_median_of_the_others() -> None:
    ratio = np.array([2.0, 2.0, 2.0, 8.0])
    got = validation.baseline_errors(ratio, ["h"] * 4, np.array(list("abcd")), np.array(list("aabb")))
    np.testing.assert_allclose(np.exp(got[2:]) * ratio[2:], 2.0)


@pytest.mark.parametrize(
    ("folds", "name", "bar"),
    [
        ("source", "everything", 0.08),
        ("source", "A100", 0.07),
        ("source", "H100", 0.07),
        ("source", "Blackwell", 0.12),
        ("source", "TPU", 0.12),
        ("source", "MoE", 0.18),
        ("publisher", "everything", 0.11),
        ("generation", "everything", 0.13),
    ],
)
def test_bars_of_left_out_groups(left, folds, name, bar) -> None:
    result = left[folds]
    score = result if name == "everything" else result["tables"][name]
    assert score["group_median_abs_error"] <= bar


def test_bars_of_published_tables(left) -> None:
    tables = left["source"]["tables"]
    assert tables[KOR]["n"] == 8 and tables[KOR]["mape"] <= 0.030 and tables[KOR]["worst"] <= 0.08
    assert tables[NAR]["n"] == 6 and tables[NAR]["mape"] <= 0.040 and tables[NAR]["worst"] <= 0.07


def test_bias_band_and_baselines(left) -> None:
    result = left["source"]
    assert abs(result["bias"]) <= 0.03
    assert 0.72 <= result["band_coverage"] <= 0.88
    for fold in left.values():
        for base in fold["baselines"].values():
            assert fold["interval_score"] < base["interval_score"]
            assert fold["group_median_abs_error"] < base["group_median_abs_error"]


def test_nearly_every_complete_row_is_scored() -> None:
    rows, problem = training_fit.read(), training_fit.problem()
    full = rows[(rows["readiness"] == "full") & rows["quality"].isin(["A", "B"])]
    assert full["row_id"].isin(problem.rows["row_id"]).mean() >= 0.97
    assert set(rows["row_id"]) == set(problem.rows["row_id"]) | set(problem.skipped)
    assert all(problem.skipped.values())


def test_result_is_json_and_text(left) -> None:
    result = json.loads(json.dumps(left["source"]))
    needed = (
        "folds corrections baselines tables rows scored skipped group_median_abs_error mape bias worst band_coverage"
    )
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
    with pytest.raises(data.DataError, match=r"mine.csv row 1: column 'colour' is unknown"):
        validation.validate("training", path, "none")
    rows.drop(columns="layers").to_csv(path, index=False)
    with pytest.raises(data.DataError, match="column 'layers' is missing"):
        validation.validate("training", path, "none")
    rows.assign(tp=["8", "eight", "2"]).to_csv(path, index=False)
    with pytest.raises(data.DataError, match=r"mine.csv row 3, column tp: 'eight' must be a number"):
        validation.validate("training", path, "none")


def test_foreign_rows_that_cannot_be_scored_say_why(foreign) -> None:
    rows, path = foreign
    rows.assign(accelerator="Abacus9").to_csv(path, index=False)
    with pytest.raises(data.TrnError, match="Abacus9"):
        validation.validate("training", path, "none")
    rows.assign(iter_time_s=["", "1", "2"]).to_csv(path, index=False)
    assert validation.validate("training", path, "none")["skipped"] == {"no iter_time_s": 1}


@pytest.mark.parametrize(("kind", "folds"), [("dreams", "source"), ("training", "moon")])
def test_unknown_kind_and_folds_are_refused(kind, folds) -> None:
    with pytest.raises(data.TrnError, match="must be one of"):
        validation.validate(kind, folds=folds)


def test_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(data.DataError, match="cannot be read"):
        validation.validate("training", tmp_path / "none.csv", "none")
