"""What a move would save one customer: from a checked file to a verdict with a probability.

:func:`evaluate` carries a customer file (`trn3.study.customers`) through the order of a decision:
gate (format, memory, software), achievable speed, cost, saving, break-even, probability, verdict.
The new chip's rent is never drawn: the results are break-even rents, and savings "if it rents for
Y".
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trn3 import (
    cost,
    data,
    hardware,
    inference,
    serving_step,
    ties,
    training,
    uncertainty,
    workload,
)
from trn3.energy import host_w
from trn3.show import words
from trn3.study import closing, customers, footprint, ownership, rents, sensitivity, stacks
from trn3.uncertainty import Draws, Input
from trn3.units import HOUR_S, KILO, MEGA


@dataclass(frozen=True)
class Side:
    """A workload on one system.

    Attributes
    ----------
    system : System
        Where it runs
    speed : Input
        Work per chip while busy: output tokens, tokens or FLOP [1/s]
    prompt_share : float
        Share of a serving chip's time that goes into reading prompts [-]
    n_chips : int
        Chips of one copy of the model, or of the run [-]
    memory_bytes : float
        Taken on each chip; NaN where not modelled [B]
    limits : dict of str to tuple
        Limits on latency that vary, each with the speed there over that at its middle [-]
    """

    system: hardware.System
    speed: Input
    prompt_share: float = 0.0
    n_chips: int = 1
    memory_bytes: float = float("nan")
    limits: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...] = ()

    def under(self, v: Draws) -> Any:
        """Speed under other limits on latency over that under the middle ones [-]."""
        factor: Any = 1.0
        for name, points, factors in self.limits:
            if name in v:
                at = np.interp(np.log(v[name]), np.log(points), np.log(factors))
                factor = factor * np.exp(at)
        return factor


@data.kept
def _side(
    work: Any,
    shapes: str,
    system: str,
    which: str,
    dtype: str,
    software: stacks.Level = stacks.TYPICAL,
) -> Side:
    """Speed per chip with its 80 % band; raises where the workload cannot run."""
    rack = hardware.system(system)
    dtype, label = rack.chip.native(dtype), f"speed of {rack.chip.name}"
    if work.kind == "stream":
        share, peak = getattr(work, f"mfu_{which}"), rack.chip.peak(dtype)
        low, mid, high = (end * peak for end in (share.low, share.mid, share.high))
        return Side(rack, Input(low, mid, high, "limits", "FLOP/s", label, "assumed"))
    shape = customers.shape(json.loads(shapes), work.model)
    if work.kind == "train":
        n_chips = getattr(work, f"n_chips_{which}")
        job = workload.TrainingJob(shape, work.tokens.mid, work.seq_len, work.global_batch, dtype)
        run = training.estimate(job, hardware.Cluster(rack, n_chips), software=software)
        low, mid, high = run.tokens_per_s / n_chips
        return Side(
            rack,
            Input(low, mid, high, "band", "tokens/s", label, "derived"),
            0.0,
            n_chips,
            run.memory_bytes,
        )
    lengths = round(work.input_tokens.mid), round(work.output_tokens.mid)
    kv_dtype = "bf16" if dtype == "bf16" else "fp8"
    middles = {"ttft_s": work.ttft_s.mid, "tpot_s": work.tpot_s.mid}
    load = workload.ServingLoad(shape, *lengths, **middles, weights_dtype=dtype, kv_dtype=kv_dtype)
    point = inference.best(load, rack, software=software)
    low, mid, high = point.output_tokens_per_s_per_chip
    speed = Input(low, mid, high, "band", "tokens/s", label, "derived")
    limits = tuple(
        found
        for name in middles
        if (found := _under_limit(load, rack, name, getattr(work, name), float(mid), software))
    )
    share = prompt_share(load, point)
    return Side(rack, speed, share, point.n_chips, point.memory_bytes, limits)


def _under_limit(
    load: workload.ServingLoad,
    rack: hardware.System,
    name: str,
    limit: Any,
    middle: float,
    software: stacks.Level,
) -> tuple[str, tuple[float, ...], tuple[float, ...]] | None:
    """Speed at the ends and the middle of a limit on latency, over that at the middle."""
    points = tuple(dict.fromkeys((limit.low, limit.mid, limit.high)))
    if len(points) == 1:
        return None
    tried = [replace(load, **{name: point}) for point in points]
    found = [inference.best(one, rack, software=software) for one in tried]
    speeds = [float(point.output_tokens_per_s_per_chip[1]) for point in found]
    return name, points, tuple(speed / middle for speed in speeds)


def prompt_share(load: workload.ServingLoad, point: inference.ServingPoint) -> float:
    """Share of a serving chip's time that goes into reading prompts; the rest writes answers.

    Parameters
    ----------
    load : ServingLoad
        Model, lengths and formats [-]
    point : ServingPoint
        From `trn3.inference.best` [-]

    Returns
    -------
    float
        Share, 0 to 1 [-]
    """
    device = serving_step.device(point.system, load.weights_dtype)
    constants = serving_step.constants(point.system.chip)
    step = inference.work_of(load, point.batch / point.dp)
    at = inference.layout_of(point.tp, point.dp)
    return float(serving_step.evaluate(load.model, device, at, constants, step).prompt_share)


def amount(work: Any, side: Side, v: Draws) -> Any:
    """Work of one unit of load: tokens of a run, FLOP of a stream-hour, or output tokens that a
    request is worth, its prompt included.

    Parameters
    ----------
    work : record
        A workload
    side : Side
        Where it runs
    v : dict of str to array
        Values of the inputs, by the names in `Result.move` [any]

    Returns
    -------
    float or array
        Tokens, FLOP or output tokens [-]

    Notes
    -----
    A request takes as long as so many output tokens of the middle request: the share s of the time
    that goes into prompts grows with the prompt that is not cached, the rest with the answer,
    (1 - s) out + s in (1 - cached) / in_mid out_mid.
    """
    if work.kind == "train":
        return v["tokens"]
    if work.kind == "stream":
        return 2.0 * HOUR_S * v["params"] * v["tokens_per_frame"] * v["passes"] * v["frames_per_s"]
    prompt = (
        v["input_tokens"]
        * (1.0 - v["cached_share"])
        / work.input_tokens.mid
        * work.output_tokens.mid
    )
    return (1.0 - side.prompt_share) * v["output_tokens"] + side.prompt_share * prompt


@dataclass(frozen=True)
class Result:
    """One workload against one baseline.

    Attributes
    ----------
    customer, work, baseline : record
        What was asked
    now, new, own : Side
        The baseline's system, the new one, and the one that the load runs on today
    inputs : dict of str to Input
        Every uncertain number of the case, but the rent of the new chip
    samples : dict of str to array
        Draws of them
    keys : dict of str to str
        From the names in :meth:`move` to those of the inputs
    rent : Input
        Rent of the new chip: published, offered, or assumed [USD/h]
    """

    customer: Any
    work: Any
    baseline: Any
    now: Side
    new: Side
    own: Side
    inputs: dict[str, Input]
    samples: Draws
    keys: dict[str, str]
    rent: Input

    def units(self, v: Draws) -> Any:
        """Units of load in the first month: runs, stream-hours or requests [1/month]."""
        work = self.work
        if work.kind == "stream":
            return v["load"] * cost.MONTH_H
        if work.load.unit != "chips":
            return v["load"]
        busy_h = v["load"] * cost.MONTH_H * v["busy"]
        per_h = HOUR_S * v["speed_own"] * self.own.under(v)
        return busy_h * per_h / amount(work, self.own, v)

    def move(self, v: Draws) -> cost.Move:
        """The move for any values of the inputs, scalars or arrays."""
        work, loads = self.work, self.units(v)
        busy = {"now": v["busy"], "new": np.minimum(v["busy"] * v["busy_ratio"], 1.0)}
        hours = {
            which: loads
            * amount(work, side, v)
            / (v[f"speed_{which}"] * side.under(v) * busy[which] * HOUR_S)
            for which, side in (("now", self.now), ("new", self.new))
        }
        if work.kind != "train":
            hours = {
                which: np.maximum(h, v[f"floor_{which}"] * cost.MONTH_H)
                for which, h in hours.items()
            }
        extra, dual = (
            v["compile_chip_h"] + v["check_chip_h"],
            np.minimum(v["dual_months"], v["delay_months"]),
        )
        labour = v["engineer_weeks"] * v["usd_per_engineer_week"]
        rates = v["growth"], v["discount_rate"], self.customer.horizon_months
        return cost.Move(
            hours["now"],
            hours["new"],
            v["now_price"],
            labour,
            extra,
            v["delay_months"],
            dual,
            *rates,
        )

    @cached_property
    def drawn(self) -> cost.Move:
        """The move for every draw."""
        return self.move({k: self.samples[j] for k, j in self.keys.items()})

    @cached_property
    def balance(self) -> tuple[Any, Any]:
        """Money spared and new chip-hours to pay, per draw."""
        return cost.balance(self.drawn)

    def at(self, place: int) -> dict[str, float]:
        """Values of the inputs of one draw, by the names in :meth:`move` [any]."""
        return {k: float(self.samples[j][place]) for k, j in self.keys.items()}


@dataclass(frozen=True, eq=False)
class Case:
    """A customer against one baseline: the workloads that can run on the new system, and why the
    others cannot.

    Attributes
    ----------
    customer, baseline : record
        What was asked
    results : tuple of Result
        Workloads that pass the gate
    stopped : dict of str to str
        Those that do not, and why
    inputs : dict of str to Input
        Every uncertain number of all workloads
    samples : dict of str to array
        Draws of them
    rent : Input
        Rent of the new chip: published, offered, or assumed [USD/h]
    """

    customer: Any
    baseline: Any
    results: tuple[Result, ...]
    stopped: dict[str, str]
    inputs: dict[str, Input]
    samples: Draws
    rent: Input

    @cached_property
    def balance(self) -> tuple[Any, Any]:
        """Money spared and new chip-hours to pay, over all workloads, per draw."""
        spared, hours = zip(*(r.balance for r in self.results))
        return sum(spared), sum(hours)

    @cached_property
    def break_even(self) -> np.ndarray:
        """Break-even rent of the new chip, per draw [USD/h]."""
        return np.asarray(self.balance[0] / self.balance[1])

    @cached_property
    def stay_usd(self) -> np.ndarray:
        """Cost of staying over the horizon, per draw [USD]."""
        moves = [r.drawn for r in self.results]
        return np.asarray(sum(m.now_chip_h * m.now_usd_per_chip_h * m.sums[0] for m in moves))

    def saving(self, price_usd_per_chip_h: float) -> np.ndarray:
        """Saving over the horizon if the new chip rents for this, per draw [USD]."""
        return np.asarray(self.balance[0] - price_usd_per_chip_h * self.balance[1])

    def probability(self, price_usd_per_chip_h: float) -> float:
        """Probability that moving saves if the new chip rents for this [-]."""
        return float(np.mean(self.break_even > price_usd_per_chip_h))

    def pays_back(self, price_usd_per_chip_h: float) -> np.ndarray:
        """Month after which moving is the cheaper one, per draw; infinite if not within the
        horizon [month].
        """
        both = zip(*(cost.cumulative_usd(r.drawn, price_usd_per_chip_h) for r in self.results))
        return np.asarray(cost.crossing(*(np.sum(costs, axis=0) for costs in both)))

    @property
    def shows_sums(self) -> bool:
        """Whether the loads are the writer's own, so that a sum of money means something."""
        return bool(self.customer.volumes == "own")

    @cached_property
    def median(self) -> int:
        """The drawn case that stands for all: its break-even rent is the median of all cases, to
        within a hundredth of them, and of these its inputs lie nearest to their middles.
        """
        n = len(self.break_even)
        away = np.abs(self.break_even - np.median(self.break_even))
        near = np.argsort(away, kind="stable")[: max(n // 100, 1)]
        distance = np.zeros(len(near))
        for values in self.samples.values():
            rank = np.searchsorted(np.sort(values), values[near]) / n
            distance += (rank - 0.5) ** 2
        return int(near[ties.least(distance)])

    @cached_property
    def at_median(self) -> dict[str, Input]:
        """The inputs with their middles at the values of that case."""
        at = {name: float(values[self.median]) for name, values in self.samples.items()}
        return {
            name: replace(each, low=min(each.low, x), mid=x, high=max(each.high, x))
            for name, x in at.items()
            for each in [self.inputs[name]]
        }

    def total(self, v: Draws) -> np.ndarray:
        """Saving for any values of the inputs, among them ``rent`` [USD]."""
        moves = (r.move({k: v[j] for k, j in r.keys.items()}) for r in self.results)
        return np.asarray(sum(cost.saving_usd(move, v["rent"]) for move in moves))

    def _total_at(self, price_usd_per_chip_h: float) -> Callable[[Draws], np.ndarray]:
        at = np.broadcast_to(price_usd_per_chip_h, ())
        return lambda v: self.total(v | {"rent": at})

    @cached_property
    def tornado(self) -> pd.DataFrame:
        """What moves the break-even rent, widest first; see `trn3.study.sensitivity` [USD/h]."""
        return sensitivity.medians(self.inputs, self.samples, self.break_even)

    def thresholds(self, price_usd_per_chip_h: float, n: int = 3) -> pd.DataFrame:
        """The inputs that matter most, each with the value at which the saving of the median case
        changes sign.
        """
        top = self.tornado.copy()
        saves = partial(uncertainty.threshold, self._total_at(price_usd_per_chip_h), self.at_median)
        top["mid"] = [self.at_median[name].mid for name in top["input"]]
        top["flips_at"] = [
            saves(name) if i < 3 * n else np.nan for i, name in enumerate(top["input"])
        ]
        above = []
        for row in top.itertuples():
            at: Draws = {name: np.array(each.mid) for name, each in self.at_median.items()}
            at |= {row.input: np.array(row.flips_at * 1.01), "rent": np.array(price_usd_per_chip_h)}
            above.append(bool(self.total(at) > 0))
        top["saves"] = np.where(above, "above", "below")
        low = top["input"].map({name: each.low for name, each in self.inputs.items()})
        high = top["input"].map({name: each.high for name, each in self.inputs.items()})
        can_be = top["flips_at"].between(low, high)  # beyond its range no input turns anything
        return top[can_be].head(n).reset_index(drop=True)


def gate(work: Any, side: Side | None, problem: str = "") -> pd.DataFrame:
    """Can it run at all: number format, memory, software family, obtainability, each with the day
    it was read.

    Parameters
    ----------
    work : record
        A workload
    side : Side or None
        Where it would run; None if it cannot
    problem : str
        Why it cannot

    Returns
    -------
    DataFrame
        gate, finding, status (works, port, no)
    """
    known = (
        r
        for r in data._rows(data.DATA, "support")
        if (r["family"], r["use"]) == (work.family, work.kind)
    )
    missing = {
        "status": "no",
        "note": f"{work.family} is not known for {work.kind}",
        "sdk": "",
        "read": "",
    }
    soft, rack = next(known, missing), hardware.system(work.new)
    prices, mine = data._rows(data.DATA, "prices"), (rack.id, rack.chip.id)
    offers = [r for r in prices if r["quantity"] == "offered" and r["subject"] in mine]
    sold = [r for r in offers if r["value"] > 0 and r["term"] != "contract"]
    places = ", ".join(
        f"{r['term'].replace('_', ' ')} in {r['region'].replace('_', '-')}" for r in sold
    )
    read = max((r["price_date"] for r in offers), default="never")
    contract = (
        "by contract only, no public price"
        if any(r["value"] > 0 for r in offers)
        else "no public offer"
    )
    share = side.memory_bytes / rack.chip.hbm_bytes if side else np.nan
    room = (
        f", {share:.0%} of the memory of {words.on_chips(side.n_chips)}"
        if side and np.isfinite(share)
        else ""
    )
    fit = problem or f"{rack.chip.native(work.dtype_new).upper()}{room}"
    rows = [
        ("Format and memory", fit, "no" if problem else "works"),
        (
            "Software",
            f"{soft['note']} (Neuron {soft['sdk']}, read {words.day(soft['read'])})",
            soft["status"],
        ),
        (
            "Offer",
            f"{places or contract} (read {words.day(read)})",
            "works" if places else "no offer",
        ),
    ]
    return pd.DataFrame(rows, columns=["gate", "finding", "status"])


def evaluate(
    customer: Any,
    baseline: str = "",
    n: int = 8192,
    seed: int = 3,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> Case:
    """Carry a customer through the decision against one of their baselines.

    Parameters
    ----------
    customer : record
        From `trn3.study.customers.load`
    baseline : str
        Key of a baseline; the first without it
    n : int
        Draws [-]
    seed : int
        Seed of the draws [-]
    software : str, Software or Stacks
        Level of the stack on the new chips; on the present ones it is typical, or that of the
        reader's own runs. A live stream keeps the share of the peak that its file gives

    Returns
    -------
    Case
        Draws of the saving as a function of the new chip's rent

    Raises
    ------
    TrnError
        No such baseline
    CannotRun
        No workload can run on the new system

    Examples
    --------
    >>> case = evaluate(customers.load("decart"), n=256)
    >>> bool(case.probability(1e-3) >= case.probability(3.0) >= case.probability(1e3))
    True
    """
    keys = [b.key for b in customer.baselines]
    if baseline and baseline not in keys:
        raise data.UnknownId(f"baseline = {baseline!r}: allowed: {', '.join(keys)}")
    asked = _Asked(customer.model_dump_json(), customer)
    levels = stacks.given(software)
    return _evaluated(asked, keys.index(baseline or keys[0]), n, seed, levels)


MODELLED = {"serve": "serving", "train": "training"}
"""Kinds of workload whose speed is modelled, as levels of software are called."""


class CannotRun(data.TrnError):
    """No workload of a customer can run on the new system; ``stopped`` says why, by workload."""

    def __init__(self, name: str, stopped: dict[str, str]) -> None:
        super().__init__(f"{name}: no workload can run: " + "; ".join(stopped.values()))
        self.stopped = stopped


@dataclass(frozen=True)
class _Asked:
    """A customer that may be a key: equal where all that its file says is equal."""

    text: str
    customer: Any = field(compare=False)


@data.kept
def _evaluated(asked: _Asked, baseline: int, n: int, seed: int, levels: stacks.Stacks) -> Case:
    customer, base = asked.customer, asked.customer.baselines[baseline]
    names = data.table("customer_fields").drop_duplicates("field").set_index("field")["label"]
    joint: dict[str, Input] = {}
    found: list[tuple[Any, ...]] = []
    stopped: dict[str, str] = {}
    for i, work in enumerate(customer.workloads):
        systems = {"now": base.now or work.now, "new": base.new or work.new, "own": work.now}
        dtypes = {
            s: getattr(base, f"dtype_{s}") or getattr(work, f"dtype_{s}") for s in ("now", "new")
        }
        asks = {
            s: (
                y,
                "new" if s == "new" else "now",
                dtypes.get(s, work.dtype_now),
                levels.level(MODELLED.get(work.kind, ""), hardware.system(y), s == "new"),
            )
            for s, y in systems.items()
        }
        paid = {
            s: customers.price(base.model_dump(exclude_none=True), s, systems[s])
            for s in ("now", "new")
        }
        try:
            sides = {s: _side(work, json.dumps(customer.models), *ask) for s, ask in asks.items()}
            sane(work, sides["now"], paid["now"].mid)
        except data.TrnError as error:
            stopped[work.name] = str(error)
            continue
        given = {
            f"speed_{s}": x.speed
            for s, x in sides.items()
            if s != "own" or systems["own"] != systems["now"]
        }
        numbers = {
            k: q
            for k, q in work
            if isinstance(q, customers.Quantity) and "mfu" not in k and k != "sold_for"
        }
        given |= {k: customers.as_input(q, names[k]) for k, q in numbers.items()}
        own = ("discount_rate", "usd_per_engineer_week")
        shared = {k: customers.as_input(getattr(customer, k), names[k]) for k in own}
        shared[f"rent {systems['now']}"] = paid["now"]
        where = (
            {"speed_own": f"{i}.speed_now"} | {k: f"{i}.{k}" for k in given} | {k: k for k in own}
        )
        where["now_price"] = f"rent {systems['now']}"
        alone = len([w for w in customer.workloads if w.kind == work.kind]) == 1
        suffix = f" ({work.kind if alone else work.name})" if len(customer.workloads) > 1 else ""
        joint |= {f"{i}.{k}": replace(x, label=x.label + suffix) for k, x in given.items()} | shared
        work = work.model_copy(update={"new": systems["new"], "dtype_new": dtypes["new"]})
        found.append((work, sides, where, paid["new"]))
    if not found:
        raise CannotRun(customer.name, stopped)
    drawn = uncertainty.draws(joint, n, seed)
    more: dict[str, Any] = {"inputs": joint, "samples": drawn}
    results = tuple(
        Result(customer, w, base, **s, **more, keys=keys, rent=rent) for w, s, keys, rent in found
    )
    return Case(customer, base, results, stopped, joint, drawn, found[0][3])


def measurements(case: Case, price_usd_per_chip_h: float) -> list[closing.Measurement]:
    """Runs of a workload that anybody can make, and how far each narrows the break-even rent.

    Parameters
    ----------
    case : Case
        From :func:`evaluate`
    price_usd_per_chip_h : float
        What the new chip rents for [USD/h]

    Returns
    -------
    list of Measurement
        Those that would settle the answer by cost, then the others by what they leave open
    """
    hours = data.assumption("measurement_s").value / HOUR_S
    before = rents.BreakEven(*uncertainty.percentiles(case.break_even))
    found = []
    for result in case.results:
        for side, usd in (("new", price_usd_per_chip_h), ("now", None)):
            name, where = result.keys[f"speed_{side}"], getattr(result, side)
            rent = result.inputs[result.keys["now_price"]].mid if usd is None else usd
            speed = where.speed
            on = closing.Candidate(
                where.system,
                np.array([speed.low, speed.mid, speed.high]),
                max(where.n_chips, 1),
                rents.given(where.system.chip.id, rent),
            )
            if not on.can_be_had:
                continue
            known = replace(speed, low=on.measured[0], high=on.measured[2])
            v = case.samples | uncertainty.draws({name: known}, len(case.break_even))
            moves = [r.move({k: v[j] for k, j in r.keys.items()}) for r in case.results]
            spared, new_h = (sum(side) for side in zip(*map(cost.balance, moves)))
            after = rents.BreakEven(*uncertainty.percentiles(spared / new_h))
            share = float(np.mean(spared / new_h > price_usd_per_chip_h))
            closes = words.of_share(share).word != "open"
            bill = float(cost.run_usd(on.n_rented, hours * HOUR_S, rent))
            found.append(closing.Measurement(on, hours, bill, before, after, closes))
    return sorted(found, key=lambda m: (not m.closes, m.usd if m.closes else m.after.high))


@dataclass(frozen=True)
class Sanity:
    """What a workload costs in units that a reader knows, at the middle of its inputs.

    Attributes
    ----------
    unit : str
        million output tokens, million tokens of a run, or stream-hour.
    usd : float
        Cost of one on the present chips, at the customer's own busy share [USD].
    chips_per_stream : float
        Rented chips a stream, for a live stream; NaN for others [-].
    list_usd : tuple of float
        Lowest and highest list price of the model, or what the customer sells it for; empty where
        none is known [USD].
    """

    unit: str
    usd: float
    chips_per_stream: float = float("nan")
    list_usd: tuple[float, ...] = ()

    @property
    def sentence(self) -> str:
        """The cost beside the list price, in words."""
        said = f"{words.money(words.rounded(self.usd, 2))} per {self.unit} on the present chips"
        if np.isfinite(self.chips_per_stream):
            said += f", {words.sig(self.chips_per_stream)} rented chips a stream"
        if self.list_usd:
            low, high = min(self.list_usd), max(self.list_usd)
            return f"{said}; sold for {words.rng(low, high)} USD"
        return f"{said}; no list price is known"


def sane(work: Any, side: Side, rent_usd_per_chip_h: float) -> Sanity:
    """What a unit of a workload costs now, and whether that can be.

    Parameters
    ----------
    work : record
        A workload
    side : Side
        The present chips
    rent_usd_per_chip_h : float
        What they rent for [USD/h]

    Returns
    -------
    Sanity
        Cost of a unit, and list prices

    Raises
    ------
    TrnError
        A stream would need more chips than a server has, or a token would cost many times the
        dearest list price of any model: the numbers of the file describe something else
    """
    own = (work.sold_for.low, work.sold_for.high) if getattr(work, "sold_for", None) else ()
    busy_speed = side.speed.mid * HOUR_S
    if work.kind == "train":
        usd = cost.usd_per_unit(rent_usd_per_chip_h, side.speed.mid, work.busy.mid) * MEGA
        return Sanity("million tokens of a run", float(usd))
    v = {k: np.array(q.mid) for k, q in work if isinstance(q, customers.Quantity)}
    if work.kind == "stream":
        busy_chips = float(amount(work, side, v)) / busy_speed
        most = data.assumption("stream_chips_most").value
        if busy_chips > most:
            raise data.TrnError(
                f"params, tokens_per_frame, passes and frames_per_s make a stream keep "
                f"{busy_chips:.3g} {side.system.chip.name} busy; allowed: up to {most:g}, as a "
                "frame with a deadline runs within one server"
            )
        chips = busy_chips / work.busy.mid
        return Sanity("stream-hour", chips * rent_usd_per_chip_h, chips, own)
    hours = float(amount(work, side, v)) / (busy_speed * work.busy.mid)
    usd = hours * rent_usd_per_chip_h / work.output_tokens.mid * MEGA
    lengths = work.input_tokens.mid, work.output_tokens.mid
    dearest = rents.listed_tokens(*lengths)["usd_per_mtok"].max()
    most = data.assumption("list_price_factor_most").value * float(dearest)
    if usd > most:
        raise data.TrnError(
            f"busy, input_tokens, output_tokens and the limits make a million output tokens cost "
            f"{usd:,.0f} USD on {side.system.chip.name}; allowed: up to {most:,.0f}, "
            "many times the dearest list price of any model"
        )
    listed = own or tuple(rents.listed_tokens(*lengths, work.model)["usd_per_mtok"])
    return Sanity("million output tokens with their prompts", usd, float("nan"), listed)


def triggers(result: Result) -> set[str]:
    """What a workload has that a caveat of ``data/caveats.csv`` is about.

    Parameters
    ----------
    result : Result
        A workload against a baseline

    Returns
    -------
    set of str
        Values of the column ``trigger``
    """
    work, chip = result.work, result.new.system.chip
    found = {
        work.kind,
        result.customer.access,
        result.baseline.term or "",
        chip.native(work.dtype_new),
    }
    found |= set(gate(work, result.new)["status"])
    if work.kind == "serve":
        tokens = (work.input_tokens.high or 0.0) + (work.output_tokens.high or 0.0)
        shape = customers.shape(result.customer.models, work.model)
        found |= {
            name
            for name, is_so in (("long", tokens > 2**17), ("moe", shape.n_experts > 0))
            if is_so
        }
    return found


def unit_usd(result: Result, price_usd_per_chip_h: float) -> tuple[str, np.ndarray, np.ndarray]:
    """Cost of a unit of work now and then, at the customer's own busy share and not at full load.

    Parameters
    ----------
    result : Result
        A workload against a baseline
    price_usd_per_chip_h : float
        What the new chip rents for [USD/h]

    Returns
    -------
    tuple of str and array
        Name of the unit, and draws of its cost now and then [USD]
    """
    v, m = {k: result.samples[j] for k, j in result.keys.items()}, result.drawn
    units = {
        "train": v["load"],
        "stream": v["load"] * cost.MONTH_H,
        "serve": v["load"] * v.get("output_tokens", 1.0) / MEGA,
    }
    name = {"train": "run", "stream": "stream-hour", "serve": "million output tokens"}[
        result.work.kind
    ]
    if result.work.load.unit == "chips":
        name, units["serve"] = "present chip and month", v["load"]
    amount = units[result.work.kind]
    return (
        name,
        m.now_chip_h * m.now_usd_per_chip_h / amount,
        m.new_chip_h * price_usd_per_chip_h / amount,
    )


def energy(case: Case) -> pd.DataFrame:
    """Electricity and carbon of a month, now and then; the power of most chips is an estimate.

    Parameters
    ----------
    case : Case
        From :func:`evaluate`

    Returns
    -------
    DataFrame
        side, mwh, mwh_low, mwh_high, tonnes (average grid, location-based), tonnes_marginal; a
        month at mid inputs
    """
    region, rows = case.customer.region, []
    draw = data.assumption("nameplate_draw_share").range
    host_draw = data.assumption("host_draw_share").value
    pue = data.fact(region, "pue").value
    for side in ("now", "new"):
        mwh = np.zeros(3)
        for r in case.results:
            rack = getattr(r, side).system
            busy = r.inputs[r.keys["busy"]].mid * (
                r.inputs[r.keys["busy_ratio"]].mid if side == "new" else 1.0
            )
            busy = min(busy, 1.0)
            idle = data.fact(rack.chip.id, "idle_share").value  # in hours paid without requests
            chip_w = rack.chip.power_w * (busy * draw + (1.0 - busy) * idle)
            factor = footprint.nameplate_factor(rack)
            watts = pue * (chip_w + host_w(rack.chip.power_w, factor, host_draw))
            mwh = mwh + watts / MEGA * float(np.median(getattr(r.drawn, f"{side}_chip_h")))
        grids = [data.maybe(region, f"grid{kind}_g_per_kwh") for kind in ("", "_marginal")]
        rows.append(
            (
                side,
                mwh[1],
                mwh[0],
                mwh[2],
                *(mwh[1] * g.value / KILO if g else np.nan for g in grids),
            )
        )
    return pd.DataFrame(
        rows, columns=["side", "mwh", "mwh_low", "mwh_high", "tonnes", "tonnes_marginal"]
    )


def path(case: Case) -> tuple[pd.DataFrame, str, str]:
    """Cumulative cost of the median case by month, as Vega expressions over ``price``, ``busy`` and
    ``discount``.

    Parameters
    ----------
    case : Case
        From :func:`evaluate`

    Returns
    -------
    tuple of DataFrame and str
        Sums of the monthly weights; cost of staying and of moving, in million USD where the sums
        are shown and else in per cent of the cost of staying, where `price` is the rent of the new
        chip [USD/h], `busy` a factor on every busy share and `discount` a share off the present
        rent [-]
    """
    columns, stay, go = {}, [], []
    scale = path_scale(case)
    for i, r in enumerate(case.results):
        v = {k: np.array(case.at_median[j].mid) for k, j in r.keys.items()}
        free = r.move(v | {"floor_now": np.array(0.0), "floor_new": np.array(0.0)})
        m = r.move(v)
        for name, weights in zip("anm", cost.monthly_weights(m)):
            columns[f"{name}{i}"] = np.concatenate([[0.0], np.cumsum(weights)])
        slow = "1" if r.work.load.unit == "chips" else "busy"
        least = [float(v.get(f"floor_{s}", 0.0)) * cost.MONTH_H for s in ("now", "new")]
        hours = f"max({free.now_chip_h:.9g}/{slow},{least[0]:.9g})"
        rent = f"{hours}*{m.now_usd_per_chip_h / scale:.9g}*(1-discount)"
        once = f"{m.labour_usd / scale:.9g}+price*{m.extra_chip_h / scale:.9g}"
        stay.append(f"{rent}*datum.a{i}")
        new = f"max({free.new_chip_h:.9g}/{slow},{least[1]:.9g})"
        go.append(f"{once}+{rent}*datum.n{i}+price/{scale:.9g}*{new}*datum.m{i}")
    return pd.DataFrame(columns), "+".join(stay), "+".join(go)


def path_scale(case: Case) -> float:
    """What a cost is divided by in :func:`path`: a million, or a hundredth of the cost of staying.

    Parameters
    ----------
    case : Case
        From :func:`evaluate`

    Returns
    -------
    float
        Unit of the expressions [USD]
    """
    return MEGA if case.shows_sums else float(case.stay_usd[case.median]) / 100.0


def prepare(customer: str, n: int) -> None:
    """Compute once what the reports about a customer share, whatever the rent: a batch does it
    before it forks.

    Parameters
    ----------
    customer : str
        As in `trn3.study.customers.load`
    n : int
        Draws [-]
    """
    who = customers.load(customer)
    for base in who.baselines:
        with suppress(data.TrnError):
            _ = evaluate(who, base.key, n).break_even
    checks([customer.lower()])


CLAIMED = ("splashmusic", "karakuri", "anthropic", "decart")


def checks(names: Sequence[str] = CLAIMED) -> pd.DataFrame:
    """Published money beside what this project computes: ownership, serving, and what reference
    customers saved.

    Parameters
    ----------
    names : sequence of str
        Customers whose claims are held against the computed unit cost

    Returns
    -------
    DataFrame
        check, unit, published, predicted, low, high, ratio, kind, source_id, note; `kind` is
        independent, left out or reproduces its input, and only the first two count
    """
    money = ownership.checks().drop(columns=["part", "group", "constant"])
    rows = [row for name in CLAIMED if name in names for row in _claimed(data.DATA, name)]
    return pd.concat([money, pd.DataFrame(rows, columns=money.columns)], ignore_index=True)


@lru_cache
def _claimed(folder: Path, name: str) -> list[tuple[Any, ...]]:
    """Rows of :func:`checks` for a customer; they depend on no report's parameters."""
    customer, rows = customers.load(name), []
    for base in (b for b in customer.baselines if b.key in ("meant", "misread")):
        try:
            case = evaluate(customer, base.key)
        except CannotRun:
            continue  # page 08 says why; a claim about it cannot be held against anything
        only = [r for r in case.results if r.work.kind == "train"] or list(case.results)
        now, then = np.sum([unit_usd(r, case.rent.mid)[1:] for r in only], axis=0)
        cheaper, said = 1.0 - then / now, customer.claim.saving.mid
        low, mid, high = uncertainty.percentiles(cheaper)
        reach = np.mean(cheaper >= said)
        note = f"unit cost without porting; {reach:.0%} of the drawn cases reach the claim; "
        note += f"compared with {base.label}"
        kind, label = (
            ("independent", customer.claim.source_id),
            f"{customer.name}: {customer.claim.wording}",
        )
        rows.append((label, "share", said, mid, low, high, mid / said, *kind, note))
    return rows


SHOWN_BUSY = (0.3, 0.9)
"""Busy shares between which the bar of `token_bars` runs [-]."""
SHOWN_DISCOUNT = (0.0, 0.4)
"""Discounts between which its bar runs [-]."""
SHOWN_RENT = 1.5
"""Factor either way on a rent that has no range of its own [-]."""


def token_bars(speed: Input, rent: Input) -> pd.DataFrame:
    """Bars of the cost of a million tokens as Vega expressions over ``price``, ``busy`` and
    ``discount``.

    Parameters
    ----------
    speed : Input
        Tokens per chip while busy [1/s]
    rent : Input
        Rent of the chip with its range [USD/h]

    Returns
    -------
    DataFrame
        input, low, high: cost at either end of one input [USD]; the last row is the cost as set by
        the sliders
    """

    def usd(
        price: str = "price",
        busy: str = "busy",
        discount: str = "discount",
        rate: float = speed.mid,
    ) -> str:
        return f"{price}*(1-{discount})/{rate:.9g}/{busy}/{HOUR_S:g}*{MEGA:g}"

    rows = [
        (
            f"busy share, {words.rng(100 * SHOWN_BUSY[0], 100 * SHOWN_BUSY[1])}%",
            *(usd(busy=f"{share:g}") for share in SHOWN_BUSY),
        ),
        (
            f"rent, {rent.low:.3g}–{rent.high:.3g} USD/h",
            usd(f"{rent.low:.9g}"),
            usd(f"{rent.high:.9g}"),
        ),
        (
            f"speed, {speed.low:,.0f}–{speed.high:,.0f} tokens/s per chip",
            usd(rate=speed.low),
            usd(rate=speed.high),
        ),
        (
            f"discount, {words.rng(100 * SHOWN_DISCOUNT[0], 100 * SHOWN_DISCOUNT[1])}%",
            *(usd(discount=f"{cut:g}") for cut in SHOWN_DISCOUNT),
        ),
        ("as set", usd(), usd()),
    ]
    return pd.DataFrame(rows, columns=["input", "low", "high"])
