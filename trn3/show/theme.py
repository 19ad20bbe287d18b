"""Theme: how each vendor's subjects are drawn, axes and the cleaning of values, for
`trn3.show.charts`; colours and configuration stand in `trn3.show.tokens`.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from trn3 import data
from trn3.show.tokens import DASHES, C
from trn3.show.words import rounded

Spec = dict[str, Any]


@dataclass(frozen=True)
class Style:
    """How one subject is drawn, in every chart.

    Attributes
    ----------
    token : str
        Name of its colour in `TOKENS`.
    shape : str
        Vega symbol.
    hollow : bool
        True for what is only announced.
    """

    token: str
    shape: str
    hollow: bool

    @property
    def color(self) -> str:
        """The light hex."""
        return C[self.token]

    @property
    def text(self) -> str:
        """Colour of its label: the ink where the mark's colour is too weak for text."""
        return C["ink2"] if self.token in ("trn1", "trn2", "other") else self.color

    @property
    def width(self) -> float:
        """Line width [px]."""
        return {"trn3": 3.0, "trn2": 1.5, "trn1": 1.5}.get(self.token, 1.75)


def style(subject: str) -> Style:
    """Colour, shape and weight of a chip or system, as its row of ``data/subjects.csv`` says.

    Parameters
    ----------
    subject : str
        Its id, its name, another spelling of the table, or a text that holds one as a whole word,
        such as ``"trainium3"``, ``"Trainium3 MXFP8"``, ``"Llama3-8B, B200 HGX"``; what the table
        does not know is grey.

    Returns
    -------
    Style
        The same in all reports.

    Examples
    --------
    >>> style("trn3_gen2").token, style("B200, measured").shape, style("Gaudi 3").token
    ('trn3', 'square', 'other')
    >>> style("Trainium5").token, style("Output tokens/s").token
    ('other', 'other')
    """
    row = _row(subject)
    announced = row.get("availability") == "announced"
    return Style(row.get("colour") or "other", row.get("shape") or "cross", announced)


def _row(text: str) -> dict[str, str]:
    """Row of ``data/subjects.csv`` that a text names first; empty where it names none."""
    pattern, rows = _spellings(data.DATA)
    found = pattern.search(_plain(text))
    return rows[found[0]] if found else {}


def _plain(text: str) -> str:
    return text.lower().replace("_", " ")


@lru_cache(maxsize=8)
def _spellings(folder: Path) -> tuple[re.Pattern[str], dict[str, dict[str, str]]]:
    """Every spelling of a chip or system, and the families and vendors of one colour: a pattern
    that prefers the longest, and their rows.
    """
    drawn = [row for row in data.rows("subjects") if row["kind"] in ("chip", "system")]
    rows: dict[str, dict[str, str]] = {}
    for row in drawn:
        for name in (row["id"], row["name"], *row["aliases"].split()):
            rows.setdefault(_plain(name), row)
    for column in ("family", "vendor"):
        for group in {row[column] for row in drawn} - {""}:
            looks = {(r["colour"], r["shape"]): r for r in drawn if r[column] == group}
            if len(looks) == 1:
                rows.setdefault(_plain(group), *looks.values())
    longest_first = "|".join(re.escape(name) for name in sorted(rows, key=len, reverse=True))
    return re.compile(rf"(?<![a-z0-9])(?:{longest_first})(?![a-z0-9])"), rows


def dashes(names: Sequence[str]) -> dict[str, list[int]]:
    """Dash patterns that tell chips of one colour apart: solid for the newest in the chart, then
    6-3, then 2-3.

    Parameters
    ----------
    names : sequence of str
        Series of one chart.

    Returns
    -------
    dict
        Pattern by series.

    Examples
    --------
    >>> dashes(["H100", "B200", "TPU v5p"])
    {'H100': [6, 3], 'B200': [1, 0], 'TPU v5p': [1, 0]}
    """
    by_colour: dict[str, list[str]] = {}
    for name in sorted(dict.fromkeys(names), key=lambda n: _row(n).get("since", ""), reverse=True):
        by_colour.setdefault(style(name).token, []).append(name)
    last = len(DASHES) - 1
    rank = {n: min(i, last) for series in by_colour.values() for i, n in enumerate(series)}
    return {n: DASHES[1] if style(n).hollow else DASHES[rank[n]] for n in names}


def clean(value: Any) -> Any:
    """JSON value of a cell: missing is None, floats are rounded to what a screen can show.

    Parameters
    ----------
    value : object
        From a data frame.

    Returns
    -------
    object
        None, bool, int, float or str.

    Examples
    --------
    >>> clean(float("nan")), clean(131072.0), clean(3.14159), clean(True)
    (None, 131072, 3.142, True)
    """
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, (bool, np.bool_, str)):
        return value if isinstance(value, str) else bool(value)
    if isinstance(value, (int, float, np.number)):
        number = rounded(float(value))
        if number == round(number) and abs(number) < 1e9:
            return int(number)
        return rounded(number, 4)
    return str(value)


def ticks(low: float, high: float, log: bool = False, base: int = 10) -> list[float]:
    """Round axis values inside a range.

    Parameters
    ----------
    low : float
        Low end of the axis [any].
    high : float
        High end [any].
    log : bool
        Logarithmic axis.
    base : int
        10 gives 1-3-10, 2 gives powers of two [-].

    Returns
    -------
    list of float
        Four to seven values.

    Examples
    --------
    >>> ticks(0, 7.2), ticks(30, 1200, log=True), ticks(1, 64, log=True, base=2)
    ([0, 2, 4, 6], [30, 100, 300, 1000], [1, 2, 4, 8, 16, 32, 64])
    """
    if not log:
        raw = (high - low) / 5 or 1.0
        unit = 10.0 ** math.floor(math.log10(raw))
        step = min((s * unit for s in (1, 2, 2.5, 5, 10)), key=lambda s: abs(math.log(s / raw)))
        steps = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        exact = [float(f"{i * step:.12g}") for i in steps]
        return [int(v) if v.is_integer() else v for v in exact]
    marks = (1.0, 3.0) if base == 10 and high < 1e4 * low else (1.0,)
    powers = range(
        math.floor(math.log(low, base) + 1e-9), math.ceil(math.log(high, base) - 1e-9) + 1
    )
    kept = [
        m * float(base) ** e
        for e in powers
        for m in marks
        if low * 0.999 <= m * float(base) ** e <= high * 1.001
    ]
    return [clean(t) for t in kept[:: max(1, math.ceil(len(kept) / 7))]]


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes
    ----------
    title : str
        Measure and unit, at most 32 characters; say "(log)" on a logarithmic axis.
    log : bool
        Logarithmic, for spans over 20.
    base : int
        Ticks of a logarithmic axis: 10 gives 1-3-10, 2 gives powers of two [-].
    domain : tuple of float, optional
        Ends of the axis; around the data without it.
    zero : bool
        A linear axis starts at 0.
    format : str
        d3 number format of the ticks; three digits without it, whole numbers on powers of two.
    step : float
        Distance of the ticks of a linear axis, such as 12 for months; round numbers without it.
    """

    title: str = ""
    log: bool = False
    base: int = 10
    domain: tuple[float, float] | None = None
    zero: bool = False
    format: str = ""
    step: float = 0.0

    def ends(self, values: Iterable[Any], margin: float = 1.15) -> list[float]:
        """Ends around the data; linear ones lie on ticks, logarithmic ones leave a margin.

        Parameters
        ----------
        values : iterable
            Numbers to be shown; None is passed over [unit of the axis].
        margin : float
            Factor beyond the data of a logarithmic axis [-].

        Returns
        -------
        list of float
            Low and high end [unit of the axis].
        """
        if self.domain:
            return [float(end) for end in self.domain]
        data = [v for v in values if v is not None and (not self.log or v > 0)] or [1.0, 10.0]
        low, high = min(data), max(data)
        if self.log:
            low, high = (low, high) if high > low else (low / 2, high * 2)
            return [clean(low / margin), clean(high * margin)]
        low, high = (min(low, 0.0), max(high, 0.0)) if self.zero or low == high else (low, high)
        high = high if high > low else low + 1.0
        marks = ticks(low, high)
        step = marks[1] - marks[0] if len(marks) > 1 else 1.0
        return [
            clean(round(math.floor(low / step + 1e-9) * step, 9)),
            clean(round(math.ceil(high / step - 1e-9) * step, 9)),
        ]

    def x(self, field: str, shown: Iterable[Any], margin: float = 1.15, **axis: Any) -> alt.X:
        """Altair's horizontal channel with this scale and axis.

        Parameters
        ----------
        field : str
            Column that is shown.
        shown : iterable
            Numbers that the axis must hold [unit of the axis].
        margin : float
            As in `ends` [-].
        **axis : object
            Further properties of ``altair.Axis``.

        Returns
        -------
        altair.X
            For ``encode``.

        Examples
        --------
        >>> Axis("Days", zero=True).x("days", [3, 9]).to_dict()["scale"]
        {'domain': [0, 10], 'nice': False, 'zero': False}
        """
        return alt.X(field, type="quantitative", **self._options(shown, margin, axis))

    def y(self, field: str, shown: Iterable[Any], margin: float = 1.15, **axis: Any) -> alt.Y:
        """Altair's vertical channel with this scale and axis.

        Parameters
        ----------
        field : str
            Column that is shown.
        shown : iterable
            Numbers that the axis must hold [unit of the axis].
        margin : float
            As in `ends` [-].
        **axis : object
            Further properties of ``altair.Axis``.

        Returns
        -------
        altair.Y
            For ``encode``.
        """
        return alt.Y(field, type="quantitative", **self._options(shown, margin, axis))

    def _options(self, shown: Iterable[Any], margin: float, axis: Spec) -> Spec:
        """Title, scale and axis of a channel."""
        ends = self.ends(shown, margin)
        scale = alt.Scale(domain=ends, nice=False, **self._kind())
        told: Spec = {"values": self._marks(*ends), "format": self._format()}
        return {"title": self.title or None, "scale": scale, "axis": alt.Axis(**told | axis)}

    def _kind(self) -> Spec:
        return {"type": "log"} if self.log else {"zero": False}

    def _format(self) -> str:
        """Whole numbers on powers of two, three digits elsewhere."""
        if self.format:
            return self.format
        return ",d" if self.log and self.base == 2 else ",.3~r"

    def _marks(self, low: float, high: float) -> list[float]:
        """Where the axis shows a value."""
        if not self.step:
            return ticks(low, high, self.log, self.base)
        first, last = math.ceil(low / self.step), int(high // self.step)
        return [clean(i * self.step) for i in range(first, last + 1)]

    def place(self, value: float, ends: Sequence[float]) -> float:
        """Where a value lies between the ends, 0 to 1.

        Parameters
        ----------
        value : float
            The value [unit of the axis].
        ends : sequence of float
            Low and high end [unit of the axis].

        Returns
        -------
        float
            Share of the axis [-].
        """
        low, high, value = (math.log(v) for v in (*ends, value)) if self.log else (*ends, value)
        return (value - low) / (high - low)


def apart(
    pixels: Sequence[float], gap: float = 15, top: float = 4, foot: float = 1e9
) -> list[float]:
    """Positions of labels pushed apart, moved as little as possible.

    Parameters
    ----------
    pixels : sequence of float
        Natural positions [px].
    gap : float
        Smallest distance [px].
    top, foot : float
        Ends that no label passes [px].

    Returns
    -------
    list of float
        In the order given [px].

    Examples
    --------
    >>> apart([50, 52, 100])
    [43.5, 58.5, 100.0]
    """
    order = np.argsort(pixels, kind="stable")
    groups: list[tuple[float, int]] = []  # centre, labels
    for p in np.asarray(pixels, float)[order].tolist():
        groups.append((p, 1))
        while (
            len(groups) > 1
            and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2
        ):
            (c2, n2), (c1, n1) = groups.pop(), groups.pop()
            groups.append(((c1 * n1 + c2 * n2) / (n1 + n2), n1 + n2))
    flat = [c + gap * (i - (n - 1) / 2) for c, n in groups for i in range(n)]
    for i, p in enumerate(flat):
        flat[i] = max(p, top if i == 0 else flat[i - 1] + gap)
    for i in range(len(flat) - 1, -1, -1):
        flat[i] = min(flat[i], foot if i == len(flat) - 1 else flat[i + 1] - gap)
    placed = dict(zip(order.tolist(), flat, strict=True))
    return [placed[i] for i in range(len(placed))]
