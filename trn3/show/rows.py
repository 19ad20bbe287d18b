"""Rows: dots or ranges, one below the other, with their numbers at the right."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from trn3.show import drawing
from trn3.show.drawing import COLOR, NARROW, PLAIN, Chart, tidy, tips
from trn3.show.theme import Axis, Spec, style
from trn3.show.tokens import C
from trn3.show.words import sig

OPTIONAL = ("low", "high", "group", "claim", "subject", "hollow", "text")
HEIGHT = 31
"""Of a row [px]."""


def rows(
    frame: pd.DataFrame,
    value: str,
    label: str,
    *,
    axis: Axis = PLAIN,
    unit: str = "",
    reference: float | None = None,
) -> Chart:
    """Dots or ranges by row, with a reference line and, per group, the value that somebody claimed.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per dot, in drawing order. Columns used when present: ``low``, ``high`` (80% range),
        ``group`` (bold head), ``claim`` (claimed value, a thick bar across the group), ``subject``
        (for `style`; Trainium3 without), ``hollow`` (bool: computed with something unpublished),
        ``text`` (beside the row; shown alone where the number is missing).
    value, label : str
        Columns: the number, and the row's name.
    axis : Axis
        The value axis.
    unit : str
        Unit behind the numbers.
    reference : float, optional
        Where the vertical reference line stands, for example 1 for ratios [unit of the axis].

    Returns
    -------
    Chart
        Not yet finished; the column ``row`` holds the names, after their group and a bar.

    Examples
    --------
    >>> frame = pd.DataFrame({"what": ["FP8", "BF16"], "ratio": [1.94, 1.01], "claim": 4.0})
    >>> axis = Axis("Trainium3 over Trainium2")
    >>> chart = rows(frame, "ratio", "what", axis=axis, unit="×", reference=1)
    >>> [layer.name for layer in chart.layer]
    ['unity', 'claims', 'points', 'claimed', 'values']
    >>> goal = alt.Chart(pd.DataFrame({"row": ["FP8"], "goal": [2.0]}))
    >>> chart += goal.mark_tick(color="black").encode(x="goal:Q", y="row:N")
    """
    data = _named(tidy(frame, *OPTIONAL, x=value, name=label))
    names = _with_heads(data)
    longest = max((len(name) for name in data["name"]), default=0)
    claims = data[data["claim"].notna()]
    y = _axis(names, longest)
    shown = data[["x", "low", "high", "claim"]].stack()
    x = axis.x("x", [*shown, reference], grid=True, domain=False)
    layers: list[Any] = [
        _claims(claims, y),
        _ranges(data, y),
        _dots(data, x, y, axis.title or value),
        _claim_labels(claims, unit, y),
        _numbers(data, unit, axis, y),
    ]
    if reference is not None:
        layers.insert(0, drawing.across("x", reference, "unity"))
    told = ["group", label, value, "low", "high", "claim"]
    if data["x"].isna().any():
        told.append("text")
    meta = {"numbers": drawing.numbers(frame, told), "indent": _room(longest) + 5}
    height = HEIGHT * (len(names) + 1)
    return drawing.layered(layers, height, meta)


def _named(data: pd.DataFrame) -> pd.DataFrame:
    """Data with a name for each row that no other has: "group|name" in groups."""
    data["subject"] = data["subject"].fillna("trainium3")
    data["color"] = [style(subject).color for subject in data["subject"]]
    data["group"] = data["group"].fillna("")
    before = data["group"].map(lambda group: f"{group}|" if group else "")
    data["row"] = drawing.distinct(before + data["name"])
    return data


def _with_heads(data: pd.DataFrame) -> list[str]:
    """Names of the rows from the top, each group's after its head."""
    names: list[str] = []
    for row in data.itertuples():
        if row.group and row.group not in names:
            names.append(row.group)
        names.append(row.row)
    return names


def _axis(names: Sequence[str], longest: int) -> alt.Y:
    """One row per name, with a guide to its number; a group's head is bold."""
    scale = alt.Scale(
        type="band",
        domain=[*names],
        paddingOuter=0.5,
        align=0.7,
    )
    axis = alt.Axis(
        domain=False,
        ticks=False,
        grid=True,
        gridDash=[1, 4],
        gridColor=C["axis"],
        labelExpr="split(datum.value, '|')[1] || datum.value",
        labelAlign="left",
        labelPadding=_room(longest),
        labelLimit=330,
        labelOverlap=False,
    )
    if any("|" in name for name in names):
        head = "indexof(datum.value, '|') < 0"
        bold, none = alt.value(600), alt.value(0)
        axis.labelFontWeight = alt.condition(head, bold, alt.value(400))
        axis.gridOpacity = alt.condition(head, none, alt.value(1))
    return alt.Y("row:N", title=None, scale=scale, axis=axis)


def _room(longest: int) -> int:
    """For the names left of a plot [px]; digits and capitals of 12 px take about 7."""
    return min(290, round(6.8 * longest) + 6)


def _claims(claims: pd.DataFrame, y: alt.Y) -> alt.Chart:
    """What was claimed: a tick as high as a row, so that those of a group make one bar."""
    data = claims[["claim", "row"]]
    ticks = alt.Chart(data, name="claims").mark_tick(
        color=C["ink"],
        thickness=3,
        size=HEIGHT + 2,
    )
    return ticks.encode(x=alt.X("claim:Q"), y=y)


def _claim_labels(claims: pd.DataFrame, unit: str, y: alt.Y) -> alt.Chart:
    """The number that was claimed, once above each bar."""
    facts = claims[["group", "claim"]]
    first = claims[(facts != facts.shift()).any(axis="columns")]
    alone = first["group"] == ""
    told = pd.DataFrame(
        {
            "claim": first["claim"],
            "row": first["group"].mask(alone, first["row"]),
            "dy": alone.map({True: -20, False: 4}),
            "text": [f"claim {claim:,.3g}{unit}" for claim in first["claim"]],
        }
    )
    text = alt.Chart(told, name="claimed").mark_text(
        align="center",
        color=C["ink2"],
        dy=alt.expr("datum.dy"),
    )
    return text.encode(x=alt.X("claim:Q"), y=y, text=alt.Text("text:N"))


def _ranges(data: pd.DataFrame, y: alt.Y) -> alt.Chart:
    """The 80% range of each number."""
    known = data.dropna(subset=["x", "low"])
    bars = alt.Chart(known[["low", "high", "row", "color"]], name="ranges")
    return bars.mark_rule(style="range").encode(
        x=alt.X("low:Q"),
        x2=alt.X2("high:Q"),
        y=y,
        color=COLOR,
    )


def _dots(data: pd.DataFrame, x: alt.X, y: alt.Y, title: str) -> alt.Chart:
    """The numbers, as marks of their subjects."""
    known = data.dropna(subset=["x"])
    ends = [end for end in ("low", "high", "claim") if known[end].notna().any()]
    facts = ["name", "x", *ends, "row", "subject", "hollow"]
    told = tips(name="what", x=title, **dict(zip(ends, ends, strict=True)))
    return drawing.marks(known[facts], x, y, told)


def _numbers(data: pd.DataFrame, unit: str, axis: Axis, y: alt.Y) -> alt.LayerChart:
    """Numbers in a column right of the plot; on a phone above their rows, beside the names."""
    known = data["x"].notna()
    told = pd.DataFrame(
        {
            "row": data["row"],
            "text": [_said(row, unit, axis) for row in data.to_dict("records")],
            "weight": known.map({True: 600, False: 400}),
            "color": known.map({True: C["ink"], False: C["ink2"]}),
        }
    )
    at = alt.Chart(told).encode(x=alt.XValue("width"), y=y, text=alt.Text("text:N"))
    return drawing.haloed(
        at,
        "values",
        align=alt.expr(f"{NARROW} ? 'right' : 'left'"),
        dx=alt.expr(f"{NARROW} ? 0 : 12"),
        dy=alt.expr(f"{NARROW} ? -14 : 0"),
    )


def _said(row: Spec, unit: str, axis: Axis) -> str:
    """A row's number with its range, or why there is none."""
    if row["text"]:
        return str(row["text"])
    if row["x"] is None:
        return "not published"
    times = 1
    if axis.format.endswith("%"):
        times, unit = 100, "%"
    middle = times * row["x"]
    if row["low"] is None or row["low"] == row["high"]:
        return sig(middle, 3) + unit
    low, high = times * row["low"], times * row["high"]
    to = " to " if low < 0 else "–"
    return f"{sig(middle)}{unit} ({sig(low)}{to}{sig(high)})"
