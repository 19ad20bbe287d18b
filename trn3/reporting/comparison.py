"""Two chips, two systems or the results of two reports side by side."""

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from trn3 import data, hardware


def beside(a: str, b: str) -> pd.DataFrame:
    """Every number of both, those that they share first, with the ratio of the second to the first.

    Parameters
    ----------
    a, b : str
        Ids of chips or systems, or paths of results files.

    Returns
    -------
    pandas.DataFrame
        One row per quantity.

    Raises
    ------
    TrnError
        An id is unknown or a file holds no results.

    Examples
    --------
    >>> beside("trainium2", "trainium3").query("`` == 'fp8 work, peak'")["ratio"].item()
    '1.938'
    """
    one, two = (_results(text) if text.endswith(".json") else _facts(text) for text in (a, b))
    lines = []
    for name in sorted(one | two, key=lambda n: (n in one) + (n in two), reverse=True):
        unit, scale = (one.get(name) or two[name])[1:3]
        rows = [of.get(name, (math.nan, "", 1.0, "")) for of in (one, two)]
        first, second = (
            row[0] / scale if isinstance(row[0], int | float) else math.nan for row in rows
        )
        ratio = f"{second / first:.4g}" if first and not math.isnan(second / first) else ""
        lines.append((name, unit, _shown(first, rows[0][3]), _shown(second, rows[1][3]), ratio))
    return pd.DataFrame(lines, columns=["", "unit", a, b, "ratio"])


def _results(path: str) -> dict[str, tuple[Any, ...]]:
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))["headline"]
        return {r["name"]: (r["value"], r["unit"] or "", 1.0, r.get("status") or "") for r in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = (
            error.strerror if isinstance(error, OSError) else ""
        ) or "these are no results of a report"
        raise data.DataError(f"{path}: cannot be read ({why})") from None


def _facts(text: str) -> dict[str, tuple[Any, ...]]:
    found, work = [], {}
    for kind in ("chip", "system"):
        with contextlib.suppress(data.UnknownId):
            found += data.facts(data.resolve(kind, text))
    for dtype in ("fp8", "fp4"):  # what a format runs as: FP8 work is MXFP8 on Trainium3
        with contextlib.suppress(data.TrnError):
            chip = hardware.chip(text)
            fact = chip.fact("peak_flops_per_s", chip.native(dtype))
            work[f"{dtype} work, peak"] = (fact.value, fact.shown_unit, fact.scale, fact.status)
    found = [
        f for f in found or data.facts(data.resolve("chip", text)) if f.use or math.isnan(f.value)
    ]
    told = {
        " ".join(f"{f.quantity} {f.dtype} {f.basis}".split()): f
        for f in sorted(found, key=lambda f: f.use)
    }
    return work | {name: (f.value, f.shown_unit, f.scale, f.status) for name, f in told.items()}


def _shown(value: float, status: str) -> str:
    if math.isnan(value):
        return {"undisclosed": "not published", "unsupported": "not supported"}.get(status, "-")
    return f"{value:.4g}" + f" ({status})" * (status in ("assumed", "derived", "reported"))
