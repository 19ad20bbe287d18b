"""Cumulative cost of two ways by month, with break-even, following sliders inside the page."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from trn3.show import drawing
from trn3.show.drawing import Chart, Slider
from trn3.show.theme import Axis, clean, style

COST = Axis("Cumulative cost, million USD")
WAYS = ("stay", "move")


def cumulative(
    frame: pd.DataFrame,
    *,
    sliders: Sequence[Slider] = (),
    months: int = 24,
    y_axis: Axis = COST,
    path: pd.DataFrame | None = None,
) -> Chart:
    """Cumulative cost of two ways by month, with break-even, following sliders inside the page.

    Parameters
    ----------
    frame : pandas.DataFrame
        Two lines: first staying, then moving. Columns ``name``, ``start`` (one-off cost), ``slope``
        (cost per month), optionally ``slope_low`` and ``slope_high``: numbers, or Vega expressions
        over the sliders' names [unit of the axis].
    sliders : sequence of Slider
        Controls named in the expressions, four at most.
    months : int
        Horizon [month].
    y_axis : Axis
        Axis of the cost.
    path : pandas.DataFrame, optional
        One line per month from 0, for costs that are no straight line: expressions take a column as
        ``datum.column``.

    Returns
    -------
    Chart
        Not yet finished.
    """
    told = dict(zip(WAYS, frame.to_dict("records"), strict=True))
    names = {way: row["name"] for way, row in told.items()}
    costs = _costs("stay", told["stay"]) | _costs("move", told["move"])
    data = pd.DataFrame({"month": range(months + 1)})
    if path is not None:
        data = data.join(path.reset_index(drop=True))
    x, y = _months(months), _cost(y_axis)
    layers = []
    for way in WAYS:
        if f"{way}_low" in costs:
            layers.append(_band(way, names[way], x))
        layers.append(_line(way, names, x, y))
        layers.append(_name_at_the_end(way, names[way], months, x, y))
    layers += _break_even(x, y)
    layers.append(_never(months))
    key = [("line", name, style(name).token) for name in names.values()]
    key.append(("dot", "Break-even", "ink"))
    meta = {"key": key, "numbers": drawing.numbers(frame)}
    chart = drawing.layered(layers, 340, meta, data=data)
    chart = chart.transform_calculate(**costs)
    return chart.add_params(*(slider.param() for slider in sliders))


def _costs(way: str, told: Mapping[str, Any]) -> dict[str, str]:
    """Cost of a way by month as expressions, with the ends of its range where it has one."""
    costs = {}
    for end in ("", "_low", "_high"):
        slope = clean(told.get(f"slope{end}"))
        if slope not in (None, ""):
            costs[way + end] = f"({clean(told['start'])})+({slope})*datum.month"
    return costs


def _months(months: int) -> alt.X:
    """The horizon, by single months, halves of a year or years."""
    step = 12
    if months <= 36:
        step = 6
    if months < 12:
        step = 1
    axis = Axis("Months after the decision", domain=(0, months), step=step)
    return axis.x("month", [])


def _cost(axis: Axis) -> alt.Y:
    """An axis from 0 that grows with what the sliders say."""
    return alt.Y(
        "cost:Q",
        title=axis.title,
        scale=alt.Scale(zero=True, nice=4),
        axis=alt.Axis(tickCount=5),
    )


def _band(way: str, name: str, x: alt.X) -> alt.Chart:
    """The range of a way's cost."""
    area = alt.Chart().mark_area(clip=True, color=style(name).color, opacity=0.2)
    return area.encode(x=x, y=alt.Y(f"{way}_low:Q"), y2=alt.Y2(f"{way}_high:Q"))


def _line(way: str, names: Mapping[str, str], x: alt.X, y: alt.Y) -> alt.Chart:
    """A way's cost by month; the pointer shows both."""
    look = style(names[way])
    told = {one: alt.Tooltip(f"{one}:Q", title=names[one], format=",.4~r") for one in WAYS}
    line = alt.Chart().mark_line(
        clip=True,
        color=look.color,
        strokeWidth=look.width,
    )
    return line.transform_calculate(cost=f"datum.{way}").encode(
        x=x,
        y=y,
        tooltip=[alt.Tooltip("month:Q", title="month"), *told.values()],
    )


def _name_at_the_end(
    way: str,
    name: str,
    months: int,
    x: alt.X,
    y: alt.Y,
) -> alt.Chart:
    """Name and cost at the end of a line, away from the other where both end close together."""
    quoted = json.dumps(name, ensure_ascii=False)
    other = next(one for one in WAYS if one != way)
    above = f"datum.{way} > datum.{other}"
    close = f"abs(datum.stay - datum.move) < 0.05 * datum.{way}"
    text = alt.Chart().mark_text(
        style="strong",
        color=style(name).text,
        dx=7,
        dy=alt.expr(f"{close} ? ({above} ? -8 : 8) : 0"),
    )
    last = text.transform_filter(f"datum.month == {months}")
    told = last.transform_calculate(
        cost=f"datum.{way}",
        label=f"{quoted} + ' ' + format(datum.{way}, ',.3~r')",
    )
    return told.encode(x=x, y=y, text=alt.Text("label:N"))


def _gaps() -> alt.Chart:
    """By month, how much more moving has cost; ``share`` of the month in which that ends."""
    share = "datum.gap_0 > 0 && datum.gap <= 0 ? datum.gap_0 / (datum.gap_0 - datum.gap) : null"
    return (
        alt.Chart()
        .transform_calculate(gap="datum.move - datum.stay")
        .transform_window(
            gap_0="lag(gap)",
            stay_0="lag(stay)",
            sort=[{"field": "month"}],
        )
        .transform_calculate(share=share)
        .transform_joinaggregate(n="valid(share)", most="max(gap)")
    )


def _break_even(x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Where moving has cost as much as staying.

    Where the lines never meet one faint row stays: Vega warns of a layer without extent.
    """
    kept = "isValid(datum.share) || datum.n == 0 && datum.month == 0"
    between = "datum.stay_0 + datum.share * (datum.stay - datum.stay_0)"
    meeting = (
        _gaps()
        .transform_filter(kept)
        .transform_calculate(
            shown="isValid(datum.share) ? 1 : 0",
            cost=f"datum.shown ? {between} : datum.stay",
            month="datum.shown ? datum.month - 1 + datum.share : datum.month",
            label="datum.shown ? 'Break-even: month ' + format(datum.month, '.1f') : ''",
        )
        .encode(x=x, y=y, opacity=alt.Opacity("shown:Q", scale=None))
    )
    rule = meeting.mark_rule(style="threshold")
    text = meeting.mark_text(style="strong", dx=8, dy=16)
    return [
        rule.encode(y2=alt.Y2Datum(0)),
        meeting.mark_point(style="mark", size=90),
        text.encode(text=alt.Text("label:N")),
    ]


def _never(months: int) -> alt.Chart:
    """A sentence where the lines do not meet."""
    dearer = f"'No break-even within {months} months'"
    cheaper = "'Moving costs less from the first month'"
    text = _gaps().mark_text(style="strong")
    first = text.transform_filter("datum.n == 0 && datum.month == 0")
    said = first.transform_calculate(label=f"datum.most > 0 ? {dearer} : {cheaper}")
    return said.encode(
        x=alt.XValue(12),
        y=alt.YValue(14),
        text=alt.Text("label:N"),
    )
