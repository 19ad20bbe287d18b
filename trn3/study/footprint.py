"""Energy, water and carbon of a training run or a serving fleet, by cause and with ranges.

The formulas of `energy` over draws of their uncertain inputs: chip power, floor, joules per byte,
hosts, and the speed itself. Everything is counted per token; a run or a month of serving is a
number of tokens.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from trn3 import (
    committed,
    data,
    energy,
    hardware,
    inference,
    roofline,
    serving_step,
    training,
    uncertainty,
    workload,
)
from trn3.fit import serving_fit, trust
from trn3.show import words
from trn3.study import claims as claim_readings
from trn3.study import compare as compare_systems
from trn3.study import rents, stacks
from trn3.units import DAY_S, KWH_J, MEGA, Array, require

N_DRAWS = 1024
"""Draws of the uncertain inputs."""

PARTS = {
    "arithmetic": "Arithmetic",
    "memory": "HBM traffic",
    "links": "Chip-to-chip links",
    "floor": "Chip floor: leakage, clocks",
    "idle": "Chips without requests",
    "host": "Hosts and network",
    "cooling": "Cooling and conversion",
}
"""Where the joules go, in the order of a stack."""

FIXED = ("floor", "idle", "host")
"""Parts that time costs and not work; cooling goes with what it cools."""

BITS = {
    "fp32": 32.0,
    "bf16": 16.0,
    "fp16": 16.0,
    "int8": 8.0,
    "fp8": 8.0,
    "mxfp8": 8.0,
    "fp4": 4.0,
    "nvfp4": 4.0,
    "mxfp4": 4.0,
}
"""Bits of a number format, without the scale of its block."""

ASSUMED = (
    "energy_floor_share",
    "hbm_energy",
    "link_energy",
    "host_draw_share",
    "format_power_position",
    "rate_at_rated_power",
    "matmul_hbm_activity",
)
"""Assumptions that every footprint rests on, drawn within their ranges."""


class NotKnown(data.TrnError):
    """What is asked rests on a number that nobody publishes; the text says which."""


def inputs(system: hardware.System, region: str) -> dict[str, data.Fact]:
    """The facts and assumptions that the energy of a system in a region rests on.

    Parameters
    ----------
    system : System
        Where it runs.
    region : str
        Id of a region, such as ``us_east_2``.

    Returns
    -------
    dict of str to Fact
        By the name that the draws use; water and grid are absent where the region has no figure.

    Raises
    ------
    NotKnown
        If no power is published or assumed for the chip.
    UnknownId
        If the region is not known.

    Examples
    --------
    >>> inputs(hardware.system("h100"), "us-east-2")["pue"].value
    1.13
    """
    site, power = data.resolve("region", region), data.maybe(system.chip.id, "power_w")
    if power is None or not np.isfinite(power.value):
        raise NotKnown(
            f"{system.chip.name}: no chip power is published, so its energy is not known"
        )
    idle = data.maybe(system.chip.id, "idle_share") or data.assumption("energy_idle_share")
    found = {
        "rated_w": power,
        "idle_share": idle,
        "pue": data.fact(site, "pue"),
    }
    found |= {name: data.assumption(name) for name in ASSUMED}
    local = {
        name: data.maybe(site, name)
        for name in ("water_l_per_kwh", "grid_g_per_kwh", "grid_marginal_g_per_kwh")
    }
    return found | {name: fact for name, fact in local.items() if fact is not None}


def chip_joules(system: hardware.System, dtype: str, x: Mapping[str, np.ndarray]) -> energy.Joules:
    """Joules per event of a system's chip in a format.

    Parameters
    ----------
    system : System
        Whose chip.
    dtype : str
        Format of the arithmetic.
    x : Mapping
        Draws (or single values) of `inputs`.

    Returns
    -------
    Joules
        Over the draws.

    Notes
    -----
    A byte of HBM and of a link has an energy of its own. Rated power is that of a large
    matrix multiplication in the fastest format: arithmetic at the share of the peak that such
    kernels reach, HBM at a share of its bandwidth. 4-bit weights that an engine widens are
    multiplied in BF16.

    Examples
    --------
    >>> system = hardware.system("h100")
    >>> x = {name: fact.value for name, fact in inputs(system, "us_east_2").items()}
    >>> joules = chip_joules(system, "bf16", x)
    >>> bool(1e-13 < joules.per_flop < 1e-12)
    True
    """
    chip = system.chip
    peaks = {d: p for d, p in chip.peak_flops_per_s.items() if d in BITS}
    fastest = max(peaks, key=lambda d: (peaks[d], BITS[d]))
    fast = energy.coefficients(
        rated_w=x["rated_w"],
        floor_share=x["energy_floor_share"],
        per_hbm_byte=x["hbm_energy"],
        per_link_byte=x["link_energy"],
        full_load=(
            peaks[fastest] * x["rate_at_rated_power"],
            chip.hbm_bytes_per_s * x["matmul_hbm_activity"],
            0.0,  # links: a matrix product sends nothing
        ),
        least_arithmetic=data.assumption("least_arithmetic_share").value,
    )
    widened = not serving_step.has(chip, dtype) and serving_step.format_for(chip, dtype) == dtype
    computed = "bf16" if widened else dtype
    bits = BITS[chip.native(computed)] / BITS[fastest]
    return energy.slow_format(
        fast, peaks[fastest] / chip.peak(computed), bits, x["format_power_position"]
    )


def nameplate_factor(system: hardware.System) -> float:
    """Nameplate of a system over the ratings of its chips.

    Parameters
    ----------
    system : System
        The system.

    Returns
    -------
    float
        Its own where its power is known, else the assumption for all [-].

    Examples
    --------
    >>> round(nameplate_factor(hardware.system("hgx_h100")), 2)
    1.82
    """
    own = float(system.power_w[1]) / (system.n_chips * float(system.chip.power_w[1]))
    return own if own >= 1.0 else data.assumption("nameplate_factor").value


def provisioned_w(system: hardware.System, region: str) -> np.ndarray:
    """Power per chip that a site must be able to feed: nameplate of the system times the PUE.

    Parameters
    ----------
    system : System
        The system.
    region : str
        Id of a region.

    Returns
    -------
    ndarray
        Low, middle and high, from the range of the chip's rating [W].

    Raises
    ------
    UnknownId
        If the region is not known.

    Examples
    --------
    Eight H100 in a node of 10.2 kW, at the PUE of Ohio.

    >>> node = hardware.system("hgx_h100")
    >>> round(float(provisioned_w(node, "us_east_2")[1])), round(10200 / 8 * 1.13)
    (1441, 1441)
    """
    pue = data.fact(data.resolve("region", region), "pue").value
    return np.asarray(energy.provisioned_w(system.chip.power_w, nameplate_factor(system), pue))


@dataclass(frozen=True)
class Footprint:
    """Energy per token and what follows from it; arrays are over the draws.

    Attributes
    ----------
    system : System
        Where it runs.
    region, unit : str
        Id of the region; what a token is (output token, training token).
    chip_s : ndarray
        Chip-seconds per token, idle time included [s].
    parts_j : dict of str to Array
        Energy per token by cause, with the keys of `PARTS` [J].
    x : dict
        The draws.
    """

    system: hardware.System
    region: str
    unit: str
    chip_s: np.ndarray
    parts_j: dict[str, Array]
    x: dict[str, np.ndarray]

    @property
    def total_j(self) -> np.ndarray:
        """Energy per token at the meter of the building [J]."""
        return np.asarray(sum(self.parts_j.values()))

    @property
    def facility_w(self) -> np.ndarray:
        """Mean power per chip at the meter of the building, which the bill counts [W]."""
        return self.total_j / self.chip_s

    @property
    def provisioned_w(self) -> np.ndarray:
        """Power per chip that the site must be able to feed: low, middle, high [W]."""
        return provisioned_w(self.system, self.region)

    @property
    def tokens_per_s_per_mw(self) -> np.ndarray:
        """Tokens per second of a megawatt of provisioned power, the rating drawn [1/(s MW)]."""
        rated, pue = self.x["rated_w"], self.x["pue"]
        cap_w = energy.provisioned_w(rated, nameplate_factor(self.system), pue)
        return np.asarray(energy.per_megawatt(1.0 / self.chip_s, cap_w))

    @property
    def fixed_share(self) -> np.ndarray:
        """Share of the energy that time costs and not work: `FIXED`, with its cooling [-]."""
        fixed = np.asarray(sum(self.parts_j[part] for part in FIXED))
        return fixed / (self.total_j - self.parts_j["cooling"])

    @property
    def tokens_per_mwh(self) -> np.ndarray:
        """Tokens per megawatt-hour of the building [-]."""
        return 1000.0 * KWH_J / self.total_j

    @property
    def water_l_per_kwh(self) -> np.ndarray:
        """Cooling water per kWh at the meter; NaN where the region has no figure [L/kWh]."""
        return np.asarray(self.x.get("water_l_per_kwh", np.nan) / self.x["pue"])

    def carbon_kg(self, n_tokens: float, grid: str = "grid_g_per_kwh") -> np.ndarray:
        """Emissions of the electricity of some tokens, by grid basis; NaN where the region has
        no figure [kg].
        """
        known = self.x | {"grid_market_g_per_kwh": data.assumption("grid_market_g_per_kwh").value}
        if grid not in known:
            return np.full_like(self.chip_s, np.nan)
        return np.asarray(energy.carbon_kg(self.total_j * n_tokens, known[grid]))

    def embodied_kg(self, n_tokens: float) -> np.ndarray:
        """Share of the emissions of making chips and hosts that some tokens carry [kg]."""
        names = ("embodied_module", "embodied_host", "chip_life", "chip_life_utilisation")
        chip, host, life, use = (data.assumption(name).value for name in names)
        return np.asarray(energy.embodied_kg(self.chip_s * n_tokens, chip + host, life, use))

    def frame(self) -> pd.DataFrame:
        """One row per cause and one for the total: joules per token, P10, P50 and P90; causes
        add up to the total.
        """
        total, rows = self.total_j, {label: self.parts_j[part] for part, label in PARTS.items()}
        rows |= {"Total": total}
        table = []
        for part, joules in rows.items():
            low, _, high = uncertainty.percentiles(np.asarray(joules))
            table.append(
                (
                    self.system.name,
                    part,
                    low,
                    float(np.mean(joules / total) * np.median(total)),
                    high,
                )
            )
        return pd.DataFrame(
            table, columns=["system", "part", "j_per_token_low", "j_per_token", "j_per_token_high"]
        )


def of_work(
    system: hardware.System,
    region: str,
    unit: str,
    dtype: str,
    rate: np.ndarray,
    work: Mapping[str, Any],
    utilisation: float = 1.0,
) -> Footprint:
    """Footprint of a stream of tokens that a system works off at a known rate.

    Parameters
    ----------
    system : System
        Where it runs.
    region : str
        Id of a region.
    unit : str
        What a token is.
    dtype : str
        Format of the arithmetic.
    rate : ndarray
        Tokens per second and chip while it works: low, middle, high [1/s].
    work : Mapping
        Per token over all chips: ``flops``, ``hbm_bytes``, ``link_bytes``; ``matmul_share``, the
        share of the time in matrix multiplications whose memory traffic is not in ``hbm_bytes``,
        where there is any.
    utilisation : float
        Share of the time in which chips work; in the rest they are idle, their hosts are not [-].

    Returns
    -------
    Footprint
        Per token, over the draws.

    Raises
    ------
    InputError
        If the utilisation is not above 0 and at most 1.
    """
    require("utilisation", utilisation, "")
    require("1 - utilisation", 1.0 - utilisation, "", closed=True)
    known = {
        k: uncertainty.Input(f.low, f.value, f.high, "limits", f.unit, k)
        for k, f in inputs(system, region).items()
    }
    low, mid, high = (float(r) for r in rate)
    x = uncertainty.draws(
        known | {"tokens_per_s": uncertainty.Input(low, mid, high, "band")}, N_DRAWS
    )
    own = np.random.default_rng(
        zlib.crc32(system.id.encode())
    )  # what systems do not share is drawn apart for each
    x |= {name: own.permutation(x[name]) for name in ("rated_w", "tokens_per_s", "idle_share")}
    time_s = 1.0 / x["tokens_per_s"]
    streamed = (
        work.get("matmul_share", 0.0)
        * x["matmul_hbm_activity"]
        * system.chip.hbm_bytes_per_s
        * time_s
    )
    joules = chip_joules(system, dtype, x)
    chip = energy.chip_parts_j(
        joules, time_s, work["flops"], work["hbm_bytes"] + streamed, work["link_bytes"]
    )
    paid_s = time_s / utilisation
    chip["idle"] = energy.idle_j(x["rated_w"], x["idle_share"], paid_s - time_s)
    host = energy.host_w(x["rated_w"], nameplate_factor(system), x["host_draw_share"])
    parts = energy.facility_parts_j(chip, paid_s, host, x["pue"])
    return Footprint(system, data.resolve("region", region), unit, paid_s, parts, x)


def serving(
    point: inference.ServingPoint, dtype: str, region: str, utilisation: float = 1.0
) -> Footprint:
    """Footprint of an output token of a serving fleet, its share of the prompt included.

    Parameters
    ----------
    point : ServingPoint
        Operating point [-].
    dtype : str
        Format of the weights.
    region : str
        Id of a region.
    utilisation : float
        Share of time in which the fleet works at that point; in the rest it is idle [-].

    Returns
    -------
    Footprint
        Per output token.

    Raises
    ------
    NotKnown
        If no chip power is published or assumed.
    """
    names = ("flops", "hbm_bytes", "link_bytes")
    work = {name: float(getattr(point, f"{name}_per_token")) for name in names}
    rate = point.output_tokens_per_s_per_chip
    return of_work(point.system, region, "output token", dtype, rate, work, utilisation)


def training_run(found: training.TrainingEstimate, region: str) -> Footprint:
    """Footprint of a token of a training run, failures left out.

    Parameters
    ----------
    found : TrainingEstimate
        What the run takes on a cluster [-].
    region : str
        Id of a region.

    Returns
    -------
    Footprint
        Per training token.

    Notes
    -----
    Parts of the step that wait for memory or links are taken at the full rate of HBM or of
    the fastest link.
    """
    job, cluster, chip = found.job, found.cluster, found.cluster.chip
    used = found.layout.n_chips
    chip_s = used / (job.global_batch * job.seq_len)  # per second of a step and token
    link = next(
        (r for r in (chip.scale_up_bytes_per_s, chip.scale_out_bytes_per_s) if np.isfinite(r)), 0.0
    )
    work = {
        "flops": float(job.flops_per_token()) * float(found.hfu[1] / found.mfu[1]),
        "hbm_bytes": found.kind_s(roofline.MEMORY) * chip_s * chip.hbm_bytes_per_s,
        "link_bytes": found.kind_s(roofline.LINK) * chip_s * link,
        "matmul_share": found.kind_s(roofline.ARITHMETIC) / float(found.step_time_s[1]),
    }
    rate = np.asarray(found.tokens_per_s / used)
    share = float(used) / cluster.n_chips  # chips that a layout leaves out are idle
    return of_work(cluster.system, region, "training token", job.dtype, rate, work, share)


def average_w(system: hardware.System, flops_per_s: float, chip_only: bool = False) -> np.ndarray:
    """Power of a chip that trains at a known arithmetic rate, before the building.

    Parameters
    ----------
    system : System
        Where it runs.
    flops_per_s : float
        Arithmetic of a chip in 16 bits, recomputation included [FLOP/s].
    chip_only : bool
        Without its share of hosts and network.

    Returns
    -------
    ndarray
        P10, P50 and P90 [W].

    Examples
    --------
    >>> low, mid, high = average_w(hardware.system("hgx_h100"), 4e14)
    >>> bool(700 < low < mid < high < 10200 / 8)
    True
    """
    work = {"flops": flops_per_s, "hbm_bytes": 0.0, "link_bytes": 0.0, "matmul_share": 1.0}
    found = of_work(system, "us_east_2", "chip-second", "bf16", np.ones(3), work)
    without = found.parts_j["cooling"] + (found.parts_j["host"] if chip_only else 0.0)
    return np.array(uncertainty.percentiles(found.total_j - without))


def measured_serving_j(row_id: str, output_tokens: float) -> np.ndarray:
    """Energy of an output token on the chips alone, at the speed that a published run had.

    Only the power is predicted: the rate is the measured one, work per token follows from the
    model, the layout and the batch. Power was logged for all chips of the server; those that the
    run left out had no requests.

    Parameters
    ----------
    row_id : str
        Row of ``data/inference_runs.csv``.
    output_tokens : float
        Tokens that a request put out, as counted [token].

    Returns
    -------
    ndarray
        P10, P50 and P90 [J].
    """
    run = data.table("inference_runs").set_index("row_id").loc[row_id]
    chip = serving_fit.chip_id(run["accelerator"])
    system = hardware.system(hardware.chip(chip).usual_system)
    kv_dtype = run["kv_dtype"] or "fp8"
    load = workload.ServingLoad(
        workload.model(run["model"]),
        int(run["input_tokens"]),
        int(output_tokens),
        weights_dtype=serving_step.format_for(system.chip, run["weights_dtype"]),
        kv_dtype=kv_dtype,
    )
    n_chips, tp = float(run["accel_count"]), float(run["tp"])
    layout = serving_step.Layouts(tp, n_chips / tp, whole=float(run["ep"]) > 1)
    batch = float(run["batch_or_concurrency"]) / layout.dp
    behind = serving_step.traffic(
        load.model,
        serving_step.device(system, load.weights_dtype),
        layout,
        serving_step.constants(system.chip),
        inference.work_of(load, batch),
    )
    work = {name: float(getattr(behind, name)) for name in ("flops", "hbm_bytes", "link_bytes")}
    rate = np.full(3, float(run["throughput_tok_s"]) / n_chips)
    busy = min(1.0, n_chips / system.n_chips)
    # the region only sets the cooling, which is left out
    found = of_work(system, "us_east_2", "output token", load.weights_dtype, rate, work, busy)
    chips_j = found.total_j - found.parts_j["cooling"] - found.parts_j["host"]
    return np.array(uncertainty.percentiles(chips_j))


def compare(
    load: workload.ServingLoad,
    systems: Sequence[str],
    region: str,
    utilisation: float,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> tuple[dict[str, Footprint], dict[str, str]]:
    """Footprint of one load on several systems, each at its best point within the limits.

    Parameters
    ----------
    load : ServingLoad
        Model, lengths, limits, formats.
    systems : sequence of str
        Ids of systems or chips.
    region : str
        Id of a region.
    utilisation : float
        Share of time in which the fleets work [-].
    software : str, Software or Stacks
        Level of the software on the first system; on the others it is typical, or that of the
        reader's own runs.

    Returns
    -------
    tuple of dict
        Footprint by the name of the system, and why the others have none.

    Raises
    ------
    TrnError
        If no system serves the load.
    """

    level = _levels("serving", systems, software)

    def best(system: hardware.System) -> Footprint:
        point = inference.best(load, system, software=level(system))
        return serving(point, load.weights_dtype, region, utilisation)

    return compare_systems.ask(best, systems).some().named()


def _levels(
    kind: str, systems: Sequence[str], software: stacks.Level | stacks.Stacks
) -> Callable[[hardware.System], stacks.Level]:
    """Level of the software of several systems, of which the first is the one in question."""
    first, levels = hardware.system(systems[0]).id, stacks.given(software)
    return lambda system: levels.level(kind, system, system.id == first)


def _trained(
    job: workload.TrainingJob,
    systems: Sequence[str],
    n_chips: int,
    region: str,
    software: stacks.Level | stacks.Stacks,
) -> Callable[[hardware.System], Footprint]:
    """From a system to the footprint of a run on it."""
    level = _levels("training", systems, software)

    def run(system: hardware.System) -> Footprint:
        cluster = hardware.Cluster(system, n_chips)
        found = training.estimate(job, cluster, software=level(system))
        return training_run(found, region)

    return run


def runs(
    job: workload.TrainingJob,
    systems: Sequence[str],
    n_chips: int,
    region: str,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> tuple[dict[str, Footprint], dict[str, str]]:
    """Footprint of one training run on several systems, each with its fastest layout.

    Parameters
    ----------
    job : TrainingJob
        Model, tokens, sequence, batch, format.
    systems : sequence of str
        Ids of systems or chips.
    n_chips : int
        Chips of each cluster [-].
    region : str
        Id of a region.
    software : str, Software or Stacks
        As in `compare`.

    Returns
    -------
    tuple of dict
        Footprint by the name of the system, and why the others have none.

    Raises
    ------
    TrnError
        If no system can run the job.
    """
    run = _trained(job, systems, n_chips, region, software)

    return compare_systems.ask(run, systems).some().named()


def labels(found: Mapping[str, Footprint]) -> dict[str, str]:
    """Systems by the name of their chip, where no two have the same.

    Parameters
    ----------
    found : Mapping
        Footprint by the name of the system.

    Returns
    -------
    dict of str to str
        Label by the name of the system; an announced chip says so.
    """
    chips = [each.system.chip.name for each in found.values()]
    said = {}
    for name, each in found.items():
        chip = each.system.chip
        label = chip.name if chips.count(chip.name) == 1 else name
        said[name] = label + " (announced)" * chip.announced
    return said


def table(found: Mapping[str, Footprint]) -> pd.DataFrame:
    """Energy and power of several systems, one row each.

    Parameters
    ----------
    found : Mapping
        Footprint by the name of the system.

    Returns
    -------
    pandas.DataFrame
        Index ``system``; ``chip``, joules per token as ``low``, ``j_per_token`` and ``high``,
        ``by_time`` (share that does not depend on the work), ``mean_w`` and ``provisioned_w`` per
        chip, and ``tokens_per_s`` of a chip, idle time included.
    """
    rows = {}
    for name, each in found.items():
        low, middle, high = uncertainty.percentiles(each.total_j)
        rows[name] = {
            "chip": labels(found)[name],
            "j_per_token": middle,
            "low": low,
            "high": high,
            "by_time": float(np.median(each.fixed_share)),
            "mean_w": float(np.median(each.facility_w)),
            "provisioned_w": float(each.provisioned_w[1]),
            "tokens_per_s": float(np.median(1 / each.chip_s)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("system")


HOUSE = {
    PARTS["memory"]: "Memory and links",
    PARTS["links"]: "Memory and links",
    PARTS["host"]: "Hosts, network and cooling",
    PARTS["cooling"]: "Hosts, network and cooling",
}
"""Parts of a joule that a chart of five parts draws as one."""


def stacked(found: Mapping[str, Footprint]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Parts and totals for a chart.

    Parameters
    ----------
    found : Mapping
        Footprint by the name of the system.

    Returns
    -------
    tuple of pandas.DataFrame
        ``system`` (its label)``, part, j_per_token``, and ``system, low, high``.
    """
    frame = pd.concat([each.frame() for each in found.values()])
    frame["system"] = frame["system"].map(labels(found))
    parts = frame[frame["part"] != "Total"].replace({"part": HOUSE})
    summed = parts.groupby(["system", "part"], sort=False)["j_per_token"].sum().reset_index()
    ends = {"j_per_token_low": "low", "j_per_token_high": "high"}
    totals = frame[frame["part"] == "Total"].rename(columns=ends)
    return summed, totals[["system", "low", "high"]]


@dataclass(frozen=True)
class Pair:
    """The first system of several beside the second.

    Attributes
    ----------
    subject, base : Footprint
        The two; the same where only one was asked.
    name, other : str
        Their labels.
    """

    subject: Footprint
    base: Footprint
    name: str
    other: str

    @property
    def alone(self) -> bool:
        """Whether there is no second system."""
        return self.base is self.subject

    @property
    def ratio(self) -> np.ndarray:
        """Energy per token, subject over the other, over the draws [-]."""
        return self.subject.total_j / self.base.total_j

    @property
    def verdict(self) -> words.Verdict:
        """Whether the subject takes less."""
        fewer = 1 / self.ratio
        low, middle, high = uncertainty.percentiles(fewer)
        return words.verdict(low, middle, high, float(np.mean(fewer > 1)))

    def lead(self, asked: str, level: stacks.Level = stacks.TYPICAL) -> str:
        """Joules of a token, and whether another chip takes more.

        Parameters
        ----------
        asked : str
            Id of the system that was asked for.
        level : str or Software
            Level of its software, which is said where it is not the typical one.

        Returns
        -------
        str
            One or two sentences.
        """
        low, middle, high = uncertainty.percentiles(self.subject.total_j)
        text = f"{self.name} takes about {words.sig(middle)} J per output token"
        text += f" ({words.band(low, high)}){stacks.with_level(level)}"
        if not self.alone:
            pair = (self.name, self.other, "more efficient", "less efficient")
            text += f"; {words.against(self.verdict, *pair)}"
        wanted = hardware.system(asked)
        if wanted.id != self.subject.system.id:
            text = f"{wanted.name} cannot serve this load. {text}"
        return f"{text}."

    def turns(self) -> list[str]:
        """At which power of the subject both take the same, as a sentence or none."""
        if self.alone:
            return []
        rated = float(np.median(self.subject.x["rated_w"]))
        own, base = np.median(self.subject.total_j), np.median(self.base.total_j)
        equal = words.si(float(rated * base / own), "W", 2)
        return [
            f"{self.name} takes as much energy per token as {self.other} at **{equal}** per chip "
            f"(assumed: {words.si(rated, 'W', 2)}); below it takes less."
        ]

    def closing(self) -> list[str]:
        """Which reading would narrow an open comparison most, as a sentence or none."""
        if self.alone or self.verdict.word != "open":
            return []
        found = readings(self.subject, self.base)
        found = found[found["left"] < WORTH]
        if found.empty:
            return []
        low, _, high = uncertainty.percentiles(self.ratio)
        narrowest = found.iloc[0]
        had = found[found["can_be_had"]]
        first = narrowest if had.empty else had.iloc[0]
        text = (
            f"Measure the {first['reading']} of {first['chip']} under this load: if it comes out "
            f"in the middle of its range, that of the ratio to {self.other} goes from "
            f"{words.rng(low, high)} to **{words.rng(first['low'], first['high'])}**"
        )
        if len(had) and not narrowest["can_be_had"]:
            ends = words.rng(narrowest["low"], narrowest["high"])
            beyond = f"the {narrowest['reading']} of {narrowest['chip']}, which nobody rents out"
            text += f"; {beyond}, to {ends}"
        needed = words.duration(data.assumption("measurement_s").value)
        return [
            f"{text}. On one server it takes {needed}, set-up and a sweep of the load included."
        ]


WORTH = 0.95
"""Width that a reading leaves of a range, below which it is worth the name [-]."""


def pair(found: Mapping[str, Footprint]) -> Pair:
    """The first system of several beside the second.

    Parameters
    ----------
    found : Mapping
        Footprint by the name of the system.

    Returns
    -------
    Pair
        Both.
    """
    first, *others = found
    second = [*others, first][0]
    said = labels(found)
    return Pair(found[first], found[second], said[first], said[second])


def by_region(found: Footprint) -> pd.DataFrame:
    """The same tokens in every region that has a grid figure: emissions and water per million
    tokens.

    Parameters
    ----------
    found : Footprint
        In any region [-].

    Returns
    -------
    pandas.DataFrame
        region, pue, grid_g_per_kwh, kg_per_mtok with low and high (location-based),
        marginal_kg_per_mtok, l_per_mtok; least emissions first.
    """
    it_kwh = (found.total_j - found.parts_j["cooling"]) * 1e6 / KWH_J
    rows = []
    for site in data.ids("region"):
        facts = {
            k: data.maybe(site, k)
            for k in ("pue", "grid_g_per_kwh", "grid_marginal_g_per_kwh", "water_l_per_kwh")
        }
        pue, grid, marginal, water = (f.value if f else np.nan for f in facts.values())
        low, mid, high = uncertainty.percentiles(it_kwh * pue * grid / 1000.0)
        rows.append(
            (
                site,
                pue,
                grid,
                mid,
                low,
                high,
                mid * marginal / grid,
                float(np.median(it_kwh)) * water,
            )
        )
    names = [
        "region",
        "pue",
        "grid_g_per_kwh",
        "kg_per_mtok",
        "low",
        "high",
        "marginal_kg_per_mtok",
        "l_per_mtok",
    ]
    table = pd.DataFrame(rows, columns=names).dropna(subset="kg_per_mtok")
    return table.sort_values("kg_per_mtok", kind="stable", ignore_index=True)


def claims() -> pd.DataFrame:
    """What each claim on work per watt would mean for the power of Trainium3.

    Each reading of a claim gives an efficiency ratio at the assumed powers; the power at which it
    equals the claim is the assumed one times that ratio over the claimed one (`energy.implied_w`).

    Returns
    -------
    pandas.DataFrame
        claim, reading, level, claimed, ratio with low and high, implied_w per chip or UltraServer,
        and whether the assumed powers of both generations allow the claim.
    """
    told = claim_readings.readings().query("metric == 'peak rate per watt'")
    power = {
        level: data.fact(who, "power_w").value
        for level, who in (("chip", "trainium3"), ("ultraserver", "trn3_gen2"))
    }
    told = told.assign(
        implied_w=energy.implied_w(told["reading_level"].map(power), told["value"], told["claim"])
    )
    columns = ["wording", "label", "reading_level", "claim", "low", "value", "high", "implied_w"]
    return _claims(told[columns].itertuples(index=False, name=None))


def _claims(rows: Iterable[tuple]) -> pd.DataFrame:
    found = pd.DataFrame(
        rows, columns=["claim", "reading", "level", "claimed", "low", "ratio", "high", "implied_w"]
    )
    return found.assign(
        possible=(found["low"] <= found["claimed"]) & (found["claimed"] <= found["high"])
    )


def under_cap(found: Mapping[str, Footprint], megawatts: float) -> pd.DataFrame:
    """What each system gives under a cap on the power of a site.

    The cap feeds whole systems by their provisioned power; the bill counts the mean power.

    Parameters
    ----------
    found : Mapping
        Footprint by the name of the system, as `compare` gives them.
    megawatts : float
        Power that the site may take, at the meter of the building [MW].

    Returns
    -------
    pandas.DataFrame
        One row a system, most tokens first: system, n_chips, provisioned_w and mean_w per chip,
        mean_mw, tokens_per_s with low and high (speed and power drawn together).

    Raises
    ------
    InputError
        If the cap is not positive.
    """
    require("megawatts", megawatts, "MW")
    rows = []
    for name, each in found.items():
        chip_w = float(each.provisioned_w[1])
        n_systems = np.floor(megawatts * MEGA / (chip_w * each.system.n_chips))
        n_chips = int(n_systems * each.system.n_chips)
        low, middle, high = uncertainty.percentiles(each.tokens_per_s_per_mw)
        fed_mw = n_chips * chip_w / MEGA
        mean_w = float(np.median(each.facility_w))
        rows.append(
            {
                "system": name,
                "n_chips": n_chips,
                "provisioned_w": chip_w,
                "mean_w": mean_w,
                "mean_mw": n_chips * mean_w / MEGA,
                "tokens_per_s": fed_mw * middle,
                "low": fed_mw * low,
                "high": fed_mw * high,
            }
        )
    return pd.DataFrame(rows).sort_values(
        "tokens_per_s", ascending=False, kind="stable", ignore_index=True
    )


def productive(
    found: Mapping[str, Footprint], capped: pd.DataFrame, name: str, megawatts: float
) -> str:
    """Which system gives most under a cap.

    Parameters
    ----------
    found : Mapping
        Footprint by the name of the system.
    capped : pandas.DataFrame
        From `under_cap`.
    name : str
        The system in question.
    megawatts : float
        The cap [MW].

    Returns
    -------
    str
        A sentence.
    """
    said, most = labels(found), capped["system"][0]
    cap = f"Under {megawatts:,g} MW of provisioned power"
    own = capped.set_index("system").loc[name]
    if own["n_chips"] == 0:
        return f"{megawatts:,g} MW do not feed one {name}."
    if len(capped) == 1:
        given = words.big(words.rounded(own["tokens_per_s"], 2))
        return f"{cap} {words.big(own['n_chips'])} chips give about {given} tokens per second."
    better, worse = most, name
    if most == name:
        better, worse = name, capped["system"][1]
    more = found[better].tokens_per_s_per_mw / found[worse].tokens_per_s_per_mw
    low, middle, high = uncertainty.percentiles(more)
    verdict = words.verdict(low, middle, high, float(np.mean(more > 1)))
    pair_ = (said[better], said[worse], "more productive", "less productive")
    return f"{cap} {words.against(verdict, *pair_)}."


def bill_share(found: Footprint, usd_per_chip_h: float) -> tuple[data.Fact, tuple[float, ...]]:
    """Electricity over the rent of a chip, and the price of electricity that it rests on.

    Parameters
    ----------
    found : Footprint
        What is served, and where [-].
    usd_per_chip_h : float
        Rent [USD/h].

    Returns
    -------
    tuple of Fact and tuple
        Price of the region, or the assumed one; P10, P50 and P90 of the share [-].
    """
    tariff = data.maybe(found.region, "electricity_usd_per_kwh")
    if tariff is None:
        tariff = data.assumption("electricity_usd_per_kwh")
    tariff = replace(tariff, shown_unit="USD/kWh", scale=1.0)
    # drawn apart from the power
    spread = {"usd": uncertainty.Input(tariff.low, tariff.value, tariff.high)}
    usd = uncertainty.draws(spread, len(found.facility_w), seed=11)["usd"]
    share = energy.bill_share(found.facility_w, usd, usd_per_chip_h)
    return tariff, uncertainty.percentiles(np.asarray(share))


def by_case(parts: Mapping[str, Array]) -> pd.DataFrame:
    """Middle and 80% range of quantities over the drawn cases.

    Parameters
    ----------
    parts : Mapping
        Arrays over the draws, or single numbers, by name [any].

    Returns
    -------
    pandas.DataFrame
        Index: the names; ``low, middle, high``.
    """
    rows = {
        name: uncertainty.percentiles(np.atleast_1d(np.asarray(values)))
        for name, values in parts.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["low", "middle", "high"])


def drawn_claims(told: pd.DataFrame) -> pd.DataFrame:
    """Rows of `claims` for a chart.

    Parameters
    ----------
    told : pandas.DataFrame
        From `claims`.

    Returns
    -------
    pandas.DataFrame
        ``group`` (the claim in quotes)``, reading, low, ratio, high, claim, hollow, text``.
    """
    texts = []
    for row in told.itertuples():
        text = f"{words.sig(row.ratio)}× ({words.rng(row.low, row.high)})"
        if row.implied_w > 0:
            text += f"; true at {words.si(row.implied_w, 'W', 2)}"
        texts.append(text)
    plain = told["reading"].str.replace("peak rate per watt of an? ", "", regex=True)
    plain = plain.str.replace(" on Trainium2, with.*", ", busier engines", regex=True)
    return pd.DataFrame(
        {
            "group": told["claimed"].map(BRIEF),
            "reading": plain.map(words.capital),
            "low": told["low"],
            "ratio": told["ratio"],
            "high": told["high"],
            "claim": told["claimed"],
            "hollow": True,
            "text": texts,
        }
    )


BRIEF = {1.4: "“40% more energy efficient”", 4.0: "“4× performance per watt”"}
"""Claims on work per watt in quotes, by the factor that they mean."""


def possible_ways(told: pd.DataFrame) -> pd.DataFrame:
    """Which readings of each claim the assumed powers allow.

    Parameters
    ----------
    told : pandas.DataFrame
        From `claims`.

    Returns
    -------
    pandas.DataFrame
        ``Claim``, ``Possible as``, ``Not as``, in words.
    """
    rows = []
    for claimed, spoken in BRIEF.items():
        ways = told[told["claimed"] == claimed]
        can, cannot = (ways[ways["possible"] == yes]["reading"] for yes in (True, False))
        listed = [words.neat("; ".join(each)) or "no reading here" for each in (can, cannot)]
        rows.append([spoken, *listed])
    return pd.DataFrame(rows, columns=["Claim", "Possible as", "Not as"])


def where_possible(curve: pd.DataFrame) -> str:
    """At which latencies the claim on tokens per megawatt lies within the range.

    Parameters
    ----------
    curve : pandas.DataFrame
        From `tokens_per_megawatt`.

    Returns
    -------
    str
        A sentence for each pair of formats.
    """
    if curve.empty:
        return "This load does not run on both chips at any latency tried."
    lines = []
    for reading, part in curve.groupby("reading", sort=False):
        claimed, within_s = part["claimed"].iloc[0], part[part["possible"]]["tpot_s"]
        where = "outside the range at every latency here"
        if len(within_s):
            ends = words.rng(1e3 * within_s.min(), 1e3 * within_s.max(), "ms")
            where = f"in the range at {ends} per token"
        lines.append(f"{reading}: {claimed:g}× lies {where}.")
    return " ".join(lines)


def shown_regions(regions: pd.DataFrame, own: str) -> pd.DataFrame:
    """Some regions of every part of the world for a chart: the reader's, the cleanest, the dirtiest
    and the large ones.

    Parameters
    ----------
    regions : pandas.DataFrame
        From `by_region`.
    own : str
        Id of the region that was asked for.

    Returns
    -------
    pandas.DataFrame
        Rows of `by_region` with ``subject`` (for the colour), ``hollow`` (energy is modelled) and
        ``text``, least emissions first.
    """
    ids = regions["region"]
    large = ids.str.match("us_|eu_|ca_c|ap_northeast_1") & ~ids.str.contains("gov|_s")
    keep = large | (ids == own)
    keep.iloc[[0, -1]] = True
    rows = regions[keep]
    return rows.assign(
        subject=np.where(rows["region"] == own, "trainium3", "other"),
        hollow=True,
        region=rows["region"].str.replace("_", "-"),
        text=[
            f"{words.sig(row.kg_per_mtok)} kg ({words.rng(row.low, row.high)})"
            for row in rows.itertuples()
        ],
    )


def year(found: Mapping[str, Footprint], tokens_per_year: float) -> pd.DataFrame:
    """A year of a service on several systems: electricity, emissions by every account, water.

    Parameters
    ----------
    found : Mapping
        Footprint by the name of the system.
    tokens_per_year : float
        Output tokens [token].

    Returns
    -------
    pandas.DataFrame
        Columns in words with their units, middle values; NaN where a region has no figure.
    """
    rows = []
    for name, each in found.items():
        kwh = each.total_j * tokens_per_year / KWH_J
        kg = {
            basis: each.carbon_kg(tokens_per_year, f"grid_{basis}g_per_kwh")
            for basis in ("", "marginal_", "market_")
        }
        made = each.embodied_kg(tokens_per_year)
        rows.append(
            {
                "Chip": labels(found)[name],
                "MWh": np.median(kwh) / 1e3,
                "t CO₂e, average grid": np.median(kg[""]) / 1e3,
                "t CO₂e, marginal": np.median(kg["marginal_"]) / 1e3,
                "t CO₂e, market-based": np.median(kg["market_"]) / 1e3,
                "t CO₂e, making chips": np.median(made) / 1e3,
                "Water, m³": np.median(kwh * each.water_l_per_kwh) / 1e3,
            }
        )
    return pd.DataFrame(rows)


def training_table(
    job: workload.TrainingJob,
    systems: Sequence[str],
    n_chips: int,
    region: str,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> pd.DataFrame:
    """Energy of a training run on several systems, also those that cannot run it.

    Parameters
    ----------
    job, systems, n_chips, region, software
        As in `runs`.

    Returns
    -------
    pandas.DataFrame
        Columns in words with their units, middle values and the 80% range of the energy; why there
        is no answer.
    """
    run = _trained(job, systems, n_chips, region, software)
    answers = compare_systems.ask(run, systems)
    rows = []
    for each in answers.found.values():
        low, middle, high = uncertainty.percentiles(each.total_j * job.tokens / KWH_J / 1e3)
        rows.append(
            {
                "Chip": each.system.chip.name,
                "Days": np.median(each.chip_s) * job.tokens / n_chips / DAY_S,
                "MWh": middle,
                "low": low,
                "high": high,
                "t CO₂e, average grid": np.median(each.carbon_kg(job.tokens)) / 1e3,
                "W per chip, mean": np.median(each.facility_w),
                "Why not": "",
            }
        )
    for system, why in answers.missing.items():
        chip = hardware.system(system).chip.name
        rows.append({"Chip": chip, "Why not": why.partition(";")[0]})
    return pd.DataFrame(rows)


def other_powers(
    subject: Footprint, point: inference.ServingPoint, dtype: str, utilisation: float
) -> list[str]:
    """How the joules of a token change with the busy share and with what an idle chip draws.

    Parameters
    ----------
    subject : Footprint
        The footprint in question [-].
    point : ServingPoint
        Its operating point [-].
    dtype : str
        Format of the weights.
    utilisation : float
        Share of the time in which the chips work [-].

    Returns
    -------
    list of str
        A sentence each.
    """
    now = words.sig(float(np.median(subject.total_j)))
    other = 0.5 if utilisation > ALWAYS else 1.0
    there = np.median(serving(point, dtype, subject.region, other).total_j)
    lines = [
        f"Chips busy {words.pct(other)} of the time take **{words.sig(float(there))} J** per token "
        f"instead of {now} J."
    ]
    if utilisation < 1:
        floor_j = subject.x["energy_floor_share"] / subject.x["idle_share"]
        more_j = (floor_j - 1) * subject.parts_j["idle"] * subject.x["pue"]
        kept_up = float(np.median(subject.total_j + more_j))
        lines.append(
            "If chips without requests kept their clocks up and drew the floor, a token would take "
            f"**{words.sig(kept_up)} J**."
        )
    return lines


def two_tariffs(tariff: data.Fact, place: str) -> str:
    """Why two prices of electricity stand on two pages.

    Parameters
    ----------
    tariff : Fact
        What this page takes.
    place : str
        The region in words.

    Returns
    -------
    str
        A sentence or two.
    """
    contract = data.assumption("electricity_usd_per_kwh")
    own, usual = words.fixed(tariff.value, 4), words.fixed(contract.value, 4)
    if tariff.value == contract.value:
        return f"The price of electricity, {usual} USD/kWh, is that of the cost page too."
    return (
        f"The price of electricity is that of {place}, {own} USD/kWh. The cost page builds the "
        f"cost of owning chips on a large site's long contract, {usual} USD/kWh, wherever it is: "
        f"with that price the share of electricity in the rent would be "
        f"{words.sig(contract.value / tariff.value, 2)} times the one here."
    )


def checked(checks: pd.DataFrame) -> pd.DataFrame:
    """Published energies and powers beside what the power model gives, each with a verdict.

    Parameters
    ----------
    checks : pandas.DataFrame
        From `scaling.checks`.

    Returns
    -------
    pandas.DataFrame
        Its rows on energy with ``verdict``; shares in %.
    """
    rows = checks[(checks["kind"] == "independent") & (checks["area"] == "energy")]
    rows = rows.reset_index(drop=True)
    told = [trust.verdict(row) for row in rows.itertuples()]
    by = np.where(rows["unit"] == "share", 100.0, 1.0)
    numbers = {name: rows[name] * by for name in ("published", "predicted", "low", "high")}
    unit = rows["unit"].replace({"share": "%"})
    return rows.assign(verdict=told, unit=unit, **numbers)


def by_level(
    load: workload.ServingLoad, system: hardware.System, region: str, utilisation: float
) -> str:
    """Joules of a token at every level of software.

    Parameters
    ----------
    load : ServingLoad
        Model, lengths, limits, formats.
    system : System
        Where it runs.
    region : str
        Id of a region.
    utilisation : float
        Share of time in which the fleet works [-].

    Returns
    -------
    str
        A sentence; a level at which the load cannot be served says so.
    """
    said = []
    for level in committed.LEVELS:
        try:
            point = inference.best(load, system, software=level)
        except data.TrnError:
            said.append(f"{level.replace('_', ' ')} cannot serve it")
            continue
        found = serving(point, load.weights_dtype, region, utilisation)
        joules = words.sig(float(np.median(found.total_j)))
        said.append(f"{level.replace('_', ' ')} **{joules} J**")
    return f"By the level of the software a token takes: {', '.join(said)}."


ALWAYS = 0.95
"""Busy share above which chips count as always busy [-]."""


READINGS = {"tokens_per_s": "speed", "rated_w": "power"}
"""Draws of a footprint that a measurement on one system would replace."""

READING_ERROR = 0.05
"""A reading that comes out in the middle is taken to be right within this share [-]."""


def readings(subject: Footprint, base: Footprint) -> pd.DataFrame:
    """How far one reading, on one of two systems, would narrow the ratio of their energies.

    The reading is taken to come out in the middle of its range; the draws that agree with it within
    `READING_ERROR` are kept.

    Parameters
    ----------
    subject, base : Footprint
        The two systems, with the same draws of what they share [-].

    Returns
    -------
    pandas.DataFrame
        ``chip, reading, can_be_had`` (whether anybody rents the chip), ``low, high`` of the ratio
        of energies per token, subject over base, after the reading, and ``left``, the width of that
        range over the width now, on a logarithmic scale; the narrowest first. What has no range is
        left out.
    """
    ratio = subject.total_j / base.total_j
    low, _, high = uncertainty.percentiles(ratio)
    width = np.log(high / low)
    rows = []
    for each in (subject, base):
        for name, reading in READINGS.items():
            drawn = each.x[name]
            near = np.abs(drawn / np.median(drawn) - 1) < READING_ERROR
            if near.all():
                continue
            after_low, _, after_high = uncertainty.percentiles(ratio[near])
            rows.append(
                {
                    "chip": each.system.chip.name,
                    "reading": reading,
                    "can_be_had": not rents.unlisted(each.system.chip.id),
                    "low": after_low,
                    "high": after_high,
                    "left": float(np.log(after_high / after_low) / width),
                }
            )
    columns = ["chip", "reading", "can_be_had", "low", "high", "left"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values("left", kind="stable", ignore_index=True)


def _serving_of(
    loads: Mapping[str, workload.ServingLoad],
    region: str,
    utilisation: float,
    levels: stacks.Stacks,
    system: hardware.System,
) -> Footprint:
    """Footprint of the load that a system is given."""
    load = loads[system.id]
    point = inference.best(load, system, software=levels.level("serving", system))
    return serving(point, load.weights_dtype, region, utilisation)


def _against(dtype: str, old: str) -> str:
    """Formats of the two generations as their chips call them."""
    ours, theirs = hardware.chip("trainium3"), hardware.chip("trainium2")
    return f"{ours.native(dtype).upper()} against {theirs.native(old).upper()}"


def tokens_per_megawatt(
    load: workload.ServingLoad,
    region: str,
    utilisation: float,
    tpot_s: Iterable[float],
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> pd.DataFrame:
    """The claim of five times the tokens per megawatt, over the time allowed per token.

    Both generations in the load's format, and Trainium2 in BF16; energy is that of the bill, the
    mean power.

    Parameters
    ----------
    load : ServingLoad
        Model, lengths, formats.
    region : str
        Id of a region.
    utilisation : float
        Share of time in which the fleets work [-].
    tpot_s : iterable of float
        Longest times per token [s].
    software : str, Software or Stacks
        Level of the software on both.

    Returns
    -------
    pandas.DataFrame
        reading, tpot_s, ratio with low and high, claimed and whether the claim lies within the
        range; times within which one of the two cannot serve are left out.
    """
    claimed = float(data.table("claims").set_index("id").loc["tokens_mw_5x", "claimed"])
    own = load.weights_dtype
    rows = []
    for limit in tpot_s:
        new_load = replace(load, tpot_s=float(limit))
        for dtype in dict.fromkeys((own, "bf16")):
            old_load = replace(new_load, weights_dtype=dtype, kv_dtype=dtype)
            loads = {"trn3_gen2": new_load, "trn2_ultraserver": old_load}
            ask = partial(_serving_of, loads, region, utilisation, stacks.given(software))
            found = compare_systems.ask(ask, loads).found
            if len(found) == len(loads):
                new, old = (found[each].total_j for each in loads)
                ends = uncertainty.percentiles(old / new)
                rows.append((_against(own, dtype), float(limit), *ends))
    frame = pd.DataFrame(rows, columns=["reading", "tpot_s", "low", "ratio", "high"])
    within = (frame["low"] <= claimed) & (claimed <= frame["high"])
    return frame.assign(claimed=claimed, possible=within)
