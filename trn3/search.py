"""Layout search: every combination of splits and choices, memory first, then time; best few and
Pareto front.

Terms of a step depend on few axes each; `training_step.evaluate` computes each on its own axes and
they meet by broadcasting in blocks that fit the cache. A block hands on the codes of its leading
layouts, which are computed again in double precision at the end, so that nothing depends on the
size of a block or on the number of workers.
"""

import math
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trn3 import data, hardware, layouts, memory, ties, training_step, workload
from trn3.layouts import AXES, FIELDS, Layouts
from trn3.units import GIB
from trn3.workload import ModelShape, TrainingJob

if TYPE_CHECKING:
    import pandas as pd

_CHOICES = 1 << 12
"""Room for the choices of a split in the code of a layout."""
_LONGEST = 1 << 12
"""Tokens of a sequence where none is asked for."""
MOST_COUNTS, MOST_TOP = 1_000_000, 100_000
"""Most numbers of chips in a range, and most layouts that are kept."""
_NEAR = 1 + 1e-5
"""Layouts whose single-precision times differ by less are ranked in double precision."""
_SPLIT = FIELDS[:6]


@dataclass(frozen=True)
class Settings:
    """What to search, and how.

    Attributes
    ----------
    seq_len : int or None
        Tokens of a sequence; what the model can take, at most 4,096, where None [-].
    dtype : str
        Format of the matrix multiplications.
    switches : bool
        Whether the overlap switches are axes; if not, everything that can overlap does.
    coarse : bool
        Only powers of two for tp, ep and microbatch (to 8), for curves over many chip counts.
    max_tp : int or None
        Largest tensor-parallel group; the larger of 32 and the system's chips where None [-].
    usable_share : float
        Share of a chip's memory that a layout may fill; published runs fill theirs to the brim [-].
    block : int
        Layouts evaluated at a time; 2^18 single-precision numbers fit a second-level cache [-].
    workers : int
        Threads [-].
    progress : bool
        Show a bar when the search takes more than a second.
    hybrid : bool
        Whether sharding inside the fast links of a system alone is an axis too.
    finetune : str
        What is trained, as in `TrainingJob`.
    """

    seq_len: int | None = None
    dtype: str = "bf16"
    switches: bool = True
    coarse: bool = False
    max_tp: int | None = None
    usable_share: float = 1.0
    block: int = 1 << 18
    workers: int = 1
    progress: bool = False
    hybrid: bool = True
    finetune: str = ""


@dataclass(frozen=True)
class SearchResult:
    """The outcome of a search.

    Attributes
    ----------
    best : Layouts
        The fastest layouts, fastest first, each once, with everything overlapped that can be [-].
    step_time_s, memory_bytes : ndarray
        Of each of `best` [s, B].
    front : pandas.DataFrame
        Layouts that no other beats in time, memory (to 1 GiB) and chips at once, with the columns
        of `frame`.
    enumerated : int
        Combinations of all axes, repeats of one layout included [-].
    distinct, feasible, infeasible : int
        Different layouts; those that fit the memory and can be scheduled; the others [-].
    axes : dict
        The values of every axis.
    seconds, process_s : float
        Wall-clock and processor time [s].
    complete : bool
        False when the search was interrupted; everything then refers to what had been searched.
    """

    best: Layouts
    step_time_s: np.ndarray
    memory_bytes: np.ndarray
    front: "pd.DataFrame"
    enumerated: int
    distinct: int
    feasible: int
    infeasible: int
    axes: dict[str, list[int]]
    seconds: float
    process_s: float
    complete: bool = True

    def frame(self) -> "pd.DataFrame":
        """The fastest layouts as a table.

        Returns
        -------
        pandas.DataFrame
            One row per layout: step_time_s, memory_gib, n_chips and the fields of the layout.
        """
        return _frame(self.best, self.step_time_s, self.memory_bytes)

    def json(self) -> dict[str, Any]:
        """Everything but the front as plain numbers.

        Returns
        -------
        dict
            Counts, axes, seconds, layouts_per_s (distinct layouts over processor time) and the best
            layouts.
        """
        names = (
            "enumerated",
            "distinct",
            "feasible",
            "infeasible",
            "axes",
            "seconds",
            "process_s",
            "complete",
        )
        rate = self.distinct / max(self.process_s, 1e-9)
        return {n: getattr(self, n) for n in names} | {
            "layouts_per_s": rate,
            "best": self.frame().to_dict("records"),
        }


def _frame(found: Layouts, step_time_s: np.ndarray, memory_bytes: np.ndarray) -> "pd.DataFrame":
    """Layouts as a table."""
    import pandas as pd

    numbers = {
        "step_time_s": step_time_s,
        "memory_gib": memory_bytes / GIB,
        "n_chips": found.n_chips,
    }
    return pd.DataFrame(numbers | {name: getattr(found, name) for name in FIELDS})


class _Search:
    """One search: the problem, and the leaders so far."""

    def __init__(
        self,
        job: TrainingJob,
        system: hardware.System,
        rows: Layouts,
        top: int,
        settings: Settings,
        fronted: bool = True,
    ) -> None:
        self.job, self.work = job, training_step.work_of(job)
        self.reach = system.n_chips if settings.hybrid else 1
        self.chips, self.rank = np.unique(rows.n_chips, return_inverse=True)
        self.machine = training_step.machine(
            hardware.Cluster(system, int(self.chips[-1])), job.dtype
        )
        self.rows, self.top, self.settings, self.fronted = rows, top, settings, fronted
        self.hbm_bytes = settings.usable_share * system.chip.hbm_bytes
        self.step, self.code, self.limit = (
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            np.float32(np.inf),
        )
        self.n_gib = int(self.hbm_bytes / GIB) + 1
        self.cell_step = np.full(len(self.chips) * self.n_gib, np.inf, np.float32)
        self.near_step, self.near_code, self.near_cell = (
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
        )
        self.counts, self.complete, self.lock = np.zeros(3, np.int64), True, threading.Lock()

    def run(self) -> None:
        """Search all blocks; an interrupt leaves what was found."""
        import tqdm

        settings = self.settings
        blocks = layouts.blocks(
            self.rows, self.work.shape, settings.switches, settings.block, self.reach
        )
        pool = ThreadPoolExecutor(settings.workers) if settings.workers > 1 else None
        done = (pool.map if pool else map)(lambda block: self.block(*block), blocks)
        with tqdm.tqdm(
            total=len(self.rank), disable=not settings.progress, delay=1, unit=" splits"
        ) as bar:
            try:
                for n in done:
                    bar.update(n)
            except KeyboardInterrupt:
                self.complete = False
        if pool:
            pool.shutdown(cancel_futures=True)

    def held(self, lay: Layouts) -> np.ndarray:
        """Memory of the fullest chip."""
        return np.asarray(memory.job_bytes(self.job, lay).total)

    def time(self, lay: Layouts) -> np.ndarray:
        """Step time on all axes in single precision; only this sum is as large as the block."""
        steps = training_step.evaluate(self.work, self.machine, lay)
        rest = steps.exchange.shown_s + steps.fixed_s
        return np.asarray(steps.pipeline_s, np.float32) + np.asarray(rest, np.float32)

    def block(self, part: np.ndarray, lay: Layouts) -> int:
        """Search a block: what fits, then the time of all, its switches taken at their fastest."""
        size = {axis: np.shape(getattr(lay, axis))[i] for i, axis in enumerate(AXES)}
        fresh = layouts.fresh(lay)
        n_micro = self.work.global_batch / (lay.dp * lay.micro_batch)
        whole_rounds = (lay.interleave == 1) | (n_micro % lay.pp == 0)
        held = self.held(lay)
        fits = fresh & whole_rounds & (held <= self.hbm_bytes)
        chosen = [1 if "overlap" in axis else n for axis, n in size.items()]
        fits = np.broadcast_to(fits, (*chosen, len(part)))
        at = np.flatnonzero(fits)
        switched = math.prod(size.values()) // math.prod(chosen)
        distinct = int(fresh.sum()) * (math.prod(size.values()) * len(part) // fresh.size)
        interleaved = int(fresh.any(axis=tuple(range(1, len(AXES)))).sum())
        # without regard to what changes nothing: 3 of recompute, 2 of sequence parallelism, 4 of
        # ZeRO, 2 of replicas, and 2 of each of three switches
        raw = interleaved * 3 * 2 * 4 * (2 if self.reach > 1 else 1)
        raw *= 2**3 if self.settings.switches else 1
        if len(at):
            switches = tuple(i for i, axis in enumerate(AXES) if "overlap" in axis)
            step = np.min(self.time(lay), axis=switches, keepdims=True).ravel()[at]
            code = part[at % len(part)] * _CHOICES + at // len(part)
            self.lead(step, code)
            if self.fronted:
                gib = np.broadcast_to(held / GIB, fits.shape).ravel()[at].astype(np.int64)
                self.lead_cells(step, code, self.rank[code // _CHOICES] * self.n_gib + gib)
        with self.lock:
            self.counts += (raw, distinct, len(at) * switched)
        return len(part)

    def lead(self, step: np.ndarray, code: np.ndarray) -> None:
        """Keep the layouts that are among the fastest of all."""
        with self.lock:
            near = step <= self.limit
            all_step, all_code = np.append(self.step, step[near]), np.append(self.code, code[near])
            if len(all_step) > self.top:
                self.limit = np.partition(all_step, self.top - 1)[self.top - 1] * np.float32(_NEAR)
            self.step, self.code = (
                all_step[all_step <= self.limit],
                all_code[all_step <= self.limit],
            )

    def lead_cells(self, step: np.ndarray, code: np.ndarray, cell: np.ndarray) -> None:
        """Keep the layouts that are among the fastest with their chips and memory."""
        with self.lock:
            np.minimum.at(self.cell_step, cell, step)
            near = step <= self.cell_step[cell] * np.float32(_NEAR)
            all_step = np.append(self.near_step, step[near])
            all_code = np.append(self.near_code, code[near])
            all_cell = np.append(self.near_cell, cell[near])
            near = all_step <= self.cell_step[all_cell] * np.float32(_NEAR)
            self.near_step, self.near_code, self.near_cell = (
                all_step[near],
                all_code[near],
                all_cell[near],
            )

    def ranked(self, code: np.ndarray, top: int) -> tuple[Layouts, np.ndarray, np.ndarray]:
        """Layouts of codes in double precision, fastest first, of equals the lowest code; all
        overlap on: no switch ever costs time.
        """
        rest, rows = (
            code % _CHOICES,
            {name: getattr(self.rows, name)[code // _CHOICES] for name in _SPLIT},
        )
        tensor, stages, shared = rows["tp"] > 1, rows["pp"] > 1, rows["dp"] * rows["cp"] > 1
        inside = layouts.hybrid(Layouts(**{name: rows[name] for name in _SPLIT}), self.reach)
        for name, n in (
            ("replicas", 1 + (inside > 1)),
            ("zero", 1 + 3 * shared),
            ("sequence_parallel", 1 + tensor),
            ("recompute", 3),
        ):
            rows[name], rest = rest % n, rest // n
        chunks = (
            layouts.chunks(self.work.shape.n_layers, pp)[i]
            for pp, i in zip(rows["pp"].tolist(), rest.tolist())
        )
        rows["interleave"] = np.fromiter(chunks, int)
        rows["replicas"] = np.where(rows["replicas"], inside, 1)
        lay = Layouts(**rows, tp_overlap=tensor * 1, dp_overlap=shared * 1, pp_overlap=stages * 1)
        step = np.asarray(training_step.evaluate(self.work, self.machine, lay).step_time_s)
        order = np.lexsort((code, ties.ranks(step)))[:top]
        return (
            Layouts(*(getattr(lay, name)[order] for name in FIELDS)),
            step[order],
            self.held(lay)[order],
        )

    def front(self) -> tuple[Layouts, np.ndarray, np.ndarray]:
        """The fastest layout of each cell that no cell with at most as much of chips and memory
        beats.
        """
        lay, step, held = self.ranked(self.near_code, len(self.near_code))
        rank, chips = ties.ranks(step), np.searchsorted(self.chips, lay.n_chips)
        cell = chips * self.n_gib + (held / GIB).astype(np.int64)
        cell, first = np.unique(cell, return_index=True)
        never = len(rank)
        grid = np.full(len(self.cell_step), never)
        grid[cell] = rank[first]
        grid = np.pad(grid.reshape(len(self.chips), -1), ((1, 0), (1, 0)), constant_values=never)
        least = np.minimum.accumulate(np.minimum.accumulate(grid, axis=0), axis=1)
        unbeaten = (grid[1:, 1:] < least[:-1, 1:]) & (grid[1:, 1:] < least[1:, :-1])
        kept = np.sort(first[unbeaten.ravel()[cell]])
        return Layouts(*(getattr(lay, name)[kept] for name in FIELDS)), step[kept], held[kept]


def search(
    model: str | ModelShape,
    system: str | hardware.System,
    n_chips: int | Iterable[int],
    global_batch: int,
    top: int = 10,
    **options: Any,
) -> SearchResult:
    """Find the fastest layouts.

    Parameters
    ----------
    model : str or ModelShape
        The model.
    system : str or System
        Where it trains.
    n_chips : int or iterable of int
        Chips of a layout, or all numbers that are allowed [-].
    global_batch : int
        Sequences of a step [-].
    top : int
        Layouts wanted [-].
    **options : Any
        Fields of `Settings`: seq_len, dtype, switches, coarse, max_tp, usable_share, ...

    Returns
    -------
    SearchResult
        Best layouts, Pareto front and counts.

    Raises
    ------
    TrnError
        Where a number is not positive, no layout uses that many chips, or none fits the memory.

    Notes
    -----
    Feasible means that memory, by `memory.training_bytes`, is at most `usable_share` of the
    chip's, and that the chunks of an interleaved pipeline find their microbatches in whole rounds
    of the stages.

    Examples
    --------
    >>> found = search("llama2_7b", "trainium3", 16, 256)
    >>> int(found.best.n_chips[0]), found.distinct == found.feasible + found.infeasible
    (16, True)
    """
    clock, settings = (time.perf_counter(), time.process_time()), Settings(**options)
    shape = workload.model(model) if isinstance(model, str) else model
    system = hardware.system(system) if isinstance(system, str) else system
    counts = _counts(n_chips)
    seq_len = (
        settings.seq_len
        if settings.seq_len is not None
        else min(shape.context or _LONGEST, _LONGEST)
    )
    job = TrainingJob(shape, 1.0, seq_len, global_batch, settings.dtype, settings.finetune)
    workload.positive("top", top, "layouts", whole=True)
    if top > MOST_TOP:
        raise data.TrnError(f"top = {top:,} layouts: must be at most {MOST_TOP:,}")
    workload.positive("usable_share", settings.usable_share, "of memory")
    run = _Search(job, system, _splits(job, system, counts, settings), top, settings)
    run.run()
    if run.complete and not run.counts[2]:
        raise memory.misfit(job, system, run.rows, run.hbm_bytes)
    axes = {name: set(np.unique(getattr(run.rows, name)).tolist()) for name in _SPLIT}
    axes |= _chosen(run.rows, shape, settings.switches, run.reach)
    raw, distinct, feasible = map(int, run.counts)
    best, front = run.ranked(run.code, top), run.front()
    return SearchResult(
        *best,
        _frame(*front),
        raw,
        distinct,
        feasible,
        distinct - feasible,
        {k: sorted(v) for k, v in axes.items()},
        time.perf_counter() - clock[0],
        time.process_time() - clock[1],
        run.complete,
    )


def _chosen(rows: Layouts, shape: ModelShape, switches: bool, reach: int) -> dict[str, set[int]]:
    """The values of the axes that `layouts.blocks` adds to these splits."""
    found: dict[str, set[int]] = {axis: set() for axis in AXES}
    for kind in np.unique(layouts.kinds(rows)).tolist():
        for axis, values in layouts.choices(kind, switches).items():
            found[axis] |= set(values)
    for pp in np.unique(rows.pp).tolist():
        found["interleave"] |= set(layouts.chunks(shape.n_layers, pp))
    found["replicas"] = {1, *layouts.hybrid(rows, reach).tolist()}
    return found


def _counts(n_chips: int | Iterable[int]) -> list[int]:
    """The numbers of chips that are allowed, checked before a range is written out."""
    if isinstance(n_chips, range) and n_chips.stop - n_chips.start > MOST_COUNTS:
        asked = f"n_chips = {n_chips.start:,} to {n_chips.stop - 1:,} chips"
        raise data.TrnError(f"{asked}: a range may hold {MOST_COUNTS:,}")
    counts = list(n_chips) if isinstance(n_chips, Iterable) else [n_chips]
    if not counts:
        raise data.TrnError(
            "n_chips: the range is empty; write the smaller number of chips first, "
            "such as 512..4096"
        )
    ends = [counts[0], counts[-1]] if isinstance(n_chips, range) else counts
    workload.positive("n_chips", ends[0] if len(counts) == 1 else ends, "chips", whole=True)
    return sorted(set(counts))


def _splits(
    job: TrainingJob, system: hardware.System, counts: list[int], settings: Settings
) -> Layouts:
    """The splits over these chip counts."""
    max_tp = settings.max_tp or max(32, system.n_chips)
    every = layouts.splits(job.model, job.seq_len, job.global_batch, max_tp, settings.coarse)
    keep = np.isin(every.n_chips, counts)
    if not keep.any():
        hbm_bytes = system.chip.hbm_bytes * settings.usable_share
        known = np.unique(np.asarray(every.n_chips)[memory._leanest(job, every).total <= hbm_bytes])
        if not len(known):
            raise memory.misfit(job, system, every, hbm_bytes)
        at = int(np.searchsorted(known, counts[0]))
        near = " or ".join(f"{n:,}" for n in known[max(at - 1, 0) : at + 1])
        asked = f"n_chips = {counts[0]:,} chips" + (
            f" to {counts[-1]:,}" if len(counts) > 1 else ""
        )
        batch = f"global_batch = {job.global_batch}"
        raise layouts.LayoutError(
            f"{asked}: no layout of {job.model.id} with {batch} uses just so many; "
            f"nearest that fit: {near}"
        )
    return Layouts(*(getattr(every, name)[keep] for name in _SPLIT))


def best(job: TrainingJob, cluster: hardware.Cluster) -> Layouts:
    """The fastest layout of a job on at most the chips of a cluster.

    Parameters
    ----------
    job : TrainingJob
        Model, sequence, batch and format.
    cluster : Cluster
        Where it trains.

    Returns
    -------
    Layouts
        One layout; its `n_chips` is below the cluster's where no split uses every chip.

    Raises
    ------
    DoesNotFit
        Where no layout fits the memory.

    Notes
    -----
    Searches the splits of `Settings(coarse=True)` that use more than half of the chips, with
    all overlap on, and leaves the reserve of memory that ``data/assumptions.csv`` gives
    (`training_usable_hbm_share`).

    Examples
    --------
    >>> job = TrainingJob(workload.model("llama2_7b"), 1e12, 4096, 256)
    >>> int(best(job, hardware.Cluster(hardware.system("trainium3"), 17)).n_chips)
    16
    """
    every = layouts.splits(
        job.model, job.seq_len, job.global_batch, max(32, cluster.system.n_chips), True
    )
    used = np.where(np.asarray(every.n_chips) <= cluster.n_chips, every.n_chips, 0)
    keep = used * 2 > used.max()
    settings = Settings(
        switches=False, usable_share=data.assumption("training_usable_hbm_share").value
    )
    rows = Layouts(*(getattr(every, name)[keep] for name in _SPLIT))
    run = _Search(job, cluster.system, rows, 1, settings, fronted=False)
    run.run()
    if not run.counts[2]:
        raise memory.misfit(job, cluster.system, run.rows, run.hbm_bytes)
    lay = run.ranked(run.code, 1)[0]
    return Layouts(**{name: int(getattr(lay, name)[0]) for name in FIELDS})
