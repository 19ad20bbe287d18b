"""The committed constants of a chip, the tree from which a chip without runs borrows, and whose
runs they rest on.

A constant is kept as a logarithm, in a tree: the global value, the value of a chip family, the
value of a chip. A chip without measurements takes its family's value with a wider deviation.

Formulas take the constants of a kind as one record, `TrainingConstants` for a training step and
`ServingConstants` for a serving step: its fields are scalars for a chip (`constants`), or arrays
with one value per published run in the fit (`record`). A new constant is a field here and a row
with its prior in ``data/priors.csv``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import pandas as pd

from trn3 import data
from trn3.units import Array


@dataclass(frozen=True)
class TrainingConstants:
    """What is fitted for the step of a training run.

    Attributes
    ----------
    matmul : float or array
        Share of the dense BF16 peak that large matrix multiplications reach [-].
    fp8, fp4 : float or array
        Share of the nominal gain over BF16 that 8- and 4-bit formats give [-].
    attention : float or array
        Share of the dense BF16 peak that a flash kernel made for the chip reaches on long sequences
        [-].
    hbm : float or array
        Share of the sustained memory bandwidth that kernels reach [-].
    rereads : float or array
        Times that the operands of a matrix multiplication are moved without being hidden [-].
    block : float or array
        Side of the part of a result that on-chip memory holds [-].
    attention_seq : float or array
        Sequence length at which a flash kernel runs at half its rate [token].
    attention_unfused : float or array
        Attention by separate kernels: share of the rate of large matrix multiplications [-].
    link, network : float or array
        Share of the scale-up and of the scale-out bandwidth that collectives reach [-].
    tp_exposed, dp_exposed, fsdp_exposed : float or array
        Share of an overlapped exchange that shows: of tensor-parallel activations, of data-parallel
        gradients, of sharded weights [-].
    layer_launch_s : float or array
        Host time to launch forward and backward pass of a layer [s].
    step_s : float or array
        Fixed time of a step [s].
    imbalance : float or array
        Share of the difference between busiest and mean pipeline stage that shows [-].
    expert : float or array
        Rate of expert matrix multiplications against dense ones of the same shape [-].
    alltoall : float or array
        Share of the bytes of an expert exchange that shows [-].
    expert_launch_s : float or array
        Fixed time per local expert of a routed layer, forward [s].
    permute : float or array
        Passes over routed tokens in memory, forward [-].
    """

    KIND: ClassVar[str] = "training"
    matmul: Array
    fp8: Array
    fp4: Array
    attention: Array
    hbm: Array
    rereads: Array
    block: Array
    attention_seq: Array
    attention_unfused: Array
    link: Array
    network: Array
    tp_exposed: Array
    dp_exposed: Array
    fsdp_exposed: Array
    layer_launch_s: Array
    step_s: Array
    imbalance: Array
    expert: Array
    alltoall: Array
    expert_launch_s: Array
    permute: Array


@dataclass(frozen=True)
class ServingConstants:
    """What is fitted for the steps of a serving engine.

    Attributes
    ----------
    hbm_share : float or array
        Share of the memory bandwidth that reading weights reaches [-].
    matmul_share : float or array
        Share of the dense peak that the matrix products of prompts reach [-].
    collective_s : float or array
        Time of an all-reduce of no bytes [s].
    kv_share : float or array
        Bandwidth of reading the cache over that of reading weights [-].
    fp8_share, fp4_share : float or array
        Share of the nominal gain over BF16 that 8- and 4-bit products keep [-].
    attention_share : float or array
        Share of the dense BF16 peak that attention over prompts reaches [-].
    expert_matmul_share : float or array
        Rate of the matrix products of experts over that of dense ones [-].
    widened_share : float or array
        The same where a chip widens 4-bit weights to 16 bits first, over 16-bit weights [-].
    expert_imbalance : float or array
        Load of the busiest chip over the mean where each expert lies whole on one chip [-].
    expert_sharing : float or array
        Share of further tokens that draw experts of their own; tokens of one text share them [-].
    layer_s : float or array
        Launch and synchronisation per layer of a pass [s].
    moe_layers, latent_layers : float or array
        Kernels of a routed layer, and of latent attention, over those of a plain layer [-].
    host_s, sequence_s : float or array
        Host time of a step, and more of it per sequence [s].
    all_to_all_s : float or array
        Time of a small all-to-all between the chips that share the experts [s].
    mixing : float or array
        Share of the prompts of others that a user waits for per token [-].
    first_token_s : float or array
        Fixed time to a first token in service [s].
    first_token_steps : float or array
        Decode steps before the first token is sent [-].
    queue, queue_power : float or array
        Share of the others' prompts that a new prompt waits for, and how it grows with them [-].
    """

    KIND: ClassVar[str] = "serving"
    hbm_share: Array
    matmul_share: Array
    collective_s: Array
    kv_share: Array
    fp8_share: Array
    fp4_share: Array
    attention_share: Array
    expert_matmul_share: Array
    widened_share: Array
    expert_imbalance: Array
    expert_sharing: Array
    layer_s: Array
    moe_layers: Array
    latent_layers: Array
    host_s: Array
    sequence_s: Array
    all_to_all_s: Array
    mixing: Array
    first_token_s: Array
    first_token_steps: Array
    queue: Array
    queue_power: Array


Record = TypeVar("Record", TrainingConstants, ServingConstants)
"""A record of constants: its `KIND` names the rows of the tables that it is made of."""


def record(kind: type[Record], values: Mapping[str, Array]) -> Record:
    """Constants by name as a record; names that it has no field for are left out.

    Parameters
    ----------
    kind : type
        `TrainingConstants` or `ServingConstants` [-].
    values : mapping of str to Array
        Value of every field, and maybe of others, each in the unit of the constant [-].

    Returns
    -------
    TrainingConstants or ServingConstants
        The record [-].
    """
    return kind(**{f.name: values[f.name] for f in fields(kind)})


def constants(kind: type[Record], chip: str, family: str) -> Record:
    """Committed constants of a chip as a record: its own, else its family's, else the global value.

    Parameters
    ----------
    kind : type
        `TrainingConstants` or `ServingConstants` [-].
    chip, family : str
        Ids [-].

    Returns
    -------
    TrainingConstants or ServingConstants
        Scalars [-].

    Raises
    ------
    trn3.data.DataError
        No owner has one of the constants.

    Examples
    --------
    No kernel reaches the peak, and no chip without runs reaches more than its family.

    >>> of = lambda chip: constants(TrainingConstants, chip, "trainium")
    >>> 0 < of("trainium3").matmul < 1, of("trainium3").hbm == of("trainium2").hbm
    (True, True)
    """
    # a class is hashable, whatever its instances are
    found: Record = _constants(data.DATA, kind, chip, family)  # type: ignore[arg-type]
    return found


@lru_cache(maxsize=256)
def _constants(folder: Path, kind: type[Record], chip: str, family: str) -> Record:
    values = {f.name: constant(kind.KIND, f.name, chip, family) for f in fields(kind)}
    return record(kind, values)


Z_80 = 1.2816
"""Deviations of a normal distribution from its middle to the ends of its central 80 %."""

LEVELS = ("first_port", "typical", "tuned", "hardware")
"""How good the software of a run is."""


@dataclass(frozen=True)
class Software:
    """Level of the software of a run, from how far published stacks lie apart.

    Attributes
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    level : str
        ``first_port`` (the slow tenth of stacks), ``typical`` (their mean), ``tuned`` (the fast
        tenth) or ``hardware`` (what measured matrix products allow, no loss elsewhere) [-].
    time_factor : float
        Time over that of the typical stack [-].
    spread : float
        Deviation of the log level between stacks [-].
    n_sources, n_publishers : int
        Stacks, and who published them, behind it [-].
    source : str
        What it is made of [-].
    """

    kind: str
    level: str
    time_factor: float
    spread: float
    n_sources: int
    n_publishers: int
    source: str


@data.kept
def software(kind: str, level: str = "typical") -> Software:
    """Committed level of software.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    level : str
        One of `LEVELS` [-].

    Returns
    -------
    Software
        Factor on time and spread [-].

    Raises
    ------
    trn3.data.UnknownId
        A level that there is not.

    Examples
    --------
    >>> levels = [software("training", level).time_factor for level in LEVELS[:3]]
    >>> levels == sorted(levels, reverse=True), levels[1]
    (True, 1.0)
    """
    if level not in LEVELS:
        raise data.UnknownId(f"software = {level!r}: must be one of {', '.join(LEVELS)}")
    table = data.table("calibration")
    mine = table[(table["kind"] == kind) & (table["name"] == "stack_spread")]
    if mine.empty:
        raise data.DataError(
            f"calibration.csv has no {kind} stack_spread; run: trn3 calibrate {kind}"
        )
    row = mine.set_index("owner").loc[level]
    return Software(
        kind=kind,
        level=level,
        time_factor=float(row["value"]),
        spread=float(row["log_sd"]),
        n_sources=int(row["n_groups"]),
        n_publishers=int(constant(kind, "stack_publishers")),
        source=f"misses on published stacks, {row['borrowed_from']}",
    )


def level(kind: str, given: str | Software) -> Software:
    """A level of software by its name, or as a record that is handed on.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    given : str or Software
        One of `LEVELS`, or a record such as one made of own runs [-].

    Returns
    -------
    Software
        Factor on time and spread [-].

    Raises
    ------
    trn3.data.UnknownId
        A level that there is not.

    Examples
    --------
    >>> level("serving", level("serving", "tuned")).level
    'tuned'
    """
    return software(kind, given) if isinstance(given, str) else given


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
        Deviation of the logarithm of the global value around the centre; 0: held, not fitted [-].
    family_sd, chip_sd : float
        Deviation of a family around the global value and of a chip around its family; 0: no such
        level [-].
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
    return [
        Constant(*row)
        for row in zip(*(rows[c] for c in ("name", "value", "sd", "family_sd", "chip_sd")))
    ]


@data.kept
def prior(kind: str, name: str) -> Constant:
    """Prior of one constant.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    name : str
        Constant [-].

    Returns
    -------
    Constant
        Its row of ``data/priors.csv``.
    """
    return next(each for each in priors(kind) if each.name == name)


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
    families : mapping of str to str
        Family of each chip id [-].
    """

    owner: list[str]
    name: list[str]
    parent: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    families: Mapping[str, str]

    def leaf(self, name: str, chip: str) -> int:
        """Node that a chip sees: its own, else its family's, else the global one.

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
        own = [
            i
            for i, (n, o) in enumerate(zip(self.name, self.owner))
            if n == name and o in (chip, self.families.get(chip), "global")
        ]
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

    def fill(
        self, used: np.ndarray, theta: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values and deviations of all nodes from those of the used ones; the others stand at their
        parent.

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
        mid = {
            f: add(f, c.name, top, 0.0, c.family_sd)
            for f in sorted(set(families.values()))
            if c.family_sd
        }
        for chip in sorted(families) if c.chip_sd else ():
            add(chip, c.name, mid.get(families[chip], top), 0.0, c.chip_sd)
    mean, sd = np.array(centre).T
    return Tree(owner, name, np.array(parent), mean, sd, families)


@lru_cache(maxsize=8)
def _table(folder: Path, kind: str) -> dict[tuple[str, str], float]:
    frame = pd.read_csv(folder / "calibration.csv", dtype=str, keep_default_na=False)
    frame = frame[frame["kind"] == kind]
    return {(r.name, r.owner): float(r.value) for r in frame.itertuples(index=False, name="Row")}


def forget() -> None:
    """Read ``data/calibration.csv`` anew at the next question, because it was written."""
    _table.cache_clear()
    _constants.cache_clear()


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
    table = _table(data.DATA, kind)
    if name.startswith("band_") and not _known(kind, *owners[:1]):
        return (min if name.endswith("_low") else max)(
            value for (band, _), value in table.items() if band == name
        )
    for owner in (*owners, "global"):
        if (name, owner) in table:
            return table[name, owner]
    raise data.DataError(
        f"calibration.csv has no {kind} constant {name!r} for {owners}; run: trn3 calibrate {kind}"
    )


def _known(kind: str, owner: str = "global") -> bool:
    """Whether the fit knew a chip; to one that was added since as rows of data, no band but the
    widest is due.
    """
    return any(owner == each for _, each in _table(data.DATA, kind))


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
    misses = "The 80% range is made of the misses on"
    if not row["n_groups"]:
        return f"{misses} generations never fitted"
    own = f"{row['n_groups']:.0f} groups of {runs_of} runs with their {row['borrowed_from']}"
    if row["borrowed_from"].startswith("publisher"):
        return f"{misses} {own} and on the stacks of all other families"
    return f"{misses} {own} and on generations never fitted"


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
    rows = rows[
        (rows["kind"] == kind) & (rows["owner"] == owner) & ~rows["name"].str.startswith("band_")
    ]
    return not (rows["n_groups"] > 0).any()
