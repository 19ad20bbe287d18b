"""Exploring: the table of answers, its words, the command that repeats a state, and the speed of
a change.
"""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import cost, data, hardware, inference
from trn3.reporting import parameters
from trn3.study import explore, footprint

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "11_explore.ipynb"
STATE = explore.State()


@pytest.fixture(scope="module")
def found():
    return explore.evaluate(STATE)


def by(found):
    return found.frame.set_index("measure")


def test_the_notebook_starts_where_the_module_does():
    declared = {p.name: p.default for p in parameters.read(NOTEBOOK)}
    assert declared == asdict(STATE)


def test_every_question_is_answered_for_both_uses(found):
    assert not found.missing
    asked = found.frame.groupby("use")["question"].agg(set).to_dict()
    assert asked == {use: {"Speed", "Energy", "Cost", "Scale"} for use in ("Serving", "Training")}
    for side in ("system", "rival"):
        assert (found.frame[f"{side}_low"] <= found.frame[side]).all()
        assert (found.frame[side] <= found.frame[f"{side}_high"]).all()


def test_speed_and_cost_are_those_of_the_serving_model_and_of_the_cost_formula(found):
    point, row = (
        inference.best(STATE.load, hardware.system(STATE.system)),
        by(found).loc[explore.MEASURES[3]],
    )
    rate = point.output_tokens_per_s_per_chip
    usd = cost.usd_per_unit(explore.rent(point.system).value, rate[1], STATE.utilisation) * 1e6
    assert row["system"] == pytest.approx(usd, rel=1e-12)
    assert by(found).loc[explore.MEASURES[0], "system"] == pytest.approx(rate[1], rel=1e-12)


def test_a_system_against_itself_is_level_in_everything():
    same = explore.evaluate(replace(STATE, rival=STATE.system))
    assert np.allclose(same.frame["ratio"], 1, rtol=1e-12) and len(set(same.names)) == 2
    assert {explore.verdict(r) for r in same.frame.itertuples()} == {"the same"}


def test_swapping_the_two_turns_every_ratio_around(found):
    other = explore.evaluate(replace(STATE, system=STATE.rival, rival=STATE.system))
    assert np.allclose(other.frame["ratio"] * found.frame["ratio"], 1)
    assert np.allclose(other.frame["low"] * found.frame["high"], 1)


def test_cost_follows_the_rent_and_nothing_else_does(found):
    rent = explore.rent(hardware.system(STATE.system)).value
    dear = explore.evaluate(replace(STATE, price=2 * rent))
    change = by(dear)["system"] / by(found)["system"]
    costs = by(found)["question"] == "Cost"
    assert np.allclose(change[costs], 2) and np.allclose(change[~costs], 1)


def test_without_a_public_rent_the_assumed_one_says_so():
    assert explore.rent(hardware.system("trn3_gen2")).status == "assumed"
    given_rent = explore.rent(hardware.system("trn3_gen2"), 9.0)
    assert (given_rent.value, given_rent.low, given_rent.source_id) == (9.0, 9.0, "")


def test_the_rent_is_that_of_the_term_and_region_or_says_that_it_is_not():
    listed = data.price("b200", "capacity_block", "us_east_2")
    found = explore.rent(hardware.system("hgx_b200"), 0.0, "capacity_block", "us_east_2")
    assert (found.value, found.source_id) == (listed.value, listed.source_id)
    elsewhere = explore.rent(hardware.system("hgx_b200"), 0.0, "on_demand", "us_east_2")
    assert elsewhere.value == data.price("b200", "on_demand").value != found.value
    unsold = explore.rent(hardware.system("tpu_v7_pod"), 0.0, "capacity_block", "us_east_2")
    assert unsold.value == data.price("tpu_v7", "typical").value
    assert unsold.note.startswith("no price by capacity block in us east 2")


def test_energy_is_compared_draw_by_draw_as_on_the_other_pages(found):
    prints, _ = footprint.compare(
        STATE.load, [STATE.system, STATE.rival], STATE.region, STATE.utilisation
    )
    ours, theirs = (each.total_j for each in prints.values())
    row = by(found).loc["J per output token"]
    assert np.allclose(
        row[["low", "ratio", "high"]].astype(float), np.percentile(theirs / ours, [10, 50, 90])
    )


def test_a_system_against_itself_says_so():
    assert (
        "nothing to compare"
        in explore.chart(explore.evaluate(replace(STATE, rival=STATE.system))).meta["title"]
    )


def test_what_cannot_run_is_named_and_the_rest_is_answered():
    some = explore.evaluate(replace(STATE, rival="hgx_a100"))  # A100 has no FP8
    assert set(some.missing) == {f"{use}, {some.names[1]}" for use in ("Serving", "Training")}
    assert np.isfinite(some.frame["system"]).all() and some.frame["rival"].isna().all()
    assert "—" in set(explore.shown(some)[some.names[1]])
    assert "cannot be compared" in explore.chart(some).meta["title"]


def test_nothing_at_all_is_an_error_of_one_line():
    with pytest.raises(data.TrnError) as error:
        explore.evaluate(replace(STATE, system="hgx_a100", rival="hgx_a100"))
    assert "\n" not in str(error.value)
    with pytest.raises(data.TrnError, match="trn3_gen2"):
        explore.evaluate(replace(STATE, system="trn3_gen9"))


@pytest.mark.parametrize(
    "low, ratio, high, word",
    [
        (1.2, 1.5, 1.9, "ahead"),
        (0.5, 0.7, 0.9, "behind"),
        (0.95, 1.4, 2.0, "likely ahead"),
        (0.4, 0.7, 1.05, "likely behind"),
        (0.7, 1.1, 1.5, "open"),
        (0.6, 0.9, 1.3, "open"),
        (1.05, 1.05, 1.05, "ahead"),
        (1.0, 1.0, 1.0, "the same"),
        (3.0, 3.0, 3.0, "ahead"),
        (np.nan, np.nan, np.nan, "not known"),
    ],
)
def test_words(low, ratio, high, word):
    assert explore.verdict(SimpleNamespace(low=low, ratio=ratio, high=high)) == word


@settings(max_examples=30, deadline=None)
@given(
    n_chips=st.integers(1, 10**6),
    price=st.floats(0, 1000).map(lambda x: float(f"{x:.12g}")),
    tokens=st.floats(1e6, 1e15).map(lambda x: float(f"{x:.12g}")),
)
def test_the_command_gives_the_state_back(n_chips, price, tokens):
    state = replace(STATE, n_chips=n_chips, price=price, tokens=tokens, rival="hgx_h200")
    words = state.command().split(" -p ")
    assert words[0] == "./run report 11_explore"
    values = parameters.validate(NOTEBOOK, dict(word.split("=") for word in words[1:]))
    assert explore.State(**values) == state


def test_a_report_shows_a_table_and_the_lab_live_controls(monkeypatch, found):
    pytest.importorskip("ipywidgets")
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert "text/html" in explore.panel(STATE).bundle
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/11_explore.ipynb")
    controls, sentence, table, picture = explore.panel(STATE).children
    named = dict(zip((f.name for f in fields(STATE)), controls.children, strict=True))
    assert {k: v.value for k, v in named.items()} == asdict(STATE)
    before = table.value
    named["price"].value = 7.0
    assert table.value != before and "-p price=7" in table.value
    assert "at 7.00 USD (yours)" in sentence.value
    title = picture.outputs[0]["data"]
    assert json.dumps(title)
    named["model"].value = "deepseek_v3"
    named["input_tokens"].value = 10**6
    assert (
        "takes at most" in table.value
    )  # longer than the model's context: serving has no answer, and says why
    named["n_chips"].value = 0
    assert "n_chips" in table.value and not picture.outputs
