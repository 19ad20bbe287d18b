"""What was tried for the serving constants, each variant scored with harnesses left out.

``trn3 calibrate inference`` adds its lines to ``data/variants.csv``, the losers too. Variants are
fitted to every fourth row of a group, and so is the choice that they are compared with.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from trn3 import committed, data, ties
from trn3.fit import calibration, earlier, scores, serving_fit
from trn3.fit.calibration import Problem

COMMAND = "trn3 calibrate inference"
EVERY = 4
"""Rows of a group of which one is kept."""


def thinned(problem: Problem, every: int = EVERY) -> Problem:
    """A problem with some rows of every group.

    Parameters
    ----------
    problem : Problem
        From `serving_fit.problem` [-].
    every : int
        Rows of which the first is kept [-].

    Returns
    -------
    Problem
        Every group is there [-].
    """
    place = problem.rows.groupby("group").cumcount()
    rows = problem.rows[place % every == 0].reset_index(drop=True)
    predict = serving_fit.predictor(rows, serving_fit.arrays(rows))
    return dataclasses.replace(problem, rows=rows, predict=predict)


def _with_priors(problem: Problem, **changes: dict[str, Any]) -> Problem:
    moved = [
        dataclasses.replace(prior, **changes.get(prior.name, {}))
        for prior in committed.priors("serving")
        if prior.sd
    ]
    return dataclasses.replace(problem, tree=committed.tree(moved, problem.tree.families))


def _without(problem: Problem, *columns: str) -> Problem:
    return dataclasses.replace(problem, rows=problem.rows.drop(columns=list(columns)))


def _problems(few: Problem) -> Iterator[tuple[str, Problem]]:
    yield f"as committed, one row of {EVERY}", few
    yield "no level of a stack", dataclasses.replace(few, stack_sd=0.0)
    yield "no level of first tokens", _without(few, "stack_first_token")
    yield "layers cost the same in all families", _with_priors(few, layer_s={"family_sd": 0.0})
    own = {"family_sd": 0.3}
    yield "kernels of routed layers by family", _with_priors(few, moe_layers=own)
    shared = {name: {"family_sd": 0.0} for name in ("kv_share", "attention_share", "mixing")}
    yield "caches, attention and mixing the same in all families", _with_priors(few, **shared)
    yield "loss linear beyond 0.2", dataclasses.replace(few, scale=0.2)


def table(problem: Problem) -> pd.DataFrame:
    """Scores of every variant, and of the choice between them that is made anew for every harness
    by the scores on all others.

    Parameters
    ----------
    problem : Problem
        The committed rows [-].

    Returns
    -------
    pandas.DataFrame
        Lines of ``data/variants.csv`` as text [-].
    """
    lines = [_line("serving as committed", _left_out(problem))]
    seen = {f"serving, {name}": _left_out(each) for name, each in _problems(thinned(problem))}
    lines += [_line(name, each) for name, each in seen.items()]
    first = next(iter(seen.values()))
    plain = dataclasses.replace(first, family=_one_band(first))
    lines.append(_line("serving, compiled engines in the bands of all", plain))
    lines.append(_line("serving, best on the other harnesses", _nested(list(seen.values()))))
    return pd.DataFrame(lines).assign(command=COMMAND)


def _line(name: str, seen: scores.Residuals) -> dict[str, str]:
    found = earlier.score(seen.error, seen.held_out(), seen.group)
    factor, cover = (found["interval"][k] for k in ("group_median_factor", "band_coverage"))
    values = {
        "group_median_factor": found["group_median_factor"],
        "factor_low": factor[0],
        "factor_high": factor[1],
        "band_coverage": found["band_coverage"],
        "coverage_low": cover[0],
        "coverage_high": cover[1],
        "interval_score": found["interval_score"],
    }
    counts = {"n": f"{len(seen.error)}", "n_groups": f"{len(set(seen.group))}"}
    return {"variant": name} | counts | {key: f"{value:.4f}" for key, value in values.items()}


def _nested(variants: Sequence[scores.Residuals]) -> scores.Residuals:
    first = variants[0]
    error, unseen = first.error.copy(), first.unseen.copy()
    for _, mine in calibration.folds(first.fold):
        misses = [
            pd.Series(np.abs(each.error[~mine])).groupby(first.group[~mine]).median().median()
            for each in variants
        ]
        best = variants[int(ties.least(np.array(misses)))]
        error[mine], unseen[mine] = best.error[mine], best.unseen[mine]
    return dataclasses.replace(first, error=error, unseen=unseen)


def _left_out(problem: Problem) -> scores.Residuals:
    rows = problem.rows
    error, unseen = (
        calibration.left_out(problem, rows[fold]) for fold in ("harness", "generation")
    )
    return scores.residuals(rows, error, "harness", unseen)


def _one_band(seen: scores.Residuals) -> np.ndarray:
    return pd.Series(seen.family).str.removesuffix(serving_fit.COMPILED).to_numpy(str)


def store(problem: Problem) -> None:
    """Put the lines of serving into ``data/variants.csv``.

    Parameters
    ----------
    problem : Problem
        The committed rows [-].
    """
    path = data.DATA / "variants.csv"
    known = pd.read_csv(path, dtype=str, keep_default_na=False)
    whole = pd.concat([known[known["command"] != COMMAND], table(problem)])
    whole.to_csv(path, index=False, lineterminator="\n")
