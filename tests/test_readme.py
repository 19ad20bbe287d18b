"""The README says what the pages and the tables say, to the word."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def writer():
    spec = importlib.util.spec_from_file_location("readme", ROOT / "docs" / "readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_first_screen_is_the_finding():
    assert README.index("![") < 1500 and README.index("findings:") < README.index("## Run it")
    assert len(re.findall(r"^- \*\*\w+\.\*\* ", README, re.M)) >= 4


def test_figures_are_those_of_the_stored_pages(writer):
    assert writer.render(README) == README, "python docs/readme.py writes them"


def test_a_changed_figure_is_noticed(writer):
    changed = README.replace("1.94× the FP8 peak", "2.94× the FP8 peak")
    assert changed != README and writer.render(changed) == README


def test_the_trust_table_leads_with_runs_that_came_in_later(writer, monkeypatch):
    table = README[README.index("<!-- trust") :]
    assert table.index("before any refit") < table.index("left out") < table.index(writer.KEPT_BACK)
    found = writer.trust.newer("training").set_index("part").loc["everything"]
    assert f"| {found['group_median_factor']:.2f} ({found['factor_low']:.2f}–" in table
    far = writer.trust.newer
    monkeypatch.setattr(
        writer.trust, "newer", lambda kind: far(kind).assign(group_median_factor=7.77)
    )
    assert "| 7.77 (" in writer.render(README)


def test_the_picture_is_the_stored_headline_of_the_start_page(writer):
    assert (ROOT / "docs" / "headline.png").read_bytes() == writer.picture(), (
        "python docs/readme.py writes it"
    )


def test_every_notebook_and_link_is_there():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len([x for x in links if x.startswith("notebooks/")]) >= 12
    assert not [x for x in links if not (ROOT / x).exists()]


def test_the_python_example_runs():
    code = README.split("```python\n")[1].split("```")[0]
    exec(compile(code, "README", "exec"), {})
