"""What was tried for the training constants, each variant scored with publishers left out.

``trn3 calibrate training`` writes ``data/variants.csv``, the losers too.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from trn3 import data
from trn3.fit import calibration, scores, training_fit
from trn3.fit.calibration import Problem

STACK_SDS = (0.0, 0.06, 0.12, 0.2)
"""Other deviations of the level of a stack."""
SCALES = (0.05, 0.15)
"""Other log errors beyond which a row counts less."""
POOLED = (2.0, 1000.0)
"""Other numbers of stacks for which all families count in a band."""


def _problems(chosen: Problem) -> Iterator[tuple[str, Problem]]:
    yield "as committed", chosen
    for sd in STACK_SDS:
        yield f"level of a stack within {sd:g}", dataclasses.replace(chosen, stack_sd=sd)
    for scale in SCALES:
        yield f"loss linear beyond {scale:g}", dataclasses.replace(chosen, scale=scale)


def table() -> pd.DataFrame:
    """Scores of every variant.

    Returns
    -------
    pandas.DataFrame
        Rows of ``data/variants.csv`` as text: factors, coverage with the ends of its range, and the
        interval score [-].
    """
    chosen = training_fit.problem()
    lines: list[Mapping[str, str]] = []
    spread = training_fit.open_spread(chosen.rows)
    for name, problem in _problems(chosen):
        error = calibration.left_out(problem, problem.rows["publisher"])
        seen = scores.residuals(problem.rows, error, "publisher", error)
        assert isinstance(seen, scores.StackResiduals)
        lines.append(_line(name, seen, spread))
        if name == "as committed":
            for k in POOLED:
                other = dataclasses.replace(seen, pooled=k)
                lines.append(_line(f"bands from all families as {k:g} stacks", other, spread))
            plain = [getattr(seen, f.name) for f in dataclasses.fields(scores.Residuals)]
            lines.append(_line("bands by groups of a family", scores.Residuals(*plain), spread))
    return pd.DataFrame(lines).assign(command="trn3 calibrate training")


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
    """Write ``data/variants.csv``."""
    table().to_csv(data.DATA / "variants.csv", index=False, lineterminator="\n")
