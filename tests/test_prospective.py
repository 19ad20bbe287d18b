"""Runs that came in after the constants were fixed: scored once, kept as they were."""

import hashlib
import shutil

import numpy as np
import pandas as pd
import pytest

from trn3 import data
from trn3.fit import calibration, evidence, prospective, serving_fit, training_fit, validation

FITTERS = {"training": training_fit, "serving": serving_fit}
FIRST = 2232, "10864b549e70cd059459676d20ddcd136fad1f2c5c325ebc81a29d1570b724f7"
"""Lines scored with the constants of 0.1.0 on 2026-11-30, and the SHA-256 of header and lines."""


def lines(n: int) -> bytes:
    text = (data.DATA / "prospective.csv").read_bytes()
    return b"".join(text.splitlines(keepends=True)[: n + 1])


def test_stored_lines_never_change():
    n, digest = FIRST
    assert hashlib.sha256(lines(n)).hexdigest() == digest


@pytest.mark.parametrize("kind", FITTERS)
def test_every_newer_row_has_its_line_and_no_row_that_was_fitted_then(kind):
    runs = evidence.text_table(evidence.TABLES[kind]).set_index("row_id")
    stored = prospective.table().query("kind == @kind")
    later = runs[evidence.part_of(runs.reset_index()) == "newer"]
    assert set(later.index) <= set(stored["row_id"]) <= set(runs.index)
    for version, rows in stored.groupby("constants"):
        since = runs.loc[rows["row_id"].unique(), "fitted_since"]
        assert ((since == "") | (since > version)).all()
    np.testing.assert_array_equal(stored["added"], runs.loc[stored["row_id"], "added"])


def test_a_line_has_numbers_or_a_reason():
    stored = prospective.table()
    told = stored["quantity"] != prospective.NOT_SCORED
    assert (stored.loc[~told, "reason"] != "").all() and (stored.loc[told, "reason"] == "").all()
    numbers = stored.loc[told, ["low", "predicted", "high", "measured"]].astype(float)
    assert (numbers > 0).all().all()
    assert (numbers["low"] <= numbers["predicted"]).all()
    assert (numbers["predicted"] <= numbers["high"]).all()
    assert not stored.duplicated(["kind", "row_id", "quantity"]).any()
    assert not set(stored.loc[told, "row_id"]) & set(stored.loc[~told, "row_id"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copytree(data.DATA, tmp_path / "data")
    monkeypatch.setattr(data, "DATA", tmp_path / "data")
    return tmp_path / "data"


def test_a_new_row_adds_a_line_and_leaves_the_others(folder):
    before = (folder / "prospective.csv").read_bytes()
    runs = evidence.text_table("training_runs")
    row = runs[runs["row_id"] == "R0026"].assign(row_id="X9", added="2027-01-01", fitted_since="")
    whole = pd.concat([runs, row])
    whole.to_csv(folder / "training_runs.csv", index=False, lineterminator="\n")
    assert prospective.append("training", training_fit) == 1
    after = (folder / "prospective.csv").read_bytes()
    assert calibration.committed_hash("training").encode() in after[len(before) :]
    assert after.startswith(before) and after[len(before) :].startswith(b"training,X9,step_time_s,")
    assert prospective.append("training", training_fit) == 0
    assert (folder / "prospective.csv").read_bytes() == after


@pytest.mark.parametrize("kind", FITTERS)
def test_nothing_is_added_once_every_row_was_fitted(folder, kind):
    before = (folder / "prospective.csv").read_bytes()
    runs = evidence.text_table(evidence.TABLES[kind])
    whole = runs.assign(fitted_since=runs["fitted_since"].mask(runs["fitted_since"] == "", "0.2.0"))
    whole.to_csv(folder / f"{evidence.TABLES[kind]}.csv", index=False, lineterminator="\n")
    assert prospective.append(kind, FITTERS[kind]) == 0
    assert (folder / "prospective.csv").read_bytes() == before


@pytest.mark.parametrize(("kind", "inner"), [("training", "training"), ("inference", "serving")])
def test_the_fold_prints_what_is_stored(kind, inner):
    result = validation.validate(kind, folds="prospective")
    stored = prospective.table().query("kind == @inner")
    assert result["rows"] == stored["row_id"].nunique()
    assert result["scored"] + sum(result["skipped"].values()) == result["rows"]
    told = stored[stored["quantity"] != "-"].set_index(["row_id", "quantity"])
    for run in result["runs"][:50]:
        line = told.loc[(run["row_id"], run["quantity"])]
        assert run["predicted"] == pytest.approx(float(line["predicted"]))
        assert run["low"] == pytest.approx(float(line["low"]))
    low, high = result["interval"]["group_median_factor"]
    assert 1 < low <= result["group_median_factor"] <= high
    assert "predicted before any refit" in validation.text(result)


def test_baselines_know_the_committed_rows_alone():
    """A factor on all new rows moves the baseline's errors by just that factor."""
    rows = prospective.scored("training", training_fit)
    plain = validation._committed_baselines(training_fit, rows)
    twice = validation._committed_baselines(
        training_fit, rows.assign(measured=2 * rows["measured"])
    )
    for name, error in plain.items():
        np.testing.assert_allclose(twice[name], error - np.log(2), atol=1e-9)


def test_pool_holds_rows_that_no_fit_and_no_line_has(monkeypatch):
    pool = evidence.runs("serving", "pool")
    assert len(pool) > 1500
    assert not set(pool["row_id"]) & set(evidence.runs("serving")["row_id"])
    lines = prospective.table()
    scored = lines[lines["quantity"] != prospective.NOT_SCORED]
    # what 0.1 predicted and today's fit sets apart: queues, and weights that exceed the chips
    apart = serving_fit.problem(part="pool").skipped
    assert set(pool["row_id"]) & set(scored["row_id"]) <= set(apart)


def test_every_key_has_a_publisher():
    for kind, column in (("training", "source_key"), ("serving", "family")):
        keys = evidence.runs(kind, "all")[column]
        assert (evidence.who(kind, keys) != "").all()
        assert set(keys) == set(evidence.publishers(kind).index)
    assert (evidence.publishers("serving")["harness"] != "").all()
    with pytest.raises(
        data.DataError, match=r"publishers\.csv has no training row with key 'nobody'"
    ):
        evidence.who("training", pd.Series(["nobody"]))
