"""Parallel layouts: how a model is split over chips, as records of arrays, with checks and
enumeration.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trn3 import data
from trn3.units import Array
from trn3.workload import ModelShape

NONE, SELECTIVE, FULL = 0, 1, 2
"""Codes of the recompute axis: nothing, attention only, the whole forward pass."""


MOST_SPLITS, MOST_DIVISORS = 10_000_000, 1000
"""Splits that are tried in one enumeration, where published models and batches need 0.1 to 2
million; divisors of a batch."""


class LayoutError(data.TrnError):
    """A layout that cannot be: names the two numbers that do not fit."""


@dataclasses.dataclass(frozen=True)
class Layouts:
    """One layout, or many: every field a scalar or an array that broadcasts with the others.

    Attributes
    ----------
    tp, pp, dp, cp, ep : int or ndarray
        Ranks that share a matrix (tensor), stages (pipeline), replicas (data), ranks that share a
        sequence (context), and ranks over which experts are spread, a part of `dp` times `cp` [-].
    micro_batch : int or ndarray
        Sequences that a stage computes at a time [-].
    interleave : int or ndarray
        Model chunks per stage [-].
    recompute : int or ndarray
        0 none, 1 selective (attention scores), 2 full [-].
    zero : int or ndarray
        What ranks with the same weights share instead of each holding it: 0 nothing, 1 the
        optimizer, 2 gradients too, 3 weights too (FSDP) [-].
    replicas : int or ndarray
        Copies of what is sharded: `dp` times `cp` ranks form that many groups of neighbours, each
        of which shards it whole; 1 shards it over all, more is hybrid sharding (FSDP inside a node
        and plain data parallel across) [-].
    sequence_parallel : int or ndarray
        1 where normalisation and dropout are split over `tp` too [-].
    tp_overlap, dp_overlap, pp_overlap : int or ndarray
        1 where that exchange runs beside compute [-].
    """

    tp: Array = 1
    pp: Array = 1
    dp: Array = 1
    cp: Array = 1
    ep: Array = 1
    micro_batch: Array = 1
    interleave: Array = 1
    recompute: Array = NONE
    zero: Array = 0
    replicas: Array = 1
    sequence_parallel: Array = 0
    tp_overlap: Array = 0
    dp_overlap: Array = 0
    pp_overlap: Array = 0

    @property
    def n_chips(self) -> Array:
        """Chips that the layout takes [-]."""
        return self.tp * self.pp * self.dp * self.cp

    @property
    def shards(self) -> Array:
        """Ranks among which ZeRO spreads one copy of the states [-]."""
        return self.dp * self.cp / self.replicas

    def rows(self) -> list[dict[str, int]]:
        """One dictionary of whole numbers per layout.

        Returns
        -------
        list of dict
            Field to value, in order.

        Examples
        --------
        >>> Layouts(tp=np.array([1, 2]), pp=4).rows()[1]["tp"]
        2
        """
        columns = np.broadcast_arrays(*(np.atleast_1d(getattr(self, name)) for name in FIELDS))
        return [
            {k: int(c) for k, c in zip(FIELDS, row)}
            for row in zip(*(column.ravel() for column in columns))
        ]


FIELDS = tuple(f.name for f in dataclasses.fields(Layouts))
"""The axes of a layout."""


def divisors(n: int) -> list[int]:
    """Whole numbers that divide `n`.

    Parameters
    ----------
    n : int
        A positive number [-].

    Returns
    -------
    list of int
        Ascending.

    Examples
    --------
    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    low = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return low + [n // d for d in reversed(low) if d * d != n]


def check(
    layout: Layouts, shape: ModelShape, seq_len: int, global_batch: int, n_chips: int | None = None
) -> None:
    """Refuse a single layout that cannot run.

    Parameters
    ----------
    layout : Layouts
        One layout, all fields whole numbers.
    shape : ModelShape
        The model.
    seq_len, global_batch : int
        Tokens of a sequence, and sequences of a step [-].
    n_chips : int, optional
        Chips that there are; the layout may leave some idle [-].

    Raises
    ------
    LayoutError
        Names the field and the two numbers that do not fit.

    Examples
    --------
    >>> from trn3.workload import model
    >>> check(Layouts(tp=7, dp=2), model("gpt3_175b"), 2048, 1536)
    Traceback (most recent call last):
    trn3.layouts.LayoutError: tp = 7 does not divide n_heads = 96; nearest that do: 6 or 8
    """
    for name in FIELDS:
        value, allowed = getattr(layout, name), _CODES.get(name, range(1, 1 << 31))
        if not isinstance(value, int | np.integer) or int(value) not in allowed:
            top = f"to {allowed[-1]}" if name in _CODES else "or more"
            raise LayoutError(f"{name} = {value}: must be a whole number, {allowed[0]} {top}")
    if n_chips is not None and layout.n_chips > n_chips:
        sizes = f"{layout.tp} x {layout.pp} x {layout.dp} x {layout.cp}"
        raise LayoutError(
            f"tp x pp x dp x cp = {sizes} = {layout.n_chips} chips, "
            f"but there are n_chips = {n_chips}"
        )
    stage, share = -(-shape.n_layers // layout.pp), global_batch // layout.dp
    rounds = layout.pp
    if layout.interleave > 1:
        rounds = share // layout.micro_batch
    for name, other, number in (
        ("tp", "n_heads", shape.n_heads),
        ("tp", "d_ff", shape.d_ff_expert or shape.d_ff),
        ("cp", "seq_len", seq_len),
        ("ep", "n_experts", shape.n_experts or 1),
        ("ep", "dp x cp", layout.dp * layout.cp),
        ("dp", "global_batch", global_batch),
        ("replicas", "dp x cp", layout.dp * layout.cp),
        ("micro_batch", "global_batch / dp", share),
        ("interleave", "layers of a stage", stage),
        ("pp", "microbatches, as interleave needs,", rounds),
    ):
        value = getattr(layout, name)
        fine: Sequence[int] = divisors(int(number))
        also: Sequence[int] = ()
        if name == "interleave":
            also = chunks(int(np.asarray(shape.n_layers)), int(np.asarray(layout.pp)))
        if value not in {*fine, *also}:
            near = [d for d in fine if d < value][-1:] + [d for d in fine if d > value][:1]
            raise LayoutError(
                f"{name} = {value} does not divide {other} = {number}; "
                f"nearest that do: {' or '.join(map(str, near))}"
            )
    if (layout.pp - 1) * stage >= shape.n_layers:
        raise LayoutError(
            f"pp = {layout.pp} stages of {stage} layers leave the last none "
            f"of n_layers = {shape.n_layers}"
        )


_CODES = {"recompute": range(3), "zero": range(4)} | dict.fromkeys(FIELDS[-4:], range(2))


def splits(
    shape: ModelShape, seq_len: int, global_batch: int, max_tp: int = 32, coarse: bool = False
) -> Layouts:
    """Every way to split a model over chips, with every microbatch, as flat arrays.

    tp divides heads and inner width; pp divides the layers or is a power of two that leaves the
    last stage one; cp is a power of two; ep divides experts and dp x cp; dp divides the batch;
    micro_batch divides what a replica computes.

    Parameters
    ----------
    shape : ModelShape
        The model.
    seq_len, global_batch : int
        Tokens of a sequence, and sequences of a step [-].
    max_tp : int
        Largest tensor-parallel group [-].
    coarse : bool
        Take only powers of two for tp, ep and micro_batch, and no microbatch above 8 [-].

    Returns
    -------
    Layouts
        `tp`, `pp`, `dp`, `cp`, `ep` and `micro_batch` as arrays of one length.

    Raises
    ------
    LayoutError
        Where there are more than `MOST_SPLITS` to try; names the longest axis.

    Examples
    --------
    One sequence on two chips can be split along the sequence, the layers or the matrices.

    >>> from trn3.workload import model
    >>> rows = splits(model("gpt3_175b"), 2048, 1)
    >>> [(int(t), int(p), int(c)) for t, p, c in zip(rows.tp, rows.pp, rows.cp) if t * p * c == 2]
    [(1, 1, 2), (1, 2, 1), (2, 1, 1)]
    """

    def take(values: list[int], high: float = np.inf) -> list[int]:
        return [v for v in values if v <= high and not (coarse and v & (v - 1))]

    n, powers = shape.n_layers, [1 << i for i in range(21)]
    stages = [p for p in sorted({*divisors(n), *powers}) if (p - 1) * -(-n // p) < n]
    widths = [
        t
        for t in take(divisors(shape.n_heads), max_tp)
        if (shape.d_ff_expert or shape.d_ff) % t == 0
    ]
    rings = [c for c in powers if c <= max(8, seq_len >> 12) and seq_len % c == 0]
    spreads = take(divisors(shape.n_experts or 1))
    batches = divisors(global_batch)
    if len(batches) > MOST_DIVISORS:
        raise LayoutError(
            f"global_batch = {global_batch:,} has {len(batches):,} divisors; choose one with fewer"
        )
    micros = take(batches, 8 if coarse else np.inf)
    pairs = [(d, b) for d in batches for b in micros if global_batch // d % b == 0]
    ways = {
        "n_heads": (shape.n_heads, len(widths)),
        "n_layers": (shape.n_layers, len(stages)),
        "seq_len": (seq_len, len(rings)),
        "n_experts": (shape.n_experts, len(spreads)),
        "global_batch": (global_batch, len(pairs)),
    }
    if math.prod(n for _, n in ways.values()) > MOST_SPLITS:
        name = max(ways, key=lambda axis: ways[axis][1])
        value, n = ways[name]
        raise LayoutError(
            f"{name} = {value:,} can be split in {n:,} ways, and with the other axes there are "
            f"more than {MOST_SPLITS:,} layouts; choose another {name}, with fewer divisors"
        )
    replicas, micro = np.array(pairs).T
    grid = np.meshgrid(
        widths, stages, rings, spreads, np.arange(len(pairs)), indexing="ij", sparse=True
    )
    keep = np.broadcast_to(
        replicas[grid[4]] * grid[2] % grid[3] == 0, np.broadcast_shapes(*(g.shape for g in grid))
    )
    tp, pp, cp, ep, pair = (np.broadcast_to(g, keep.shape)[keep] for g in grid)
    return Layouts(tp, pp, replicas[pair], cp, ep, micro[pair])


AXES = (
    "interleave",
    "recompute",
    "sequence_parallel",
    "tp_overlap",
    "pp_overlap",
    "zero",
    "replicas",
    "dp_overlap",
)
"""The choices that `blocks` adds to a split, in the order of their axes."""


def kinds(rows: Layouts, reach: int = 1) -> np.ndarray:
    """Which splits have the same choices but for the values of interleave and replicas.

    8 (hybrid > 1) + 4 (pp > 1) + 2 (tp > 1) + (dp cp > 1)

    Parameters
    ----------
    rows : Layouts
        Splits, as `splits` makes them [-].
    reach : int
        Chips that the fast links join, see `hybrid`; 1: no hybrid sharding [-].

    Returns
    -------
    ndarray
        A number for each [-].
    """
    of_axes = (rows.pp > 1) * 4 + (rows.tp > 1) * 2 + (rows.dp * rows.cp > 1)
    return (hybrid(rows, reach) > 1) * 8 + of_axes


def choices(kind: int, switches: bool) -> dict[str, Sequence[int]]:
    """Values of each of `AXES` that depend on the kind of a split alone; a choice that changes
    nothing has one value.

    Parameters
    ----------
    kind : int
        One of `kinds` [-].
    switches : bool
        Whether the overlap switches are axes; if not they are on.

    Returns
    -------
    dict of str to sequence of int
        By axis: sequence_parallel and tp_overlap need tp > 1, pp_overlap pp > 1, zero and
        dp_overlap dp x cp > 1.

    Examples
    --------
    One stage and one replica: what is computed again, the tensor-parallel switches, no ZeRO.

    >>> both = choices(2, switches=True)
    >>> {axis: list(values) for axis, values in both.items() if len(values) > 1}
    {'recompute': [0, 1, 2], 'sequence_parallel': [0, 1], 'tp_overlap': [0, 1]}
    """
    stages, tensor, shared = kind >> 2 & 1, kind >> 1 & 1, kind & 1
    on = {
        axis: range(used * (not switches), used + 1)
        for axis, used in (("tp_overlap", tensor), ("pp_overlap", stages), ("dp_overlap", shared))
    }
    sharded: dict[str, Sequence[int]] = {
        "sequence_parallel": range(1 + tensor),
        "zero": range(1 + 3 * shared),
    }
    return {"recompute": range(3)} | sharded | on


def hybrid(rows: Layouts, reach: int) -> np.ndarray:
    """Replicas of splits whose sharding groups stay inside the fast links.

    Parameters
    ----------
    rows : Layouts
        Splits, as `splits` makes them [-].
    reach : int
        Chips that the fast links join [-].

    Returns
    -------
    ndarray
        1 where the states would be sharded over all ranks anyway, over none, or over fewer than the
        experts are spread over [-].

    Examples
    --------
    On nodes of eight, tp = 2 leaves groups of four: 64 ranks make 16 of them.

    >>> hybrid(Layouts(*np.array([[2, 8, 1], [1, 1, 1], [64, 64, 4], [1, 1, 1], [1, 1, 1]])), 8)
    array([16,  1,  1])
    """
    ranks = rows.dp * rows.cp
    shards = np.gcd(ranks, np.maximum(reach // rows.tp, 1))
    return np.where((shards > 1) & (shards % rows.ep == 0), ranks // shards, 1)


def chunks(n_layers: int, pp: int) -> list[int]:
    """Into how many model chunks a stage can be cut.

    Parameters
    ----------
    n_layers, pp : int
        Layers and stages [-].

    Returns
    -------
    list of int
        1 without stages; else the divisors of a stage's layers and, where stages are uneven anyway,
        powers of two.

    Examples
    --------
    >>> chunks(96, 8), chunks(61, 8)
    ([1, 2, 3, 4, 6, 12], [1, 2, 4, 8])
    """
    stage = -(-n_layers // pp)
    powers = [1 << i for i in range(stage.bit_length())] if n_layers % pp else []
    return sorted({*divisors(stage), *powers}) if pp > 1 else [1]


def blocks(
    rows: Layouts, shape: ModelShape, switches: bool = True, size: int = 1 << 18, reach: int = 1
) -> Iterator[tuple[np.ndarray, Layouts]]:
    """Give splits their choices, each on an axis of its own.

    Parameters
    ----------
    rows : Layouts
        Splits, as `splits` makes them.
    shape : ModelShape
        The model.
    switches : bool
        Whether the overlap switches are axes; if not they are on [-].
    size : int
        Most layouts in a block [-].
    reach : int
        Chips that the fast links join, for `hybrid` sharding inside them; 1: states are sharded
        over all ranks [-].

    Yields
    ------
    tuple of ndarray and Layouts
        The rows of a block, and its layouts: `AXES` first, the splits last, so that inner loops are
        long. Where splits of a block have fewer values of interleave than others the last one is
        repeated; `fresh` tells which layouts are not.
    """
    stages, stage_of = np.unique(rows.pp, return_inverse=True)
    lists = [chunks(shape.n_layers, int(pp)) for pp in stages]
    n_chunks = np.array([len(values) for values in lists], int)
    longest = max(n_chunks, default=0)
    table = np.array([values + values[-1:] * (longest - len(values)) for values in lists])
    grouped = np.stack([np.ones_like(rows.dp), hybrid(rows, reach)])
    kind = kinds(rows, reach)
    # splits with many values of interleave first, so that those of a block have about as many
    order = np.lexsort((-n_chunks[stage_of], kind))
    while len(order):
        first = order[0]
        longest = int(n_chunks[stage_of[first]])
        values: dict[str, Any] = dict(choices(int(kind[first]), switches))
        n_groups = 2 if kind[first] & 8 else 1
        most = max(1, size // (longest * n_groups * math.prod(map(len, values.values()))))
        part = order[:most]
        part = part[kind[part] == kind[first]]
        order = order[len(part) :]
        values |= {"interleave": table[stage_of[part], :longest].T}
        values |= {"replicas": grouped[:n_groups, part]}
        placed = {axis: _on_axis(np.asarray(values[axis]), i) for i, axis in enumerate(AXES)}
        yield part, Layouts(*(getattr(rows, field)[part] for field in FIELDS[:6]), **placed)


def _on_axis(values: np.ndarray, axis: int) -> np.ndarray:
    """Values on one of `AXES`, and on that of the splits where they differ by split."""
    shape = [1] * (len(AXES) + 1)
    shape[axis] = len(values)
    if values.ndim == 2:
        shape[-1] = values.shape[1]
    return values.reshape(shape)


def fresh(block: Layouts) -> np.ndarray:
    """Which layouts of a block are no other one again: its interleave and replicas are not those of
    the one before, and it has no replicas without something that is sharded.

    Parameters
    ----------
    block : Layouts
        One of `blocks` [-].

    Returns
    -------
    ndarray
        A mask on the axes of `AXES` and the splits [-].
    """
    interleave, replicas = np.asarray(block.interleave), np.asarray(block.replicas)
    new_chunk = np.diff(interleave, axis=AXES.index("interleave"), prepend=0) > 0
    new_group = np.diff(replicas, axis=AXES.index("replicas"), prepend=0) > 0
    return new_chunk & new_group & ((replicas == 1) | (np.asarray(block.zero) > 0))
