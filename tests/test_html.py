"""The page: offline under a strict policy, the same each time, readable in both themes, on paper
and by keyboard.
"""

import base64
import dataclasses
import functools
import gzip
import html as escapes
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import small
from test_charts import FORMS

from trn3 import data
from trn3.reporting import (
    batch,
    exporter,
    failure,
    files,
    frame,
    links,
    parameters,
    results,
)
from trn3.reporting import markup as markup_
from trn3.reporting import site as pages
from trn3.show import charts, story, tokens
from trn3.show.charts import Axis, Slider, finish

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
EVIL = (
    '<script>window.hit=1</script><img src=x onerror="window.hit=1">'
    '<a href="javascript:window.hit=1">x</a>'
)
ABOUT = exporter.About(
    report="08_sample",
    stem="08_sample",
    parameters={"model": "llama", "price": 4.3, "region": EVIL},
    defaults={"model": "llama", "price": 4.0, "region": EVIL},
    command=f"trn3 report 08 -p region={EVIL}",
    data_date="2026-11-22",
    beside=True,
)
HEAD = """model: str = "llama"  # model [-] {model}
price: float = 4.0  # price [USD/h] {1..9}
region: str = "a"  # region [-] {region}"""
HOW = """## How
Prose **bold** EVIL and $a_1$.

$$T = \\frac{F}{P}$$

| a | b |
|---|--:|
| x | 1 |"""


def code(source: str, *tags: str, shown: list = ()) -> nbformat.NotebookNode:
    outputs = [
        nbformat.v4.new_output("execute_result", data=s._repr_mimebundle_(), execution_count=1)
        for s in shown
    ]
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}, outputs=outputs)


def live() -> list[charts.Chart]:
    """Break-even and tornado that follow the same sliders."""
    knobs = [Slider("price", "Trainium3 price, USD per chip-hour", 3.3, 5.6, 4.3, 0.1)]
    ways = pd.DataFrame(
        {"name": ["B200", "Trainium3"], "start": ["0", "1.5"], "slope": ["0.58", "0.1*price"]}
    )
    cost = finish(
        charts.cumulative(ways, sliders=knobs),
        title="Moving pays back within a year",
        subtitle="Cost, million USD",
        source="Source: AWS.",
        key=[("line", "Stay", "nvidia")],
    )
    ends = pd.DataFrame(
        {
            "input": ["Price", "Speed"],
            "lo": ["(0.58-0.33)*24-1.5", "(0.5-0.1*price)*24"],
            "hi": ["0", "3"],
        }
    )
    torn = charts.tornado(
        ends,
        "input",
        "lo",
        "hi",
        base="(0.58-0.1*price)*24-1.5",
        axis=Axis("Saved", domain=(-3, 6)),
        sliders=knobs,
    )
    return [
        cost,
        finish(
            torn, title="The price decides", subtitle="Saving, million USD", source="Source: trn3."
        ),
    ]


@functools.cache
def sample() -> nbformat.NotebookNode:
    markdown = nbformat.v4.new_markdown_cell
    cost, torn = live()
    figures = [story.Figure(k, "1.2 J", "80% range 1.0–1.5") for k in "abcd"]
    known = data.fact("trainium3", "power_w")
    forms = [code(f"charts.{name}(...)", "figure", shown=[chart]) for name, chart in FORMS.items()]
    return nbformat.v4.new_notebook(
        cells=[
            markdown("# Should this team move?\nTwo sentences. They say what."),
            code(HEAD, "parameters"),
            code(
                "story.answer()",
                "answer",
                shown=[story.answer("Yes, below 6 USD.", "At 4 USD it saves.", figures)],
            ),
            code("cost", "headline", shown=[cost]),
            code("torn", "half", shown=[torn]),
            code("stacks", "half", shown=[FORMS["stacks"]]),
            markdown(HOW.replace("EVIL", EVIL)),
            *forms,
            code("assert True", "worked", shown=[story.say(f"All {EVIL}.")]),
            code(
                "story.assumptions()", "assumptions", shown=[story.assumptions([("Power", known)])]
            ),
            code("story.flips()", "flips", shown=[story.flips(["A price below **7 USD**."])]),
            code(
                "story.checks()",
                "checks",
                shown=[
                    story.checks(
                        [story.Check("Holds", "a"), story.Check("Partly", "b", "left out")]
                    )
                ],
            ),
            code("frame", shown=[story.table(pd.DataFrame({"Name": [EVIL], "Value": [1.5]}))]),
            code(
                "story.sources()",
                "sources",
                shown=[story.sources(["neuron_trn3", known.source_id])],
            ),
            code("story.results()", "results", shown=[story.results([{"name": "n", "value": 1}])]),
        ]
    )


def export(folder: Path, notebook=None, name: str = "08_sample", **more) -> Path:
    path = folder / f"{name}.html"
    about = dataclasses.replace(ABOUT, stem=name, **more)
    files.write(path, exporter.report(notebook or sample(), about)[0])
    if not (folder / "vega.js").exists():
        files.write(folder / "vega.js", frame.shared_script())
    return path


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The page of a stored notebook, without running it; made once for all that look at it."""
    folder = tmp_path_factory.mktemp("stored")
    files.write(folder / "vega.js", frame.shared_script())

    @functools.cache
    def page(path: Path) -> Path:
        about = batch.case(path.stem, {}).about(batch.Options(shared_js=True))
        made = folder / f"{path.stem}.html"
        files.write(made, exporter.report(nbformat.read(path, 4), about)[0])
        return made

    return page


def specs(text: str) -> list[dict]:
    found = re.findall(
        r'<div class="vl"></div><script type="application/json">(.*?)</script>',
        text,
        re.S,
    )
    return [json.loads(s) for s in found]


def words(text: str) -> str:
    """What a reader reads: no code, no scripts, no tags."""
    text = re.sub(
        r"<(script|style|details class=\"code\"|pre)\b.*?</(script|style|details|pre)>",
        " ",
        text,
        flags=re.S,
    )
    return escapes.unescape(
        re.sub(
            r"\s+",
            " ",
            re.sub(r"<[^>]*>", " ", re.sub(r"</?(strong|b|em|a|code)\b[^>]*>", "", text)),
        )
    )


# ------------------------------------------------------------------------------- without a browser
def test_a_long_table_shows_its_beginning_and_names_the_file_with_all(tmp_path):
    frame = pd.DataFrame({"x": range(100), "y": range(100), "s": "a"})
    long = finish(
        charts.lines(frame, "x", "y", "s"), title="T", subtitle="In units", source="Source: x."
    )
    cells = [sample().cells[0], code("x", "figure", shown=[long])]
    notebook = nbformat.v4.new_notebook(cells=cells)
    text = export(tmp_path, notebook, "long").read_text()
    table = re.search(r'<details class="numbers">(.*?)</details>', text, re.S)[1]
    assert (
        table.count("<tr>") == 1 + results.MOST_ROWS
        and "100 rows" in table
        and 'href="long-figure_1.csv"' in table
    )
    assert len(results.long_tables(notebook)["figure_1"]["data"]) == 100


class TestPage:
    def test_repeats_to_the_byte_and_appears_whole(self, tmp_path):
        first = export(tmp_path).read_bytes()
        assert export(tmp_path).read_bytes() == first
        assert sorted(p.name for p in tmp_path.iterdir()) == ["08_sample.html", "vega.js"]

    def test_no_colour_is_left_in_a_spec_and_every_variable_is_defined(self, tmp_path):
        text = export(tmp_path).read_text()
        drawn = json.dumps(specs(text)) + frame.page_script()
        assert not re.search(r"#[0-9A-Fa-f]{6}", drawn)
        used = set(re.findall(r"var\(--(\w+)\)", text))
        assert used <= set(tokens.TOKENS)
        css = frame.sheet()
        for name in used:
            light, dark = tokens.TOKENS[name]
            assert (
                css.count(f"--{name}:{light};") >= 1 and css.count(f"--{name}:{dark};") == 2
            )  # by wish, by button

    def test_the_sheet_is_plain_on_paper(self):
        css = frame.sheet()
        dark = [m.start() for m in re.finditer("color-scheme:dark;", css)]
        assert len(dark) == 2 and all(
            "@media screen" in css[:d].rpartition("}")[2] for d in dark
        ), "paper stays light"

    def test_policy_lets_nothing_in(self, tmp_path):
        alone = export(tmp_path, beside=False).read_text()
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', alone)[1]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy and "http" not in policy and "*" not in policy
        packed = re.search(r'<script type="text/plain" id="charts">(.*?)</script>', alone)[1]
        charts_ = gzip.decompress(base64.b64decode(packed)).decode()
        bodies = {"style": [], "script": [charts_]}
        for tag, known in bodies.items():
            known += re.findall(rf"<{tag}>(.*?)</{tag}>", alone, re.S)
            allowed = re.search(rf"{tag}-src ([^;]*)", policy)[1].split()
            assert sorted(map(frame.hash_source, known)) == sorted(allowed)
        assert " style=" not in re.sub(r"<script.*?</script>", "", alone, flags=re.S)
        assert not re.search(r"(src|href)=\"https?://[^\"]*\.(js|css|woff)", alone)

    def test_text_from_outside_never_becomes_markup(self, tmp_path):
        text = export(tmp_path).read_text()
        body = re.sub(
            r"<script.*?</script>",
            "",
            text.replace(f"<script>{frame.page_script()}</script>", ""),
            flags=re.S,
        )
        assert "window.hit" in body  # shown as text
        assert "<img" not in body and "javascript:" not in re.sub(
            r"&\w+;|[^<]*(?=&lt;/a)", "", "".join(re.findall(r"<a [^>]*>", body))
        )
        assert not re.search(r"<[^>]*\son\w+=", body)

    def test_figures_have_all_their_parts(self, tmp_path):
        text = export(tmp_path).read_text()
        figures = re.findall(r"<figure>(.*?)</figure>", text, re.S)
        assert len(figures) == len(FORMS) + 3
        for markup in figures:
            title = escapes.unescape(re.search(r"<h3>(.*?)</h3>", markup)[1])
            assert len(title.split()) <= 14 and not title.endswith(".")
            assert re.search(r'<p class="sub">[^<]+</p>', markup) and re.search(
                r'<p class="src">[^<]+</p>', markup
            )
            if 'class="nothing"' not in markup:
                assert 'class="numbers"' in markup and specs(markup)[0]["description"]

    def test_numbers_table_has_the_plotted_rows(self, tmp_path):
        cells = [code("rows", shown=[FORMS["rows"]])]
        text = export(tmp_path, nbformat.v4.new_notebook(cells=cells)).read_text()
        table = re.search(r'<details class="numbers">(.*?)</details>', text, re.S)[1]
        assert table.count("<tr>") == 1 + len(FORMS["rows"].meta["numbers"]["rows"])
        assert ">4.36</td>" in table
        assert ">—</td>" in table, "a missing end of a range"

    def test_changed_parameters_are_marked_and_units_shown(self, tmp_path):
        panel = re.search(r'<section class="run".*?</section>', export(tmp_path).read_text(), re.S)[
            0
        ]
        assert panel.count("changed</span>") == 1
        assert re.search(r"4\.3 USD/h<span class=\"pill\">changed", panel)

    def test_regions_come_in_order_with_their_heads(self, tmp_path):
        text = export(tmp_path).read_text()
        marks = [
            'class="skip"',
            'class="bar"',
            'class="kicker"',
            "<h1>",
            'id="answer"',
            'class="run"',
            "<figure>",
            'class="prose intro"',
        ]
        marks += [
            "What we assumed",
            "What would change the answer",
            "Checked against",
            "<h2>Sources",
            "<footer>",
        ]
        places = [text.index(m) for m in marks]
        assert places == sorted(places)
        assert text.count("<h2>Sources") == 1

    def test_sources_are_numbered_where_they_are_cited(self, tmp_path):
        text = export(tmp_path).read_text()
        ids = re.findall(r'<li id="source-([^"]+)"', text)
        for name, shown in re.findall(r'class="cite" href="#source-([^"]+)">([^<]*)<', text):
            assert shown == str(ids.index(name) + 1)

    def test_sliders_appear_once_and_leave_the_spec(self, tmp_path):
        text = export(tmp_path).read_text()
        assert text.count('type="range"') == 1 and "Follows the sliders above" in text
        assert not any(
            "input" in (p.get("bind") or {}) for s in specs(text) for p in s.get("params", [])
        )

    def test_a_page_alone_can_be_mailed(self, tmp_path):
        assert export(tmp_path, beside=False).stat().st_size < 1_000_000

    def test_a_broken_formula_costs_no_page(self):
        assert "frac" in markup_.formula(r"\frac{a}{") or "<math" in markup_.formula(r"\frac{a}{")
        assert "<script" not in markup_.markdown(r"$\text{<script>x</script>}$")


@pytest.mark.parametrize(
    "markup",
    [
        "<b>1</b>",
        '<table class="x"><tbody><tr><td class="n">1</td></tr></tbody></table>',
        '<a href="#a">1</a>',
        '<a href="07_cost.ipynb">1</a>',
        '<a href="https://example.org/a?b=c">1</a>',
        '<li id="source-a">1</li>',
        '<math display="block"><mfrac><mi>a</mi><mn>2</mn></mfrac></math>',
        "a &lt; b",
    ],
)
def test_clean_keeps_what_is_harmless(markup):
    assert markup_.clean(markup) == markup


@pytest.mark.parametrize(
    "markup",
    [
        "<script>1</script>",
        "<style>*{}</style>",
        "<iframe src=x>",
        '<b onclick="x">',
        '<a href="javascript:1">',
        '<a href="//evil">',
        '<a href=" javascript:1">',
        "<svg onload=1>",
        '<p style="a">',
        "<object data=x>",
        '<a href="data:text/html,1">',
        "<base href=x>",
        "<meta http-equiv=refresh>",
        '<a href="JaVaScRiPt:1">',
        "<form action=x>",
        "<img src=x>",
        '<p id="theme">',
        "<p class='a>goodput onclick=x'>",
        "<p class='<img src=x>'>",
        '<math><annotation-xml encoding="text/html"><img src=x onerror=1></annotation-xml></math>',
        "<svg><style><img src=x onerror=1></style></svg>",
        "<form><math><mtext></form><form><mglyph><style></math><img src onerror=1>",
    ],
)
def test_clean_drops_what_could_act(markup):
    left = markup_.clean(markup)
    acts = r"script|style|iframe|on\w+=|href|svg|object|base|meta|form|img|src|id=|annotation"
    assert not re.search(acts, left)


class TestIndexAndError:
    ROWS = [  # noqa: RUF012
        {
            "report": "01_claims",
            "notebook": "01_claims",
            "question": "Do they hold?",
            "status": "done",
            "parameters": {"baseline": "a"},
            "headline": [
                {
                    "name": "n",
                    "value": 4.36,
                    "low": 1,
                    "high": 5,
                    "baseline": 1,
                    "unit": "×",
                    "conditions": "FP8",
                    "status": "Partly",
                }
            ],
        },
        {
            "report": "07_cost",
            "notebook": "07_cost",
            "status": "failed",
            "reason": "no price " + EVIL,
            "parameters": {"region": "x"},
            "headline": [],
        },
        {
            "report": "05_energy",
            "notebook": "05_energy",
            "status": "done",
            "parameters": {},
            "headline": [{"name": "n", "value": None, "unit": "J"}],
        },
        {
            "report": "02-a",
            "notebook": "02_chip",
            "status": "done",
            "parameters": {"chip": "a"},
            "headline": [{"value": -1.5, "unit": "%"}],
        },
        {
            "report": "02-b",
            "notebook": "02_chip",
            "status": "done",
            "parameters": {"chip": "b"},
            "headline": [{"value": 131072, "unit": "chips"}],
        },
    ]

    def test_index_shows_every_report_and_failures_in_place(self, tmp_path):
        files.write(tmp_path / "index.html", pages.index(self.ROWS))
        text = (tmp_path / "index.html").read_text()
        assert (
            text.count('class="card') - text.count('class="cards ') == 3
        )  # the two runs of one report stand in the table alone
        assert text.count('class="card failed"') == 1 and text.count("<svg") >= 1
        for row in self.ROWS:
            assert f'{row["report"]}.html"' in text
        assert (
            "4 of 5 reports were made; 1 failed." in text
            and "131,072 chips" in text
            and "−1.50%" in text
        )
        assert "<script>window" not in text and not re.search(r"\b(nan|None)\b", words(text))

    def test_index_orders_by_question(self, tmp_path):
        files.write(tmp_path / "index.html", pages.index(self.ROWS))
        groups = re.findall(
            r"<h2>(\w+)</h2>\s*<div class=\"card", (tmp_path / "index.html").read_text()
        )
        assert groups == ["Trust", "Savings", "Energy"]

    def test_error_page_names_the_parameter_and_hides_the_traceback(self):
        text = failure.page(
            report="07_cost",
            parameters={"region": "eu-west-3", "price": 4.3},
            command="trn3 report 07_cost",
            message="ParameterError: region: no price in eu-west-3",
            cell=4,
            source="x = 1",
            traceback="Traceback " + EVIL,
            declared=[parameters.Parameter("price", "float", 4.0, "rent", "USD/h", "1..9")],
        )
        assert (
            "<strong>region: no price in eu-west-3.</strong>" in text
            and text.count("not possible") == 1
        )
        assert ">4.3 USD/h<" in text
        assert "Traceback" not in text[: text.index("<details")] and "<script>window" not in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestStored:
    def test_size(self, path, stored):
        page = stored(path)
        most = 225_000 if path.stem == "10_validation" else 150_000  # its charts have 450 groups
        assert page.stat().st_size <= most, "beside a shared script"
        notebook = nbformat.read(path, 4)
        alone, _ = exporter.report(notebook, exporter.about_stored(notebook, path.stem))
        assert len(alone.encode()) < 1_000_000

    def test_every_figure_is_complete(self, path, stored):
        for markup in re.findall(r"<figure>(.*?)</figure>", stored(path).read_text(), re.S):
            title, sub = (
                escapes.unescape(re.search(p, markup)[1])
                for p in (r"<h3>(.*?)</h3>", r'<p class="sub">(.*?)</p>')
            )
            assert len(title.split()) <= 14 and not title.endswith("."), title
            assert len(sub) > 10 and '<p class="src">Source' in markup, title
            assert "numbers" in markup or "nothing" in markup, title
            assert all(s.get("description") for s in specs(markup))

    def test_words(self, path, stored):
        text = words(stored(path).read_text())
        assert not re.search(r"\b(nan|NaN|None(?! (?:of|is))|inf|undefined|object at)\b", text)
        assert not re.search(r"(?<![\d-])\d+(\.\d+)? ?- ?\d+(\.\d+)? (USD|W|J|ms|days|%)", text), (
            "an en dash in ranges"
        )
        assert not re.search(r"(?<![\w-])-\d", text), "U+2212 for negatives"
        assert not re.search(
            r"\d %|\bTFLOPS\b|up to \d+×? (faster|more)",
            text.replace("“", "«").split("Every claim")[0],
        )
        assert "left chart" not in text and "right chart" not in text

    def test_badges(self, path, stored):
        text = stored(path).read_text()
        for state, glyph, word in re.findall(
            r'<span class="badge (\w+) (\w+)">([^<]*)</span>', text
        ):
            assert any(
                [state, glyph] == list(pair) and word.lower().startswith(k)
                for k, pair in story.BADGES.items()
            ), word


# ------------------------------------------------------------------------------- in a real browser
@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    export(folder)
    export(folder, name="alone", beside=False)
    files.write(folder / "index.html", pages.index(TestIndexAndError.ROWS))
    return folder


# By then a chart that were to follow an event would have.
TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
OUTSIDE = """[...document.querySelectorAll('.vl svg text')].filter(text => {
  const box = text.getBoundingClientRect();
  return box.width && (box.right > innerWidth + .5 || box.left < -.5);
}).map(text => text.textContent)"""
WIDTHS = """[...document.querySelectorAll('.vl')].every(box =>
  Math.abs(box.clientWidth - box.querySelector('svg').getBoundingClientRect().width) < 1)"""


@pytest.mark.browser
class TestBrowser:
    @pytest.mark.parametrize("name", ["08_sample", "alone"])
    def test_opens_offline_in_silence(self, visit, site, name):
        page = visit(site / f"{name}.html")
        assert [Path(u).name for u in page.asked] == [f"{name}.html"] + ["vega.js"] * (
            name != "alone"
        )
        assert all(u.startswith("file:") for u in page.asked) and page.said == []
        drawn = page.evaluate(
            """[...document.querySelectorAll('.vl')].every(box =>
              box.querySelectorAll('svg path').length > 2)"""
        )
        assert drawn and page.evaluate("window.hit") is None

    @pytest.mark.parametrize(
        ("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light"), (320, "dark")]
    )
    def test_fits_the_screen(self, visit, site, width, scheme):
        page = visit(site / "08_sample.html", width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OUTSIDE) == [] and page.evaluate(WIDTHS)

    def test_fits_with_a_wide_font(self, opened, site):
        page = opened(viewport={"width": 400, "height": 900}, color_scheme="light", bypass_csp=True)
        page.add_init_script(
            """addEventListener("DOMContentLoaded", () => {
                const style = document.createElement("style");
                style.textContent = '*{font-family:"DejaVu Sans"!important}';
                document.head.append(style);
            })"""
        )
        page.goto((site / "08_sample.html").as_uri())
        page.wait_for_selector("html[data-drawn]")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400

    def test_nothing_is_smaller_than_twelve_pixels(self, visit, site):
        sizes = """[...document.querySelectorAll('body *')]
          .filter(e => e.textContent.trim() && e.getClientRects().length)
          .map(e => parseFloat(getComputedStyle(e).fontSize))"""
        assert min(visit(site / "08_sample.html").evaluate(sizes)) >= 12

    def test_theme_switches_without_drawing_anew(self, visit, site):
        page = visit(site / "08_sample.html")
        line = "getComputedStyle(document.querySelector('.mark-line path')).stroke"
        page.evaluate("document.querySelector('.mark-line path').dataset.same = 1")
        before = page.evaluate(line)
        page.click("#theme")
        assert (
            page.evaluate(line) != before
            and page.evaluate("document.querySelector('.mark-line path').dataset.same") == "1"
        )
        assert page.text_content("#theme") == "Light"
        page.click("#theme")
        assert page.evaluate(line) == before

    def test_dark_readers_get_dark(self, visit, site):
        rgb = visit(site / "08_sample.html", scheme="dark").evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        assert rgb == "rgb({}, {}, {})".format(
            *(int(tokens.TOKENS["page"][1][i : i + 2], 16) for i in (1, 3, 5))
        )

    def test_sliders_by_keyboard_move_break_even_and_tornado(self, visit, site):
        page = visit(site / "08_sample.html")
        texts = """[...document.querySelectorAll('.vl')].slice(0, 2).map(box => box.textContent
          + [...box.querySelectorAll('.mark-rect path')].map(path => path.getAttribute('d')))"""
        first = page.evaluate(texts)
        page.focus(".sliders input")
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        page.wait_for_function(f"{texts}[0].includes('Break-even: month 15.0')")
        moved = page.evaluate(texts)
        assert (
            "Break-even: month 10.0" in first[0] and "Break-even: month 15.0" in moved[0]
        )  # 1.5 / (0.58 - 0.48)
        assert moved[1] != first[1] and page.text_content(".sliders output") == "4.8"
        assert page.text_content(".sliders p").startswith("You changed: Trainium3 price")
        page.click(".reset")
        page.wait_for_function(f"first => {texts}.join() === first.join()", arg=first)
        assert page.text_content(".sliders p") == ""

    def test_tab_reaches_every_control_in_order(self, visit, site):
        page = visit(site / "08_sample.html")
        for _ in range(200):
            page.keyboard.press("Tab")
            if page.evaluate(
                "(e => { e.dataset.met = 1; return e === document.body })(document.activeElement)"
            ):
                break
        controls = ":is(a[href], button, input, summary, [tabindex='0']):not([data-met])"
        missed = f"""[...document.querySelectorAll(`{controls}`)]
          .filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 80))"""
        assert page.evaluate(missed) == []

    def test_targets_are_large_enough(self, visit, site):
        low = """[...document.querySelectorAll('button, input, summary')]
          .filter(e => e.getClientRects().length && e.getBoundingClientRect().height < 24)"""
        assert visit(site / "08_sample.html", 400).evaluate(f"{low}.length") == 0

    def test_charts_speak(self, visit, site):
        page = visit(site / "08_sample.html")
        labels = page.evaluate(
            """[...document.querySelectorAll('.vl svg')]
              .map(svg => [svg.getAttribute('role'), svg.getAttribute('aria-label')])"""
        )
        assert labels and all(role == "img" and len(label) > 20 for role, label in labels)

    def test_zoom_needs_shift_and_goes_back(self, visit, site):
        page = visit(site / "08_sample.html")
        figure = page.locator("figure:has(.whole)").first
        text = (
            "e => [...e.querySelectorAll('.role-axis-label text')].map(t => t.textContent).join()"
        )
        figure.scroll_into_view_if_needed()
        box = figure.locator(".vl").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 120)
        before, top = figure.evaluate(text), page.evaluate("scrollY")
        page.mouse.wheel(0, 60)
        page.wait_for_function("top => scrollY !== top", arg=top)
        page.evaluate(TWO_FRAMES)
        assert figure.evaluate(text) == before
        box = figure.locator(".vl").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 120)
        page.keyboard.down("Shift")
        page.mouse.wheel(0, -400)
        page.keyboard.up("Shift")
        small.until(lambda: figure.evaluate(text) != before)
        figure.locator(".whole").click()
        small.until(lambda: figure.evaluate(text) == before)

    def test_tooltip_stays_on_the_screen(self, visit, site):
        page = visit(site / "08_sample.html")
        mark = page.locator("figure:has-text('4.36×') .mark-symbol path").first
        mark.scroll_into_view_if_needed()
        mark.hover(force=True)
        box = page.locator("#vg-tooltip-element.visible").evaluate(
            "e => e.getBoundingClientRect().toJSON()"
        )
        assert box["top"] >= 0 and box["bottom"] <= 900 and box["right"] <= 1280

    def test_a_browser_that_cannot_unpack_the_charts_says_so(self, opened, site):
        page = opened(offline=True)
        page.add_init_script("delete window.DecompressionStream")
        page.goto((site / "alone.html").as_uri())
        page.wait_for_selector("html[data-drawn]")
        notes = page.locator(".vl .nothing").all_text_contents()
        assert len(notes) == page.locator(".vl").count() > 0
        assert set(notes) == {"This browser cannot draw the charts; the numbers stand under each."}
        assert page.locator(".numbers").count() > 0 and page.said == []

    def test_paper_is_light_and_whole(self, visit, site, tmp_path):
        page = visit(site / "08_sample.html", scheme="dark")
        page.pdf(path=tmp_path / "a.pdf", prefer_css_page_size=True, print_background=True)
        if not shutil.which("pdftotext") and not os.environ.get("CI"):
            pytest.skip("no pdftotext: paper was not read")
        text = subprocess.run(
            ["pdftotext", "-layout", tmp_path / "a.pdf", "-"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        pages = [p for p in text.split("\f") if p.strip()]
        assert not re.search(r"\b(Copy|Reset|Show the numbers|Code for this chart)\b", text)
        assert all(len(p.split()) > 12 for p in pages), "a page with nothing but the foot"
        subprocess.run(
            ["pdftoppm", "-r", "20", "-f", "1", "-l", "2", tmp_path / "a.pdf", tmp_path / "p"],
            check=True,
        )
        for picture in tmp_path.glob("p-*.ppm"):
            raw = picture.read_bytes()
            pixels = raw[-int.from_bytes(len(raw[15:]).to_bytes(8, "big"), "big") :]
            assert pixels[:300].count(255) > 200, "white paper"

    def test_index_sorts_by_headline(self, visit, site):
        page = visit(site / "index.html")
        order = (
            "[...document.querySelectorAll('table.sort tbody tr')].map(r => r.cells[0].textContent)"
        )
        before = page.evaluate(order)
        page.click("text=Headline >> nth=-1")
        assert page.evaluate(order) != before
        assert (
            page.evaluate("document.querySelector('[aria-sort]').getAttribute('aria-sort')")
            == "ascending"
        )
        assert page.said == []


@pytest.mark.browser
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_stored_reports_look_right_everywhere(visit, path, stored):
    """Offline and silent at three widths, nothing outside the screen, the answer on the first
    one.
    """
    page_path = stored(path)
    for width, scheme in ((1280, "light"), (400, "dark"), (320, "light")):
        page = visit(page_path, width, scheme)
        assert page.said == [] and len(page.asked) <= 2
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        assert page.evaluate(OUTSIDE) == [] and page.evaluate(WIDTHS), width
        if width == 1280:
            top = page.evaluate(
                "document.querySelector('figure h3')?.getBoundingClientRect().top ?? 0"
            )
            assert top < 900, "the headline's title stands on the first screen"


@pytest.mark.browser
def test_on_a_phone_texts_become_cards_and_numbers_scroll_under_a_whole_caption(visit, tmp_path):
    words = pd.DataFrame(
        {"Chip": ["a"], "Sold": ["in one region"], "Not sold": ["in another"], "USD": ["1.00"]}
    )
    numbers = pd.DataFrame(
        {"Chip": ["a"]} | {f"A long head of column {i}": ["1,000"] for i in range(6)}
    )
    shown = [
        story.table(words, "Texts"),
        story.table(numbers, "Numbers, with a caption of many words " * 3),
    ]
    cells = [
        nbformat.v4.new_markdown_cell("# Why?\nA. B."),
        *(code("table", shown=[one]) for one in shown),
    ]
    page = visit(export(tmp_path, nbformat.v4.new_notebook(cells=cells)), 400)
    texts, counts = page.query_selector_all("table.grid")
    assert [t.evaluate("t => t.classList.contains('stack')") for t in (texts, counts)] == [
        True,
        False,
    ]
    assert texts.evaluate(
        "t => [...t.querySelectorAll('td')].every(d => getComputedStyle(d).textAlign === 'left')"
    )
    assert counts.evaluate("t => getComputedStyle(t.querySelector('td')).textAlign") == "right"
    assert counts.evaluate(
        "t => t.caption.getBoundingClientRect().right <= innerWidth && t.clientWidth > innerWidth"
    )


def test_a_link_between_notebooks_leads_to_the_page_where_there_is_one(tmp_path):
    """In JupyterLab the link opens the notebook; among pages it opens the page; alone it is
    plain text.
    """
    table = pd.DataFrame({"Page": ["[07 Cost](07_cost.ipynb)", "[04 Serving](04_serving.ipynb)"]})
    shown = story.table(table)
    assert '<a href="07_cost.ipynb">07 Cost</a>' in shown.bundle["text/html"]
    notebook = nbformat.v4.new_notebook(cells=[code("table", shown=[shown])])
    for beside in (False, True):
        text = export(tmp_path, notebook, beside=beside).read_text(encoding="utf-8")
        assert "07 Cost" in text and ".ipynb" not in text and "07_cost" not in text
    two = [("08_sample", "08_sample"), ("07_cost", "07_cost-1a2b3c4d")]
    reports = tuple(links.Report(name, stem, "Why?") for name, stem in two)
    joined = export(tmp_path, notebook, collection=links.Collection(reports)).read_text("utf-8")
    assert '<a href="07_cost-1a2b3c4d.html">07 Cost</a>' in joined and ">04 Serving<" in joined
    assert ".ipynb" not in joined
