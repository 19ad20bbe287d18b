"""Stored scores: they are what a fresh fit gives, they agree with each other, and what is not
stored is an error.
"""

import numpy as np
import pandas as pd
import pytest

from trn3 import committed, data, hardware
from trn3.fit import calibration, serving_fit, training_fit, trust, validation

KINDS = ("training", "inference")


SOURCES = {"training": "narayanan21_t2", "inference": "pope2022"}
"""A source of each kind that is left out afresh; a fit of every fold would take minutes."""


@pytest.mark.parametrize("kind", KINDS)
def test_stored_runs_are_those_of_a_fresh_fit(kind):
    """One source left out again: the same predictions, to the stored four digits."""
    fitter = {"training": training_fit, "inference": serving_fit}[kind]
    problem = fitter.problem(None, 1)
    out = (problem.rows["source"] == SOURCES[kind]).to_numpy()
    weights = calibration.group_weights(problem.rows["group"].to_numpy(str))
    error = calibration.fit(problem, np.where(out, 0.0, weights)).log_errors[out]
    rows = problem.rows[out].assign(fresh=np.exp(error) * problem.rows["measured"][out])
    stored = trust.runs(kind, "source").query("source == @SOURCES[@kind]")
    both = rows[["row_id", "quantity", "fresh"]].merge(
        stored, on=["row_id", "quantity"], validate="1:1"
    )
    assert len(both) == len(rows) == len(stored) > 0
    # A fit on fewer folds may end a step earlier or later; serving has flat valleys.
    digits = {"training": 2e-3, "inference": 3e-2}[kind]
    assert both["predicted"].to_numpy() == pytest.approx(both["fresh"].to_numpy(), rel=digits)


@pytest.fixture(scope="module")
def result():
    return validation.validate("training", None, "none", beside=False)


def test_committed_constants_give_the_stored_scores(result):
    parts = {"everything": result} | {p: s for p, s in result["tables"].items() if "n_groups" in s}
    for part, score in parts.items():
        row = trust.summary("training", "none", part)
        for name in ("n", "n_groups", "group_median_abs_error", "group_p90_abs_error", "bias"):
            assert row[name] == pytest.approx(score[name], abs=5.1e-5), (part, name)


def test_what_is_written_has_the_columns_of_the_tables(monkeypatch, result):
    monkeypatch.setattr(validation, "validate", lambda *_: result)
    monkeypatch.setattr(trust, "FOLDS", ("source",))
    made = trust.score("training")
    for name, frame in made.items():
        assert list(frame.columns) == list(data.table(name).columns), name
    runs = made["validation"]
    assert len(runs) == result["n"] and "nan" not in set(runs["predicted"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fold", trust.RUNS)
def test_the_runs_give_the_summary(kind, fold):
    """The stored runs, with four digits, repeat the stored medians: error, bias and coverage."""
    runs, row = trust.runs(kind, fold), trust.summary(kind, fold)
    assert len(runs) == row["n"] and runs["group"].nunique() == row["n_groups"]
    by = (runs["ratio"] - 1).abs().groupby(runs["group"]).median()
    assert by.median() == pytest.approx(row["group_median_abs_error"], abs=1e-3)
    assert by.quantile(0.9) == pytest.approx(row["group_p90_abs_error"], abs=1e-3)
    inside = (
        runs["measured"].between(runs["low"], runs["high"]).groupby(runs["group"]).mean().mean()
    )
    assert inside == pytest.approx(row["band_coverage"], abs=0.01)


def test_the_runs_are_whole_and_positive():
    runs = pd.concat([trust.runs(kind, fold) for kind in KINDS for fold in trust.RUNS])
    assert (runs[["measured", "predicted", "low", "high"]] > 0).all().all()
    assert (runs["low"] <= runs["high"]).all()
    assert {hardware.chip(c).id for c in runs["chip"].unique()} == set(runs["chip"])
    assert not runs.duplicated(["kind", "fold", "row_id", "quantity"]).any()


def test_every_fold_is_stored_beside_both_baselines():
    stored = data.table("validation_summary")
    for kind in KINDS:
        mine = stored[(stored["kind"] == kind) & (stored["part"] == "everything")]
        assert set(zip(mine["fold"], mine["corrections"])) >= {
            *((f, 1) for f in trust.FOLDS if (kind, f) != ("training", "harness")),
            ("prospective", 1),
            ("source", 0),
            ("source", 2),
        }
        assert (
            mine[["rule_group_median_abs_error", "constant_group_median_abs_error"]]
            .notna()
            .all()
            .all()
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_sentence_says_whether_the_chip_was_fitted(kind):
    chips = [hardware.chip(c) for c in ("trainium3", "h100")]
    unseen, seen = (trust.sentence(kind, c) for c in chips)
    fitted = "serving" if kind == "inference" else kind
    assert [committed.borrowed(fitted, c.id) for c in chips] == [True, False]
    assert (
        unseen.startswith(f"No public {chips[0].name} {fitted} run was fitted")
        and "never fitted" in unseen
    )
    assert (
        f"{trust.summary(kind, 'source')['n_groups']:.0f} groups" in seen and chips[1].name in seen
    )
    assert "generation left out and on generations never fitted." in unseen
    # the range of a chip with runs is made of whole publishers (training) or harnesses (serving)
    left = {"training": "publisher", "inference": "harness"}[kind]
    assert f"with their {left}" in seen.split("80% range")[1]


def test_the_sentence_counts_the_groups_behind_a_range():
    own = training_fit.problem().rows.query("family == 'trainium'")["group"].nunique()
    assert f"{own} groups of Trainium runs" in trust.sentence(
        "training", hardware.chip("trainium3")
    )
    assert "misses on generations never fitted" in trust.sentence(
        "training", hardware.chip("mi300x")
    )


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("training", "decade"), "decade"),
        (("cooking",), "cooking"),
        (("training", "source", "Cerebras"), "Cerebras"),
    ],
)
def test_what_is_not_stored_is_an_error_that_names_it(arguments, words):
    with pytest.raises(data.UnknownId, match=words) as error:
        trust.summary(*arguments)
    assert "\n" not in str(error.value)


def test_unknown_runs_are_none():
    assert trust.runs("training", "model").empty


def test_store_replaces_only_its_kind(monkeypatch, tmp_path):
    old = pd.DataFrame(
        {"kind": ["inference", "training"], "fold": "source", "x": ["1", "2"], "y": "a"}
    )
    for name in ("validation", "validation_summary"):
        old.to_csv(tmp_path / f"{name}.csv", index=False)
    new = old.assign(x="9").query("kind == 'training'")
    monkeypatch.setattr(data, "DATA", tmp_path)
    made = {"validation": new, "validation_summary": new}
    monkeypatch.setattr(trust, "score", lambda kind, problem: made)
    trust.store("training")
    found = pd.read_csv(tmp_path / "validation.csv", dtype=str)
    assert found["x"].tolist() == ["1", "9"] and found["kind"].tolist() == ["inference", "training"]
