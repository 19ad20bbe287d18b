"""Calibration: known constants are found, bad rows are bounded, what was not seen borrows with a
wider deviation.
"""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from trn3 import committed, data
from trn3.committed import Constant
from trn3.fit import calibration, refit, serving_fit, training_fit

FAMILIES = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "c1": "c"}
TRUE = {"a1": 0.50, "a2": 0.52, "b1": 0.80}


def made_up(bad: int = 0, noise: float = 0.01) -> calibration.Problem:
    """Time = work / efficiency + fixed, with an efficiency per chip; the first `bad` rows are
    three times too slow.
    """
    rng = np.random.default_rng(0)
    chip = np.repeat(list(TRUE), 40)
    work = rng.uniform(1, 10, chip.size)
    measured = (work / np.array([TRUE[c] for c in chip]) + 0.7) * np.exp(
        noise * rng.normal(size=chip.size)
    )
    measured[:bad] *= 3
    group = [f"{c} {i % 8}" for i, c in enumerate(chip)]
    rows = pd.DataFrame(
        {"row_id": range(chip.size), "group": group, "chip": chip, "measured": measured}
    )
    rows["family"] = rows["chip"].map(FAMILIES)
    tree = committed.tree(
        [Constant("share", 0.6, 0.5, 0.3, 0.2), Constant("fixed", 1.0, 1.0)], FAMILIES
    )
    return calibration.Problem("training", rows, tree, lambda v: work / v["share"] + v["fixed"])


def fitted(problem: calibration.Problem) -> dict[tuple[str, str], float]:
    result = calibration.fit(problem, calibration.group_weights(problem.rows["group"]))
    return dict(zip(zip(problem.tree.name, problem.tree.owner), np.exp(result.theta)))


def test_finds_the_constants_again() -> None:
    got = fitted(made_up())
    assert [got["share", c] for c in TRUE] == pytest.approx(list(TRUE.values()), rel=0.02)
    assert got["fixed", "global"] == pytest.approx(0.7, rel=0.1)


def test_bad_rows_move_little() -> None:
    clean, bad = fitted(made_up()), fitted(made_up(bad=4))
    assert bad["share", "a1"] == pytest.approx(clean["share", "a1"], rel=0.03)


def test_unseen_chips_borrow_with_a_wider_deviation() -> None:
    problem = made_up()
    result = calibration.fit(problem, calibration.group_weights(problem.rows["group"]))
    frame = calibration.constants_frame(problem, result).query("name == 'share'").set_index("owner")
    value, sd = frame["value"].astype(float), frame["log_sd"].astype(float)
    assert value["a3"] == value["a"] and sd["a3"] > sd["a1"]
    assert value["c1"] == value["global"] and sd["c1"] > sd["a3"]
    assert frame.loc[["a1", "a3", "c1"], "borrowed_from"].tolist() == ["", "a", "global"]


def test_same_rows_same_digits_from_any_start() -> None:
    problem = made_up(bad=4)
    weights = calibration.group_weights(problem.rows["group"])
    one = calibration.fit(problem, weights)
    two = calibration.fit(problem, weights, problem.tree.start() + 0.2)
    assert (calibration.fit(problem, weights).theta == one.theta).all()
    np.testing.assert_allclose(two.theta, one.theta, atol=1e-4)


def test_gradient_is_zero_at_the_fit() -> None:
    problem = made_up(bad=4)
    weights = calibration.group_weights(problem.rows["group"])
    a, b = problem.tree.ridge()
    best = calibration.fit(problem, weights).theta

    def cost(theta):
        r = problem.log_errors(theta)
        loss = weights @ (np.sqrt(1 + (r / problem.scale) ** 2) - 1)
        return loss + 0.5 * np.sum((a @ theta - b) ** 2)

    for i in range(len(best)):
        step = np.zeros(len(best))
        step[i] = 1e-3
        assert min(cost(best + step), cost(best - step)) > cost(best) - 1e-9


def test_folds_start_from_one_fit_to_all_rows(monkeypatch) -> None:
    calls = []
    one = calibration.fit
    monkeypatch.setattr(calibration, "fit", lambda *a, **k: calls.append(a[1]) or one(*a, **k))
    problem = made_up()
    for fold in ("chip", "group"):
        calibration.left_out(problem, problem.rows[fold])
    assert len(calls) == 1 and (calls[0] > 0).all()


def test_a_refit_with_rows_left_out_is_the_plain_fit() -> None:
    problem = made_up(bad=6)
    weights = calibration.group_weights(problem.rows["group"])
    full = calibration.fit(problem, weights)
    for chip in TRUE:
        left = np.where(problem.rows["chip"] == chip, 0.0, weights)
        quick, plain = calibration.refit(problem, left, full), calibration.fit(problem, left)
        np.testing.assert_allclose(quick.theta, plain.theta, atol=2e-3)
        np.testing.assert_allclose(quick.log_errors, plain.log_errors, atol=2e-3)


def test_left_out_rows_do_not_teach() -> None:
    problem = made_up()
    left = calibration.left_out(problem, problem.rows["chip"])
    seen = calibration.fit(problem, calibration.group_weights(problem.rows["group"])).log_errors
    assert (
        np.abs(left[problem.rows["chip"] == "b1"]).mean()
        > 5 * np.abs(seen[problem.rows["chip"] == "b1"]).mean()
    )


def test_every_group_counts_once() -> None:
    group = np.array(["x"] * 9 + ["y"])
    weights = calibration.group_weights(group)
    assert weights[group == "x"].sum() == pytest.approx(1) and weights[-1] == 1


def test_folds_cover_every_row_once() -> None:
    masks = [mask for _, mask in calibration.folds(["p", "q", "p", "r"])]
    assert np.sum(masks, axis=0).tolist() == [1, 1, 1, 1]


def test_committed_constants_follow_from_the_committed_rows() -> None:
    problem = training_fit.problem()
    result = calibration.fit(
        problem, calibration.group_weights(problem.rows["group"].to_numpy(str))
    )
    mine = calibration.constants_frame(problem, result).drop(columns="kind")
    stored = pd.read_csv(data.DATA / "calibration.csv", dtype=str, keep_default_na=False).query(
        "kind == 'training'"
    )
    stored = stored[(stored["log_sd"] != "") & (stored["name"] != "stack_spread")]
    stored = stored.drop(columns="kind")
    assert refit.difference(stored, mine) == ""


@pytest.mark.parametrize("fitter", [training_fit, serving_fit])
def test_the_fingerprint_is_of_what_the_rows_say(fitter) -> None:
    """A corrected note or another grouping changes nothing, a number does."""
    problem = fitter.problem()
    kind, rows = problem.kind, problem.rows
    made = calibration.rows_hash(kind, rows)
    assert made == calibration.committed_hash(kind)
    remark = "notes" if "notes" in rows else "note"
    assert (
        calibration.rows_hash(kind, rows.assign(**{remark: "mended", "group": "another"})) == made
    )
    assert calibration.rows_hash(kind, rows.assign(tp="3")) != made


def test_constants_are_compared_as_numbers_and_all_else_as_text() -> None:
    row = {"owner": "h100", "name": "share", "value": "0.5000", "log_sd": "0.063", "n_groups": "8"}
    one = pd.DataFrame([row])

    def other(**changed: str) -> str:
        return refit.difference(one, pd.DataFrame([row | changed]))

    assert not other(value="0.5005") and not other(log_sd="0.064") and not other(value="5e-1")
    assert "value 0.5000 is stored, 0.5006 comes out" in other(value="0.5006")
    assert "log_sd" in other(log_sd="0.065") and "log_sd" in other(log_sd="")
    assert "n_groups" in other(n_groups="8.0") and "name" in other(name="shares")
    assert refit.difference(one, pd.concat([one, one])) == "1 rows are stored, 2 come out"


def test_at_most_four_constants_differ_by_chip() -> None:
    assert sum(c.chip_sd > 0 for c in committed.priors("training")) <= 4


def test_missing_constant_is_named() -> None:
    with pytest.raises(data.DataError, match="'nothing'"):
        committed.constant("training", "nothing", "h100")


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(data.TrnError, match="dreaming"):
        refit.calibrate("dreaming")


def test_every_constant_of_a_step_is_a_field_with_a_prior():
    # three more are not moved by the fit: the spread of stacks, and two that were measured
    fields = {f.name for f in dataclasses.fields(committed.TrainingConstants)}
    priors = {c.name for c in committed.priors("training")}
    assert fields < priors
    assert priors - fields == {"stack", "measured_matmul", "ported_attention"}


def test_a_record_of_constants_takes_arrays_as_well_as_scalars():
    values = {f.name: 0.5 for f in dataclasses.fields(committed.TrainingConstants)}
    per_row = committed.record(
        committed.TrainingConstants, values | {"matmul": np.array([0.7, 0.8]), "other": 0.6}
    )
    assert per_row.matmul.tolist() == [0.7, 0.8]
    assert per_row.hbm == 0.5


def test_constants_follow_a_change_of_the_data_folder(tmp_path, monkeypatch):
    before = committed.constants(committed.TrainingConstants, "h100", "hopper")
    shutil.copytree(data.DATA, tmp_path / "data")
    table = pd.read_csv(tmp_path / "data" / "calibration.csv", dtype=str, keep_default_na=False)
    own = (table["name"] == "matmul") & (table["owner"] == "h100") & (table["kind"] == "training")
    table.loc[own, "value"] = "0.5"
    table.to_csv(tmp_path / "data" / "calibration.csv", index=False)
    monkeypatch.setattr(data, "DATA", tmp_path / "data")
    after = committed.constants(committed.TrainingConstants, "h100", "hopper")
    assert (after.matmul, after.hbm) == (0.5, before.hbm)
    monkeypatch.undo()
    assert committed.constants(committed.TrainingConstants, "h100", "hopper") == before
