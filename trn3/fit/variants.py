"""What was tried for the training constants, each variant scored with publishers left out.

``trn3 calibrate training`` writes ``data/variants.csv``, the losers too.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from trn3 import committed, data, hardware
from trn3.fit import calibration, scores, training_fit
from trn3.fit.calibration import Problem

CHOSEN = "as committed"
NESTED = "best on the other publishers"
"""The choice between the variants is made anew for every publisher, by the scores on all others."""
STACK_SDS = (0.0, 0.2)
"""Other deviations of the level of a stack."""
SCALES = (0.05, 0.15)
"""Other log errors beyond which a row counts less."""
POOLED = (2.0, 1000.0)
"""Other numbers of stacks for which all families count in a band."""


def _problems(chosen: Problem) -> Iterator[tuple[str, Problem]]:
    yield CHOSEN, chosen
    for sd in STACK_SDS:
        yield f"level of a stack within {sd:g}", dataclasses.replace(chosen, stack_sd=sd)
    for scale in SCALES:
        yield f"loss linear beyond {scale:g}", dataclasses.replace(chosen, scale=scale)
    cases = training_fit.Cases.of(chosen.rows)
    made = dataclasses.replace(cases, work=dataclasses.replace(cases.work, kernel=1.0))
    native = dataclasses.replace(chosen, predict=made.time_s)
    yield "all flash kernels made for their chip", native
    yield "attention without a source for its centre", _free_attention(chosen)
    yield "neither source on attention", _free_attention(native)
    plain = chosen.rows.assign(zero_fsdp=chosen.rows["zero_fsdp"].replace("", "none"))
    predict = training_fit.predictor(plain)
    yield "an unstated ZeRO stage is none", dataclasses.replace(chosen, predict=predict)


def _free_attention(problem: Problem) -> Problem:
    """The rate of attention as version 0.1 had it: 0.5, give or take two fifths."""
    wide = committed.Constant("attention", 0.5, 0.4, 0.3, 0.1)
    priors = [wide if c.name == "attention" else c for c in committed.priors("training")]
    families = {chip.id: chip.family for chip in hardware.chips()}
    tree = committed.tree([c for c in priors if c.sd], families)
    return dataclasses.replace(problem, tree=tree)


def table() -> pd.DataFrame:
    """Scores of every variant.

    Returns
    -------
    pandas.DataFrame
        Rows of ``data/variants.csv`` as text: factors, coverage with the ends of its range, and the
        interval score [-].
    """
    chosen = training_fit.problem()
    rows, spread = chosen.rows, training_fit.open_spread(chosen.rows)
    publisher, error = rows["publisher"].to_numpy(str), {}
    group_weights = calibration.group_weights(rows["group"].to_numpy(str))
    start = None
    for name, problem in _problems(chosen):
        full = calibration.fit(problem, group_weights, start)
        error[name] = calibration.left_out(problem, publisher, full)
        start = full.theta
    error[NESTED] = nested(error, publisher, rows["group"].to_numpy(str))
    seen = {name: scores.residuals(rows, each, "publisher", each) for name, each in error.items()}
    lines = [_line(name, each, spread) for name, each in seen.items()]
    first = seen[CHOSEN]
    assert isinstance(first, scores.StackResiduals)
    for k in POOLED:
        other = dataclasses.replace(first, pooled=k)
        lines.append(_line(f"bands from all families as {k:g} stacks", other, spread))
    plain = [getattr(first, f.name) for f in dataclasses.fields(scores.Residuals)]
    lines.append(_line("bands by groups of a family", scores.Residuals(*plain), spread))
    return pd.DataFrame(lines).assign(command="trn3 calibrate training")


def nested(error: Mapping[str, np.ndarray], publisher: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Errors on every publisher by the variant that is best on all others.

    Parameters
    ----------
    error : mapping
        Log of predicted over measured with the publisher left out, by variant [-].
    publisher, group : numpy.ndarray
        Of each row [-].

    Returns
    -------
    numpy.ndarray
        Log of predicted over measured [-].

    Notes
    -----
    The choice never sees the rows that it is judged on. The fits whose scores decide it have seen
    them; refits without them would take ten times as long.

    Examples
    --------
    The first variant is closer on a, the second on b and c: the choice for a follows b and c.

    >>> error = {"one": np.array([0.1, 0.4, 0.4]), "two": np.array([0.2, 0.2, 0.2])}
    >>> who = np.array(["a", "b", "c"])
    >>> nested(error, who, who).tolist()
    [0.2, 0.2, 0.2]
    """
    out = np.empty(len(publisher))
    for _, mine in calibration.folds(publisher):
        factor = {
            name: pd.Series(np.abs(each[~mine])).groupby(group[~mine]).median().mean()
            for name, each in error.items()
        }
        out[mine] = error[min(factor, key=lambda name: factor[name])][mine]
    return out


def _line(name: str, seen: scores.Residuals, spread: np.ndarray) -> Mapping[str, str]:
    band = scores.widened(seen.held_out(), spread)
    error, group = seen.error, seen.group
    ends = scores.bootstrap(error, band, group)
    misses = pd.Series(np.abs(error)).groupby(group).median()
    values = {
        "group_median_factor": np.exp(misses.median()),
        "factor_low": ends["group_median_factor"][0],
        "factor_high": ends["group_median_factor"][1],
        "band_coverage": scores.coverage(error, band, group),
        "coverage_low": ends["band_coverage"][0],
        "coverage_high": ends["band_coverage"][1],
        "interval_score": scores.interval_score(error, band, group),
    }
    counts = {"n": f"{len(error)}", "n_groups": f"{len(misses)}"}
    return {"variant": name} | counts | {key: f"{value:.4f}" for key, value in values.items()}


def store() -> None:
    """Write the lines of training into ``data/variants.csv``."""
    path, mine = data.DATA / "variants.csv", table()
    known = pd.read_csv(path, dtype=str, keep_default_na=False)
    others = known[~known["command"].isin(mine["command"])]
    pd.concat([mine, others]).to_csv(path, index=False, lineterminator="\n")
