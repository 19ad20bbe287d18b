"""The README says what the pages and the tables say, to the word."""

import importlib.util
import re
from pathlib import Path

import pandas as pd
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


def test_the_kept_back_runs_give_way_to_a_committed_prospective_score(writer, monkeypatch):
    assert f"{writer.KEPT_BACK}\n" in README
    scores = writer.data.table("validation_summary")
    later = scores.query("fold == 'source' and part == 'everything' and corrections == 1")
    later = later.assign(fold="prospective", group_median_abs_error=0.111, band_coverage=0.79)
    monkeypatch.setattr(writer.data, "table", lambda name: pd.concat([scores, later]))
    text = writer.render(README)
    assert writer.KEPT_BACK not in text
    assert "training 11.1%, range held 79%; serving 11.1%, range held 79%" in text


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
