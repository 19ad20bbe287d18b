"""Scaling of a training run from one chip to a million: network, batch, stragglers, failures,
power.

At every size the best layout is searched anew, and it may leave chips idle; the network has pods
with less bandwidth between them; a batch above the critical one needs more tokens; failures cost by
how the job recovers. The useful share of a size is what one job gets per chip and second over what
the best size gets without failures. One job on many chips and many jobs on them are two questions:
see `many_jobs`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from trn3 import (
    data,
    hardware,
    layouts,
    memory,
    reliability,
    ties,
    training,
    training_step,
    uncertainty,
    workload,
)
from trn3.fit import trust
from trn3.layouts import Layouts
from trn3.show import words
from trn3.study import footprint, pricing, rents, stacks
from trn3.study.compare import ask
from trn3.units import DAY_S, HOUR_S, YEAR_S, Array, require

N_DRAWS, STATE_BYTES = 512, memory.WEIGHT_BYTES + memory.OPTIMIZER_BYTES
RECOVERY = ("restart", "memory", "replica", "island")
"""What a failure stops: the whole job until it has loaded from storage; the whole job, mostly from
copies in memory; one replica, which copies its state from another; one pod that trains apart and
exchanges weights now and then."""
WAYS = {
    "restart": "the whole job restarts from storage",
    "memory": "the job restarts from copies in memory",
    "replica": "only the failed copy of the model restarts",
    "island": "pods train apart and restart one by one",
}
"""The ways to recover in a sentence."""

LABELS = {
    "restart": "Whole job, from storage",
    "memory": "Whole job, copies in memory",
    "replica": "Failed replica only",
    "island": "Pods apart",
}
"""The same beside a line."""

NEVER_DAYS = 1e6
"""Time from which on a run makes no progress [day]."""

LOSSES = {
    "layout": "Network and pipeline",
    "batch": "Batch too large",
    "straggler": "Slow chips",
    "checkpoint": "Checkpoints",
    "failure": "Failures",
}
"""What takes from a chip's best; each is the loss that it would cause alone. Failures
count lost work and restarts; a batch is too large above the critical one."""
UNCERTAIN: tuple[str, ...] = (
    "failures_per_chip_h",
    "restart_s",
    "checkpoint_blocking_s",
    "checkpoint_bandwidth",
)
UNCERTAIN += (
    "memory_checkpoint_s",
    "memory_restart_s",
    "memory_share",
    "straggler_slowdown",
    "pod_oversubscription",
)
UNCERTAIN += ("critical_batch_factor", "island_token_cost", "layout_loss_factor")
"""Assumptions that are drawn, by their name in ``data/assumptions.csv``."""


def critical_batch_tokens(n_params: Array, tokens: Array) -> Array:
    """Batch at which training takes twice the fewest tokens and twice the fewest steps.

    B = 2e8 L^(-1/0.21) tokens (Kaplan et al. 2020, eq. 5.3) at the loss L = 1.69 + 406.4 / N^0.34 +
    410.7 / D^0.28 of Hoffmann et al. 2022, eq. 10.

    Parameters
    ----------
    n_params : Array
        Parameters of the model [-].
    tokens : Array
        Tokens of the run [-].

    Returns
    -------
    Array
        Tokens per step [-].

    Notes
    -----
    Measured up to 1.5e9 parameters; the two fits used different text. `critical_batch_factor`
    carries the doubt.

    Examples
    --------
    Llama 3 405B was trained with 16 million tokens per step at the end.

    >>> round(float(critical_batch_tokens(405e9, 15.6e12)) / 1e6)
    12
    """
    loss = 1.69 + 406.4 / np.power(n_params, 0.34) + 410.7 / np.power(tokens, 0.28)
    return 2e8 * loss ** (-1 / 0.21)


def batch_efficiency(batch_tokens: Array, critical_tokens: Array, base_tokens: Array) -> Array:
    """Progress per token of a batch, over that of the batch for which the run's tokens were
    planned.

    (1 + B_0 / B_c) / (1 + B / B_c): tokens grow as 1 + B / B_c (McCandlish et al. 2018, eq. 2.11).

    Parameters
    ----------
    batch_tokens : Array
        Tokens per step [-].
    critical_tokens : Array
        Critical batch [-].
    base_tokens : Array
        Tokens per step of the plan [-].

    Returns
    -------
    Array
        Relative progress per token; above 1 for smaller batches [-].

    Examples
    --------
    >>> batch_efficiency(3e6, 1e6, 1e6)
    0.5
    """
    return (1 + base_tokens / critical_tokens) / (1 + batch_tokens / critical_tokens)


def with_pods(
    system: hardware.System, pod_chips: float, oversubscription: float
) -> hardware.System:
    """The system in a cluster of pods that share less bandwidth between them.

    Parameters
    ----------
    system : System
        The building block.
    pod_chips : float
        Chips of a pod; rounded up to whole systems [-].
    oversubscription : float
        Bandwidth per chip inside a pod over that between pods, at least 1 [-].

    Returns
    -------
    System
        With one more tier.

    Examples
    --------
    >>> [t.n_chips for t in with_pods(hardware.system("hgx_h100"), 3072, 7.0).tiers]
    [8.0, 3072.0, inf]
    """
    *inner, last = system.tiers
    pod = float(np.ceil(pod_chips / system.n_chips) * system.n_chips)
    outer = replace(last, name="between pods", bytes_per_s=last.bytes_per_s / oversubscription)
    return replace(system, tiers=(*inner, replace(last, name="pod", n_chips=pod), outer))


def fastest(
    job: workload.TrainingJob, system: hardware.System, sizes: Sequence[int]
) -> list[dict[str, int]]:
    """Fastest layout on up to so many chips, for many sizes at once.

    As many chips may stay idle as are of no use, so that a step never takes longer with more chips.

    Parameters
    ----------
    job : TrainingJob
        Model, sequence and batch.
    system : System
        Building block.
    sizes : sequence of int
        Chips that there are [-].

    Returns
    -------
    list of dict
        Fields of the layout for each size; empty where nothing fits.
    """
    shape, batch = job.model, job.global_batch
    room = data.assumption("training_usable_hbm_share").value
    rows = layouts.splits(shape, job.seq_len, batch, 64, True)
    used = np.asarray(rows.n_chips)
    # in order of their chips, so that of equally fast layouts the smallest is taken
    keep = np.argsort(used, kind="stable")[: int(np.sum(used <= max(sizes)))]
    rows = Layouts(*(getattr(rows, field)[keep] for field in layouts.FIELDS[:6]))
    used, best_s = used[keep], np.full(len(keep), np.inf)
    best = np.zeros((len(layouts.FIELDS), len(best_s)), int)
    for part, lay in layouts.blocks(rows, shape, switches=False, reach=system.n_chips):
        need = memory.job_bytes(job, lay).total
        even = (lay.interleave == 1) | (batch // (lay.dp * lay.micro_batch) % lay.pp == 0)
        fits = (need <= room * system.chip.hbm_bytes) & even
        time_s = np.where(
            fits, training_step.evaluate(*_setup(job, system), lay).step_time_s, np.inf
        )
        at = ties.least(time_s.reshape(-1, len(part))), np.arange(len(part))
        best_s[part] = time_s.reshape(-1, len(part))[at]
        for i, field in enumerate(layouts.FIELDS):
            best[i, part] = np.broadcast_to(getattr(lay, field), time_s.shape).reshape(
                -1, len(part)
            )[at]
    out = []
    for n in sizes:
        time_s = np.where(used <= n, best_s, np.inf)
        some = len(time_s) and np.isfinite(time_s.min())
        out.append(dict(zip(layouts.FIELDS, best[:, ties.least(time_s)].tolist())) if some else {})
    return out


def _setup(
    job: workload.TrainingJob, system: hardware.System
) -> tuple[training_step.Work, training_step.Machine]:
    cluster = hardware.Cluster(system, system.n_chips)
    return training_step.work_of(job), training_step.machine(cluster, job.dtype)


def _step_s(
    job: workload.TrainingJob, system: hardware.System, lay: Layouts, software: stacks.Level
) -> float:
    """Middle of a step with a layout that was found."""
    cluster = hardware.Cluster(system, int(lay.n_chips))
    return float(training.estimate(job, cluster, lay, software).step_time_s[1])


def assumed(given: Mapping[str, float] | None = None) -> dict[str, uncertainty.Input]:
    """The uncertain inputs, some of them replaced.

    Parameters
    ----------
    given : Mapping, optional
        Other middle values, in SI units (failures per hour); their range keeps its proportions.

    Returns
    -------
    dict of str to Input
        Keys of `UNCERTAIN`.

    Raises
    ------
    InputError
        If a value is not positive and finite.

    Examples
    --------
    >>> assumed({"restart_s": 1200.0})["restart_s"].high
    2400.0
    """
    out = {}
    for fact in map(data.assumption, UNCERTAIN):
        value = (given or {}).get(fact.quantity, fact.value)
        require(fact.quantity, value, fact.unit)
        floor = 1.0 if fact.quantity == "pod_oversubscription" else 0.0
        low, mid, high = (max(floor, float(v)) for v in fact.range * value / fact.value)
        out[fact.quantity] = uncertainty.Input(
            low, mid, high, unit=fact.unit, label=fact.quantity, status=fact.status
        )
    return out


def time_shares(
    recovery: str, x: Mapping[str, Array], n_chips: Array, n_parts: Array, state: Array
) -> dict[str, Array]:
    """Where wall time goes with a way to recover.

    Parameters
    ----------
    recovery : str
        One of `RECOVERY`.
    x : Mapping
        Assumptions, as in `UNCERTAIN`.
    n_chips : Array
        Chips of the job [-].
    n_parts : Array
        Parts that fail apart: replicas, or islands [-].
    state : Array
        Weights and optimizer state [B].

    Returns
    -------
    dict of str to Array
        ``useful``, ``checkpoint``, ``lost``, ``restart`` [-].

    Raises
    ------
    TrnError
        If there is no such way to recover.
    """
    mtti = reliability.mtti_s(n_chips, x["failures_per_chip_h"] / HOUR_S)
    write, drain = x["checkpoint_blocking_s"], state / x["checkpoint_bandwidth"]
    storage, copies = (
        (write, x["restart_s"] + drain),
        (x["memory_checkpoint_s"], x["memory_restart_s"]),
    )
    if recovery == "memory":
        return reliability.two_level(copies, storage, x["memory_share"], mtti)
    if recovery not in RECOVERY:
        raise data.TrnError(f"recovery = {recovery!r}: must be one of {', '.join(RECOVERY)}")
    pause, restart = copies if recovery == "replica" else storage
    mtti = mtti * (n_parts if recovery in ("replica", "island") else 1.0)
    least = (
        drain if recovery != "replica" else 0.0
    )  # a checkpoint cannot start before the last one is written
    work = np.maximum(reliability.best_interval_s(pause, mtti), least)
    return reliability.time_shares(work, pause, restart, mtti)


@dataclass(frozen=True)
class Curve:
    """A run at many sizes.

    Attributes
    ----------
    job : TrainingJob
        What is trained.
    system : System
        Building block.
    recovery : str
        One of `RECOVERY`.
    table : pandas.DataFrame
        One row per size that holds the model: chips, batch, layout, step time, useful share with
        P10 and P90, losses (each alone), time to interruption, days.
    """

    job: workload.TrainingJob
    system: hardware.System
    recovery: str
    table: pd.DataFrame

    def frame(self) -> pd.DataFrame:
        """The table."""
        return self.table.copy()

    def at(self, n_chips: int) -> pd.Series:
        """The smallest size that holds the run and has so many chips, or the largest there is.

        Parameters
        ----------
        n_chips : int
            Chips that are wanted [-].

        Returns
        -------
        pandas.Series
            A row of the table.
        """
        enough = self.table[self.table["n_chips"] >= n_chips]
        return (enough if len(enough) else self.table.tail(1)).iloc[0]

    @property
    def soonest(self) -> pd.Series:
        """The size at which one job ends soonest, the smallest of those that end as soon."""
        return self.table.iloc[ties.least(self.table["days"])]

    @property
    def smallest(self) -> pd.Series:
        """The smallest size that holds the run."""
        return self.table.iloc[0]

    @property
    def largest(self) -> pd.Series:
        """The largest size that was tried."""
        return self.table.iloc[-1]

    def first_cause(self, n_chips: int) -> tuple[str, float]:
        """What costs most at a size, alone.

        Parameters
        ----------
        n_chips : int
            One of the sizes [-].

        Returns
        -------
        tuple of str and float
            Its name in words, and the share that it takes [-].
        """
        alone = self.at(n_chips)[list(LOSSES)].astype(float)
        worst = alone.index[ties.most(alone.to_numpy())]
        return LOSSES[worst], float(alone[worst])

    def kept(self) -> pd.DataFrame:
        """What each factor would leave if it were alone, and what all leave together, in long form:
        n_chips, part, share. No factor is taken off before another, so their order does not matter.
        """
        alone = 1.0 - self.table[list(LOSSES)].rename(columns=LOSSES)
        wide = alone.assign(**{"All together": self.table["useful"]})
        return wide.assign(n_chips=self.table["n_chips"]).melt(
            "n_chips", var_name="part", value_name="share"
        )


def sizes(job_chips: int, max_chips: int) -> list[int]:
    """Sizes that are tried: powers of two, the largest scored run, the job's and the cluster's.

    Parameters
    ----------
    job_chips : int
        Chips of the reader's job [-].
    max_chips : int
        Chips of the whole cluster [-].

    Returns
    -------
    list of int
        In order [-].

    Examples
    --------
    >>> sizes(100, 200)[-4:]
    [64, 100, 128, 200]
    """
    tried = {2**power for power in range(21)} | {scored_chips(), job_chips}
    return sorted({n for n in tried if n < max_chips} | {max_chips})


def curve(
    job: workload.TrainingJob,
    system: hardware.System,
    sizes: Sequence[int],
    recovery: str = "restart",
    weak_from: int = 0,
    given: Mapping[str, float] | None = None,
    software: stacks.Level = stacks.TYPICAL,
) -> Curve:
    """The useful share of a cluster at every size.

    Parameters
    ----------
    job : TrainingJob
        Model, tokens, and the batch for which the tokens were planned.
    system : System
        Building block.
    sizes : sequence of int
        Chips [-].
    recovery : str
        One of `RECOVERY`.
    weak_from : int
        0 keeps the batch (strong scaling); else it doubles with every doubling of the chips beyond
        this size [-].
    given : Mapping, optional
        Assumptions with another middle value, as in `assumed`.
    software : str or Software
        Level of the software.

    Returns
    -------
    Curve
        One row per size that holds the model.

    Raises
    ------
    TrnError
        If no size holds the model, or an input is out of range.
    """
    inputs = assumed(given)
    drawn = uncertainty.draws(inputs, N_DRAWS)
    x = {name: np.append(each.mid, drawn[name])[:, None] for name, each in inputs.items()}
    over, pod = inputs["pod_oversubscription"], data.assumption("pod_chips").value
    nets = {
        factor: with_pods(system, pod, factor)
        for factor in (1.0, over.mid, max(over.high, over.mid + 1e-6))
    }
    island = (
        float(ties.power_of_two(nets[1.0].tiers[-2].n_chips, down=True))
        if recovery == "island"
        else np.inf
    )
    table = _table(job, nets, sizes, weak_from, island, software)
    if table.empty:
        raise data.TrnError(
            f"{job.model.name} fits none of the sizes up to {max(sizes):,} chips of {system.name}"
        )
    return Curve(job, system, recovery, _shares(job, table, x, recovery, list(nets)))


def _table(
    job: workload.TrainingJob,
    nets: Mapping[float, hardware.System],
    sizes: Sequence[int],
    weak_from: int,
    island: float,
    software: stacks.Level,
) -> pd.DataFrame:
    """The best layout of every size that holds the model, and its tokens per second on each
    network.
    """
    batches: dict[int, list[int]] = {}
    for n in sizes:
        # doublings since the size from which the batch grows, and the islands that share it
        growth = ties.power_of_two(max(n / weak_from, 1.0), down=True) if weak_from else 1.0
        shrink = ties.power_of_two(max(1.0, n / island))
        batches.setdefault(max(1, int(job.global_batch * growth / shrink)), []).append(n)
    rows = []
    for batch, members in batches.items():
        trial = replace(job, global_batch=batch)
        found = fastest(trial, list(nets.values())[1], [int(min(n, island)) for n in members])
        for n, fields in zip(members, found):
            if fields:
                lay, parts = Layouts(**fields), max(1.0, n / island)
                step = {factor: _step_s(trial, net, lay, software) for factor, net in nets.items()}
                tokens = batch * parts * job.seq_len
                row = {
                    "n_chips": n,
                    "n_used": lay.n_chips * parts,
                    "parts": parts,
                    "batch_tokens": tokens,
                }
                row |= {"step_time_s": list(step.values())[1]} | {
                    f: fields[f] for f in ("tp", "pp", "dp", "cp", "ep")
                }
                rows.append(row | {f: tokens / t for f, t in step.items()})
    return (
        pd.DataFrame(rows).sort_values("n_chips", kind="stable", ignore_index=True)
        if rows
        else pd.DataFrame()
    )


def _shares(
    job: workload.TrainingJob,
    table: pd.DataFrame,
    x: Mapping[str, np.ndarray],
    recovery: str,
    factors: list[float],
) -> pd.DataFrame:
    """Add shares, range, time to interruption and days; draws run down, sizes across, the first
    row is the middle.
    """
    n, parts = table["n_chips"].to_numpy(float), table["parts"].to_numpy(float)
    used = table["n_used"].to_numpy(float)
    rate = np.array(
        [np.interp(x["pod_oversubscription"][:, 0], factors, r) for r in table[factors].to_numpy()]
    ).T
    layout = rate / n / (rate / n).max(axis=1, keepdims=True)
    layout = 1 / (1 + x["layout_loss_factor"] * (1 / layout - 1))
    critical = critical_batch_tokens(job.model.n_params, job.tokens) * x["critical_batch_factor"]
    batch = batch_efficiency(
        table["batch_tokens"].to_numpy(), critical, job.global_batch * job.seq_len
    )
    batch = np.minimum(batch, 1.0) / (1 + x["island_token_cost"] * (parts > 1))
    alone = parts if recovery == "island" else table["dp"].to_numpy()
    wall = time_shares(recovery, x, used, alone, STATE_BYTES * job.model.n_params)
    steady = 1 / (1 + x["straggler_slowdown"] * (used > 1))
    useful = layout * batch * steady * wall["useful"]
    mid = {
        "useful": useful,
        "layout": 1 - layout,
        "batch": 1 - batch,
        "straggler": 1 - steady,
        "checkpoint": wall["checkpoint"],
        "failure": wall["lost"] + wall["restart"],
        "goodput": wall["useful"],
        "days": job.tokens / np.maximum(rate * batch * steady * wall["useful"], 1e-9) / DAY_S,
        "mtti_s": reliability.mtti_s(used, x["failures_per_chip_h"] / HOUR_S),
        "tokens_per_s": rate,
    }
    ends = {"useful": useful, "goodput": np.broadcast_to(wall["useful"], useful.shape)}
    table = table.drop(columns=factors).assign(
        **{name: np.asarray(value)[0] for name, value in mid.items()}
    )
    for name, value in ends.items():
        table[f"{name}_low"], table[f"{name}_high"] = np.percentile(value[1:], [10, 90], axis=0)
    return table


def lead(found: Curve, software: stacks.Level = stacks.TYPICAL) -> str:
    """The largest size that still helps one job, with the way in which it recovers.

    Parameters
    ----------
    found : Curve
        One job at many sizes.
    software : str or Software
        Its level, which is said where it is not the typical one.

    Returns
    -------
    str
        A sentence.
    """
    job, chip, soonest = found.job.model.name, found.system.chip, found.soonest
    kind = chip.name + " (announced)" * chip.announced
    way = f"if {WAYS[found.recovery]}"
    if soonest["days"] >= NEVER_DAYS:
        return (
            f"One job of {job} makes no progress on {kind} chips at any size tried, {way}: "
            "failures come too often."
        )
    top, largest = int(soonest["n_chips"]), int(found.largest["n_chips"])
    reach = f"up to about {top:,}"
    if top == largest:
        reach = f"up to all {top:,}"
    takes = words.run_time(soonest["days"])
    far = stacks.with_level(software) + words.beyond(top, scored_chips())
    return f"More {kind} chips help one job of {job} {reach}, where it takes {takes} {way}{far}."


def job_and_cluster(found: Curve, job_chips: int, max_chips: int) -> str:
    """What failures cost the job that one has, and what a cluster does as many such jobs.

    Parameters
    ----------
    found : Curve
        One job at many sizes.
    job_chips, max_chips : int
        Chips of one job and of the whole cluster [-].

    Returns
    -------
    str
        Two or three sentences.
    """
    mine = found.at(min(job_chips, max_chips))
    n_job = int(mine["n_chips"])
    n_jobs = max_chips // n_job
    text = ""
    if n_job > job_chips:
        text = f"The run does not fit on {job_chips:,}. "
    if mine["days"] >= NEVER_DAYS:
        every = words.duration(mine["mtti_s"])
        return text + f"On {n_job:,} it makes no progress, with a failure every {every}."
    hours = np.asarray(reliability.monthly_loss(_ends(mine, "goodput")[::-1], n_job, 0.0)[0])
    lost = f"{words.sig(hours[1])} hours a month ({words.band(hours[0], hours[2])})"
    text += f"On {n_job:,} chips failures and checkpoints cost {lost}. "
    kept = f"{words.share(mine['useful'])} of a chip’s best speed"
    span = words.shares(mine["useful_low"], mine["useful_high"])
    took = f"{words.run_time(mine['days'])}, at {kept} ({span})"
    took += words.beyond(n_job, scored_chips())
    if n_jobs == 1:
        cause, share = found.first_cause(n_job)
        first = f"{cause.lower()} alone cost {words.share(share)}"
        return text + f"The run takes {took}; {first}."
    return text + f"{max_chips:,} chips hold {n_jobs:,} such jobs; each takes {took}."


def _ends(row: pd.Series, name: str) -> np.ndarray:
    """Low, middle and high of a quantity of a size."""
    return row[[f"{name}_low", name, f"{name}_high"]].to_numpy(float)


def monthly(
    curves: Mapping[str, Curve], n_chips: int, usd_per_chip_h: float = np.nan
) -> pd.DataFrame:
    """What failures and checkpoints cost a job in a month, by the way in which it recovers.

    Parameters
    ----------
    curves : Mapping
        One job at many sizes, by way.
    n_chips : int
        Chips of the job, one of the sizes [-].
    usd_per_chip_h : float
        Rent of a chip; NaN for none [USD/h].

    Returns
    -------
    pandas.DataFrame
        Index ``way``; ``what`` restarts, ``useful`` share of the time, ``hours`` a month with low
        and high, ``chip_days`` and ``usd``, middle values.
    """
    rows = {}
    for way, found in curves.items():
        useful = _ends(found.at(n_chips), "goodput")
        lost = reliability.monthly_loss(useful[::-1], n_chips, 0.0)
        hours, chip_days = np.asarray(lost[0]), np.asarray(lost[1])
        rows[way] = {
            "what": LABELS[way],
            "useful": useful[1],
            "hours": hours[1],
            "low": hours[0],
            "high": hours[2],
            "chip_days": chip_days[1],
            "usd": chip_days[1] * DAY_S / HOUR_S * usd_per_chip_h,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("way")


def rented(purchase: pricing.Purchase, systems: Sequence[str]) -> tuple[dict[str, float], str]:
    """What a reader pays for several systems.

    Parameters
    ----------
    purchase : Purchase
        How they buy.
    systems : sequence of str
        Ids of systems; the first is the one in question.

    Returns
    -------
    tuple of dict and str
        Rent by the id of the system, of those that have one [USD/h]; that of the first in words.
    """
    named = list(dict.fromkeys(hardware.system(each).id for each in systems))
    found = ask(lambda system: purchase.rent(system, named.index(system.id)), named).found
    usd = {name: rent.usd_per_chip_h for name, rent in found.items()}
    if named[0] not in found:
        return usd, f"no rent listed {rents.bought(purchase.term)}"
    first = found[named[0]]
    return usd, f"{words.money(first.usd_per_chip_h, 'chip-hour')}, {rents.bought(first.term)}"


def side_by_side(
    curves: Mapping[str, Curve], n_chips: int, usd_per_chip_h: Mapping[str, float]
) -> pd.DataFrame:
    """One job on several systems at one size: how much speed per chip it keeps, how long it takes,
    and what failures cost.

    Parameters
    ----------
    curves : Mapping
        One job at many sizes, by id of the system.
    n_chips : int
        Chips of the job [-].
    usd_per_chip_h : Mapping
        Rent of a chip by id of the system; none where it has none [USD/h].

    Returns
    -------
    pandas.DataFrame
        ``system, kept`` (of the best speed per chip)``, days, useful`` (share of the time)``,
        hours`` lost a month, ``usd_per_chip_h`` and ``usd`` lost a month.
    """
    rows = []
    for name, found in curves.items():
        row, rent = found.at(n_chips), usd_per_chip_h.get(name, np.nan)
        hours, chip_days, _ = reliability.monthly_loss(row["goodput"], row["n_chips"], 0.0)
        rows.append(
            {
                "system": found.system.name,
                "n_chips": int(row["n_chips"]),
                "kept": 1 - row["layout"],
                "days": row["days"],
                "useful": row["goodput"],
                "hours": float(hours),
                "usd_per_chip_h": rent,
                "usd": float(chip_days) * DAY_S / HOUR_S * rent,
            }
        )
    return pd.DataFrame(rows)


def causes(fleet: str, n_chips: int) -> pd.DataFrame:
    """Causes of the interruptions of a fleet, carried over to a job as if its chips failed alike.

    Parameters
    ----------
    fleet : str
        Id of the fleet, with counts by cause.
    n_chips : int
        Chips of the job [-].

    Returns
    -------
    pandas.DataFrame
        ``cause, count``; interruptions per million chip-hours with ``low`` and ``high`` of the
        count alone, and ``a_month`` of the job; most frequent first.
    """
    found = [f for f in data.facts(fleet) if f.quantity == "n_interruptions_by_cause"]
    watched_s = data.fact(fleet, "n_chips").value * data.fact(fleet, "duration_s").value
    per_million_h = 1e6 * HOUR_S
    rows = []
    for fact in sorted(found, key=lambda each: -each.value):
        low, middle, high = map(float, reliability.rate_interval(fact.value, watched_s))
        name = fact.basis.replace("HBM", "GPU memory (HBM)")
        rows.append(
            {
                "cause": f"{name[:1].upper()}{name[1:]}",
                "count": int(fact.value),
                "per_million_h": middle * per_million_h,
                "low": low * per_million_h,
                "high": high * per_million_h,
                "a_month": middle * YEAR_S / reliability.MONTHS * n_chips,
            }
        )
    return pd.DataFrame(rows)


def by_way(curves: Mapping[str, Curve], chosen: str) -> pd.DataFrame:
    """Useful share of the time at every size, by what a failure restarts; the chosen way has its
    range, and takes the colour of the chip.

    Parameters
    ----------
    curves : Mapping
        One job at many sizes, by way.
    chosen : str
        The way that the page follows.

    Returns
    -------
    pandas.DataFrame
        ``way, n_chips, goodput, low, high``.
    """
    parts = []
    for way, found in curves.items():
        part = found.table[["n_chips", "goodput", "goodput_low", "goodput_high"]]
        part = part.rename(columns={"goodput_low": "low", "goodput_high": "high"})
        if way == chosen:
            parts.append(part.assign(way=found.system.chip.name))
        else:
            parts.append(part.assign(way=LABELS[way], low=np.nan, high=np.nan))
    return pd.concat(parts, ignore_index=True)


def published_goodput(n_chips: int) -> pd.DataFrame:
    """Useful share of the time that others published of their own clusters.

    Parameters
    ----------
    n_chips : int
        Largest size that is wanted [-].

    Returns
    -------
    pandas.DataFrame
        ``way`` (other)``, n_chips, goodput, label``.
    """
    rows = [
        (data.fact(fleet, "n_chips").value, data.fact(fleet, "goodput").value, label)
        for fleet, label in PUBLISHED_GOODPUT.items()
    ]
    frame = pd.DataFrame(rows, columns=["n_chips", "goodput", "label"]).assign(way="other")
    return frame[frame["n_chips"] <= n_chips]


PUBLISHED_GOODPUT = {"meta_llama3": "Llama 3, at least", "bytedance": "ByteDance"}
"""Fleets whose useful share of the time is published, with what stands beside their dot."""


def given_facts(given: Mapping[str, float]) -> dict[str, data.Fact]:
    """The uncertain inputs as rows for a table of assumptions, with the reader's own values.

    Parameters
    ----------
    given : Mapping
        Middle values of the reader, as in `assumed`.

    Returns
    -------
    dict of str to Fact
        Keys of `UNCERTAIN`.
    """
    found = {}
    for name, used in assumed(given).items():
        fact = data.assumption(name)
        if not np.isclose(used.mid, fact.value):
            default = f"{fact.value / fact.scale:,.6g} {fact.shown_unit}"
            note = (
                "given as a parameter of this page; the range keeps the proportions of the "
                f"default, {default}"
            )
            fact = replace(
                fact, value=used.mid, low=used.low, high=used.high, source_id="", note=note
            )
        found[name] = fact
    rate = found["failures_per_chip_h"]
    note = rate.note.replace("default, 2e-05 1/h", "default, 20")
    found["failures_per_chip_h"] = replace(
        rate, shown_unit="per million chip-hours", scale=1e-6, note=note
    )
    return found


def extrapolated_from(found: Curve) -> float | None:
    """Size from which on a curve is extrapolated.

    Parameters
    ----------
    found : Curve
        One job at many sizes.

    Returns
    -------
    float or None
        Chips of the largest scored run; None where the curve ends before [-].
    """
    scored = scored_chips()
    return float(scored) if found.largest["n_chips"] > scored else None


def status(n_chips: int) -> str:
    """What a number of a size is.

    Parameters
    ----------
    n_chips : int
        Chips of a job [-].

    Returns
    -------
    str
        ``modelled``, or ``extrapolated`` beyond the largest scored run.
    """
    return "extrapolated" if n_chips > scored_chips() else "modelled"


SOONER = 1.02
"""Factor of time from which on a run is said to end sooner [-]."""

HELPS = 1.1
"""Factor of useful share from which on a larger batch is said to help [-]."""


def larger_batch(
    found: Curve, base: int, given: Mapping[str, float] | None, software: stacks.Level
) -> str:
    """Whether one job on the largest size gains by a batch that grows with the chips.

    Parameters
    ----------
    found : Curve
        The job with its batch as planned.
    base : int
        Chips from which on the batch grows [-].
    given : Mapping, optional
        As in `curve`.
    software : str or Software
        As in `curve`.

    Returns
    -------
    str
        A sentence; nothing where the largest size is no larger.
    """
    largest = found.largest
    if largest["n_chips"] <= base:
        return ""
    grown = [int(n) for n in found.table["n_chips"] if n >= base]
    weak = curve(found.job, found.system, grown, found.recovery, base, given, software).largest
    helps = "does not help"
    if weak["useful"] > max(HELPS * largest["useful"], 1e-3):
        helps = "helps"
    critical = float(critical_batch_tokens(found.job.model.n_params, found.job.tokens))
    times = words.sig(weak["batch_tokens"] / critical)
    return (
        f"A larger batch {helps} one job on {int(largest['n_chips']):,} chips: if it grows with "
        f"the cluster from {base:,} chips on, a step takes {words.big(weak['batch_tokens'])} "
        f"tokens, {times} times the critical batch of about "
        f"{words.big(words.rounded(critical, 2))}, and the job gets {words.share(weak['useful'])} "
        f"of a chip’s best speed instead of {words.share(largest['useful'])}."
    )


def site_and_spares(system: hardware.System, provisioned_w: float, n_job: int, rate: float) -> str:
    """How many chips a large site feeds, and how many spare nodes a job needs.

    Parameters
    ----------
    system : System
        Building block.
    provisioned_w : float
        Power per chip that a site must be able to feed; NaN where it is not known [W].
    n_job : int
        Chips of the job [-].
    rate : float
        Failures per chip [1/h].

    Returns
    -------
    str
        One or two sentences.
    """
    node, site = data.assumption("node_chips").value, data.assumption("site_power").value
    repair_s, sure = data.assumption("repair_s").value, 0.99
    spares = reliability.spares_needed(n_job / node, rate / HOUR_S * node, repair_s, sure)
    n_spares = words.big(words.rounded(max(1.0, float(spares)), 2))
    text = (
        f"To stay whole for {words.pct(sure)} of the time while failed nodes are repaired, a job "
        f"of {n_job:,} chips needs about {n_spares} spare node{'s' * (n_spares != '1')} of "
        f"{node:.0f} chips."
    )
    if np.isnan(provisioned_w):
        return text
    fed = np.floor(site / provisioned_w / system.n_chips) * system.n_chips
    chips = words.big(words.rounded(float(fed), 2))
    power = words.si(site, "W", 1)
    return f"{text} A site of {power} of provisioned power feeds about {chips} of these chips."


def turns(
    found: Curve,
    ways: Mapping[str, Curve],
    n_job: int,
    given: Mapping[str, float],
    software: stacks.Level,
) -> list[str]:
    """What would change the answer for one job.

    Parameters
    ----------
    found : Curve
        The job with the way in which it recovers.
    ways : Mapping
        The same by every way.
    n_job : int
        Chips of the job [-].
    given : Mapping
        As in `curve`, with ``pod_oversubscription``.
    software : str or Software
        As in `curve`.

    Returns
    -------
    list of str
        A sentence each.
    """
    row = found.at(n_job)
    inputs = {name: each.mid for name, each in assumed(given).items()}
    state = STATE_BYTES * found.job.model.n_params
    load_s = float(inputs["restart_s"] + state / inputs["checkpoint_bandwidth"])
    every = words.duration(row["mtti_s"])
    lines = [
        f"At {n_job:,} chips a failure comes every **{every}** and a restart from storage takes "
        f"**{words.duration(load_s)}**. {_half(found.recovery, row, inputs)}"
    ]
    shares = {way: words.share(each.at(n_job)["goodput"]) for way, each in ways.items()}
    lines.append(
        f"By the way to recover, **{shares['replica']}** of the time is useful at {n_job:,} chips "
        f"if only the failed copy restarts, {shares['island']} if pods train apart, "
        f"{shares['memory']} with copies in memory, **{shares['restart']}** from storage."
    )
    if inputs["pod_oversubscription"] > 1:
        full = {**given, "pod_oversubscription": 1.0}
        sizes_ = [int(n) for n in found.table["n_chips"]]
        free = curve(found.job, found.system, sizes_, found.recovery, 0, full, software).soonest
        sooner = found.soonest["days"] / free["days"]
        change = "the soonest end would hardly change"
        if sooner > SOONER:
            size = int(free["n_chips"])
            change = (
                f"one job could end **{words.sig(sooner, 3)} times** as soon, on {size:,} chips"
            )
        lines.append(f"With full bandwidth between pods {change}.")
    fewest, longest = int(found.smallest["n_chips"]), words.run_time(found.smallest["days"])
    lines.append(f"{fewest:,} chips are the smallest size tried that holds the run: {longest}.")
    return lines


def _half(recovery: str, row: pd.Series, inputs: Mapping[str, float]) -> str:
    """With which restart half of the time would be useful."""
    apart = {"replica": row["dp"], "island": row["parts"]}.get(recovery, 1.0)
    blocking = {"restart": "checkpoint_blocking_s", "island": "checkpoint_blocking_s"}
    pause = inputs[blocking.get(recovery, "memory_checkpoint_s")]
    limit = float(reliability.restart_for(0.5, pause, row["mtti_s"] * apart))
    if limit > 0:
        return f"Half of the time is useful with restarts of **{words.duration(limit)}**."
    return "Half would be useful with faster checkpoints, or if smaller parts restart."


def published_shares() -> pd.DataFrame:
    """Checks of failures and of the useful share of the time, with a verdict each.

    Returns
    -------
    pandas.DataFrame
        ``verdict, check, published, predicted, low, high, unit, kind, note, source_id``; shares in
        %, times of less than an hour in minutes.
    """
    rows = checks()
    rows = rows[rows["area"] == "goodput"].reset_index(drop=True)
    told = [trust.verdict(row) for row in rows.itertuples()]
    short = (rows["unit"] == "h") & (rows["published"] < 1)
    by = np.select([rows["unit"] == "share", short], [100.0, 60.0], 1.0)
    unit = rows["unit"].replace({"share": "%", "count": ""}).mask(short, "minutes")
    columns = ["published", "predicted", "low", "high"]
    return rows.assign(verdict=told, unit=unit, **{c: rows[c] * by for c in columns})


def followed(series: pd.DataFrame) -> tuple[str, str]:
    """How well published series of growing clusters are met.

    Parameters
    ----------
    series : pandas.DataFrame
        From `weak_series`.

    Returns
    -------
    tuple of str
        Verdict, and a sentence.
    """
    near = int((series["error"].abs() <= NEAR).sum())
    worst = series.iloc[ties.most(series["error"].abs().to_numpy())]
    text = (
        f"Speed per chip from the smallest to the largest size is met within {NEAR:.0%} in "
        f"{near} of {len(series)} published series; the worst, {worst['model']} in "
        f"{worst['precision'].upper()} on {worst['n_large']:,.0f} {worst['accelerator']}, is "
        f"{words.pct(abs(worst['error']))} off."
    )
    return ("Within band" if near == len(series) else "Partly"), text


NEAR = 0.05
"""Error of the change of speed per chip up to which a series counts as met [-]."""


def many_jobs(sizes: pd.DataFrame, n_chips: int) -> pd.DataFrame:
    """A cluster that runs many jobs of one size instead of one job on all of it.

    Parameters
    ----------
    sizes : pandas.DataFrame
        Table of a `Curve`.
    n_chips : int
        Chips of the cluster [-].

    Returns
    -------
    pandas.DataFrame
        One row a size that the cluster holds: n_chips of a job, n_jobs at a time, days of one,
        runs_per_year of the cluster, useful (share of a chip's best), low, high, chip_days of a
        run, and failures_s, the time between failures anywhere among the jobs [s].
    """
    fit = sizes[sizes["n_chips"] <= n_chips]
    jobs = n_chips // fit["n_chips"]
    return pd.DataFrame(
        {
            "n_chips": fit["n_chips"],
            "n_jobs": jobs,
            "days": fit["days"],
            "runs_per_year": jobs * YEAR_S / DAY_S / fit["days"],
            "useful": fit["useful"],
            "low": fit["useful_low"],
            "high": fit["useful_high"],
            "chip_days": fit["n_chips"] * fit["days"],
            "failures_s": fit["mtti_s"] / jobs,
        }
    ).reset_index(drop=True)


def scored_chips() -> int:
    """Chips of the largest training run that predictions were scored on; beyond is extrapolation.

    Returns
    -------
    int
        Of the stored scores with each source left out [-].
    """
    scored = data.table("validation").query("kind == 'training' and fold == 'source'")["row_id"]
    runs = data.table("training_runs").set_index("row_id")
    return int(pd.to_numeric(runs.loc[scored.unique(), "n_accel"]).max())


def checks() -> pd.DataFrame:
    """Published numbers on failures and energy beside what the formulas give; rows of
    ``data/checks.csv``.

    Returns
    -------
    pandas.DataFrame
        check, published, predicted, low, high, unit, ratio, kind, source_id, note, and area,
        part, group and constant, by which `outcomes` scores them. Those that no formula can
        predict are left out.

    Notes
    -----
    A fleet that is left out is predicted from the failure rates of the others; the power
    model was fitted to nothing. Energies of serving are those of the GPUs at the measured speed.
    """
    facts = [
        f
        for s in data.ids("fleet")
        for f in data.facts(s)
        if f.quantity == "failures_per_chip_h" and not f.basis
    ]
    fleets, rates = [f.subject for f in facts], np.array([f.value for f in facts])
    x = {name: each.mid for name, each in assumed().items()} | {
        "restart_s": data.assumption("restart_s").range[::-1]
    }
    state, rows = STATE_BYTES * workload.model("llama3_1_405b").n_params, []
    for row in data.table("checks").query("unscored == ''").to_dict("records"):
        kind, published = row["quantity"], data.compute(row["published"])
        constant = data.compute(row["constant"]) if row["constant"] else np.nan
        given = data.compute(row["predicted_by"]) if row["predicted_by"] else np.nan
        rate = reliability.from_others(
            rates, fleets.index(row["subject"]) if row["subject"] in fleets else -1
        )
        if kind == "failures":
            found = rate
        elif kind == "time_to_failure":
            found = 1 / (rate[::-1] if np.isnan(given) else np.full(3, given))
        elif kind.startswith("goodput"):
            how = "memory" if kind.endswith("memory") else "restart"
            found = np.asarray(
                time_shares(how, x | {"failures_per_chip_h": rate[::-1]}, given, 1.0, state)[
                    "useful"
                ]
            )
        elif kind == "serving_energy":
            found = footprint.measured_serving_j(row["subject"], given)
        else:
            found = footprint.average_w(
                hardware.system(row["subject"]), given, chip_only=kind == "chip_energy"
            )
        low, mid, high = found * data.compute(row["scale"])
        numbers = {
            "published": published,
            "predicted": mid,
            "low": low,
            "high": high,
            "ratio": mid / published,
        }
        texts = ("unit", "kind", "source_id", "note", "area", "part", "group")
        told = {name: row[name] for name in texts}
        rows.append({"check": row["what"]} | numbers | told | {"constant": constant})
    return pd.DataFrame(rows)


def weak_series(runs: Iterable[Mapping]) -> pd.DataFrame:
    """Published weak-scaling series: speed per chip at the largest size over the smallest, measured
    and predicted.

    Parameters
    ----------
    runs : iterable of Mapping
        The ``runs`` of `validation.validate`: row_id, measured and predicted step time.

    Returns
    -------
    pandas.DataFrame
        source_key, table, model, accelerator, precision, n_small, n_large, measured, predicted, and
        ratio - 1 as error; a series keeps to one table, so to one release; one size, or a batch
        that does not grow along, is left out.
    """
    table = data.table("training_runs")
    rows = pd.DataFrame(list(runs)).merge(
        table[table["tags"].str.contains("weak-scaling")], on="row_id"
    )
    keys, found = ["source_key", "table", "model", "accelerator", "precision"], []
    for key, group in rows.groupby(keys):
        group = group.astype({"n_accel": float, "global_batch": float}).sort_values(
            "n_accel", kind="stable"
        )
        first, last = group.iloc[0], group.iloc[-1]
        per_chip = last["global_batch"] / last["n_accel"] * first["n_accel"] / first["global_batch"]
        if last["n_accel"] > first["n_accel"] and np.isclose(per_chip, 1.0):
            kept = {name: first[name] / last[name] for name in ("measured", "predicted")}
            sizes = {"n_small": first["n_accel"], "n_large": last["n_accel"]}
            found.append(
                dict(zip(keys, key))
                | sizes
                | kept
                | {"error": kept["predicted"] / kept["measured"] - 1}
            )
    return pd.DataFrame(found)
