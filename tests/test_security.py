"""Text from a user is never run, by Python or by the browser, and never chooses where a file
goes.
"""

import json
import re
from pathlib import Path

import pytest
import small

from trn3 import data
from trn3.reporting import batch, parameters

RUN = "window.__xss = (window.__xss || 0) + 1"
PAYLOADS = [
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f'<img src=x onerror="{RUN}">',
    f"'\"><svg onload='{RUN}'>",
    f"[click](javascript:{RUN.replace(' ', '')})",
    "![pixel](https://evil.example/p.png) <img src='https://evil.example/q.png'>",
    "<link rel=stylesheet href=https://evil.example/x.css><style>@import url(https://evil.example/y.css)</style>",
    "<iframe src=https://evil.example></iframe><meta http-equiv=refresh content='0;url=https://evil.example'>",
    f"<a href=javascript:{RUN.replace(' ', '')} autofocus onfocus='{RUN}'>x</a><base href=https://evil.example>",
    "${constructor.constructor('window.__xss=1')()} {{7*7}} %(x)s {x}",
    '=HYPERLINK("https://evil.example","open me")',
    "-2+3+cmd|'/C calc'!A0",
    "@SUM(1+1)*cmd|'/C calc'!A0",
]
FORMULA, NUMBER = re.compile(r"[=+\-@\t\r]"), re.compile(r"-|[+-]?[\d.,]+(e[+-]?\d+)?\s?%?")
# The text of a parameter in every place of a page where a notebook can put it, well or carelessly.
TEXTS = """
import pandas as pd
from IPython.display import HTML, Markdown, display
print(note)
display(pd.DataFrame({note: [note]}), Markdown(note), HTML(f"<p class='{note}'>{note}</p>"))
display({"text/latex": note}, raw=True)
display({"image/svg+xml": f"<svg>{note}</svg>"}, raw=True)
"""
CHART = """
meta = {
    "title": note,
    "subtitle": note,
    "source": note,
    "key": [["dot", note, "trn3"]],
    "numbers": {"columns": ["what " + note, "value"], "rows": [[note, 1]]},
}
spec = {
    "mark": {"type": "point", "tooltip": True},
    "title": note,
    "description": note,
    "usermeta": {"trn3": meta},
    "data": {"values": [{"x": 1, "y": 2, "t": note}]},
    "encoding": {
        "x": {"field": "x", "title": note, "type": "quantitative"},
        "y": {"field": "y"},
        "tooltip": {"field": "t"},
        "text": {"value": note},
        "href": {"value": "javascript:" + note},
    },
}
display({"application/vnd.vegalite.v5+json": spec, "text/plain": note}, raw=True)
"""
RESULTS = """
number = {"name": note, "value": 1.0, "low": 0.5, "high": 2.0}
number |= {"unit": note, "status": note, "conditions": note}
tables = {"../../" + note: {"columns": [note], "data": [[note]]}}
results = {"headline": [number], "tables": tables}
display({"application/vnd.trn3.results+json": results}, raw=True)
if fail:
    raise ValueError(note)
"""
CELL = 'note: str = "plain"  # any text\nfail: bool = False  # whether to fail'


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    home = tmp_path_factory.mktemp("security")
    first = [("markdown", "# Is it safe?\n\nOne. Two."), ("parameters", CELL)]
    cells = [("answer", TEXTS), ("headline", CHART), ("", TEXTS), ("results", RESULTS)]
    small.write(home / "notebooks", "02_text", *first, *cells)
    grid = f'report = "02"\n[grid]\nnote = {json.dumps(PAYLOADS)}\nfail = [false, true]\n'
    (home / "grid.toml").write_text(grid)
    done = small.trn3(home / "notebooks", "batch", home / "grid.toml", "--out", home / "out")
    assert f"{len(PAYLOADS)} of {2 * len(PAYLOADS)} reports made" in done.stdout, done.stderr
    single = small.trn3(
        home / "notebooks", "report", "02", "-p", f"note={PAYLOADS[1]}", "--out", home / "one"
    )
    assert single.returncode == 0, single.stderr
    return home


@pytest.mark.browser
class TestPages:
    def test_no_text_runs_and_nothing_is_requested(self, pages, opened):
        page, dialogs = opened(), []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        files = sorted([*(pages / "out").glob("*.html"), *(pages / "one").glob("*.html")])
        assert len(files) == 2 * len(PAYLOADS) + 2
        for file in files:
            page.goto(file.as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            live = (
                "a[href^='javascript'], [onload], [onfocus], [onerror], iframe, object, embed, base"
            )
            assert not [e.evaluate("e => e.outerHTML") for e in page.query_selector_all(live)], (
                file.name
            )
            assert page.evaluate("window.__xss") is None, file.name
            assert page.url == file.as_uri()
        own = {file.as_uri() for file in files} | {(pages / "out" / "vega.js").as_uri()}
        assert set(page.asked) <= own and not dialogs

    def test_the_page_still_shows_the_text_and_draws_its_chart(self, pages, visit):
        page = visit(next((pages / "one").glob("*.html")))
        assert page.locator("figure svg").count()
        assert PAYLOADS[1] in page.inner_text("main")

    def test_a_page_runs_no_script_but_its_own(self, pages, visit):
        page = visit(next((pages / "one").glob("*.html")))
        page.evaluate(
            """() => {
                window.refused = [];
                document.addEventListener("securitypolicyviolation",
                    event => refused.push(event.effectiveDirective));
                document.body.append(
                    Object.assign(document.createElement("script"), {text: "__xss = 1"}));
                document.body.insertAdjacentHTML(
                    "beforeend", `<img src=x onerror="window.__xss = 2">`);
            }"""
        )
        for rule in ("script-src-elem", "script-src-attr"):
            page.wait_for_function("rule => refused.includes(rule)", arg=rule)
        assert page.evaluate("window.__xss") is None


def test_a_customer_name_is_text(tmp_path):
    name = json.dumps(f"A & B (EU ((a+)+)+$ [ {PAYLOADS[0]}{PAYLOADS[2]}")
    text = (data.DATA / "customers" / "karakuri.toml").read_text()
    file = tmp_path / "mine.toml"
    own, parts, rest = text.partition("[[")
    own = re.sub(r"^(name|summary) = .*$", lambda m: f"{m[1]} = {name}", own, flags=re.M)
    file.write_text(own + parts + rest)
    done = small.trn3(
        parameters.NOTEBOOKS, "report", "08", "--customer", file, "--out", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    page = next((tmp_path / "out").glob("*.html")).read_text()
    assert "A &amp; B" in page and PAYLOADS[0] not in page and PAYLOADS[2] not in page


def test_files_stay_in_the_folder_whatever_a_table_is_called(pages):
    names = {p.name for p in (pages / "out").iterdir()}
    assert all(
        name.startswith(("02_text", "index.", "vega.js", "manifest", ".lock")) for name in names
    )
    assert sorted(p.name for p in pages.iterdir()) == ["grid.toml", "notebooks", "one", "out"]
    results = json.loads(next((pages / "one").glob("*.json")).read_text())
    assert all(
        (pages / "one" / name).is_file() and "/" not in name for name in results["tables"].values()
    )


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    small.report(tmp_path / "notebooks")
    monkeypatch.setattr(parameters, "NOTEBOOKS", tmp_path / "notebooks")
    return tmp_path / "notebooks"


def attacks(marker: Path) -> list[str]:
    run = f"open({str(marker)!r}, 'w')"
    return [
        f"n={run}",
        f"note={run}",
        f'note="; {run} #',
        f"note='''\" + {run} + \"",
        f"note=%%python {run}",
        f"note=!touch {marker}",
        f"note=`touch {marker}` $(touch {marker})",
        f"note={{{run}}}",
        f"note=\\N{{BULLET}}\\x22 {run}",
        f"rivals=b200,{run}",
        f"sizes=1,{run}",
        f"flag={run}",
        f"n = {run}; n=3",
        f"note = {run} or 1=2",
        f"__import__('os').system('touch {marker}')=1",
        f"__builtins__={run}",
    ]


def test_names_and_values_never_run_python(notebooks, tmp_path):
    marker, taken = tmp_path / "marker", []
    for text in attacks(marker):
        name, _, value = text.partition("=")
        try:
            taken.append(batch.case("02", {name: value}).given["note"])
        except parameters.ParameterError as error:
            assert "\n" not in str(error)
    assert len(taken) >= 6 and f"!touch {marker}" in taken
    lines = "".join(f"[[case]]\nnote = {json.dumps(note)}\n" for note in taken)
    (tmp_path / "grid.toml").write_text(f'report = "02"\n{lines}')
    done = small.trn3(notebooks, "batch", tmp_path / "grid.toml", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    rows = batch.remembered(tmp_path / "out").values()
    assert {row["parameters"]["note"] for row in rows} == set(
        taken
    )  # the text itself arrived, as text
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["../notebooks/02_small", "/etc/passwd", "02_small/../02_small", "..", ".", "~", "\0"]
)
def test_report_names_choose_no_path(notebooks, tmp_path, name):
    with pytest.raises(parameters.ParameterError):
        batch.case(name, {})
    (tmp_path / "grid.toml").write_text(f"[[case]]\nreport = {json.dumps(name)}\n")
    with pytest.raises(batch.BatchError):
        batch.cases(tmp_path / "grid.toml")


@pytest.mark.parametrize(
    "name", ["../customers/karakuri", "/etc/passwd", "..", "x/../karakuri", "%2e", "karakuri\0"]
)
def test_customer_names_choose_no_path(tmp_path, name):
    path = small.write(
        tmp_path, "08_c", ("parameters", 'customer: str = "karakuri"  # who {customer}')
    )
    with pytest.raises(parameters.ParameterError):
        parameters.validate(path, {"customer": name})
