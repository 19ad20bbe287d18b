"""The last bits of a float, in which processors differ, reach no chart, table, results file or
sentence.
"""

import json
import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3.show import charts, story, theme, words

WRITERS = {
    "sig": words.sig,
    "sig, three digits": lambda v: words.sig(v, 3, "J"),
    "fixed": lambda v: words.fixed(v, 2),
    "whole": lambda v: words.fixed(v, 0),
    "range": lambda v: words.rng(v, 2 * v),
    "range of one": lambda v: words.rng(v, words.rounded(v)),
    "ratio": words.ratio,
    "big": words.big,
    "money": words.money,
    "per cent": words.pct,
    "SI": lambda v: words.si(v, "B/s"),
    "duration": words.duration,
    "rounded": words.rounded,
    "rounded, two digits": lambda v: words.rounded(v, 2),
    "value of a chart": theme.clean,
    "axis": lambda v: theme.Axis(domain=(0.0, v)).ends([]) and theme.Axis().ends([0.0, v]),
    "logarithmic axis": lambda v: theme.Axis(log=True).ends([v, 30 * v]),
    "results": lambda v: (
        story.results(
            [{"name": "n", "value": v, "unit": "x"}], {"t": pd.DataFrame({"a": [v, 1.0]})}
        ).bundle
    ),
    "table": lambda v: story.table(pd.DataFrame({"a": [v, 1.0], "b": ["x", "y"]})).bundle,
}
"""Whatever writes a number."""


@st.composite
def nearly(draw):
    """A number of up to six digits, often just between two shorter ones, and its neighbours: the
    same number as other processors compute it.
    """
    digits, power = draw(st.integers(1, 999_999)), draw(st.integers(-9, 9))
    exact = digits * 10.0**power if power >= 0 else digits / 10.0**-power
    far = math.inf if draw(st.booleans()) else -math.inf
    off = exact
    for _ in range(draw(st.integers(1, 4))):
        off = math.nextafter(off, far)
    return exact, off


@pytest.mark.parametrize("name", WRITERS)
@given(pair=nearly())
@settings(max_examples=150, deadline=None)
def test_a_neighbour_reads_the_same(name, pair):
    exact, off = pair
    assert exact != off
    assert json.dumps(WRITERS[name](off)) == json.dumps(WRITERS[name](exact))


def test_a_format_without_rounding_would_be_seen():
    assert f"{0.575 * 100:.0f}" != f"{57.5:.0f}" and words.fixed(0.575 * 100, 0) == "58"


def specs(v: float) -> list[dict]:
    """One of each way in which a number enters a spec: data, text, domains, rules, expressions."""
    slider = charts.Slider("price", "Rent, USD", v / 3, 3 * v, v, v / 100)
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [v, 2 * v], "low": v / 2, "high": 3 * v, "s": "A"})
    axis = charts.Axis("Y", domain=(0.0, 4 * v))
    bars = pd.DataFrame({"name": ["a", "b"], "low": [v, v / 2], "high": [2 * v, v]})
    path = pd.DataFrame({"m": [i * v for i in range(25)]})
    two = pd.DataFrame({"name": ["H200", "Trainium3"], "start": [v, 2 * v], "slope": [v, v / 2]})
    runs = pd.DataFrame({"p": [v, 2 * v], "m": [1.0, v], "g": ["A", "B"]})
    parts = pd.DataFrame({"row": "A", "part": ["one", "two"], "value": [v, v / 3]})
    made = [
        charts.lines(frame, "x", "y", "s", y_axis=axis, rules=[("y", v, "here")], beyond=1.5),
        charts.rows(frame, "y", "s", axis=charts.Axis("Y", zero=True), reference=v),
        charts.stacks(parts, "row", "part", "value", unit=" J"),
        charts.tornado(bars, "name", "low", "high", base=v, axis=axis, sliders=[slider]),
        charts.cumulative(two, sliders=[slider], path=path),
        charts.ratios(runs, "p", "m", "g"),
    ]
    finished = [charts.finish(c, title="T", subtitle="S", source="Source: x.") for c in made]
    return [c.spec for c in finished]


@given(pair=nearly())
@settings(max_examples=12, deadline=None)
def test_a_neighbour_draws_the_same_charts(pair):
    exact, off = pair
    for a, b in zip(specs(exact), specs(off), strict=True):
        assert json.dumps(a) == json.dumps(b)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays(value):
    assert words.rounded(value) == value or math.isnan(value)


def test_no_zero_has_a_sign():
    assert math.copysign(1.0, words.rounded(-0.0)) == 1.0
    assert words.fixed(-1e-17, 2) == words.fixed(1e-17, 2) == "0.00"
