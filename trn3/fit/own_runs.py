"""What a few runs of a reader tell of their own software: a level, and a narrower range.

The misses of a model on the runs of one software stack have a part that they share, the level of
the stack, and a part of their own. Runs of a stack tell the first; the committed constants stay.

References
----------
Robinson 1991, That BLUP is a good thing: the estimation of random effects (the shrunk mean).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from trn3 import data, hardware
from trn3.committed import Software
from trn3.fit import trust, validation

LEADS = {"training": ("step_time_s",), "serving": ("tpot_loop", "tpot_static", "max")}
"""Quantities that tell the level of a stack; the first token hardly does, as it waits in queues."""
KINDS = {"training": "Training", "serving": "Serving"}
"""Kinds of runs, in words."""
WORDS = {
    "step_time_s": "step",
    "tpot_loop": "time per token in a closed loop",
    "tpot_static": "time per token of one batch",
    "ttft": "first token",
    "max": "maximum throughput",
    "open": "throughput under arrivals",
    "mlperf": "MLPerf",
    "job_static": "whole batch job",
}
"""Quantities in words."""
RATES = ("max", "open", "mlperf")
"""Quantities that are rates: a faster stack has more of them, not less."""
KNOWN = 2
"""Runs of a stack that are known where the gain is scored."""
MOST_PAIRS = 60
"""Choices of known runs that are scored for one stack."""
CLIP = 0.7
"""Log miss beyond which a run says no more of its level: a factor of two."""


@dataclass(frozen=True)
class Variances:
    """How misses lie apart.

    Attributes
    ----------
    between : float
        Variance of the log levels of stacks [-].
    within : float
        Variance of the log misses of the runs of a stack around its level [-].
    """

    between: float
    within: float


def variances(error: np.ndarray, stack: np.ndarray) -> Variances:
    r"""Variances between and within stacks, by the method of moments.

    .. math:: s_w^2 = \frac{\sum_{ij} (e_{ij} - \bar e_i)^2}{n - k}, \qquad
              s_b^2 = \max(\overline{\bar e_i^2} - s_w^2 \overline{1 / n_i},\ 0)

    Parameters
    ----------
    error : numpy.ndarray
        Log of measured over predicted time of every run [-].
    stack : numpy.ndarray
        Stack of every run [-].

    Returns
    -------
    Variances
        Between the levels of stacks, around zero, and within [-].

    Examples
    --------
    Two stacks, one 10 % slow and one 10 % fast, whose runs agree:

    >>> v = variances(np.array([0.1, 0.1, -0.1, -0.1]), np.array(["a", "a", "b", "b"]))
    >>> round(v.between, 4), v.within
    (0.01, 0.0)

    References
    ----------
    DerSimonian and Laird 1986, Meta-analysis in clinical trials (moments of random effects).
    """
    runs = pd.DataFrame({"stack": stack, "error": np.clip(error, -CLIP, CLIP)})
    of_stack = runs.groupby("stack")["error"]
    mean, n = of_stack.mean(), of_stack.size()
    inner = float(((runs["error"] - of_stack.transform("mean")) ** 2).sum())
    within = inner / max(len(runs) - len(n), 1)
    between = float((mean**2).mean()) - within * float((1 / n).mean())
    return Variances(max(between, 0.0), within)


def shrunk(error: np.ndarray, spread: Variances) -> tuple[float, float]:
    r"""Level of a stack from some of its runs, drawn towards the mean of all stacks.

    .. math:: m = \frac{\sum_i e_i}{n + s_w^2 / s_b^2}, \qquad
              s = \left(\frac{1}{s_b^2} + \frac{n}{s_w^2}\right)^{-1/2}

    Parameters
    ----------
    error : numpy.ndarray
        Log of measured over predicted time of the known runs [-].
    spread : Variances
        Between and within stacks [-].

    Returns
    -------
    tuple of float
        Log level m, and its deviation s [-].

    Examples
    --------
    One run counts half where stacks differ as much as their runs do; many runs count whole:

    >>> shrunk(np.array([0.2]), Variances(0.01, 0.01))[0]
    0.1
    >>> round(shrunk(np.full(1000, 0.2), Variances(0.01, 0.01))[0], 3)
    0.2
    """
    known = np.clip(np.asarray(error, float), -CLIP, CLIP)
    if spread.between == 0:
        return 0.0, 0.0
    ratio = spread.within / spread.between
    n = len(known)
    deviation = np.sqrt(spread.between * ratio / (n + ratio)) if ratio else 0.0
    return float(known.sum() / (n + ratio)), float(deviation)


def _log_times(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with their log miss of time, whatever was measured, and their stack."""
    miss = np.log(runs["measured"] / runs["predicted"])
    sign = np.where(runs["quantity"].isin(RATES), -1.0, 1.0)
    return runs.assign(error=sign * miss, stack=runs["source"] + " on " + runs["chip"])


def _published(kind: str) -> pd.DataFrame:
    """Committed runs, each predicted without its publisher (training) or harness (serving)."""
    name = "training" if kind == "training" else "inference"
    return _log_times(trust.runs(name, validation.HEADLINE[name]))


@dataclass(frozen=True)
class OwnRuns:
    """What the file of a reader tells.

    Attributes
    ----------
    kind, file : str
        ``training`` or ``serving``; name of the file [-].
    levels : mapping
        Level of the software by family of chips [-].
    runs : pandas.DataFrame
        One row a run that was used: ``run, chip, quantity, measured, predicted, ratio`` [s or 1/s].
    not_used : tuple of str
        Rows that were not used, with the reason.
    """

    kind: str
    file: str
    levels: Mapping[str, Software]
    runs: pd.DataFrame
    not_used: tuple[str, ...]

    def over(self, level: str) -> Mapping[str, str | Software]:
        """Levels by family; a family without own runs takes the named one.

        Parameters
        ----------
        level : str
            One of `trn3.committed.LEVELS` [-].

        Returns
        -------
        mapping
            For ``software=`` of the estimates; the empty key is every other family [-].
        """
        return {"": level, **self.levels}


def read(kind: str, file: str | Path) -> OwnRuns:
    """Runs of a reader, and the level of the stack that made them.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    file : str or pathlib.Path
        Result file in any form that ``trn3 validate`` reads; none where empty.

    Returns
    -------
    OwnRuns
        Levels by family of chips; no level where there is no file [-].

    Raises
    ------
    trn3.data.TrnError
        A file that cannot be read, or none of whose rows tells a level.

    Notes
    -----
    Runs on one family say nothing of the software of another: each family has a level of its own.
    Only full steps and tokens tell it (`LEADS`), the first token does not.
    """
    if not str(file):
        return OwnRuns(kind, "", {}, pd.DataFrame(), ())
    name = "training" if kind == "training" else "inference"
    result = validation.validate(name, file, "none")
    scored = pd.DataFrame(result["runs"])
    runs = _log_times(scored[scored["quantity"].isin(LEADS[kind])])
    if runs.empty:
        raise data.TrnError(
            f"{result['file']}: no row tells the level of its software; needed: "
            f"{', '.join(LEADS[kind])}; read: {', '.join(sorted(set(scored['quantity'])))}"
        )
    runs = runs.assign(family=[hardware.chip(chip).family for chip in runs["chip"]])
    known = _published(kind)
    known = known[known["quantity"].isin(LEADS[kind])]
    spread = variances(known["error"].to_numpy(), known["stack"].to_numpy())
    levels = {
        family: _level(kind, result["file"], rows["error"].to_numpy(), spread)
        for family, rows in runs.groupby("family")
    }
    shown = runs.rename(columns={"row_id": "run"}).assign(ratio=np.exp(runs["error"]))
    columns = ["run", "chip", "family", "quantity", "measured", "predicted", "ratio"]
    left = tuple(f"row {row['line']}: {row['reason']}" for row in result["not_used"])
    return OwnRuns(kind, result["file"], levels, shown[columns].reset_index(drop=True), left)


def _level(kind: str, file: str, error: np.ndarray, spread: Variances) -> Software:
    level, deviation = shrunk(error, spread)
    return Software(
        kind=kind,
        level="own",
        time_factor=float(np.exp(level)),
        spread=deviation,
        n_sources=1,
        n_publishers=1,
        source=f"{len(error)} runs of {file}",
    )


def gain(kind: str) -> pd.DataFrame:
    """What two known runs of a stack take off the miss on its other runs: cross-validation on
    everything published.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].

    Returns
    -------
    pandas.DataFrame
        One row a quantity: ``quantity, n_stacks, before, after, gain``: mean over stacks of the
        median log miss, without and with the known runs; the share of it that is saved [-].

    Notes
    -----
    Every run was predicted without its publisher (training) or harness (serving); the variances
    come from the other stacks. A stack needs a run more than the known ones. Of many choices of
    known runs, `MOST_PAIRS` evenly spaced ones count.
    """
    runs = _published(kind)
    rows = []
    for quantity, of_quantity in runs.groupby("quantity", sort=True):
        scores = [
            _scored(stack, of_quantity)
            for stack, n in of_quantity["stack"].value_counts(sort=False).items()
            if n > KNOWN
        ]
        if not scores:
            continue
        before, after = np.mean(scores, axis=0)
        rows.append((quantity, len(scores), before, after, 1 - after / before))
    table = pd.DataFrame(rows, columns=["quantity", "n_stacks", "before", "after", "gain"])
    return table.astype({"before": float, "after": float, "gain": float})


def _scored(stack: object, runs: pd.DataFrame) -> tuple[float, float]:
    """Median log miss on the other runs of a stack, without and with the known ones."""
    mine = runs["stack"] == stack
    others = runs[~mine]
    spread = variances(others["error"].to_numpy(), others["stack"].to_numpy())
    error = runs.loc[mine, "error"].to_numpy()
    choices = list(combinations(range(len(error)), KNOWN))
    picked = np.unique(np.linspace(0, len(choices) - 1, MOST_PAIRS).round().astype(int))
    before, after = [], []
    for known in (list(choices[i]) for i in picked):
        level, _ = shrunk(error[known], spread)
        rest = np.delete(error, known)
        before.append(np.median(np.abs(rest)))
        after.append(np.median(np.abs(rest - level)))
    return float(np.mean(before)), float(np.mean(after))
