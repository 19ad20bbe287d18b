"""Lines with bands and names at their ends, and predictions held against measurements."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from trn3.show import drawing
from trn3.show.drawing import COLOR, DASH, PLAIN, STROKE, Chart, Rules, tidy, tips
from trn3.show.theme import Axis, Spec, apart, clean, dashes, style
from trn3.show.tokens import DASHES, C

SPEED = Axis("Tokens/s per user (log) →", log=True, base=2)
THROUGHPUT = Axis("↑ Tokens/s per chip (log)", log=True)
MEASURED = Axis("Measured (log)", log=True)
RATIOS = (0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.25, 2, 3, 5, 10)
"""Round numbers on an axis of ratios."""


def lines(
    frame: pd.DataFrame,
    x: str,
    y: str,
    series: str,
    *,
    x_axis: Axis = PLAIN,
    y_axis: Axis = PLAIN,
    points: pd.DataFrame | None = None,
    dashed: Collection[str] = (),
    beyond: float | None = None,
    rules: Rules = (),
    names: Mapping[str, str] | None = None,
    height: float = 380,
    zoom: bool = False,
) -> Chart:
    """Lines with bands, direct labels at their ends, and points over them.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of the lines; columns ``low`` and ``high`` give the 80% band.
    x, y, series : str
        Columns; the series' name is given to `style` and stands at the line's end.
    x_axis, y_axis : Axis
        The axes.
    points : pandas.DataFrame, optional
        The same columns for single points, and optionally ``label``, ``subject``, ``hollow`` and
        ``faint``.
    dashed : collection of str
        Series that are computed with something unpublished or only announced.
    beyond : float, optional
        From here on the lines are extrapolated: dashed, with a lighter band [unit of x].
    rules : iterable of (axis, value, label)
        Thresholds, for example ``("x", 144, "one UltraServer")``; ``("y", 1, "")`` is a strong
        line.
    names : mapping, optional
        Text at the line's end where it is not the series' name; "" for none.
    height : float
        Height of the plot [px].
    zoom : bool
        Shift and wheel zoom (only for dense charts).

    Returns
    -------
    Chart
        Not yet finished.

    Examples
    --------
    >>> frame = pd.DataFrame({"n": [64, 128], "days": [20, 11], "low": [17, 9], "high": [25, 14]})
    >>> axes = {"x_axis": Axis("Chips (log)", True, 2), "y_axis": Axis("Days (log)", True)}
    >>> chart = lines(frame.assign(chip="trainium3"), "n", "days", "chip", **axes)
    >>> [layer.name for layer in chart.layer]
    ['bands', 'lines', 'labels']
    """
    data = tidy(frame, "low", "high", x=x, y=y, name=series)
    data = data.dropna(subset=["x", "y"])
    dots = _single(points, x, y, series)
    plot = _Plot(data, dots, x_axis, y_axis, height)

    told = tips(name="series", x=x_axis.title or x, y=y_axis.title or y)
    shown = _in_parts(_dressed(data, dashed), beyond)
    texts = _rule_labels(plot, rules)
    texts += _dot_labels(dots)
    texts += _ends(plot, names or {})
    if beyond is not None:
        texts.append(_extrapolated(plot, beyond))
    layers: list[Any] = [
        *_thresholds(rules),
        _bands(shown, plot.x),
        _strokes(shown, plot.x, plot.y, told),
        drawing.marks(dots.drop(columns="label"), plot.x, plot.y, told),
        drawing.labels(texts, plot.x, plot.y),
    ]
    if zoom:
        layers = _zoomed(layers)
    columns = [series, x, y, "low", "high"]
    return drawing.layered(layers, height, {"numbers": drawing.numbers(frame, columns)})


class _Plot:
    """Data of a chart with the two axes that hold them."""

    def __init__(
        self,
        data: pd.DataFrame,
        dots: pd.DataFrame,
        x_axis: Axis,
        y_axis: Axis,
        height: float,
    ) -> None:
        margin = 1.0 if len(data) else 1.15
        across = [*data["x"], *dots["x"]]
        up = [*data["y"], *data["low"], *data["high"], *dots["y"]]
        self.data = data
        self.height = height
        self.x_ends = x_axis.ends(across, margin)
        self.y_ends = y_axis.ends(up)
        self.x = x_axis.x("x", across, margin)
        self.y = y_axis.y("y", up)
        self._y_axis = y_axis

    def height_of(self, y: float) -> float:
        """Share of the plot's height at which a value stands."""
        return self._y_axis.place(y, self.y_ends)


def _single(
    points: pd.DataFrame | None,
    x: str,
    y: str,
    series: str,
) -> pd.DataFrame:
    """Points that stand alone."""
    given = pd.DataFrame(columns=[x, y, series]) if points is None else points
    optional = ("label", "subject", "hollow", "faint")
    dots = tidy(given, *optional, x=x, y=y, name=series)
    dots = dots.dropna(subset=["x", "y"])
    dots["subject"] = dots["subject"].fillna(dots["name"])
    return dots


def _dressed(data: pd.DataFrame, dashed: Collection[str]) -> pd.DataFrame:
    """Lines in the look of their series; those of one colour differ by dash."""
    order = data["name"].unique().tolist()
    solid = dashes([name for name in order if name not in dashed])
    looks = [style(name) for name in data["name"]]
    return data.assign(
        color=[look.color for look in looks],
        width=[look.width for look in looks],
        dash=[solid.get(name, DASHES[1]) for name in data["name"]],
        part=data["name"],
        opacity=0.2,
    )


def _in_parts(data: pd.DataFrame, beyond: float | None) -> pd.DataFrame:
    """Lines cut where they are extrapolated, and dashed and lighter from there on."""
    if beyond is None:
        return data
    near = data[data["x"] <= beyond]
    far = data[data["x"] >= beyond]
    far = far.assign(
        part=far["name"] + ", extrapolated",
        dash=[DASHES[1]] * len(far),
        opacity=0.09,
    )
    return pd.concat([near, far])


def _bands(data: pd.DataFrame, x: alt.X) -> alt.Chart:
    """The 80% range of each line."""
    known = data.dropna(subset=["low"])
    columns = ["x", "low", "high", "color", "part", "opacity"]
    area = alt.Chart(known[columns], name="bands").mark_area(clip=True)
    return area.encode(
        x=x,
        y=alt.Y("low:Q"),
        y2=alt.Y2("high:Q"),
        fill=alt.Fill("color:N", scale=None),
        fillOpacity=alt.FillOpacity("opacity:Q", scale=None),
        detail=alt.Detail("part:N"),
    )


def _strokes(
    data: pd.DataFrame,
    x: alt.X,
    y: alt.Y,
    told: Sequence[alt.Tooltip],
) -> alt.Chart:
    """The lines themselves."""
    columns = ["name", "x", "y", "color", "width", "dash", "part"]
    line = alt.Chart(data[columns], name="lines").mark_line(clip=True)
    return line.encode(
        x=x,
        y=y,
        stroke=STROKE,
        strokeDash=DASH,
        size=alt.Size("width:Q", scale=None),
        detail=alt.Detail("part:N"),
        tooltip=[*told],
    )


def _thresholds(rules: Rules) -> list[alt.Chart]:
    """Lines across the plot; a horizontal one without a label is strong."""
    drawn = []
    for axis, value, text in rules:
        strong = axis == "y" and not text
        drawn.append(drawing.across(axis, value, "unity" if strong else "threshold"))
    return drawn


def _rule_labels(plot: _Plot, rules: Rules) -> list[Spec]:
    """Labels of the thresholds at the start of each, at the foot where lines run above."""
    texts = []
    for axis, value, text in rules:
        foot = axis == "y" or _runs_above(plot, value)
        spot = {"x": plot.x_ends[0], "y": plot.y_ends[0 if foot else 1]}
        spot[axis] = clean(value)
        label = {"text": text, "color": C["ink2"], "dx": 5, "dy": -10 if foot else 8}
        if text:
            texts.append(spot | label)
    return texts


def _runs_above(plot: _Plot, x: float) -> bool:
    """Whether the lines run through the upper half at x."""
    places = []
    for _, line in plot.data.groupby("name", sort=False):
        distance = (line["x"] - x).abs().astype(float)
        nearest = distance.sort_values(kind="stable").index[0]
        places.append(plot.height_of(line["y"][nearest]))
    return bool(places) and max(places) > 1 - min(places)


def _dot_labels(dots: pd.DataFrame) -> list[Spec]:
    """Texts beside single points."""
    texts = []
    for dot in dots.itertuples():
        if dot.label:
            spot = {"x": dot.x, "y": dot.y, "dx": 8, "dy": 12}
            texts.append(spot | {"text": dot.label})
    return texts


def _extrapolated(plot: _Plot, beyond: float) -> Spec:
    """A label on the side that the lines leave."""
    heights = plot.data["y"].tolist()
    falling = heights[0] > heights[-1]
    spot = {"x": beyond, "dx": 5, "y": plot.y_ends[0], "dy": -10}
    if falling:
        spot |= {"y": plot.y_ends[1], "dy": 10}
    return spot | {"text": "extrapolated →", "color": C["ink2"]}


def _ends(plot: _Plot, names: Mapping[str, str]) -> list[Spec]:
    """One label per line at its last point inside the plot, pushed apart where several end
    together.
    """
    order = plot.data["name"].unique().tolist()
    inside = plot.data[plot.data["y"].between(*plot.y_ends)]
    by_x = inside.sort_values("x", kind="stable")
    last = by_x.groupby("name", sort=False).last()
    named = [name for name in order if name in last.index and names.get(name, name)]
    natural = [plot.height * (1 - plot.height_of(last["y"][name])) for name in named]
    placed = apart(natural, foot=plot.height - 4)
    texts = []
    for name, pixel, at in zip(named, placed, natural, strict=True):
        look = style(name)
        label = {"text": names.get(name, name), "color": look.text}
        label |= {"weight": 600 if look.token == "trn3" else 400}
        spot = {"x": last["x"][name], "y": last["y"][name]}
        texts.append(spot | label | {"dx": 9, "dy": clean(pixel - at)})
    return texts


def _zoomed(layers: Sequence[Any]) -> list[Any]:
    """The same layers, of which the last with data can be zoomed."""
    able = [one.name for one in layers if one.name in ("points", "lines")]
    full = [one.name for one in layers if one.name in able and len(one.data)]
    return [one.add_params(drawing.shift_zoom()) if one.name == full[-1] else one for one in layers]


# ----------------------------------------------------------------------------------------- ratios
def ratios(
    frame: pd.DataFrame,
    predicted: str,
    measured: str,
    group: str,
    *,
    x_axis: Axis = MEASURED,
    band: tuple[float, float] = (0.8, 1.25),
    label: str = "label",
) -> Chart:
    """Predicted over measured against the measured value, on a logarithmic axis centred on 1.

    Parameters
    ----------
    frame : pandas.DataFrame
        One line per run; ``low`` and ``high`` (80% range of the prediction), ``subject`` and
        ``hollow`` are used when present.
    predicted, measured, group : str
        Columns: two numbers in one unit, and the source's group (coloured by the vendor that it
        names).
    x_axis : Axis
        Axis of the measured value.
    band : (float, float)
        The shaded band of the ratio [-].
    label : str
        Column with a text beside single points (the worst ones), used when present.

    Returns
    -------
    Chart
        Not yet finished.
    """
    work = _over_measured(frame, predicted, measured)
    optional = ("low", "high", "subject", "hollow")
    data = tidy(
        work,
        *optional,
        x=measured,
        y="ratio",
        name=group,
        label=label,
    )
    data = data[data["y"].fillna(0) > 0]
    data["subject"] = data["subject"].fillna(data["name"])

    x = x_axis.x("x", data["x"])
    y = _ratio_axis(data["y"].tolist())
    told = tips(name="group", x=x_axis.title or measured, y="predicted over measured")
    dots = data[["name", "x", "y", "subject", "hollow"]]
    layers: list[Any] = [
        _shade(*band),
        drawing.across("y", 1, "unity"),
        _error_bars(data, x),
        drawing.marks(dots, x, y, told),
        drawing.labels(_toward_the_middle(data, x_axis), x, y),
    ]
    columns = [group, measured, predicted, "ratio", label]
    meta = {"numbers": drawing.numbers(work, columns)}
    return drawing.layered(_zoomed(layers), 380, meta)


def _over_measured(frame: pd.DataFrame, predicted: str, measured: str) -> pd.DataFrame:
    """The frame with ``ratio``, and with the ends of its range as ratios."""
    made = frame.assign(ratio=frame[predicted] / frame[measured])
    for end in ("low", "high"):
        if end in frame:
            made[end] = frame[end] / frame[measured]
    return made


def _ratio_axis(ratios: Sequence[float]) -> alt.Y:
    """A logarithmic axis with 1 in its middle."""
    far = [max(ratio, 1 / ratio) for ratio in ratios]
    reach = 1.05 * max([1.5, *far])
    shown = [one for one in RATIOS if 1 / reach <= one <= reach]
    axis = Axis("Predicted over measured (log)", log=True, domain=(1 / reach, reach))
    return axis.y("y", [], values=shown)


def _shade(low: float, high: float) -> alt.Chart:
    """What counts as close."""
    band = pd.DataFrame({"low": [low], "high": [high]})
    rect = alt.Chart(band, name="shade").mark_rect(style="shade")
    return rect.encode(y=alt.Y("low:Q"), y2=alt.Y2("high:Q"))


def _error_bars(data: pd.DataFrame, x: alt.X) -> alt.Chart:
    """The 80% range of each prediction."""
    known = data.dropna(subset=["low"])
    color = [style(subject).color for subject in known["subject"]]
    drawn = known[["x", "low", "high"]].assign(color=color)
    bars = alt.Chart(drawn, name="ranges").mark_rule(style="thin", clip=True)
    return bars.encode(
        x=x,
        y=alt.Y("low:Q"),
        y2=alt.Y2("high:Q"),
        color=COLOR,
    )


def _toward_the_middle(data: pd.DataFrame, axis: Axis) -> list[Spec]:
    """Labels of single points, on the side where there is more room."""
    ends = axis.ends(data["x"])
    texts = []
    for row in data[data["label"].fillna("") != ""].itertuples():
        spot = {"x": row.x, "y": row.y, "text": row.label}
        side = {"dx": -9, "align": "right"}
        if axis.place(row.x, ends) < 0.5:
            side = {"dx": 9, "align": "left"}
        texts.append(spot | side)
    return texts
