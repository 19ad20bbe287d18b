"""Prices of tokens and runs: identities, whose rent counts, and what no sentence may say."""

import html
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trn3 import cost, data, workload
from trn3.study import pricing, rents

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SYSTEMS = ["trn3_gen2", "hgx_h200", "trn2_48xl", "hgx_b200"]
LOAD = workload.ServingLoad(workload.model("llama3_3_70b"), 2048, 512, 3.0, 0.03, "fp8", "fp8")
JOB = workload.TrainingJob(LOAD.model, 1e12, 4096, 1024, "bf16")
BLOCKS = pricing.Purchase("capacity_block", "us_east_2")
YEARS = replace(BLOCKS, term="commitment")


@pytest.fixture(scope="module")
def served():
    return pricing.tokens(LOAD, SYSTEMS, BLOCKS, 0.6, 10.0)


@pytest.fixture(scope="module")
def trained():
    return pricing.runs(JOB, SYSTEMS, BLOCKS, 512)


def test_at_the_break_even_rent_both_cost_the_same(served, trained):
    for priced, again in (
        (served, lambda p: pricing.tokens(LOAD, SYSTEMS, p, 0.6, 10.0)),
        (trained, lambda p: pricing.runs(JOB, SYSTEMS, p, 512)),
    ):
        for rival, row in priced.rivals.iterrows():
            tied = again(replace(BLOCKS, price=float(row["even"])))
            assert tied.own["usd"] == pytest.approx(tied.table.loc[rival, "usd"])
            assert tied.verdict(rival).word == "open"


def test_a_token_by_hand(served):
    own = served.own
    # USD an hour over the tokens of an hour, of which the chip is busy for 60%
    assert own["usd"] == pytest.approx(1e6 * 3.5 / (3600 * 0.6 * own["speed"]))
    assert own["chips"] % own["copy_chips"] == 0
    assert own["chips"] * own["speed"] * 0.6 >= 10 * 512
    assert own["usd_a_month"] == pytest.approx(own["chips"] * 3.5 * 730.5)


def test_a_run_by_hand(trained):
    own = trained.own
    seconds = 1e12 / (512 * own["speed"])
    assert own["days"] == pytest.approx(seconds / 86400)
    assert own["usd"] == pytest.approx(cost.run_usd(512, seconds, 3.5))


def test_idle_hours_cost_and_move_no_break_even_rent(served):
    idle = pricing.tokens(LOAD, SYSTEMS, BLOCKS, 0.3, 10.0)
    assert idle.own["usd"] == pytest.approx(2 * served.own["usd"])
    assert idle.cheapest["even"] == pytest.approx(served.cheapest["even"])


def test_own_rents_count_before_lists_and_take_no_discount(served):
    mine = replace(BLOCKS, price=2.0, baseline_price=4.0, discount=0.5)
    priced = pricing.tokens(LOAD, SYSTEMS, mine, 0.6, 10.0)
    assert priced.own["rent"] == 2.0 and priced.basis == "given"
    assert priced.table.loc["hgx_h200", "rent"] == 4.0
    listed = served.table.loc["hgx_b200", "rent"]
    assert priced.table.loc["hgx_b200", "rent"] == pytest.approx(0.5 * listed)


def test_a_commitment_counts_under_a_commitment_alone():
    mine = replace(BLOCKS, price=3.0, commitment_price=1.5)
    assert mine.own(0) == 3.0
    assert replace(mine, term="commitment").own(0) == 1.5
    assert replace(mine, term="reserved_3y").own(1) == 0.0


def test_an_assumed_rent_is_held_against_capacity_blocks_alone():
    priced = pricing.tokens(LOAD, SYSTEMS, YEARS, 0.6, 10.0)
    offers = pricing.offers(priced, SYSTEMS, YEARS)
    trained = pricing.runs(JOB, SYSTEMS, YEARS, 512)
    assert not priced.alike
    assert "against Capacity Blocks, on which that rent rests" in pricing.rest(
        priced, trained, offers
    )
    assert "rests on Capacity Blocks" in pricing.next_step(priced, priced.rivals.index[0])
    assert not re.search("cheaper|dearer|either", pricing.title(priced))
    assert not any("In the middle case" in text for text in pricing.flips(priced, 0.6))
    given = pricing.tokens(LOAD, SYSTEMS, replace(YEARS, price=1.0), 0.6, 10.0)
    assert given.alike and "Capacity" not in pricing.rest(given, trained, offers)


def test_the_lowest_break_even_rent_is_that_of_the_cheapest_rival(served):
    assert served.cheapest["usd"] == served.rivals["usd"].min()
    assert list(served.rivals["even"]) == sorted(served.rivals["even"])
    assert served.table["usd"].is_monotonic_increasing


def test_offers_of_every_way_agree_with_the_table(served):
    offers = pricing.offers(served, SYSTEMS, BLOCKS)
    same = offers[offers["way"] == "capacity_block"].set_index("system")
    for rival, row in served.rivals.iterrows():
        assert same.loc[rival, "even"] == pytest.approx(row["even"])
    assert set(offers["way"]) >= {"commitment", "on_demand", "capacity_block", "neocloud"}


def test_each_break_even_rent_of_other_pages_has_a_sentence(served, trained):
    offers = pricing.offers(served, SYSTEMS, BLOCKS)
    said = pricing.reconciled(offers, served, trained)
    one_less = served.cheapest.name == pricing.ONE_RIVAL  # it is then the answer of the page
    assert len(said) == 4 - one_less and all(text.startswith("**") for text in said)
    few = offers[offers["system"] != pricing.ONE_RIVAL]
    few = few[few["way"] != rents.COMMITMENT]
    assert len(pricing.reconciled(few, served, trained)) == 2


def test_who_cannot_answer_says_why():
    systems = ["trn3_gen2", "inf2_48xl", "hgx_h200"]
    large = replace(LOAD, model=workload.model("llama3_1_405b"), tpot_s=0.1)
    priced = pricing.tokens(large, systems, BLOCKS)
    assert list(priced.missing) == ["Inferentia2"] and "fit" in priced.missing["Inferentia2"]
    shown = pricing.in_words(priced, "USD")
    assert shown["Why not"].iloc[-1] == priced.missing["Inferentia2"]
    unsold = pricing.tokens(LOAD, ["trn3_gen2", "mi300x_8", "hgx_h200"], BLOCKS)
    assert unsold.missing == {"Instinct MI300X": "no rent by Capacity Block is listed"}


@pytest.mark.parametrize(
    ("systems", "load", "says"),
    [
        (["trn3_gen2"], LOAD, "needs a rival"),
        (["trn3_gen2", "mi300x_8"], LOAD, "no rent by Capacity Block"),
        (SYSTEMS, replace(LOAD, tpot_s=1e-4), "tpot_ms = 0.1"),
    ],
)
def test_a_question_without_an_answer_is_refused_by_name(systems, load, says):
    with pytest.raises(data.TrnError, match=says):
        pricing.tokens(load, systems, BLOCKS)


def test_ends_of_an_input_are_prices_at_its_ends(served):
    ends = pricing.ends(served, 0.6).set_index("input")
    assert ends.loc["busy share", "usd_at_low"] == pytest.approx(2 * served.own["usd"])
    assert ends.loc["rent", "usd_at_high"] == pytest.approx(
        served.own["usd"] * served.paid.high / served.paid.usd_per_chip_h
    )
    assert ends.loc["speed", "usd_at_low"] == pytest.approx(served.own["usd_high"])
    assert ends.loc["discount", "usd_at_low"] == pytest.approx(served.own["usd"])


def test_list_prices_of_tokens_are_of_the_same_request(served):
    listed = rents.listed_tokens(2048, 512, "llama3_3_70b")
    by_hand = 4 * listed["usd_in"] + listed["usd_out"]  # four tokens read for one written
    assert np.allclose(listed["usd_per_mtok"], by_hand) and len(listed) > 1
    assert listed["usd_per_mtok"].is_monotonic_increasing
    assert len(rents.listed_tokens(2048, 512)) > len(listed)
    shown = pricing.listed_in_words(LOAD, served, 0.6)
    first, cost_here = shown.iloc[0], 1000 * pricing.request_usd(LOAD, served)
    assert first["USD per thousand requests"] < cost_here
    assert "not even" in first.iloc[-1] or number(first.iloc[-1]) < 100
    unknown = replace(LOAD, model=workload.model("gpt3_175b"))
    assert "no list price" in pricing.listed_in_words(unknown, served, 0.6).iloc[0, 0]


def test_numbers_of_the_results_are_those_of_the_answer(served, trained):
    rows = pricing.headline(served, trained, 0.6, 10.0)
    assert rows[0]["value"] == served.cheapest["even"] and rows[0]["unit"] == "USD/h"
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)


# -------------------------------------------------------------------------- hand beside the package
def tables(stem: str) -> list[list[list[str]]]:
    """Cells of the stored tables of the cells tagged worked, heads first."""
    found = []
    for cell in json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text())["cells"]:
        if "worked" not in cell["metadata"].get("tags", []):
            continue
        for output in cell["outputs"]:
            markup = "".join(output["data"].get("text/html", ""))
            rows = re.findall(r"<tr>(.*?)</tr>", markup)
            found.append(
                [
                    [html.unescape(t) for t in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", r)]
                    for r in rows
                ]
            )
    return [table for table in found if any("by hand" in head for head in table[0])]


def number(text: str) -> float:
    return float(re.sub(r"[^\d.]", "", text.replace("−", "-")))


@pytest.mark.parametrize("stem", ["07_cost", "08_customer_savings"])
def test_what_a_notebook_makes_by_hand_is_what_the_package_says(stem):
    found = tables(stem)
    assert found
    for heads, *rows in found:
        hands = [i for i, head in enumerate(heads) if "by hand" in head]
        assert rows and all(heads[i + 1].strip() == "by the package" for i in hands)
        for row, i in itertools.product(rows, hands):
            assert number(row[i]) == pytest.approx(number(row[i + 1]), rel=0.01), row


# -------------------------------------------------------------------------------- level of software
def test_better_software_raises_the_break_even_rent_and_leaves_the_rivals(served, trained):
    levels = pricing.levels(LOAD, JOB, SYSTEMS, BLOCKS, 512)
    for kind, priced in (("Serving", served), ("Training", trained)):
        rows = levels[levels["group"].str.startswith(kind)].set_index("level")
        assert list(rows.index) == ["first port", "typical", "tuned", "hardware"]
        assert rows["even"].is_monotonic_increasing and rows["even"].is_unique
        assert rows.loc["typical", "even"] == pytest.approx(priced.cheapest["even"])
        assert priced.cheapest["chip"] in rows["group"].iloc[0]
        assert (rows["low"] < rows["even"]).all() and (rows["even"] < rows["high"]).all()


def test_the_level_moves_the_first_system_alone(served):
    tuned = pricing.tokens(LOAD, SYSTEMS, BLOCKS, 0.6, 10.0, "tuned")
    assert tuned.own["speed"] > served.own["speed"]
    assert "with tuned software" in pricing.lead(tuned) and "software" not in pricing.lead(served)
    rivals = tuned.rivals["speed"].sort_index()
    assert rivals.to_numpy() == pytest.approx(served.rivals["speed"].sort_index().to_numpy())
    with pytest.raises(data.TrnError, match="first_port, typical, tuned, hardware"):
        pricing.tokens(LOAD, SYSTEMS, BLOCKS, software="best")
