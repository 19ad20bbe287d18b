"""Energy, water and carbon of a training run or a serving fleet, by cause and with ranges.

The formulas of `energy` over draws of their uncertain inputs: chip power, floor, joules per byte,
hosts, and the speed itself. Everything is counted per token; a run or a month of serving is a
number of tokens.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from trn3 import (
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
from trn3.fit import serving_fit
from trn3.study import claims as claim_readings
from trn3.study import compare as compare_systems
from trn3.study import rents
from trn3.units import KWH_J, MEGA, Array, require

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
    load: workload.ServingLoad, systems: Iterable[str], region: str, utilisation: float
) -> tuple[dict[str, Footprint], dict[str, str]]:
    """Footprint of one load on several systems, each at its best point within the limits.

    Parameters
    ----------
    load : ServingLoad
        Model, lengths, limits, formats.
    systems : iterable of str
        Ids of systems or chips.
    region : str
        Id of a region.
    utilisation : float
        Share of time in which the fleets work [-].

    Returns
    -------
    tuple of dict
        Footprint by the name of the system, and why the others have none.

    Raises
    ------
    TrnError
        If no system serves the load.
    """
    answers = compare_systems.ask(
        lambda each: serving(inference.best(load, each), load.weights_dtype, region, utilisation),
        systems,
    )
    return answers.some().named()


def runs(
    job: workload.TrainingJob, systems: Iterable[str], n_chips: int, region: str
) -> tuple[dict[str, Footprint], dict[str, str]]:
    """Footprint of one training run on several systems, each with its fastest layout.

    Parameters
    ----------
    job : TrainingJob
        Model, tokens, sequence, batch, format.
    systems : iterable of str
        Ids of systems or chips.
    n_chips : int
        Chips of each cluster [-].
    region : str
        Id of a region.

    Returns
    -------
    tuple of dict
        Footprint by the name of the system, and why the others have none.

    Raises
    ------
    TrnError
        If no system can run the job.
    """
    answers = compare_systems.ask(
        lambda each: training_run(training.estimate(job, hardware.Cluster(each, n_chips)), region),
        systems,
    )
    return answers.some().named()


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
    system: hardware.System,
) -> Footprint:
    """Footprint of the load that a system is given."""
    load = loads[system.id]
    return serving(inference.best(load, system), load.weights_dtype, region, utilisation)


def tokens_per_megawatt(
    load: workload.ServingLoad, region: str, utilisation: float, tpot_s: Iterable[float]
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
            pair = {"trn3_gen2": new_load, "trn2_ultraserver": old_load}
            ask = partial(_serving_of, pair, region, utilisation)
            found = compare_systems.ask(ask, pair).found
            if len(found) == len(pair):
                new, old = (found[each].total_j for each in pair)
                ends = uncertainty.percentiles(old / new)
                rows.append((f"{own.upper()} against {dtype.upper()}", float(limit), *ends))
    frame = pd.DataFrame(rows, columns=["reading", "tpot_s", "low", "ratio", "high"])
    within = (frame["low"] <= claimed) & (claimed <= frame["high"])
    return frame.assign(claimed=claimed, possible=within)
