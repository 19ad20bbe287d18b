"""Charts: colours that everybody can tell apart, forms that draw every row, specs that Vega-Lite
accepts.
"""

import base64
import itertools
import json
import re

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3.show import charts, theme, tokens
from trn3.show.charts import Axis, Slider, finish

VENDORS = ["trn3", "nvidia", "tpu", "amd", "other"]
SHAPES = ["trn1", "trn2", *VENDORS, "p1", "p2", "p3", "p4", "p5", "axis", "control"]
TEXT = ["ink", "ink2", "ink3", "accent", "link"]
STATES = ["good", "warn", "bad", "none", "info"]
# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB
BLINDNESS = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(token: str, mode: int) -> np.ndarray:
    rgb = np.array([int(tokens.TOKENS[token][mode][i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(token: str, mode: int) -> float:
    return float(linear(token, mode) @ [0.2126, 0.7152, 0.0722])


def contrast(a: str, b: str, mode: int) -> float:
    """WCAG 2.2 contrast ratio."""
    low, high = sorted((luminance(a, mode), luminance(b, mode)))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* under D65 of linear sRGB."""
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_contrast_of_black_on_white_is_21():
    tokens.TOKENS["_black"], tokens.TOKENS["_white"] = ("#000000", ""), ("#FFFFFF", "")
    try:
        assert contrast("_black", "_white", 0) == pytest.approx(21.0)
        assert lab(linear("_white", 0))[0] == pytest.approx(100.0, abs=0.01)
    finally:
        del tokens.TOKENS["_black"], tokens.TOKENS["_white"]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
class TestColours:
    def test_text_reads_on_page_and_panel(self, mode):
        assert min(contrast(t, p, mode) for t in TEXT for p in ("page", "panel")) >= 4.5

    def test_badges_read(self, mode):
        assert min(contrast(s, s + "bg", mode) for s in STATES) >= 4.5
        assert contrast("tiptext", "tip", mode) >= 4.5

    def test_marks_stand_out_from_the_page(self, mode):
        assert min(contrast(t, "page", mode) for t in SHAPES) >= 3.0

    def test_coloured_label_text_reads(self, mode):
        for name in ("trainium3", "trainium2", "trainium1", "b200", "tpu_v7", "mi355x", "gaudi"):
            token = next(
                t for t, hexes in tokens.TOKENS.items() if hexes[0] == charts.style(name).text
            )
            assert contrast(token, "page", mode) >= 4.5, name

    @pytest.mark.parametrize("kind", ["normal", *BLINDNESS])
    def test_vendors_differ_for_every_kind_of_eye(self, mode, kind):
        change = np.array(BLINDNESS.get(kind, np.eye(3)))
        seen = {v: lab(change @ linear(v, mode)) for v in VENDORS}
        pairs = itertools.combinations(VENDORS, 2)
        assert min(np.linalg.norm(seen[a] - seen[b]) for a, b in pairs) >= 12.0

    def test_one_hex_is_one_variable(self, mode):
        """Tokens that share a light hex share the dark one, so that an export can replace hex by
        variable.
        """
        for a, b in itertools.combinations(tokens.TOKENS.values(), 2):
            assert a[0] != b[0] or a[1] == b[1]


def test_vendors_keep_their_order_in_grey():
    steps = np.diff(sorted(lab(linear(v, 0))[0] for v in VENDORS))
    assert min(steps) >= 5.99


def test_style_by_id_and_by_name():
    for token, names in {
        "trn3": ("trainium3", "trn3_gen2", "Trainium3 MXFP8", "Llama3-8B, Trainium3", "Trainium4"),
        "trn2": ("trainium2", "Trn2 UltraServer"),
        "trn1": ("trainium1", "inferentia2", "trn1_32xl"),
        "nvidia": ("h100", "B200 HGX", "gb300_nvl72", "hgx_h200"),
        "tpu": ("tpu_v7", "TPU v5p", "Ironwood", "TPU"),
        "amd": ("mi355x", "Instinct MI300X"),
        "other": ("a100_80", "Gaudi 3", "V100 SXM2", "Trainium5", "Output tokens/s per chip"),
    }.items():
        assert {charts.style(n).token for n in names} == {token}
    assert charts.style("trainium4").hollow and not charts.style("trainium3").hollow
    shapes = [charts.style(n).shape for n in ("trainium3", "b200", "tpu_v7", "mi355x", "a100")]
    assert len(set(shapes)) == 5


def test_chips_of_a_vendor_differ_by_dash():
    dash = theme.dashes(["B200", "H200", "H100", "MI355X", "Trainium4"])
    assert len({tuple(dash[n]) for n in ("B200", "H200", "H100")}) == 3
    assert dash["B200"] == dash["MI355X"] == [1, 0] != dash["Trainium4"]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
@settings(max_examples=60, deadline=None)
def test_linear_ticks_are_round_few_and_inside(low, span):
    marks = theme.ticks(low, low + span)
    assert 2 <= len(marks) <= 11
    assert min(marks) >= low - 1e-3 * span and max(marks) <= low + span + 1e-3 * span
    steps = np.diff(marks)
    assert np.allclose(steps, steps[0], rtol=0.02)


@given(st.floats(-3, 6), st.floats(0.4, 6))
@settings(max_examples=60, deadline=None)
def test_log_ticks_are_inside(start, decades):
    low, high = 10**start, 10 ** (start + decades)
    marks = theme.ticks(low, high, log=True)
    assert len(marks) <= 7 and all(low * 0.99 <= m <= high * 1.01 for m in marks)


@given(st.lists(st.floats(0, 400), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_labels_are_pushed_apart_in_order(pixels):
    placed = theme.apart(pixels)
    order = np.argsort(pixels, kind="stable")
    assert np.all(np.diff(np.array(placed)[order]) >= 15 - 1e-6)
    far = np.diff(np.sort(pixels))
    if len(pixels) > 1 and min(far) > 16 and min(pixels) > 16:
        assert placed == pytest.approx(pixels)  # nothing moves that need not


WORDS = {
    "title": "One finds the other",
    "subtitle": "Ratio (×), 80% range",
    "source": "Source: AWS, 2025.",
}


def frames() -> dict[str, charts.Chart]:
    """One finished chart of each form, from small frames."""
    n = np.array([64, 256, 1024, 4096])
    ratio = pd.DataFrame(
        {
            "what": ["Pod, FP8", "Chip, FP8", "Chip, watt"],
            "x": [4.36, 1.94, 1.29],
            "claim": [4, 4, 1.4],
        }
    )
    ratio = ratio.assign(
        low=[np.nan, np.nan, 0.97], high=[np.nan, np.nan, 1.38], hollow=[False, False, True]
    )
    days = [
        pd.DataFrame({"n": n, "d": k / n, "s": s})
        for s, k in (("Trainium3", 9000), ("B200", 4000), ("H100", 7000))
    ]
    days[0] = days[0].assign(low=7000 / n, high=12000 / n)
    runs = pd.DataFrame(
        {"n": [512, 1024], "d": [14, 8], "s": ["H100", "A100"], "label": ["run", ""]}
    )
    parts = pd.DataFrame(
        [(s, p, v) for s in ("Trainium3", "B200") for p, v in (("Math", 0.6), ("HBM", 0.5))],
        columns=list("spv"),
    )
    knobs = [Slider("price", "Price, USD per chip-hour", 3.3, 5.6, 4.3, 0.1)]
    ways = pd.DataFrame(
        {"name": ["B200", "Trainium3"], "start": ["0", "1.5"], "slope": ["0.58", "0.1*price"]}
    )
    ends = pd.DataFrame(
        {"input": ["Price", "Speed"], "lo": [-1.0, 2.0], "hi": [5.0, 3.0], "low_label": ["8", "9"]}
    )
    scored = pd.DataFrame(
        {"m": [1.0, 5.0, 20.0], "p": [1.1, 4.5, 21.0], "g": ["H100", "TPU v5p", "A100"]}
    )
    log_chips, log_days = Axis("Chips (log)", log=True, base=2), Axis("Days (log)", log=True)
    made = {
        "rows": charts.rows(
            ratio, "x", "what", axis=Axis("Ratio", zero=True), unit="×", reference=1
        ),
        "lines": charts.lines(
            pd.concat(days),
            "n",
            "d",
            "s",
            x_axis=log_chips,
            y_axis=log_days,
            points=runs,
            beyond=1024,
            rules=[("x", 144, "one UltraServer"), ("y", 10, "")],
            zoom=True,
        ),
        "stacks": charts.stacks(
            parts,
            "s",
            "p",
            "v",
            axis=Axis("J per token"),
            unit=" J",
            totals=pd.DataFrame({"s": ["Trainium3"], "low": [0.9], "high": [1.4]}),
        ),
        "tornado": charts.tornado(ends, "input", "lo", "hi", base=2.5, axis=Axis("Saved")),
        "cumulative": charts.cumulative(ways, sliders=knobs),
        "ratios": charts.ratios(scored, "p", "m", "g"),
        "empty": charts.empty("Nothing to draw: no price, so no cost."),
    }
    return {name: finish(chart, **WORDS) for name, chart in made.items()}


FORMS = frames()


def unit_layers(layers: list[dict], data: dict | None = None) -> list[tuple[dict, list[dict]]]:
    """Every mark of a spec with the rows that it draws, wherever it is nested."""
    found = []
    for layer in layers:
        own = layer.get("data", data)
        found += unit_layers(layer["layer"], own) if "layer" in layer else [(layer, own)]
    return found


@pytest.mark.parametrize("name", FORMS)
class TestForms:
    def test_the_schema_takes_it(self, name):
        """What notebooks show is not validated again, as that costs a third of a report."""
        checked = FORMS[name].to_dict(validate=True)
        assert checked["description"] == FORMS[name].spec["description"]
        assert alt.Chart.from_dict(FORMS[name].spec, validate=True)

    def test_vega_draws_it_without_a_missing_field(self, name):
        svg = vl_convert.vegalite_to_svg(FORMS[name].spec, vl_version="6.4")
        assert (
            "NaN" not in svg
            and "undefined" not in svg
            and "null" not in re.sub(r"<[^>]*>", "", svg)
        )

    def test_every_row_is_drawn(self, name):
        """Marks per layer equal rows with data; a wrong field name would drop them silently."""
        spec = FORMS[name].spec
        svg = vl_convert.vegalite_to_svg(spec, vl_version="6.4")
        kinds = {"point": "symbol", "rule": "rule", "tick": "rect", "rect": "rect", "bar": "rect"}
        wanted: dict[str, int] = {}
        for layer, data in unit_layers(spec["layer"], spec.get("data")):
            kind = kinds.get(layer["mark"]["type"])
            if kind and "transform" not in layer:
                assert data["values"], f"{layer['name']} is empty"
                wanted[kind] = wanted.get(kind, 0) + len(data["values"])
        groups = {
            k: "".join(re.findall(rf'<g class="mark-{k} role-mark[^>]*>(.*?)</g>', svg))
            for k in wanted
        }
        drawn = {k: len(re.findall(r"<(?:path|line)", text)) for k, text in groups.items()}
        assert drawn == wanted

    def test_numbers_and_words_go_with_it(self, name):
        meta = FORMS[name].spec["usermeta"]["trn3"]
        assert meta["title"] and meta["subtitle"] and meta["source"].startswith("Source:")
        assert name == "empty" or meta["numbers"]["rows"]
        assert all(
            len(row) == len(meta["numbers"]["columns"])
            for row in (meta["numbers"] or {"rows": []})["rows"]
        )
        assert all(token in tokens.TOKENS for _, _, token in meta["key"])

    def test_only_known_colours_and_no_arithmetic_on_them(self, name):
        text = json.dumps({k: v for k, v in FORMS[name].spec.items() if k != "usermeta"})
        assert set(re.findall(r"#[0-9A-Fa-f]{6}", text)) <= {
            light for light, _ in tokens.TOKENS.values()
        }
        assert "luminance" not in text and "interpolate" not in text

    def test_shows_itself_the_same_each_time(self, name):
        bundle = FORMS[name]._repr_mimebundle_()
        assert json.dumps(bundle) == json.dumps(frames()[name]._repr_mimebundle_())
        assert set(bundle) == {charts.MIME, "text/plain"} and "0x" not in bundle["text/plain"]

    def test_a_reader_adds_a_layer_before_or_after(self, name):
        mine = alt.Chart(pd.DataFrame({"mine": [1.0]}), name="mine").mark_rule(color="#123456")
        mine = mine.encode(x=alt.value(100))
        before = finish(FORMS[name] + mine, **WORDS)
        for chart in (before, FORMS[name] + mine):
            assert isinstance(chart, charts.Chart) and chart.meta == FORMS[name].meta
            svg = vl_convert.vegalite_to_svg(chart.spec, vl_version="6.4")
            assert svg.count("#123456") == 1 and "One finds the other" in svg
        assert "mine" not in {layer.name for layer in FORMS[name].layer}

    def test_stays_small(self, name):
        assert len(json.dumps(FORMS[name].spec)) < 14_000


def layer(name: str, which: str) -> list[dict]:
    found = [v for v in FORMS[name].spec["layer"] if v.get("name") == which]
    return found[0]["data"]["values"] if found else []


def texts(chart: charts.Chart) -> list[str]:
    """Texts of a drawn chart."""
    svg = vl_convert.vegalite_to_svg(chart.spec, vl_version="6.4")
    return [text.replace("&amp;", "&") for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def test_the_reader_changes_a_plain_chart():
    """As a notebook offers it: the house's axis, colours and finish, the rest is Altair."""
    frame = pd.DataFrame({"chip": ["trn3", "b200"], "usd": [3.5, 5.1], "rate": [430, 1700]})
    own = (
        alt.Chart(frame)
        .mark_point()
        .encode(
            Axis("USD per chip-hour", zero=True).x("usd", frame["usd"]), y="rate:Q", color="chip:N"
        )
    )
    done = finish(own, **WORDS)
    assert done.meta["numbers"]["rows"] == [["trn3", 3.5, 430], ["b200", 5.1, 1700]]
    assert done.spec["width"] == charts.lines(frame, "usd", "rate", "chip").spec["width"]
    assert "USD per chip-hour" in texts(done)


def test_what_is_not_published_is_hollow():
    fills = {r["x"]: r["fill"] for r in layer("rows", "points")}
    assert fills[1.29] == tokens.C["page"] and fills[4.36] == tokens.C["trn3"]


def test_a_claim_is_a_bar_in_each_row_and_said_once():
    assert [b["claim"] for b in layer("rows", "claims")] == [4, 4, 1.4]
    shown = texts(FORMS["rows"])
    assert shown.count("claim 4×") == shown.count("claim 1.4×") == 1
    assert "1.3× (0.97–1.4)" in shown and "4.36×" in shown


def test_a_missing_value_is_said_and_not_drawn():
    frame = pd.DataFrame({"what": ["A", "B"], "x": [1.0, np.nan]})
    chart = charts.rows(frame, "x", "what")
    named = {v["name"]: v for v in chart.spec["layer"]}
    assert len(named["points"]["data"]["values"]) == 1
    assert [r["text"] for r in named["values"]["data"]["values"]] == ["1.00", "not published"]


def test_rows_of_one_name_stand_apart():
    frame = pd.DataFrame({"what": ["H100", "H100", "B200"], "x": [1.0, 2.0, 3.0]})
    for group in ("", "On demand"):
        chart = charts.rows(frame.assign(group=group), "x", "what")
        domain = chart.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
        assert len(domain) == 3 + bool(group)
        assert len({row["row"] for row in chart.spec["layer"][0]["data"]["values"]}) == 3


def test_shares_read_as_per_cent():
    frame = pd.DataFrame({"what": ["A"], "x": [0.57], "low": [0.41], "high": [0.77]})
    shown = texts(finish(charts.rows(frame, "x", "what", axis=Axis(format=".0%")), **WORDS))
    assert "57% (41–77)" in shown


def test_lines_are_dashed_and_lighter_beyond_what_was_measured():
    lines, bands = layer("lines", "lines"), layer("lines", "bands")
    assert {tuple(r["dash"]) for r in lines if r["x"] > 1024} == {(6, 3)}
    far = [r["opacity"] for r in bands if r["part"].endswith("extrapolated")]
    near = [r["opacity"] for r in bands if not r["part"].endswith("extrapolated")]
    assert max(far) < min(near)
    assert any(r["text"].startswith("extrapolated") for r in layer("lines", "labels"))


def test_names_at_the_ends_of_lines_do_not_overlap():
    frame = pd.DataFrame({"x": [1, 2] * 5, "y": [1, 5.0, 1, 5.1, 1, 5.2, 1, 5.3, 1, 9]})
    chart = charts.lines(frame.assign(s=list("aabbccddee")), "x", "y", "s")
    axis = chart.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    rows = next(v for v in chart.spec["layer"] if v["name"] == "labels")["data"]["values"]
    pixels = [380 * (1 - Axis().place(r["y"], axis)) + r["dy"] for r in rows]
    assert min(np.diff(sorted(pixels))) >= 14.9


def test_stacks_add_up_and_know_at_most_five_parts():
    assert texts(FORMS["stacks"]).count("1.1 J") == 2  # 0.6 and 0.5
    many = pd.DataFrame({"s": "a", "p": list("uvwxyz"), "v": 1.0})
    with pytest.raises(ValueError, match="merge the smallest"):
        charts.stacks(many, "s", "p", "v")


def test_tornado_is_sorted_by_span():
    values = FORMS["tornado"].spec["data"]["values"]
    assert [r["name"] for r in values] == ["Price", "Speed"]


def test_break_even_stands_where_the_lines_cross():
    """Stay 0.58 a month; move 1.5 and 0.1 x 4.3 = 0.43 a month: they meet after 1.5 / 0.15 = 10
    months.
    """
    svg = vl_convert.vegalite_to_svg(FORMS["cumulative"].spec, vl_version="6.4")
    assert "Break-even: month 10.0" in svg and "No break-even" not in svg


def test_no_break_even_is_printed():
    ways = pd.DataFrame({"name": ["B200", "Trainium3"], "start": [0, 1.5], "slope": [0.5, 0.5]})
    svg = vl_convert.vegalite_to_svg(
        finish(charts.cumulative(ways), title="a", subtitle="b", source="c").spec, vl_version="6.4"
    )
    assert "No break-even within 24 months" in svg and "Break-even: month" not in svg


def test_the_renderer_writes_what_nbformat_and_jupyterlab_take():
    before = alt.renderers.active, alt.data_transformers.active
    try:
        charts.enable()
        bundle = (
            alt.Chart(pd.DataFrame({"x": [1]})).mark_point().encode(x="x:Q")._repr_mimebundle_()
        )
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        assert charts.MIME in data and data[charts.MIME]["config"]["font"] == charts.CONFIG["font"]
    finally:
        alt.renderers.enable(before[0])
        alt.data_transformers.enable(before[1], consolidate_datasets=True)
        alt.theme.enable("default")


@pytest.mark.parametrize("name", ["lines", "rows", "ratios"])
def test_a_picture_is_a_small_png_of_the_same_colours(name, chromium):
    large = vl_convert.vegalite_to_png(FORMS[name].spec, vl_version="6.4", scale=1.5)
    small = charts.png(FORMS[name].spec)
    assert small == charts.png(FORMS[name].spec)
    assert 3 * len(small) < len(large) and len(small) < 60_000
    page = chromium.new_page()
    packed = [base64.b64encode(one).decode() for one in (large, small)]
    size, other, farthest, corner = page.evaluate(COMPARED, packed)
    page.close()
    assert size == other
    assert farthest <= 16
    assert corner == [255, 255, 255, 255]


COMPARED = """async pictures => {
  const read = async packed => {
    const image = new Image();
    image.src = "data:image/png;base64," + packed;
    await image.decode();
    const { width, height } = image;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return [[width, height], context.getImageData(0, 0, width, height).data];
  };
  const [[size, one], [other, two]] = await Promise.all(pictures.map(read));
  const farthest = one.reduce((most, value, i) => Math.max(most, Math.abs(value - two[i])), 0);
  return [size, other, farthest, [...two.slice(0, 4)]];
}"""


@pytest.mark.parametrize("values", [[0, 0], [5], [-2, -2], [1e-9], []])
def test_an_axis_has_a_length_whatever_the_data(values):
    low, high = Axis().ends(values)
    assert low < high
    low, high = Axis(log=True).ends([v for v in values if v > 0])
    assert 0 < low < high
