"""Data sheets of several chips side by side, and their rooflines.

>>> from trn3 import hardware
>>> chips = [hardware.chip(name) for name in ("trainium3", "trainium2")]
>>> both = sheet(chips, ["bf16", "fp4"])
>>> round(float(both.loc["Trainium3", "bf16"] / both.loc["Trainium2", "bf16"]), 3)
1.006
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from trn3 import data, hardware, roofline, serving_step
from trn3.units import TERA, Array
from trn3.workload import ModelShape

INTENSITIES = 2.0 ** np.arange(17)
"""FLOP per byte at which a roofline is drawn, beside its ridges."""
MEASURES = ("hbm_bytes_per_s", "hbm_bytes", "scale_up_bytes_per_s", "scale_out_bytes_per_s")
"""Columns of a sheet beside the peaks: properties of `trn3.hardware.Chip`."""


def sheet(chips: Iterable[hardware.Chip], dtypes: Iterable[str]) -> pd.DataFrame:
    """What the data sheets say.

    Parameters
    ----------
    chips : iterable of Chip
        One row each.
    dtypes : iterable of str
        Formats, one column of dense peaks each.

    Returns
    -------
    pandas.DataFrame
        Index ``chip`` (name); peaks by format [FLOP/s], NaN where a chip has no such format;
        ``hbm_bytes_per_s``, ``hbm_bytes``, and links in the system and beyond it, one way per chip,
        ``scale_up_bytes_per_s`` and ``scale_out_bytes_per_s`` [B/s], [B].

    Examples
    --------
    H100 has no 4-bit arithmetic:

    >>> bool(np.isnan(sheet([hardware.chip("h100")], ["fp4"]).loc["H100 SXM", "fp4"]))
    True
    """
    formats = list(dtypes)
    rows = {}
    for chip in chips:
        peaks = {d: chip.peak(d) for d in formats if serving_step.has(chip, d)}
        rows[chip.name] = peaks | {measure: getattr(chip, measure) for measure in MEASURES}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.reindex(columns=[*formats, *MEASURES]).astype(float).rename_axis("chip")


def rooflines(chips: Iterable[hardware.Chip], dtype: str) -> pd.DataFrame:
    """Attainable rate against arithmetic intensity.

    Parameters
    ----------
    chips : iterable of Chip
        Those that have the format.
    dtype : str
        The format.

    Returns
    -------
    pandas.DataFrame
        ``chip`` (name), ``intensity`` [FLOP/byte], ``tflops`` at the peak bandwidth and
        ``sustained`` at what the data movers carry [TFLOP/s].

    Examples
    --------
    >>> line = rooflines([hardware.chip("h100")], "bf16")
    >>> float(line["tflops"].max())
    989.0
    """
    parts = []
    for chip in chips:
        peak, widths = chip.peak(dtype), (chip.hbm_bytes_per_s, chip.hbm_sustained_bytes_per_s)
        ridges = [roofline.ridge(peak, width) for width in widths]
        along = np.unique([*INTENSITIES, *ridges])
        rates = [roofline.attainable_flops_per_s(along, peak, width) / TERA for width in widths]
        line = {"intensity": along, "tflops": rates[0], "sustained": rates[1]}
        parts.append(pd.DataFrame({"chip": chip.name, **line}))
    columns = ["chip", "intensity", "tflops", "sustained"]
    return pd.concat([pd.DataFrame(columns=columns), *parts], ignore_index=True)


def decode_intensity(
    model: ModelShape, chip: hardware.Chip, dtype: str, users: Array, context: float
) -> Array:
    r"""Operations per byte of memory traffic of a decode step on one chip.

    .. math:: I = \frac{B (2 N + F_{attention})}{b N_{read} + B\, b_{kv}}

    Parameters
    ----------
    model : ModelShape
        The model.
    chip : Chip
        How many experts the users of a step share is a constant of its family; nothing else here is
        fitted.
    dtype : str
        Format of weights and caches; 16-bit caches with 16-bit weights.
    users : float or array
        B, who are served together [-].
    context : float
        Tokens of cache that a step reads, per user [-].

    Returns
    -------
    float or array
        Intensity [FLOP/byte].

    Notes
    -----
    Spread over several chips operations and bytes are shared alike, so it stays the same.

    Examples
    --------
    One user of a dense model in 8 bits: two operations per byte of weights, while caches are small.

    >>> from trn3 import workload
    >>> llama, h100 = workload.model("llama3_3_70b"), hardware.chip("h100")
    >>> round(float(decode_intensity(llama, h100, "fp8", 1.0, 1.0)), 1)
    2.0
    """
    width = serving_step.dtype_bytes(dtype)
    work = serving_step.Work(
        users,
        input_tokens=1.0,
        output_tokens=2.0 * context,  # with so long an answer prompts do not count
        weight_bytes=width,
        kv_bytes=np.maximum(width, 1.0),  # engines keep no caches below 8 bits
        bucket_batch=users,
        bucket_context=context,
    )
    device = serving_step.device(hardware.system(chip.usual_system), dtype)
    alone, shares = serving_step.Layouts(1.0), serving_step.constants(chip)
    behind = serving_step.traffic(model, device, alone, shares, work)
    return behind.flops / behind.hbm_bytes


def best_products(chips: Iterable[hardware.Chip], dtypes: Sequence[str]) -> pd.DataFrame:
    """The fastest matrix product that somebody timed on each chip, beside its peak.

    Parameters
    ----------
    chips : iterable of Chip
        Which.
    dtypes : sequence of str
        Formats, one row each where something was timed.

    Returns
    -------
    pandas.DataFrame
        ``chip`` (name), ``dtype``, ``flops_per_s`` [FLOP/s], its ``share`` of the dense peak [-],
        ``status``, ``source_id``, ``note``, and ``timed_on``, the part of a chip that was timed, in
        words, empty where the whole was.

    Examples
    --------
    Trainium3: four times the 154.3 TFLOP/s of one core pair, of a peak of 671.

    >>> best = best_products([hardware.chip("trainium3")], ["bf16"]).iloc[0]
    >>> float(best["flops_per_s"].round(-9)) / 1e12, float(best["share"].round(2))
    (617.2, 0.92)
    >>> best["timed_on"]
    ' (timed on one core pair of four, scaled up)'
    """
    rows = []
    for chip in chips:
        for dtype in dtypes:
            fact = data.maybe(chip.id, "gemm_flops_per_s", dtype)
            if fact is None or not serving_step.has(chip, dtype):
                continue
            share = fact.value / chip.peak(dtype)
            part = re.search(r"timed on one [a-z ]+", fact.note or "")
            timed_on = f" ({part[0].strip()}, scaled up)" if part else ""
            row = [chip.name, dtype, fact.value, share, fact.status, fact.source_id, fact.note]
            rows.append([*row, timed_on])
    columns = ["chip", "dtype", "flops_per_s", "share", "status", "source_id", "note", "timed_on"]
    return pd.DataFrame(rows, columns=columns)
