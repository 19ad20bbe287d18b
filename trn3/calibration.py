"""Calibration: one robust hierarchical fit for every evaluator, its folds, and the committed table of constants.

A constant is fitted as a logarithm, in a tree: the global value, the value of a chip family, the value of a chip. Each
node is drawn to its parent by a ridge, so that a chip without measurements takes its family's value with a wider
deviation. Every (source, model, chip) group counts once, and the loss bounds what a bad row can do.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd

from trn3 import data

Values = Mapping[str, np.ndarray]
Predict = Callable[[Values], np.ndarray]
_NUDGE = 1e-5
"""Step of the finite differences, in log."""
COLUMNS = ["kind", "owner", "name", "value", "log_sd", "n_groups", "borrowed_from", "rows_hash", "command"]


@dataclass(frozen=True)
class Constant:
    """One efficiency or cost that the fit may move.

    Attributes
    ----------
    name : str
        Name by which the evaluator asks for it [-].
    value : float
        Centre of the prior, positive, in the unit of the constant [-].
    sd : float
        Deviation of the logarithm of the global value around the centre [-].
    family_sd, chip_sd : float
        Deviation of a family around the global value and of a chip around its family; 0: no such level [-].
    """

    name: str
    value: float
    sd: float
    family_sd: float = 0.0
    chip_sd: float = 0.0


def priors(kind: str) -> list[Constant]:
    """What the fit of a kind may move, from ``data/priors.csv``.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].

    Returns
    -------
    list of Constant
        In the order of the table [-].
    """
    rows = data.table("priors")
    rows = rows[rows["kind"] == kind]
    return [Constant(*row) for row in zip(*(rows[c] for c in ("name", "value", "sd", "family_sd", "chip_sd")))]


@dataclass(frozen=True)
class Tree:
    """Log constants as nodes: global, family and chip, each with its parent.

    Attributes
    ----------
    owner, name : list of str
        Who owns a node (``global``, a family, a chip) and which constant it is [-].
    parent : numpy.ndarray
        Index of the parent, -1 at the global nodes [-].
    mean, sd : numpy.ndarray
        Centre at the global nodes (0 elsewhere) and deviation from the parent, in log [-].
    """

    owner: list[str]
    name: list[str]
    parent: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    def leaf(self, name: str, chip: str) -> int:
        """Node that a chip sees: its own where there is one, else the global one.

        Parameters
        ----------
        name : str
            Constant [-].
        chip : str
            Chip id [-].

        Returns
        -------
        int
            Index of the node [-].
        """
        own = [i for i, (n, o) in enumerate(zip(self.name, self.owner)) if n == name and o in (chip, "global")]
        return own[-1]

    def start(self) -> np.ndarray:
        """Log constants before any row is seen: every node at its parent.

        Returns
        -------
        numpy.ndarray
            Logarithms of the prior centres [-].
        """
        theta = self.mean.copy()
        for i, p in enumerate(self.parent):
            theta[i] += theta[p] if p >= 0 else 0.0
        return theta

    def ridge(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the ridge: (theta - parent - mean) / sd = A theta - b.

        Returns
        -------
        tuple of numpy.ndarray
            Matrix A and vector b [-].
        """
        a = np.eye(len(self.sd))
        child = np.flatnonzero(self.parent >= 0)
        a[child, self.parent[child]] -= 1.0
        return a / self.sd[:, None], self.mean / self.sd

    def used(self, leaves: Iterable[np.ndarray]) -> np.ndarray:
        """Nodes that rows see, with their ancestors.

        Parameters
        ----------
        leaves : iterable of numpy.ndarray
            Indices of the nodes that rows see [-].

        Returns
        -------
        numpy.ndarray
            Mask over the nodes [-].
        """
        mask = np.zeros(len(self.sd), dtype=bool)
        for leaf in leaves:
            mask[leaf] = True
        for i in reversed(np.flatnonzero(self.parent >= 0)):
            mask[self.parent[i]] |= mask[i]
        return mask

    def fill(self, used: np.ndarray, theta: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values and deviations of all nodes from those of the used ones; the others stand at their parent.

        Parameters
        ----------
        used : numpy.ndarray
            Mask of the fitted nodes [-].
        theta, variance : numpy.ndarray
            Their log constants and variances [-].

        Returns
        -------
        tuple of numpy.ndarray
            Log constant and deviation of every node [-].
        """
        value, spread = self.mean.copy(), self.sd**2
        value[used], spread[used] = theta, variance
        for i in np.flatnonzero(~used & (self.parent >= 0)):
            value[i] += value[self.parent[i]]
            spread[i] += spread[self.parent[i]]
        return value, np.sqrt(spread)


def tree(constants: Sequence[Constant], families: Mapping[str, str]) -> Tree:
    """Lay out the nodes of all constants for these chips.

    Parameters
    ----------
    constants : sequence of Constant
        What may be fitted [-].
    families : mapping of str to str
        Family of each chip id, also of chips without a row [-].

    Returns
    -------
    Tree
        Nodes in a fixed order [-].
    """
    owner: list[str] = []
    name: list[str] = []
    parent: list[int] = []
    centre: list[tuple[float, float]] = []

    def add(who: str, what: str, above: int, mean: float, sd: float) -> int:
        owner.append(who)
        name.append(what)
        parent.append(above)
        centre.append((mean, sd))
        return len(owner) - 1

    for c in constants:
        top = add("global", c.name, -1, float(np.log(c.value)), c.sd)
        mid = {f: add(f, c.name, top, 0.0, c.family_sd) for f in sorted(set(families.values())) if c.family_sd}
        for chip in sorted(families) if c.chip_sd else ():
            add(chip, c.name, mid.get(families[chip], top), 0.0, c.chip_sd)
    mean, sd = np.array(centre).T
    return Tree(owner, name, np.array(parent), mean, sd)


@dataclass(frozen=True)
class Problem:
    """Rows to fit or to score, and the evaluator that predicts them.

    Attributes
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    rows : pandas.DataFrame
        One line per row: at least row_id, group, source, publisher, chip, family, generation, model, quantity,
        measured [-].
    tree : Tree
        Constants with their priors [-].
    predict : callable
        From constants by name, each an array with one value per row, to the predicted quantity per row [-].
    skipped : dict
        Reason by row_id of the rows that are not in ``rows`` [-].
    scale : float
        Log error beyond which the loss grows linearly [-].
    """

    kind: str
    rows: pd.DataFrame
    tree: Tree
    predict: Predict
    skipped: Mapping[str, str] = field(default_factory=dict)
    scale: float = 0.08

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
    """

    theta: np.ndarray
    log_sd: np.ndarray
    log_errors: np.ndarray


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
    _, inverse, count = np.unique(np.asarray(group, dtype=str), return_inverse=True, return_counts=True)
    return 1.0 / count[inverse]


def fit(problem: Problem, weights: np.ndarray, start: np.ndarray | None = None, tolerance: float = 1e-9) -> Fit:
    """Robust hierarchical fit: soft-L1 on weighted log errors plus the ridge, by damped Gauss-Newton.

    Cost = sum_i w_i s^2 (sqrt(1 + (r_i/s)^2) - 1) / s^2 + 1/2 |A theta - b|^2, with s the scale of the problem.

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
    t, s = problem.tree, problem.scale
    used = t.used(problem.index.values())
    place = np.cumsum(used) - 1
    index = {n: place[i] for n, i in problem.index.items()}
    a, b = t.ridge()
    a, b = a[np.ix_(used, used)], b[used]
    measured, rows = problem.rows["measured"].to_numpy(float), np.arange(len(problem.rows))

    def errors(theta: np.ndarray) -> np.ndarray:
        return np.log(problem.predict({n: np.exp(theta[i]) for n, i in index.items()}) / measured)

    def cost(r: np.ndarray, theta: np.ndarray) -> float:
        return float(weights @ (np.sqrt(1 + (r / s) ** 2) - 1) + 0.5 * np.sum((a @ theta - b) ** 2))

    theta, damping = (t.start() if start is None else start)[used], 1e-4
    r = errors(theta)
    for _ in range(60):
        jacobian = np.zeros((len(r), len(theta)))
        values = {n: np.exp(theta[i]) for n, i in index.items()}
        for n, i in index.items():
            nudged = problem.predict({**values, n: values[n] * np.exp(_NUDGE)})
            jacobian[rows, i] = (np.log(nudged / measured) - r) / _NUDGE
        slope, curve = (weights / s**2 * (1 + (r / s) ** 2) ** power for power in (-0.5, -1.5))
        hessian = jacobian.T @ (curve[:, None] * jacobian) + a.T @ a
        gradient = jacobian.T @ (slope * r) + a.T @ (a @ theta - b)
        before = cost(r, theta)
        for _ in range(12):
            new = theta + np.clip(np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), -gradient), -0.5, 0.5)
            new_r = errors(new)
            gained = before - cost(new_r, new)
            if gained >= 0:
                break
            damping *= 8
        else:
            break
        theta, r, damping = new, new_r, max(damping / 8, 1e-9)
        if gained < tolerance * (1 + before):
            break
    return Fit(*t.fill(used, theta, np.diag(np.linalg.inv(hessian))), r)


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


def left_out(problem: Problem, labels: Sequence[str] | np.ndarray, full: Fit | None = None) -> np.ndarray:
    """Log error of every row by a fit that has not seen the rows of its label.

    Parameters
    ----------
    problem : Problem
        Rows, evaluator and priors [-].
    labels : sequence of str
        Label of each row; one refit per label [-].
    full : Fit, optional
        Fit to all rows, as the start of every refit [-].

    Returns
    -------
    numpy.ndarray
        Log of predicted over measured [-].
    """
    weights = group_weights(problem.rows["group"].to_numpy(str))
    full = full or fit(problem, weights)
    errors = np.empty(len(weights))
    for _, mask in folds(labels):
        errors[mask] = fit(problem, np.where(mask, 0.0, weights), full.theta, 1e-6).log_errors[mask]
    return errors


def rows_hash(frame: pd.DataFrame) -> str:
    """Fingerprint of the rows behind a fit.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows [-].

    Returns
    -------
    str
        First 12 hexadecimal digits of the SHA-256 of the rows as CSV [-].
    """
    return hashlib.sha256(frame.to_csv(index=False, lineterminator="\n").encode()).hexdigest()[:12]


def constants_frame(problem: Problem, result: Fit, extra: Sequence[Mapping[str, Any]] = ()) -> pd.DataFrame:
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
    frame["rows_hash"], frame["command"] = rows_hash(rows), f"trn3 calibrate {problem.kind}"
    return frame[COLUMNS].astype(str)


def band_lines(owner: str, name: str, ends: np.ndarray, n_groups: int, fold: str) -> list[dict[str, Any]]:
    """A band as rows of ``data/calibration.csv``: factors from a prediction to the ends of what is measured.

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
    values = [(owner, f"{name}_{s}", f"{np.exp(e):.4g}", "", n_groups, f"{fold} left out") for s, e in sides]
    return [dict(zip(COLUMNS[1:7], v)) for v in values]


@cache
def _table(kind: str) -> dict[tuple[str, str], float]:
    frame = pd.read_csv(data.DATA / "calibration.csv", dtype=str, keep_default_na=False)
    frame = frame[frame["kind"] == kind]
    return {(r.name, r.owner): float(r.value) for r in frame.itertuples(index=False, name="Row")}


def constant(kind: str, name: str, *owners: str) -> float:
    """Committed value of a constant.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    name : str
        Constant [-].
    *owners : str
        Who may own it, nearest first (chip, family); ``global`` is tried last [-].

    Returns
    -------
    float
        Value in the unit of the constant [-].

    Raises
    ------
    trn3.data.DataError
        No owner has it.
    """
    table = _table(kind)
    if name.startswith("band_") and not _known(kind, *owners[:1]):
        return (min if name.endswith("_low") else max)(value for (band, _), value in table.items() if band == name)
    for owner in (*owners, "global"):
        if (name, owner) in table:
            return table[name, owner]
    raise data.DataError(f"calibration.csv has no {kind} constant {name!r} for {owners}; run: trn3 calibrate {kind}")


def _known(kind: str, owner: str = "global") -> bool:
    """Whether the fit knew a chip; to one that was added since as rows of data, no band but the widest is due."""
    return any(owner == each for _, each in _table(kind))


def band_origin(kind: str, name: str, runs_of: str, *owners: str) -> str:
    """Whose misses a committed band was made of, in words.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    name : str
        Band, such as ``band_moe`` [-].
    runs_of : str
        Name of the runs that share it, for the text [-].
    *owners : str
        Who may own it, nearest first (chip, family); ``global`` is tried last [-].

    Returns
    -------
    str
        A sentence without its stop [-].
    """
    if not _known(kind, *owners[:1]):
        return "The 80% range is the widest of all chips, as the fit did not know this one"
    rows = data.table("calibration")
    rows = rows[(rows["kind"] == kind) & (rows["name"] == f"{name}_low")].set_index("owner")
    row = rows.loc[next(o for o in (*owners, "global") if o in rows.index)]
    own = f"{row['n_groups']:.0f} groups of {runs_of} runs with their {row['borrowed_from']} and on "
    return f"The 80% range is made of the misses on {own if row['n_groups'] else ''}generations never fitted"


def borrowed(kind: str, owner: str) -> bool:
    """Whether no measured run of a chip stands behind its constants.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    owner : str
        Chip [-].

    Returns
    -------
    bool
        True where the chip borrows from its family.
    """
    rows = data.table("calibration")
    rows = rows[(rows["kind"] == kind) & (rows["owner"] == owner) & ~rows["name"].str.startswith("band_")]
    return not (rows["n_groups"] > 0).any()


def calibrate(kind: str, check: bool = False) -> pd.DataFrame:
    """Refit from the committed rows and write ``data/calibration.csv``.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` (also ``inference``) [-].
    check : bool
        Compare with the committed table to the digit instead of writing it [-].

    Returns
    -------
    pandas.DataFrame
        The rows of this kind [-].

    Raises
    ------
    trn3.data.DataError
        The committed table differs (check) [-].
    """
    from trn3 import serving_fit, training_fit

    kind = "serving" if kind == "inference" else kind
    if kind not in ("training", "serving"):
        raise data.TrnError(f"kind = {kind!r}: must be training or inference")
    module = training_fit if kind == "training" else serving_fit
    problem = module.problem()
    result = fit(problem, group_weights(problem.rows["group"].to_numpy(str)))
    mine = constants_frame(problem, result, module.band_rows(problem, result))
    path = data.DATA / "calibration.csv"
    known = pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else mine.iloc[:0]
    if check:
        if known[known["kind"] == kind].to_csv(index=False) != mine.to_csv(index=False):
            raise data.DataError(f"calibration.csv differs from a refit of the {kind} rows; run: trn3 calibrate {kind}")
        return mine
    merged = pd.concat([known[known["kind"] != kind], mine]).sort_values("kind", kind="stable")
    merged.to_csv(path, index=False, lineterminator="\n")
    _table.cache_clear()
    return mine
