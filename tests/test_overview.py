"""Page 00: ratios of two systems, the rents they are held at, and the rows of the other pages."""

import math
from dataclasses import replace

import numpy as np
import pytest

from trn3 import data, workload
from trn3.fit import trust
from trn3.reporting import parameters
from trn3.show import words
from trn3.study import claims, overview, pricing


def question(**change):
    asked = {
        "system": "trn3_gen2",
        "rival": "hgx_b200",
        "model": "llama3_3_70b",
        "dtype": "fp8",
        "n_chips": 512,
        "term": "commitment",
        "price": 0.0,
        "baseline_price": 0.0,
    } | change
    shape, dtype = workload.model(asked["model"]), asked["dtype"]
    purchase = pricing.Purchase(asked["term"], "us_east_2", asked["price"], asked["baseline_price"])
    return overview.Question(
        asked["system"],
        asked["rival"],
        workload.ServingLoad(shape, 2048, 512, 3.0, 0.03, dtype, dtype),
        workload.TrainingJob(shape, 1e12, 8192, 1024, "bf16"),
        asked["n_chips"],
        purchase,
    )


@pytest.fixture(scope="module")
def found():
    return overview.evaluate(question())


def test_a_ratio_and_its_range_by_hand(found):
    """Errors multiply, so logarithms of both sides are added by their squares."""
    (low, middle, high), (rival_low, rival, rival_high) = found.speeds
    ratio = middle / rival
    down = math.hypot(math.log(middle / low), math.log(rival_high / rival))
    up = math.hypot(math.log(high / middle), math.log(rival / rival_low))
    by_hand = [ratio * math.exp(-down), ratio, ratio * math.exp(up)]
    assert found.ratios["Serving speed, FP8"] == pytest.approx(by_hand)


def test_rents_that_tie_are_rents_times_the_ratio_of_speeds(found):
    ratio = found.speeds[0][1] / found.speeds[1][1]
    assert found.even.middle == pytest.approx(found.paid.usd_per_chip_h * ratio)
    assert found.like.middle == pytest.approx(found.alike.usd_per_chip_h * ratio)
    dollars = next(ends for name, ends in found.ratios.items() if "dollar" in name)
    assert dollars[1] == pytest.approx(found.like.middle / found.rent.usd_per_chip_h)


def test_an_assumed_rent_is_held_against_capacity_blocks(found):
    assert found.rent.assumed and found.alike.term == "capacity_block"
    assert found.paid.term in ("reserved_1y", "reserved_2y", "reserved_3y", "contract_1y")
    assert "by Capacity Block" in overview.lead(found)
    own = overview.evaluate(question(price=2.0))
    assert own.one_way and own.at == "at your 2.00 USD"
    assert "Capacity Block" not in overview.lead(own)
    both = overview.evaluate(question(price=2.0, baseline_price=8.0))
    assert both.alike == both.paid and both.paid.usd_per_chip_h == 8.0


def test_training_stands_in_both_formats_and_mxfp8_is_named(found):
    assert {"Training speed, BF16", "Training speed, FP8"} <= set(found.ratios)
    assert "in FP8 (MXFP8 on Trainium3)" in overview.rest(found)
    assert found.format == "FP8 (MXFP8 on Trainium3)"


def test_a_run_that_does_not_fit_leaves_the_rest_standing():
    small = overview.evaluate(question(model="deepseek_v3", n_chips=16))
    assert not [name for name in small.ratios if "Training" in name]
    assert overview.pages(small).iloc[2]["First answer"] == "Not on 16 chips."
    assert len(small.missing) == 4 and "in training" not in overview.rest(small)
    assert np.isfinite(np.array(list(small.ratios.values()))).all()


def test_pages_are_those_of_the_collection_and_say_what_they_say(found):
    stems = [path.stem for path in parameters.notebooks()]
    assert list(overview.PAGES) == [stem for stem in stems if stem != "00_start_here"]
    rows = overview.pages(found).set_index("Question")["First answer"]
    assert rows["Do the launch claims hold?"] == claims.lead(claims.compared())
    assert "restarts from copies in memory" in rows["How much of a bigger cluster do you get?"]
    assert "from storage" not in rows["How much of a bigger cluster do you get?"], "one recovery"
    assert "staying on B200 HGX" in rows["Buy now, or wait?"]
    missed = trust.summary("training", "generation")["group_median_abs_error"]
    assert words.pct(missed) in rows["Why trust this?"]
    assert all(answer.endswith(".") for answer in rows)


def test_two_systems_of_one_chip_are_told_apart():
    pair = overview.evaluate(question(rival="trn3_gen1", baseline_price=3.0))
    assert len(set(pair.names)) == 2
    assert overview.pages(pair).iloc[8]["First answer"].startswith("That depends on when")


def test_what_cannot_be_compared_is_refused_by_name():
    with pytest.raises(data.TrnError, match="baseline = 'trn3_gen2'"):
        overview.evaluate(question(rival="trn3_gen2"))
    asked = question()
    soon = replace(asked.load, tpot_s=1e-4)
    with pytest.raises(data.TrnError, match=r"tpot_ms = 0.1, input_tokens = 2048: no layout"):
        overview.evaluate(replace(asked, load=soon))


def test_break_even_rents_of_the_pages_are_told_apart(found):
    said = overview.flips(found)[0]
    for usd in (found.even.middle, found.like.middle):
        assert f"**{words.money(usd)}**" in said
    assert all(f"age {page}" in said for page in ("04", "07", "08", "11"))
    other = overview.evaluate(question(rival="hgx_h200"))
    assert "page 11" not in overview.flips(other)[0]


def test_an_announced_chip_is_called_so():
    assert overview.evaluate(question(system="trn4_announced")).names[0] == "Trainium4 (announced)"


def test_a_level_of_software_is_that_of_the_system_in_question(found):
    tuned = overview.evaluate(replace(question(), software="tuned"))
    assert tuned.speeds[1].tolist() == found.speeds[1].tolist()
    assert tuned.speeds[0][1] > found.speeds[0][1]
    assert tuned.training("bf16")[1] > found.training("bf16")[1]
