"""Chips, systems and clusters as records, built from ``data/subjects.csv``, ``specs.csv`` and
``systems.csv``.

Adding a chip or a system means adding rows; nothing in this module names one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trn3 import data
from trn3.units import GIGA, MEGA

if TYPE_CHECKING:
    import pandas as pd

_STAND_INS = {
    "fp8": ("mxfp8",),
    "fp4": ("nvfp4", "mxfp4"),
    "mxfp8": ("fp8",),
    "bf16": ("fp16",),
    "fp16": ("bf16",),
}
"""The formats of the same width that serve where a chip lacks the asked one, in the order of
preference.
"""


class UnsupportedDtype(data.TrnError):
    """The chip has no such number format; names those that it has."""


@dataclass(frozen=True, eq=False)
class Chip:
    """One accelerator.

    Attributes
    ----------
    id, name, vendor, family, generation : str
        Who it is; `family` groups generations of one line.
    announced : bool
        True when it cannot be had yet; its numbers are then derived from announcements.
    peak_flops_per_s : dict of str to float
        Dense peak by number format [FLOP/s].
    hbm_bytes : float
        Memory that the driver or runtime reports, not the maker's rounded figure [B].
    hbm_bytes_per_s : float
        Peak memory bandwidth [B/s].
    hbm_sustained_bytes_per_s : float
        What the chip's own engines can move; the peak where no lower limit is published [B/s].
    sram_bytes : float
        On-chip memory that software manages, or the last cache; NaN where unknown [B].
    scale_up_bytes_per_s : float
        To its peers in the system, one way [B/s].
    scale_out_bytes_per_s : float
        To the network, one way [B/s].
    power_w : numpy.ndarray
        Low, middle, high at full load; NaN where nothing is known [W].
    n_cores : float
        Cores that share the work (NeuronCores, SMs, CUs, TensorCores); NaN where unknown [-].
    tile : tuple of int
        Rows, columns and depth of the matrix-multiply tile [-].
    usual_system : str
        The system in which it is rented.
    compiled : bool
        Whether its serving engine compiles graphs for fixed shapes, and prefills one prompt at a
        time.
    widens_4bit : bool
        Whether its serving engines widen 4-bit weights as they read them, where the chip does not
        compute in 4 bits.
    n_ranks : float
        Tensor-parallel ranks of a chip in serving; 1 where nothing else is known [-].
    """

    id: str
    name: str
    vendor: str
    family: str
    generation: str
    announced: bool
    peak_flops_per_s: dict[str, float]
    hbm_bytes: float
    hbm_bytes_per_s: float
    hbm_sustained_bytes_per_s: float
    sram_bytes: float
    scale_up_bytes_per_s: float
    scale_out_bytes_per_s: float
    power_w: np.ndarray
    n_cores: float
    tile: tuple[int, int, int]
    usual_system: str
    compiled: bool
    widens_4bit: bool
    n_ranks: float

    @property
    def cores(self) -> str:
        """Family of its cores: those of Inferentia2 are Trainium1's [-]."""
        return self.family.replace("inferentia", "trainium")

    def native(self, dtype: str) -> str:
        """The format of the same width that this chip runs: ``fp8`` is ``mxfp8`` on Trainium3.

        The fastest of them, the asked one where they are equally fast: AWS's engine, too, hands
        checkpoints in plain FP8 to the kernels for MXFP8 on Trainium3.

        Parameters
        ----------
        dtype : str
            The asked format.

        Returns
        -------
        str
            A key of `peak_flops_per_s`.

        Raises
        ------
        UnsupportedDtype
            When the chip has none of this width; names the formats that it has.
        """
        known = self.peak_flops_per_s
        options = [d for d in (dtype, *_STAND_INS.get(dtype, ())) if d in known]
        if not options:
            raise UnsupportedDtype(f"{self.name} has no {dtype!r}; it has {', '.join(known)}")
        return max(options, key=lambda d: known[d])

    def peak(self, dtype: str) -> float:
        """Dense peak in a format, or in the chip's own format of the same width.

        Parameters
        ----------
        dtype : str
            The asked format.

        Returns
        -------
        float
            Peak rate [FLOP/s].

        Raises
        ------
        UnsupportedDtype
            When the chip has none of this width.

        Examples
        --------
        >>> chip("trainium3").peak("fp8") / 1e12
        2517.0
        """
        return self.peak_flops_per_s[self.native(dtype)]

    def fact(self, quantity: str, dtype: str = "") -> data.Fact:
        """The table's row behind a number of this chip.

        Parameters
        ----------
        quantity : str
            Such as ``hbm_bytes``.
        dtype : str
            The number format, for peaks.

        Returns
        -------
        Fact
            With range, status and source.
        """
        return data.fact(self.id, quantity, dtype)


@dataclass(frozen=True)
class Tier:
    """One level of the network, seen from one chip.

    Attributes
    ----------
    name : str
        Such as board, rack, nvlink or scale_out.
    n_chips : float
        Size of the group that this level joins; infinite for the last one [-].
    bytes_per_s : float
        Through the links of this level, one way per chip, nominal [B/s].
    latency_s : float
        Per message step [s].
    """

    name: str
    n_chips: float
    bytes_per_s: float
    latency_s: float


@dataclass(frozen=True, eq=False)
class System:
    """A server, UltraServer, rack or pod: chips that share the fast links.

    Attributes
    ----------
    id, name : str
        Who it is.
    chip : Chip
        Its accelerator.
    n_chips : int
        How many [-].
    tiers : tuple of Tier
        Levels of the network, inner to outer; the last is the scale-out network.
    power_w : numpy.ndarray
        The whole system at full load: low, middle, high; NaN where nothing is known [W].
    n_vcpus : float
        Host processors; NaN where unknown [-].
    host_bytes : float
        Host memory; NaN where unknown [B].
    topology, cooling : str
        In words; empty where unknown.
    axis_collectives : bool
        Whether its collectives run along the axes of a torus, rather than through switches or a
        mesh.
    """

    id: str
    name: str
    chip: Chip
    n_chips: int
    tiers: tuple[Tier, ...]
    power_w: np.ndarray
    n_vcpus: float
    host_bytes: float
    topology: str
    cooling: str
    axis_collectives: bool


@dataclass(frozen=True, eq=False)
class Cluster:
    """A number of chips of one system, which may be more or fewer than one system holds.

    Attributes
    ----------
    system : System
        The building block.
    n_chips : int
        How many chips [-].
    """

    system: System
    n_chips: int

    def __post_init__(self) -> None:
        if not (isinstance(self.n_chips, int | np.integer) and self.n_chips >= 1):
            raise data.TrnError(
                f"n_chips = {self.n_chips!r} [chips] must be a whole number of at least 1"
            )

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The levels of the network that this many chips cross, inner to outer."""
        inner = [t for t in self.system.tiers if t.n_chips < self.n_chips]
        return (*inner, self.system.tiers[len(inner)])

    @property
    def chip(self) -> Chip:
        """The accelerator of the system."""
        return self.system.chip


def _number(subject: str, quantity: str, default: float = math.nan, basis: str = "") -> float:
    found = data.maybe(subject, quantity, basis=basis)
    return default if found is None else found.value


def _numbers(subject: str, *quantities: str) -> dict[str, Any]:
    return {q: _number(subject, q) for q in quantities}


def _range(subject: str, quantity: str) -> np.ndarray:
    found = data.maybe(subject, quantity)
    return np.full(3, math.nan) if found is None else found.range


@lru_cache(maxsize=8)
def _subjects(folder: Path, kind: str) -> dict[str, dict]:
    return {r["id"]: r for r in data._rows(folder, "subjects") if r["kind"] == kind}


@lru_cache(maxsize=256)
def _chip(folder: Path, key: str) -> Chip:
    row = _subjects(folder, "chip")[key]
    peaks = {
        f.dtype: f.value
        for f in data.facts(key)
        if f.use and f.quantity == "peak_flops_per_s" and not f.basis
    }
    bandwidth = data.fact(key, "hbm_bytes_per_s").value
    tile = tuple(int(_number(key, f"tile_{axis}", 128)) for axis in "mnk")
    return Chip(
        **{k: row[k] for k in ("id", "name", "vendor", "family", "generation", "usual_system")},
        announced=row["availability"] == "announced",
        peak_flops_per_s={d: v for d, v in peaks.items() if not math.isnan(v)},
        hbm_bytes=data.fact(key, "hbm_bytes").value,
        hbm_bytes_per_s=bandwidth,
        hbm_sustained_bytes_per_s=min(
            bandwidth, _number(key, "hbm_sustained_bytes_per_s", bandwidth)
        ),
        power_w=_range(key, "power_w"),
        **_numbers(key, "sram_bytes", "scale_up_bytes_per_s", "scale_out_bytes_per_s", "n_cores"),
        tile=(tile[0], tile[1], tile[2]),
        compiled=row["compiled"] == "yes",
        widens_4bit=row["widens_4bit"] == "yes",
        n_ranks=_number(key, "n_ranks", 1.0),
    )


def _tiers(key: str) -> tuple[Tier, ...]:
    rates = [f for f in data.facts(key) if f.use and f.quantity == "tier_bytes_per_s"]
    levels = [
        Tier(
            f.basis,
            _number(key, "tier_chips", math.inf, f.basis),
            f.value,
            data.fact(key, "tier_latency_s", "", f.basis).value,
        )
        for f in rates
    ]
    return tuple(sorted(levels, key=lambda t: t.n_chips))


@lru_cache(maxsize=256)
def _system(folder: Path, key: str) -> System:
    row = _subjects(folder, "system")[key]
    return System(
        **{k: row[k] for k in ("id", "name", "topology", "cooling")},
        chip=_chip(folder, row["chip"]),
        n_chips=int(data.fact(key, "n_chips").value),
        tiers=_tiers(key),
        power_w=_range(key, "power_w"),
        **_numbers(key, "n_vcpus", "host_bytes"),
        axis_collectives=row["axis_collectives"] == "yes",
    )


def chip(name: str) -> Chip:
    """A chip by its id, in any case, or by an alias such as ``H100`` or ``trn3``.

    Parameters
    ----------
    name : str
        What a person types.

    Returns
    -------
    Chip
        The record.

    Raises
    ------
    UnknownId
        Suggests the nearest ids.

    Examples
    --------
    >>> chip("H100").hbm_bytes_per_s / 1e12
    3.35
    """
    return _chip(data.DATA, data.resolve("chip", name))


def system(name: str) -> System:
    """A system by its id, or the usual system of a chip.

    Parameters
    ----------
    name : str
        A system or a chip.

    Returns
    -------
    System
        The record.

    Raises
    ------
    UnknownId
        Suggests the nearest ids.

    Examples
    --------
    >>> system("trainium3").id, system("trn3-gen2").n_chips
    ('trn3_gen2', 144)
    """
    try:
        key = data.resolve("system", name)
    except data.UnknownId:
        try:
            key = chip(name).usual_system
        except data.UnknownId:
            key = ""
        if not key:
            raise
    return _system(data.DATA, key)


def chips() -> list[Chip]:
    """All chips, by id.

    Returns
    -------
    list of Chip
        Announced ones too.
    """
    return [_chip(data.DATA, i) for i in data.ids("chip")]


def systems() -> list[System]:
    """All systems, by id.

    Returns
    -------
    list of System
        Announced ones too.
    """
    return [_system(data.DATA, i) for i in data.ids("system")]


def measured_products(name: str) -> pd.DataFrame:
    r"""Matrix products that others timed on a chip, beside its data sheet.

    .. math:: share = \frac{2 m n k}{t \, s \, P}

    Parameters
    ----------
    name : str
        A chip.

    Returns
    -------
    pandas.DataFrame
        Rows of ``data/gemm_measured.csv``: row_id, m, n, k, dtype, chip_share s [-],
        ``time_s`` t [s], ``flops_per_s`` and ``hbm_bytes_per_s`` of the part that ran [FLOP/s],
        [B/s], ``peak_share`` of the dense peak P, ``hbm_share`` of the peak bandwidth [-],
        source_id. Empty where nothing was timed.

    Raises
    ------
    UnknownId
        Suggests the nearest chips.

    Notes
    -----
    The part is a core pair of four on Trainium3, a chiplet of two on TPU v7. That a whole chip
    does as many times more assumes that its memory banks and its power allow all parts at once.
    Shapes are as executed; the library fills m and n up to 2,048 and k up to 1,024, so a product of
    16 rows costs what 2,048 rows cost.

    Examples
    --------
    The best shape, 2,048 x 8,192 x 28,672, takes 6,234.1 us on a quarter of a chip:
    2 x 2,048 x 8,192 x 28,672 / 6,234.1 us = 154.3 TFLOP/s of 671 / 4 = 167.75.

    >>> best = measured_products("trainium3").set_index("row_id").loc["G029"]
    >>> round(float(best["flops_per_s"]) / 1e12, 1), round(float(best["peak_share"]), 2)
    (154.3, 0.92)

    References
    ----------
    SemiAnalysis 2026, InferenceX, OperatorX hardware accounting (source inferencex_trainium3).
    """
    of = chip(name)
    rows = data.table("gemm_measured")
    rows = rows[rows["chip"] == of.id].reset_index(drop=True)
    seconds, share = rows["time_us"] / MEGA, rows["chip_share"]
    rate = 2 * rows["m"] * rows["n"] * rows["k"] / seconds
    traffic = rows["hbm_gb_per_s"] * GIGA
    peaks = rows["dtype"].map(of.peak)
    shape = ["row_id", "m", "n", "k", "smallest_m", "dtype", "chip_share", "source_id"]
    return rows[shape].assign(
        time_s=seconds,
        flops_per_s=rate,
        hbm_bytes_per_s=traffic,
        peak_share=rate / (share * peaks),
        hbm_share=traffic / (share * of.hbm_bytes_per_s),
    )
