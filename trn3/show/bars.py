"""Bars: parts of a whole, and what one input at a time does to an answer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import pandas as pd

from trn3.show import drawing
from trn3.show.drawing import PLAIN, Chart, Slider, tidy, tips
from trn3.show.theme import Axis
from trn3.show.tokens import PARTS, C
from trn3.show.words import rounded, sig

BELOW = 46
"""From the top of a row to where a whisker lies, below the bar [px]."""


def stacks(
    frame: pd.DataFrame,
    row: str,
    part: str,
    value: str,
    *,
    axis: Axis = PLAIN,
    unit: str = "",
    totals: pd.DataFrame | None = None,
) -> Chart:
    """Horizontal stacked bars: parts of a whole in a fixed order, with the total and its range.

    Parameters
    ----------
    frame : pandas.DataFrame
        One line per row and part, parts in the order math, memory, network, idle or waiting,
        overhead (five at most).
    row, part, value : str
        Columns.
    axis : Axis
        The value axis; it starts at 0.
    unit : str
        Unit behind the total.
    totals : pandas.DataFrame, optional
        Columns `row`, ``low``, ``high``: the 80% range of the total, drawn as a whisker below the
        bar.

    Returns
    -------
    Chart
        Not yet finished.

    Raises
    ------
    ValueError
        With more parts than can be told apart.

    Examples
    --------
    >>> frame = pd.DataFrame({"chip": "B200", "part": ["Math", "HBM"], "joules": [0.6, 0.5]})
    >>> [layer.name for layer in stacks(frame, "chip", "part", "joules", unit=" J").layer]
    ['bars', 'names', 'totals']
    """
    data = tidy(frame, row=row, part=part, value=value)
    parts = data["part"].unique().tolist()
    if len(parts) > len(PARTS):
        raise ValueError(
            f"parts: {len(parts)} given, {len(PARTS)} can be told apart; "
            "merge the smallest into overhead"
        )
    whole = data.groupby("row", sort=False)["value"].sum().reset_index()
    whole["text"] = [sig(total) + unit for total in whole["value"]]
    spans = _spans(whole, totals, row)

    y = drawing.by_row(whole["row"].tolist())
    most = max([*whole["value"], *spans["high"]], default=1.0)
    x = replace(axis, zero=True).x(
        "value",
        [0, 1.08 * most],
        grid=True,
        domain=False,
    )
    layers = [
        _parts(data, parts, x, y, axis.title or value),
        *_whiskers(spans, y),
        *_names_and_totals(whole, y),
    ]
    key = [("bar", name, token) for name, token in zip(parts, PARTS, strict=False)]
    if len(spans):
        key.append(("whisker", "80% range of the total", "ink"))
    meta = {"key": key, "numbers": drawing.numbers(frame, [row, part, value])}
    height = 58 * len(whole) + 12
    return drawing.layered(layers, height, meta)


def _spans(whole: pd.DataFrame, totals: pd.DataFrame | None, row: str) -> pd.DataFrame:
    """Ends of the range of each total, beside the total."""
    if totals is None:
        return whole.iloc[:0].assign(low=[], high=[])
    known = tidy(totals, "low", "high", row=row).dropna(subset=["low"])
    return known.merge(whole, on="row")


def _parts(
    data: pd.DataFrame,
    parts: Sequence[str],
    x: alt.X,
    y: alt.Y,
    title: str,
) -> alt.Chart:
    """The stacked bars, parts in the order given."""
    colors = alt.Scale(domain=[*parts], range=[C[token] for token in PARTS])
    drawn = data.assign(order=data["part"].map(parts.index))
    drawn = drawn[drawn["value"].fillna(0) > 0]
    return (
        alt.Chart(drawn, name="bars")
        .mark_bar(style="part", size=20)
        .encode(
            x=x,
            y=y,
            fill=alt.Fill("part:N", scale=colors),
            order=alt.Order("order:Q"),
            tooltip=tips(row="row", part="part", value=title),
        )
    )


def _whiskers(spans: pd.DataFrame, y: alt.Y) -> list[alt.Chart]:
    """The range of each total, with its middle, below the bar."""
    below = alt.Chart(spans).encode(y=y, yOffset=alt.YOffsetValue(BELOW))
    rule = below.mark_rule(style="mark", strokeWidth=2)
    tick = below.mark_tick(style="mark", size=9)
    middle = below.mark_point(style="mark", size=30)
    return [
        rule.encode(x=alt.X("low:Q"), x2=alt.X2("high:Q")),
        tick.encode(x=alt.X("low:Q")),
        tick.encode(x=alt.X("high:Q")),
        middle.encode(x=alt.X("value:Q")),
    ]


def _names_and_totals(whole: pd.DataFrame, y: alt.Y) -> list[alt.Chart]:
    """The name above each bar, and its total behind it."""
    name = alt.Chart(whole[["row"]], name="names").mark_text(style="strong", dy=-19)
    total = alt.Chart(whole, name="totals").mark_text(style="strong", dx=7)
    return [
        name.encode(x=alt.XValue(0), y=y, text=alt.Text("row:N")),
        total.encode(x=alt.X("value:Q"), y=y, text=alt.Text("text:N")),
    ]


# ---------------------------------------------------------------------------------------- tornado
def tornado(
    frame: pd.DataFrame,
    name: str,
    low: str,
    high: str,
    *,
    base: float | str,
    axis: Axis = PLAIN,
    sliders: Sequence[Slider] = (),
) -> Chart:
    """What one input at a time does to the answer, sorted by span.

    Parameters
    ----------
    frame : pandas.DataFrame
        One line per input; ``low_label`` and ``high_label`` are written at the two ends when
        present.
    name, low, high : str
        Columns: the input, and the answer at its low and at its high end: numbers, or Vega
        expressions over sliders (then give them sorted).
    base : float or str
        The answer as assumed, number or expression [unit of the axis].
    axis : Axis
        The value axis; give a domain when the values are expressions.
    sliders : sequence of Slider
        Controls named in the expressions.

    Returns
    -------
    Chart
        Not yet finished.
    """
    data = tidy(frame, "low_label", "high_label", name=name, low=low, high=high)
    answers = [base, *data["low"], *data["high"]]
    live = any(isinstance(answer, str) for answer in answers)
    told = [name, "low_label", "high_label"]
    if not live:
        span = (data["high"] - data["low"]).abs()
        data = data.loc[(-span).sort_values(kind="stable").index]
        told[1:1] = [low, high]
    data["row"] = drawing.distinct(data["name"])
    ends = axis.ends([] if live else answers)
    x = axis.x("base", ends, grid=True, domain=False)
    y = drawing.by_row(data["row"].tolist())

    layers: list[Any] = [
        _side("low", "p3", x, y),
        _side("high", "p2", x, y),
        _as_assumed(),
        _heads(y),
    ]
    for end, other in (("low", "high"), ("high", "low")):
        if data[f"{end}_label"].notna().any():
            layers.append(_at_the_end(y, end, other))
    if ends[0] <= 0 <= ends[1]:
        layers.insert(2, drawing.across("x", 0, "unity"))
    key = [
        ("bar", "Low end of the input", "p3"),
        ("bar", "High end", "p2"),
        ("tick", "As assumed", "trn3"),
    ]
    meta = {"key": key, "numbers": drawing.numbers(frame, told)}
    answered, steps = _answers(data, base, live)
    height = 54 * len(data) + 10
    chart = drawing.layered(layers, height, meta, data=answered)
    chart = chart.transform_calculate(**steps)
    return chart.add_params(*(slider.param() for slider in sliders))


def _answers(
    data: pd.DataFrame,
    base: float | str,
    live: bool,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows of a tornado, and what Vega calculates for each: live, both ends by its number."""
    middle = base if isinstance(base, str) else str(rounded(base))
    steps = {"base": middle}
    if live:
        for end in ("low", "high"):
            each = ", ".join(map(str, data[end]))
            steps[end] = f"[{each}][datum.number]"
        data = data.drop(columns=["low", "high"]).assign(number=range(len(data)))
    return data.dropna(axis="columns", how="all"), steps


def _side(end: str, token: str, x: alt.X, y: alt.Y) -> alt.Chart:
    """From the answer as assumed to that at one end of each input."""
    bars = alt.Chart(name=end).mark_bar(clip=True, size=18, color=C[token])
    return bars.encode(
        x=x,
        x2=alt.X2(f"{end}:Q"),
        y=y,
        tooltip=tips(name="input", low="at the low end", high="at the high end"),
    )


def _as_assumed() -> alt.Chart:
    """The answer with every input as assumed."""
    rule = alt.Chart(name="now").mark_rule(color=C["trn3"], strokeWidth=2)
    return rule.encode(x=alt.X("base:Q"))


def _heads(y: alt.Y) -> alt.Chart:
    """The name of each input above its bar."""
    text = alt.Chart(name="heads").mark_text(
        dy=-19,
        color=C["ink2"],
        limit=alt.expr("width"),
    )
    return text.encode(x=alt.XValue(0), y=y, text=alt.Text("name:N"))


def _at_the_end(y: alt.Y, end: str, other: str) -> alt.Chart:
    """What an input is at one end, beyond the bar."""
    before = f"datum.{end} < datum.{other}"
    text = alt.Chart(name=f"{end} text").mark_text(
        dx=alt.expr(f"{before} ? -6 : 6"),
        align=alt.expr(f"{before} ? 'right' : 'left'"),
    )
    return text.encode(x=alt.X(f"{end}:Q"), y=y, text=alt.Text(f"{end}_label:N"))
