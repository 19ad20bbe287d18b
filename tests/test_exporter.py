"""The page as nbconvert makes it: the same as a report's, from its command line too, whoever wrote
the notebook.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import small

from trn3 import data
from trn3.reporting import batch, engine, exporter, frame, parameters

ROOT = Path(__file__).resolve().parent.parent


CHART = """
spec = {"mark": "point", "data": {"values": [{"y": 1, "x": 2}]}, "description": "one dot"}
display({"application/vnd.vegalite.v5+json": spec}, raw=True)
"""


def nbconvert(folder: Path, notebook: Path, *options: str) -> None:
    """Run nbconvert's own command with the exporter registered as pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["nbconvert.exporters"].items()
    about = folder / "site" / "trn3-0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: trn3\nVersion: 0\n")
    lines = [f"{name} = {where}" for name, where in points]
    (about / "entry_points.txt").write_text("\n".join(["[nbconvert.exporters]", *lines]))
    paths = os.pathsep.join([str(about.parent), str(ROOT)])
    command = [sys.executable, "-m", "nbconvert", "--to", "trn3", str(notebook), *options]
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def report(name: str, given: dict[str, str]) -> tuple[batch.Case, nbformat.NotebookNode]:
    """A report's case and its executed notebook."""
    one = batch.case(name, given)
    return one, engine.run(one.notebook, one.given, "fork")


@pytest.mark.parametrize("given", [{}, {"n": "5", "note": "<b>x</b>"}], ids=["plain", "changed"])
def test_nbconvert_makes_the_page_of_a_report(tmp_path, monkeypatch, given):
    monkeypatch.setattr(parameters, "NOTEBOOKS", tmp_path / "notebooks")
    path = small.report(tmp_path / "notebooks")
    notebook = nbformat.read(path, 4)
    notebook.cells.append(nbformat.v4.new_code_cell(CHART))
    nbformat.write(notebook, path)
    one, notebook = report("02", given)
    page, beside = exporter.report(notebook, one.about(batch.Options()))
    stored = tmp_path / f"{one.stem}.ipynb"
    nbformat.write(notebook, stored)
    nbconvert(tmp_path, stored)
    assert (tmp_path / f"{one.stem}.html").read_text(encoding="utf-8") == page
    for name, content in beside.items():
        read = json.loads if name.endswith(".json") else bytes.decode
        assert read((tmp_path / name).read_bytes()) == read(content), name
    assert page.count(">changed</span>") == len(given) and "<figure>" in page
    assert json.loads(beside[f"{one.stem}.json"])["parameters"] == one.values


def test_nbconvert_takes_the_stored_notebooks(tmp_path):
    path = parameters.find("02")
    nbconvert(tmp_path, path, "--output-dir", str(tmp_path))
    one = batch.case("02", {})
    page, _ = exporter.report(nbformat.read(path, 4), one.about(batch.Options()))
    assert (tmp_path / f"{path.stem}.html").read_text(encoding="utf-8") == page


def test_a_page_repeats_to_the_byte_and_leaves_the_notebook_as_it_was():
    notebook = nbformat.read(parameters.find("02"), 4)
    before = nbformat.writes(notebook)
    about = batch.case("02", {}).about(batch.Options())
    assert exporter.report(notebook, about) == exporter.report(notebook, about)
    assert nbformat.writes(notebook) == before


def stranger() -> nbformat.NotebookNode:
    """A notebook that knows nothing of this project."""
    v4 = nbformat.v4
    stream = v4.new_output("stream", text="a < b")
    error = v4.new_output("error", ename="E", evalue="v", traceback=["<i>line</i>"])
    html = v4.new_output("display_data", {"text/html": "<b onclick='x()'>bold</b>"})
    injected = v4.new_code_cell("n = 3\nrate = -2.5", metadata={"tags": ["injected-parameters"]})
    odd = v4.new_code_cell("n = [1, 2][0]  # no comment of ours", metadata={"tags": ["parameters"]})
    return v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# Mine\nText with $x^2$."),
            odd,
            injected,
            v4.new_code_cell("print('a < b')", outputs=[stream, html]),
            v4.new_raw_cell("raw"),
            v4.new_code_cell("1 / 0", outputs=[error]),
        ]
    )


def test_a_notebook_of_somebody_else_becomes_a_page():
    page, resources = exporter.PageExporter().from_notebook_node(stranger())
    assert "<h1>Mine</h1>" in page and "<math" in page and "<b>bold</b>" in page
    assert "<pre>a &lt; b</pre>" in page and "&lt;i&gt;line&lt;/i&gt;" in page
    assert re.search(r"<code>n</code></dt>\s*<dd>3<", page), "a parameter of papermill"
    assert "<code>rate</code>" in page and "−2.5" in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'") and frame.hash_source(frame.sheet()) in policy
    assert list(resources["outputs"]) == ["Notebook.json"]


@pytest.mark.parametrize(
    "cell", ["%matplotlib inline\nn = 1", "n: int = f(", "n = (", "n: list = [x", "'''"]
)
def test_parameters_that_are_no_plain_python_cost_no_page(cell):
    notebook = stranger()
    notebook.cells[1].source = cell
    page, _ = exporter.PageExporter().from_notebook_node(notebook)
    assert "<h1>Mine</h1>" in page and "<code>rate</code>" in page
    notebook.cells[2].source += "\nbad = float('nan')\n"
    assert set(exporter.injected(notebook)) == {"n", "rate"}
    notebook.cells[2].source = cell
    page, _ = exporter.PageExporter().from_notebook_node(notebook)
    assert "<h1>Mine</h1>" in page


def test_options_of_nbconvert_work():
    from traitlets.config import Config

    config = Config({"TagRemovePreprocessor": {"remove_cell_tags": ["secret"]}})
    config.TagRemovePreprocessor.enabled = True
    notebook = stranger()
    notebook.cells[-1].metadata["tags"] = ["secret"]
    page, _ = exporter.PageExporter(config=config).from_notebook_node(notebook)
    assert "1 / 0" not in page and "<h1>Mine</h1>" in page


def test_the_page_names_the_day_of_the_data():
    about = exporter.about_stored(stranger(), "mine-1a2b3c4d")
    assert about.data_date == str(data.data_date())
    assert (about.report, about.stem) == ("mine", "mine-1a2b3c4d")
    assert about.command == "./run report mine -p n=3 -p rate=-2.5"
