"""Calibration: one robust hierarchical fit for every evaluator, its folds, and the table of
constants that it makes.

Constants are fitted as logarithms in the tree of `trn3.committed`, each node drawn to its parent by
a ridge. Every (source, model, chip) group counts once, and the loss bounds what a bad row can do.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg, optimize

from trn3 import committed, data, hardware
from trn3.committed import Tree
from trn3.fit import evidence

Values = Mapping[str, np.ndarray]
Predict = Callable[[Values], np.ndarray]
_NUDGE = 1e-5
"""Step of the finite differences, in log."""
SETTLED, LARGEST, SHORTEST = 1e-5, 0.5, 0.1
"""Gain of a step, as a share of the cost, at which a refit takes new slopes or stops; the largest
step in log; and the share of a step that is worth trying.
"""
FRESH = 2
"""Times that a refit takes new slopes."""
COLUMNS = [
    "kind",
    "owner",
    "name",
    "value",
    "log_sd",
    "n_groups",
    "borrowed_from",
    "rows_hash",
    "command",
]


@dataclass(frozen=True)
class Problem:
    """Rows to fit or to score, and the evaluator that predicts them.

    Attributes
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    rows : pandas.DataFrame
        One line per row: at least row_id, group, source, publisher, chip, family, generation,
        model, quantity, measured; with a deviation of stacks also stack, the label of the software
        stack whose level is taken out of the fit (in serving stack_time, and stack_first_token, a
        second level of some rows that is empty in others; slower is -1 for rates) [-].
    tree : Tree
        Constants with their priors [-].
    predict : callable
        From constants by name, each an array with one value per row, to the predicted quantity per
        row [-].
    skipped : dict
        Reason by row_id of the rows that are not in ``rows`` [-].
    scale : float
        Log error beyond which the loss grows linearly [-].
    stack_sd : float
        Deviation of the log level of a stack around the mean one; 0: none is taken out [-].
    """

    kind: str
    rows: pd.DataFrame
    tree: Tree
    predict: Predict
    skipped: Mapping[str, str] = field(default_factory=dict)
    scale: float = 0.08
    stack_sd: float = 0.0

    @cached_property
    def index(self) -> dict[str, np.ndarray]:
        """Node of every constant that each row sees.

        Returns
        -------
        dict
            Constant name to array of node indices, one per row [-].
        """
        chips = list(self.rows["chip"])
        names = list(dict.fromkeys(self.tree.name))
        leaf = {n: {c: self.tree.leaf(n, c) for c in set(chips)} for n in names}
        return {n: np.array([leaf[n][c] for c in chips], dtype=int) for n in names}

    @cached_property
    def kept(self) -> dict[tuple[str, ...], np.ndarray]:
        """Errors with labels left out that were asked for before, by the labels of the rows [-]."""
        return {}

    @cached_property
    def whole(self) -> "Fit":
        """Fit to all rows, every group once: the constants, and the start of every refit.

        Returns
        -------
        Fit
            Constants, and the errors of all rows with them [-].
        """
        return fit(self, group_weights(self.rows["group"].to_numpy(str)))

    def log_errors(self, theta: np.ndarray) -> np.ndarray:
        """Logarithm of predicted over measured.

        Parameters
        ----------
        theta : numpy.ndarray
            Log constants, one per node [-].

        Returns
        -------
        numpy.ndarray
            Log error per row [-].
        """
        values = {n: np.exp(theta[i]) for n, i in self.index.items()}
        return np.log(self.predict(values) / self.rows["measured"].to_numpy(float))


@dataclass(frozen=True)
class Fit:
    """Fitted log constants.

    Attributes
    ----------
    theta : numpy.ndarray
        Log constant of each node [-].
    log_sd : numpy.ndarray
        Posterior deviation of each log constant [-].
    log_errors : numpy.ndarray
        Log of predicted over measured for every row, left-out rows too [-].
    slopes : numpy.ndarray
        Rise of every log error with the log constants that rows see, then with the levels of the
        stacks [-].
    """

    theta: np.ndarray
    log_sd: np.ndarray
    log_errors: np.ndarray
    slopes: np.ndarray


def group_weights(group: Sequence[str] | np.ndarray) -> np.ndarray:
    """Weight of each row so that every group counts once.

    Parameters
    ----------
    group : sequence of str
        Group of each row [-].

    Returns
    -------
    numpy.ndarray
        One over the number of rows of the row's group [-].

    Examples
    --------
    >>> group_weights(["a", "a", "b"]).tolist()
    [0.5, 0.5, 1.0]
    """
    _, inverse, count = np.unique(
        np.asarray(group, dtype=str), return_inverse=True, return_counts=True
    )
    return 1.0 / count[inverse]


def fit(
    problem: Problem, weights: np.ndarray, start: np.ndarray | None = None, tolerance: float = 1e-8
) -> Fit:
    r"""Robust hierarchical fit: soft-L1 on weighted log errors plus the ridge.

    .. math:: \sum_i w_i \left(\sqrt{1 + (r_i / s)^2} - 1\right)
        + \tfrac{1}{2} \lVert A \theta - b \rVert^2

    with the log errors r, the weights w and the scale s of the problem. Where rows name a stack, r
    also holds its level u, a random effect with the ridge u / sd, so that a stack that is slow as a
    whole does not pull the constants; predictions are at the mean stack, u = 0.

    Parameters
    ----------
    problem : Problem
        Rows, evaluator and priors [-].
    weights : numpy.ndarray
        Weight of each row; 0 leaves it out [-].
    start : numpy.ndarray, optional
        Log constants to start from [-].
    tolerance : float
        Gain of a step, as a share of the cost, at which to stop [-].

    Returns
    -------
    Fit
        The constants, and the errors of all rows with them [-].

    Notes
    -----
    A row sees one node per constant, so one extra evaluation per constant gives the whole Jacobian.
    """
    t, s, n = problem.tree, problem.scale, len(problem.rows)
    used = t.used(problem.index.values())
    place = np.cumsum(used) - 1
    index = {name: place[i] for name, i in problem.index.items()}
    a, b = t.ridge()
    a, b = a[np.ix_(used, used)], b[used]
    measured, rows = problem.rows["measured"].to_numpy(float), np.arange(n)
    of_stack, a, b = _with_stacks(problem, a, b)
    k = int(used.sum())

    def log_errors(theta: np.ndarray) -> np.ndarray:
        values = {name: np.exp(theta[i]) for name, i in index.items()}
        return np.log(problem.predict(values) / measured)

    def residuals(theta: np.ndarray) -> np.ndarray:
        levels = of_stack @ theta[k:]
        return np.concatenate([(log_errors(theta) + levels) / s, a @ theta - b])

    def jacobian(theta: np.ndarray) -> np.ndarray:
        values = {name: np.exp(theta[i]) for name, i in index.items()}
        here = np.log(problem.predict(values) / measured)
        slopes = np.zeros((n, len(theta)))
        slopes[:, k:] = of_stack
        for name, i in index.items():
            nudged = problem.predict({**values, name: values[name] * np.exp(_NUDGE)})
            slopes[rows, i] = (np.log(nudged / measured) - here) / _NUDGE
        return np.vstack([slopes / s, a])

    def loss(z: np.ndarray) -> np.ndarray:
        """Soft-L1 with weights on the rows, plain squares on the ridge: value, slope, curve."""
        far = 1 + z[:n]
        row = weights * np.array([2 * (far**0.5 - 1), far**-0.5, -0.5 * far**-1.5])
        ridge = np.array([z[n:], np.ones(len(z) - n), np.zeros(len(z) - n)])
        return np.hstack([row, ridge])

    found = optimize.least_squares(
        residuals,
        np.append((t.start() if start is None else start)[used], np.zeros(len(b) - k)),
        jacobian,
        loss=loss,
        ftol=tolerance,
        xtol=tolerance,
        gtol=tolerance,
    )
    errors = log_errors(found.x)
    slopes = jacobian(found.x)[:n]
    curve = weights * (1 + ((errors + of_stack @ found.x[k:]) / s) ** 2) ** -1.5
    hessian = slopes.T @ (curve[:, None] * slopes) + a.T @ a
    variance = np.diag(np.linalg.inv(hessian))
    return Fit(*t.fill(used, found.x[:k], variance[:k]), errors, slopes * s)


def refit(problem: Problem, weights: np.ndarray, full: Fit, n_steps: int = 30) -> Fit:
    r"""The same fit with other weights, by the slopes of a fit that stands: Newton's steps with one
    Jacobian.

    .. math:: H\, \Delta = J^T w \frac{r / s}{\sqrt{1 + (r / s)^2}} + A^T (A \theta - b), \quad
        H = J^T \frac{w}{(1 + (r / s)^2)^{3/2}} J + A^T A

    Parameters
    ----------
    problem : Problem
        Rows, evaluator and priors [-].
    weights : numpy.ndarray
        Weight of each row; 0 leaves it out [-].
    full : Fit
        A fit of the same problem, with its slopes [-].
    n_steps : int
        Most steps; they end where no log constant moves by more than `SETTLED` [-].

    Returns
    -------
    Fit
        Constants and the errors of all rows; the deviations are those of `full` [-].

    Notes
    -----
    Slopes of log errors hardly change with the constants, so that leaving out a source costs some
    evaluations and no Jacobian. A test holds it against `fit`.
    """
    t, s = problem.tree, problem.scale
    used = t.used(problem.index.values())
    k = int(used.sum())
    a, b = t.ridge()
    of_stack, a, b = _with_stacks(problem, a[np.ix_(used, used)], b[used])
    theta, slopes = np.append(full.theta[used], np.zeros(len(b) - k)), full.slopes

    def at(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        whole, _ = t.fill(used, theta[:k], np.ones(k))
        errors = problem.log_errors(whole)
        miss = (errors + of_stack @ theta[k:]) / s
        cost = weights @ (np.sqrt(1 + miss**2) - 1) + 0.5 * np.sum((a @ theta - b) ** 2)
        return whole, errors, float(cost)

    whole, errors, cost = at(theta)
    n_fresh = 0
    for _ in range(n_steps):
        miss = (errors + of_stack @ theta[k:]) / s
        rate = weights / np.sqrt(1 + miss**2)
        slope = slopes.T @ (rate * miss) / s + a.T @ (a @ theta - b)
        curve = weights * (1 + miss**2) ** -1.5
        hessian = slopes.T @ (curve[:, None] * slopes) / s**2 + a.T @ a
        step = np.clip(np.linalg.solve(hessian, slope), -LARGEST, LARGEST)
        share, tried = 1.0, at(theta - step)
        while tried[2] > cost and share > SHORTEST:
            share /= 3
            tried = at(theta - share * step)
        gain = cost - tried[2]
        if gain > 0:
            theta = theta - share * step
            whole, errors, cost = tried
        if gain < SETTLED * max(cost, 1e-9):
            if n_fresh == FRESH:
                break
            slopes = np.hstack([_slopes(problem, whole, errors)[:, used], of_stack])
            n_fresh += 1
    return Fit(whole, full.log_sd, errors, full.slopes)


def _slopes(problem: Problem, theta: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Rise of every log error with every log constant."""
    values = {name: np.exp(theta[i]) for name, i in problem.index.items()}
    rows, measured = np.arange(len(errors)), problem.rows["measured"].to_numpy(float)
    slopes = np.zeros((len(errors), len(theta)))
    for name, i in problem.index.items():
        nudged = problem.predict({**values, name: values[name] * np.exp(_NUDGE)})
        slopes[rows, i] = (np.log(nudged / measured) - errors) / _NUDGE
    return slopes


def _with_stacks(
    problem: Problem, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which rows belong to which stack, and the ridge with the levels of the stacks in it."""
    if not problem.stack_sd:
        return np.zeros((len(problem.rows), 0)), a, b
    columns = ("stack", "stack_time", "stack_first_token")
    labels = [problem.rows[c].to_numpy(str) for c in columns if c in problem.rows]
    of_stack = np.hstack([1.0 * (each[:, None] == np.unique(each[each != ""])) for each in labels])
    if "slower" in problem.rows:
        of_stack = problem.rows["slower"].to_numpy(float)[:, None] * of_stack
    levels = np.eye(of_stack.shape[1]) / problem.stack_sd
    return of_stack, linalg.block_diag(a, levels), np.append(b, np.zeros(len(levels)))


def folds(labels: Sequence[str] | np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each label once, with the rows that carry it.

    Parameters
    ----------
    labels : sequence of str
        Label of each row, such as its source [-].

    Yields
    ------
    tuple
        Label, and the mask of its rows [-].
    """
    labels = np.asarray(labels, dtype=str)
    for label in np.unique(labels):
        yield str(label), labels == label


def left_out(
    problem: Problem,
    labels: Sequence[str] | np.ndarray,
    full: Fit | None = None,
    known: np.ndarray | None = None,
) -> np.ndarray:
    """Log error of every row by a fit that has not seen the rows of its label.

    Parameters
    ----------
    problem : Problem
        Rows, evaluator and priors [-].
    labels : sequence of str
        Label of each row; one refit per label [-].
    full : Fit, optional
        Fit to all rows, as the start of every refit [-].
    known : numpy.ndarray, optional
        Rows that a fit may see at all; only their labels are left out [-].

    Returns
    -------
    numpy.ndarray
        Log of predicted over measured, nan for rows that are not known [-].
    """
    key = tuple(np.asarray(labels, dtype=str))
    if known is None and key in problem.kept:
        return problem.kept[key]
    weights = group_weights(problem.rows["group"].to_numpy(str))
    seen = np.ones(len(weights), bool) if known is None else known
    weights = np.where(seen, weights, 0.0)
    full = full or problem.whole
    errors = np.full(len(weights), np.nan)
    for _, mask in folds(np.where(seen, np.asarray(labels, dtype=str), "")):
        mine = mask & seen
        if mine.any():
            again = refit(problem, np.where(mine, 0.0, weights), full)
            errors[mine] = again.log_errors[mine]
    if known is None:
        problem.kept[key] = errors
    return errors


REMARKS = ("source", "table", "url", "verified", "verified_against", "note", "notes", "unused")
"""Columns of a run table that say where a row stands and what to know about it."""


def rows_hash(kind: str, frame: pd.DataFrame) -> str:
    """Fingerprint of what the rows behind a fit say.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    frame : pandas.DataFrame
        The rows, one a row and quantity [-].

    Returns
    -------
    str
        First 12 hexadecimal digits of the SHA-256 of the rows as CSV: the columns of the run table
        but `REMARKS`, and the quantity; a corrected note or another grouping changes nothing [-].
    """
    said = [c for c in (*evidence.columns(kind), "quantity") if c in frame and c not in REMARKS]
    text = frame[said].to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def committed_errors(problem: Problem) -> np.ndarray:
    """Log errors with the committed constants.

    Parameters
    ----------
    problem : Problem
        Rows and evaluator [-].

    Returns
    -------
    numpy.ndarray
        Log of predicted over measured [-].
    """
    chips = problem.rows["chip"]
    family = {c: hardware.chip(c).cores for c in set(chips)}
    values = {}
    for name in dict.fromkeys(problem.tree.name):
        own = {c: committed.constant(problem.kind, name, c, f) for c, f in family.items()}
        values[name] = chips.map(own).to_numpy(float)
    return np.asarray(
        np.log(problem.predict(values) / problem.rows["measured"].to_numpy(float)), float
    )


def committed_hash(kind: str) -> str:
    """Fingerprint of the rows behind the committed constants.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].

    Returns
    -------
    str
        As `rows_hash` writes it [-].
    """
    table = data.table("calibration")
    return str(table.loc[table["kind"] == kind, "rows_hash"].iloc[0])


def constants_frame(
    problem: Problem, result: Fit, extra: Sequence[Mapping[str, Any]] = ()
) -> pd.DataFrame:
    """Fitted constants as rows of ``data/calibration.csv``.

    Parameters
    ----------
    problem : Problem
        What was fitted [-].
    result : Fit
        Its outcome [-].
    extra : sequence of mapping
        Further rows, such as the bands by family [-].

    Returns
    -------
    pandas.DataFrame
        One row per node, ready to write [-].
    """
    t, rows = problem.tree, problem.rows
    seen = {"global": rows["group"].nunique()}
    for level in ("chip_family" if "chip_family" in rows else "family", "chip"):
        seen |= rows.groupby(level)["group"].nunique().to_dict()
    out: list[dict[str, Any]] = []
    for i, (owner, name) in enumerate(zip(t.owner, t.name)):
        up = int(t.parent[i])
        while up >= 0 and not seen.get(t.owner[up], 0):
            up = int(t.parent[up])
        borrowed = "" if seen.get(owner, 0) or up < 0 else t.owner[up]
        value, sd = f"{np.exp(result.theta[i]):.4g}", f"{result.log_sd[i]:.3f}"
        out.append(dict(zip(COLUMNS[1:7], [owner, name, value, sd, seen.get(owner, 0), borrowed])))
    frame = pd.DataFrame([*out, *extra])
    frame.insert(0, "kind", problem.kind)
    frame["rows_hash"] = rows_hash(problem.kind, rows)
    frame["command"] = f"trn3 calibrate {problem.kind}"
    return frame[COLUMNS].astype(str)


def band_lines(
    owner: str, name: str, ends: np.ndarray, n_groups: int, fold: str
) -> list[dict[str, Any]]:
    """A band as rows of ``data/calibration.csv``: factors from a prediction to the ends of what is
    measured.

    Parameters
    ----------
    owner, name : str
        Whose band, and which [-].
    ends : numpy.ndarray
        Lower and upper log of predicted over measured [-].
    n_groups : int
        Groups of the owner's own runs behind it [-].
    fold : str
        What was left out [-].

    Returns
    -------
    list of dict
        For `constants_frame` [-].
    """
    sides = (("low", -ends[1]), ("high", -ends[0]))
    values = [
        (owner, f"{name}_{s}", f"{np.exp(e):.4g}", "", n_groups, f"{fold} left out")
        for s, e in sides
    ]
    return [dict(zip(COLUMNS[1:7], v)) for v in values]
