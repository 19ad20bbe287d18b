"""The page of paper arithmetic: its blocks run, agree with the package, and say today's figures."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
TEXT = (DOCS / "arithmetic.md").read_text()


@pytest.fixture(scope="module")
def writer():
    spec = importlib.util.spec_from_file_location("arithmetic", DOCS / "arithmetic.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_paper_and_package_agree_and_the_figures_are_todays(writer):
    """Every block refuses a difference above what it allows."""
    assert writer.render(TEXT) == TEXT, "python docs/arithmetic.py writes them"


def test_five_figures_are_held_against_the_package(writer):
    assert len(re.findall(r"^## \d\. ", TEXT, re.M)) == TEXT.count("{beside(paper") == 5
    assert TEXT.count("-->\nOn paper **") == 5


def test_a_paper_figure_that_is_off_is_refused(writer):
    broken = TEXT.replace("paper = rent * own / fast", "paper = 1.1 * rent * own / fast")
    assert broken != TEXT
    with pytest.raises(AssertionError):
        writer.render(broken)


def test_an_old_figure_is_noticed(writer):
    old = re.sub(r"On paper \*\*\d", "On paper **9", TEXT)
    assert old != TEXT and writer.render(old) == TEXT
