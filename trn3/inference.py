"""Serving: the frontier of throughput against speed per user, the best point under limits, and a
fleet.

The terms of a step stand in `trn3.serving_step`; here they meet a load, a system and its latency
limits.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trn3 import committed, data, ties, workload
from trn3.committed import Software
from trn3.hardware import Chip, System
from trn3.serving_step import (
    Layouts,
    Work,
    at_level,
    cache_bytes_per_chip,
    constants,
    device,
    dtype_bytes,
    evaluate,
    traffic,
    weight_bytes_per_chip,
)
from trn3.units import GIB, Array
from trn3.workload import ModelShape, ServingLoad

LOW_LOAD = 8
"""Requests in flight up to which a first token hardly queues; beyond it has a band of its own."""

N_BATCHES = 48
"""Batches tried per layout, from 1 to the largest in equal ratios."""


class NoLayoutMeets(data.TrnError):
    """No layout fits the memory and meets the limits; the message names the nearest that can be
    had.
    """


def band(chip: Chip, metric: str, software: str | Software = "typical") -> np.ndarray:
    """Factors from a prediction to its 80 % band.

    Parameters
    ----------
    chip : Chip
        Accelerator; one that was never fitted takes the band of generations left out [-].
    metric : str
        ``tpot``, ``ttft``, ``ttft_load`` (more than `LOW_LOAD` requests in flight) or
        ``throughput`` [-].
    software : str or Software
        Level of the stack: what differs between stacks is in the band of a typical one, and counts
        with the spread of a record of own runs [-].

    Returns
    -------
    numpy.ndarray
        Low, middle (1) and high [-].

    Notes
    -----
    At a level that is given, the variance between stacks is taken out, but never more than three
    quarters of the whole: models and loads differ in a stack, too.
    """
    ends = [
        committed.constant("serving", f"band_{metric}_{side}", chip.id, chip.cores)
        for side in ("low", "high")
    ]
    level = committed.level("serving", software)
    if level.level != "typical":
        ends = _of_a_stack(np.log(ends), level)
    return np.array([ends[0], 1.0, ends[1]])


def _of_a_stack(logs: np.ndarray, level: Software) -> list[float]:
    """Ends of a band without the variance between stacks, with that of own runs."""
    known = committed.software("serving").spread
    own = level.spread if level.level == "own" else 0.0
    between, left = committed.Z_80 * known, committed.Z_80 * own
    rest = np.maximum(logs**2 - between**2, (logs / 2) ** 2) + left**2
    rest = np.minimum(rest, np.maximum(logs**2, left**2))
    return [float(end) for end in np.exp(np.sign(logs) * np.sqrt(rest))]


@dataclass(frozen=True)
class ServingPoint:
    """One operating point; results are arrays of low, middle and high (80 % band).

    Attributes
    ----------
    system : System
        Where it runs [-].
    n_chips, tp, dp, ep : int
        Chips of one copy of the model, tensor-parallel group, attention groups, chips that share
        the experts [-].
    batch : int
        Sequences in flight per copy [-].
    output_tokens_per_s_per_chip, tokens_per_s_per_user : numpy.ndarray
        Rates [1/s].
    tpot_s, ttft_s : numpy.ndarray
        Times [s].
    memory_bytes : float
        Weights and caches on a chip [B].
    flops_per_token, hbm_bytes_per_token, link_bytes_per_token : float
        Work behind an output token, over all chips [-], [B], [B].
    """

    system: System
    n_chips: int
    tp: int
    dp: int
    ep: int
    batch: int
    output_tokens_per_s_per_chip: np.ndarray
    tokens_per_s_per_user: np.ndarray
    tpot_s: np.ndarray
    ttft_s: np.ndarray
    memory_bytes: float
    flops_per_token: float
    hbm_bytes_per_token: float
    link_bytes_per_token: float

    @property
    def n_systems(self) -> int:
        """Servers, UltraServers or racks that one copy of the model lies on [-]."""
        return math.ceil(self.n_chips / self.system.n_chips)


@dataclass(frozen=True)
class Frontier:
    """Every (layout, batch) of a system that fits, and those that no other beats in speed and
    throughput.

    Attributes
    ----------
    load : ServingLoad
        What is asked [-].
    system : System
        Where it runs [-].
    points : pandas.DataFrame
        All points that fit, with times, rates and whether they meet the limits [-].
    software : Software
        Level of the stack [-].
    """

    load: ServingLoad
    system: System
    points: pd.DataFrame
    software: Software

    def frame(self) -> pd.DataFrame:
        """Points within the limits that no other beats, fastest user first.

        Returns
        -------
        pandas.DataFrame
            n_chips, n_systems, tp, dp, ep, batch, tokens_per_s_per_user,
            output_tokens_per_s_per_chip with _low and _high, ttft_s, tpot_s [-].
        """
        ok = self.points[self.points["meets"]]
        user = ties.ranks(-ok["tokens_per_s_per_user"].to_numpy())
        chip = ties.ranks(-ok["output_tokens_per_s_per_chip"].to_numpy())
        fastest_first = np.lexsort((chip, user))
        ok, chip = ok.iloc[fastest_first], chip[fastest_first]
        best_so_far = np.minimum.accumulate(np.append(len(chip), chip))
        hull = ok[chip < best_so_far[:-1]].drop(columns="meets").reset_index(drop=True)
        rate, ends = (
            hull["output_tokens_per_s_per_chip"],
            band(self.system.chip, "throughput", self.software),
        )
        return hull.assign(
            **{f"{rate.name}_low": rate * ends[0], f"{rate.name}_high": rate * ends[2]}
        )


def layout_of(tp: Array, dp: Array) -> Layouts:
    """A copy of the model as engines lay it out: one attention group slices its experts, several
    share them whole.

    Parameters
    ----------
    tp, dp : Array
        Chips of an attention group, and groups [-].

    Returns
    -------
    Layouts
        The same, with where the experts lie [-].

    Examples
    --------
    >>> bool(layout_of(8, 1).whole), bool(layout_of(1, 8).whole)
    (False, True)
    """
    return Layouts(tp, dp, whole=np.greater(dp, 1))


def layouts(model: ModelShape, system: System) -> Layouts:
    """Layouts of one copy: groups of 1, 2, 4 ... chips inside the scale-up domain, and for experts
    many such groups, on as many joined systems as their network allows.

    Parameters
    ----------
    model : ModelShape
        Bounds the group by its attention heads, and the groups by its experts [-].
    system : System
        Bounds a group by its chips; copies go up to the largest that were published [-].

    Returns
    -------
    Layouts
        Arrays [-].

    Examples
    --------
    DeepSeek-V3 may spread over 32 servers of eight H100, a dense model over one.

    >>> from trn3 import hardware
    >>> h100 = hardware.system("hgx_h100")
    >>> [int(layouts(workload.model(m), h100).n_chips.max()) for m in ("deepseek_v3", "llama3_8b")]
    [256, 8]
    """
    most = data.assumption("serving_most_chips").value
    powers = [2**i for i in range(12) if 2**i <= most]
    groups = [tp for tp in powers if tp <= min(model.n_heads, system.n_chips)]
    if not model.n_experts:
        return layout_of(np.array(groups, float), np.ones(len(groups)))
    tiers = [int(t.n_chips) for t in system.tiers if np.isfinite(t.n_chips)]
    joined = [system.n_chips * n for n in powers]
    inside = [n for n in powers if n <= system.n_chips]
    sizes = sorted({n for n in (*inside, *tiers, *joined) if n <= most})
    copies = [(tp, n // tp) for n in sizes for tp in groups if n % tp == 0]
    spread = [(tp, dp) for tp, dp in copies if dp <= model.n_experts]
    return layout_of(*np.array(spread, float).T)


def frontier(
    load: ServingLoad,
    system: System,
    disaggregated: bool = False,
    context_tokens: float = 0.0,
    software: str | Software = "typical",
) -> Frontier:
    """Evaluate every layout and batch of a system for a load.

    Parameters
    ----------
    load : ServingLoad
        Model, lengths, limits and formats [-].
    system : System
        Where it runs [-].
    disaggregated : bool
        Prefill on chips of its own [-].
    context_tokens : float
        Length for which a compiled device was configured; 0: exactly the load [-].
    software : str or Software
        Level of the stack, one of `committed.LEVELS` or a record [-].

    Returns
    -------
    Frontier
        All points that fit [-].

    Raises
    ------
    NoLayoutMeets
        No layout holds the model and one sequence, or the context is longer than the model's.
    trn3.hardware.UnsupportedDtype
        The chip has no such format.
    """
    total = load.input_tokens + load.output_tokens
    if load.model.context and total > load.model.context:
        most = f"{load.model.name} takes at most {load.model.context:,.0f}"
        raise NoLayoutMeets(f"input_tokens + output_tokens = {total:,.0f} tokens: {most}")
    model, chip = load.model, device(system, load.weights_dtype)
    some = layouts(model, system)
    at = layout_of(np.asarray(some.tp)[:, None], np.asarray(some.dp)[:, None])
    sequences = np.geomspace(1, chip.max_sequences, N_BATCHES)
    length = configured(system, context_tokens)
    w = work_of(load, np.unique(np.round(sequences)), length)
    level = committed.level("serving", software)
    stack = at_level(constants(system.chip), level)
    s = evaluate(model, chip, at, stack, w, disaggregated)
    if not np.any(s.fits):
        cache = cache_bytes_per_chip(model, chip, at, w)
        need = np.min(weight_bytes_per_chip(model, at, w) + cache) / GIB
        least = f"one user needs {need:,.0f} of {chip.usable_bytes / GIB:,.0f} usable GiB per chip"
        raise NoLayoutMeets(
            f"{model.name} with {total:,.0f} tokens does not fit {system.name}: {least}"
        )
    rows = {
        "n_chips": at.n_chips,
        "n_systems": np.ceil(at.n_chips / system.n_chips),
        "tp": at.tp,
        "dp": at.dp,
        "ep": np.where(model.n_experts > 0, at.n_chips, 1.0),
        "batch": w.batch * at.dp,
        "tokens_per_s_per_user": s.tokens_per_s_per_user,
        "output_tokens_per_s_per_chip": s.tokens_per_s_per_chip,
        "ttft_s": s.ttft_s,
        "tpot_s": s.tpot_s,
        "memory_bytes": s.memory_bytes,
        "meets": (s.ttft_s <= load.ttft_s) & (s.tpot_s <= load.tpot_s),
    }
    fits = np.asarray(s.fits)
    points = pd.DataFrame({n: np.broadcast_to(v, fits.shape)[fits] for n, v in rows.items()})
    return Frontier(
        load,
        system,
        points.astype(dict.fromkeys(("n_chips", "n_systems", "tp", "dp", "ep", "batch"), int)),
        level,
    )


def best(
    load: ServingLoad,
    system: System,
    disaggregated: bool = False,
    context_tokens: float = 0.0,
    software: str | Software = "typical",
) -> ServingPoint:
    """Highest throughput per chip within the limits.

    Parameters
    ----------
    load : ServingLoad
        Model, lengths, limits and formats [-].
    system : System
        Where it runs [-].
    disaggregated : bool
        Prefill on chips of its own [-].
    context_tokens : float
        Length for which a compiled device was configured; 0: exactly the load [-].
    software : str or Software
        Level of the stack, one of `committed.LEVELS` or a record [-].

    Returns
    -------
    ServingPoint
        With its 80 % band [-].

    Raises
    ------
    NoLayoutMeets
        Nothing fits, or no point meets the limits; names the nearest point.
    """
    found = frontier(load, system, disaggregated, context_tokens, software)
    meets = np.flatnonzero(found.points["meets"])
    if not len(meets):
        raise NoLayoutMeets(_nearest(found))
    rates = found.points["output_tokens_per_s_per_chip"].to_numpy()
    return _point(found, found.points.iloc[meets[ties.most(rates[meets])]], context_tokens)


def _nearest(found: Frontier) -> str:
    load, p = found.load, found.points
    missed_by = np.maximum(p["ttft_s"] / load.ttft_s, p["tpot_s"] / load.tpot_s)
    near = p.iloc[ties.least(missed_by.to_numpy())]
    limits = f"meets ttft_s = {load.ttft_s:g} s and tpot_s = {load.tpot_s:g} s; the nearest is"
    layout = "tp={tp:.0f} dp={dp:.0f} batch={batch:.0f}".format(**near)
    times = "with ttft_s = {ttft_s:.3g} s and tpot_s = {tpot_s:.3g} s".format(**near)
    return f"no layout of {load.model.name} on {found.system.name} {limits} {layout} {times}"


def configured(system: System, context_tokens: float) -> float:
    """Length for which graphs are compiled: none on a device that compiles none for a length.

    Parameters
    ----------
    system : System
        Where it runs [-].
    context_tokens : float
        Length that was asked for; 0: exactly the load [-].

    Returns
    -------
    float
        The length, 0 on GPUs and TPUs [-].

    Examples
    --------
    >>> from trn3 import hardware
    >>> [configured(hardware.system(name), 8192) for name in ("trn2_48xl", "hgx_h200")]
    [8192, 0.0]
    """
    return context_tokens if system.chip.compiled else 0.0


def work_of(load: ServingLoad, batch: Array, context_tokens: float = 0.0) -> Work:
    """A load as the terms of a step take it.

    Parameters
    ----------
    load : ServingLoad
        Lengths and formats [-].
    batch : Array
        Sequences that decode together in one attention group [-].
    context_tokens : float
        Length for which a compiled device was configured; 0: exactly the load [-].

    Returns
    -------
    Work
        Graphs are compiled for just this batch [-].

    Examples
    --------
    >>> llama = workload.model("llama3_3_70b")
    >>> float(work_of(ServingLoad(llama, 1024, 256, weights_dtype="fp8"), 8.0).weight_bytes)
    1.0
    """
    eight_bits = 1.0  # bytes: a page with one format for both keeps the cache no narrower
    widths = dtype_bytes(load.weights_dtype), max(eight_bits, dtype_bytes(load.kv_dtype))
    return Work(
        batch,
        load.input_tokens,
        load.output_tokens,
        *widths,
        bucket_batch=batch,
        bucket_context=context_tokens,
    )


def _point(found: Frontier, row: pd.Series, context_tokens: float) -> ServingPoint:
    load, system = found.load, found.system
    d, at = device(system, load.weights_dtype), layout_of(row["tp"], row["dp"])
    length = configured(system, context_tokens)
    w = work_of(load, row["batch"] / row["dp"], length)
    stack = at_level(constants(system.chip), found.software)
    behind = traffic(load.model, d, at, stack, w)
    first = "ttft" if row["batch"] <= LOW_LOAD else "ttft_load"
    metrics = ("tpot", first, "throughput")
    slow, wait, rate = (band(system.chip, metric, found.software) for metric in metrics)
    n, tp, dp, ep, batch = (int(row[name]) for name in ("n_chips", "tp", "dp", "ep", "batch"))
    rates = row["output_tokens_per_s_per_chip"] * rate, row["tokens_per_s_per_user"] / slow[::-1]
    tpot, ttft, memory = row["tpot_s"] * slow, row["ttft_s"] * wait, float(row["memory_bytes"])
    return ServingPoint(
        system,
        n_chips=n,
        tp=tp,
        dp=dp,
        ep=ep,
        batch=batch,
        output_tokens_per_s_per_chip=rates[0],
        tokens_per_s_per_user=rates[1],
        tpot_s=tpot,
        ttft_s=ttft,
        memory_bytes=memory,
        flops_per_token=float(behind.flops),
        hbm_bytes_per_token=float(behind.hbm_bytes),
        link_bytes_per_token=float(behind.link_bytes),
    )


def fleet(
    load: ServingLoad,
    system: System,
    n_available: float = math.inf,
    disaggregated: bool = False,
    context_tokens: float = 0.0,
    software: str | Software = "typical",
) -> np.ndarray:
    """Fewest chips that serve a request rate, with headroom for its peaks, in whole copies of the
    model.

    Parameters
    ----------
    load : ServingLoad
        With `requests_per_s` above 0 [-].
    system : System
        Where it runs [-].
    n_available : float
        Chips that can be had [-].
    disaggregated : bool
        Prefill on chips of its own [-].
    context_tokens : float
        Length for which a compiled device was configured; 0: exactly the load [-].
    software : str or Software
        Level of the stack, one of `committed.LEVELS` or a record [-].

    Returns
    -------
    numpy.ndarray
        Chips at the high, middle and low end of the throughput band: low, middle, high [-].

    Raises
    ------
    NoLayoutMeets
        Nothing meets the limits, or the rate needs more chips than there are.
    """
    workload.positive("requests_per_s", load.requests_per_s, "1/s")
    found = frontier(load, system, disaggregated, context_tokens, software)
    busy = data.assumption("serving_fleet_utilisation").value
    points = found.points[found.points["meets"]]
    if points.empty:
        raise NoLayoutMeets(_nearest(found))
    asked_per_s = load.requests_per_s * load.output_tokens / busy

    def whole_copies(rate: np.ndarray, n_chips: np.ndarray) -> np.ndarray:
        return np.asarray(ties.ceil(asked_per_s / (rate * n_chips))) * n_chips

    rate = points["output_tokens_per_s_per_chip"].to_numpy()
    n_chips = points["n_chips"].to_numpy()
    fleets = whole_copies(rate, n_chips)
    fewest = np.flatnonzero(fleets == fleets.min())
    one = fewest[ties.most(rate[fewest])]
    chips = whole_copies(rate[one] * band(system.chip, "throughput", software)[::-1], n_chips[one])
    if chips[1] > n_available:
        most = load.requests_per_s * n_available / chips[1]
        asked = f"requests_per_s = {load.requests_per_s:g} 1/s needs {chips[1]:,.0f} chips"
        raise NoLayoutMeets(
            f"{asked} of {system.name}; {n_available:,.0f} serve about {most:.3g} 1/s"
        )
    return chips
