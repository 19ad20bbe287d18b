"""Training runs side by side: what finishes in time, formats, and utilisation beside what others
have shown.
"""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from trn3 import committed, data, hardware, workload
from trn3.reporting import engine
from trn3.study import pricing, rents, runs, stacks
from trn3.units import InputError

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "03_training_time.ipynb"

JOB = workload.TrainingJob(workload.model("llama3_1_70b"), 2e12, 8192, 1024, "bf16")
SYSTEMS = ["trn3_gen2", "trn2_ultraserver", "hgx_b200", "tpu_v6e_pod"]


PURCHASE = pricing.Purchase("capacity_block", "us_east_2")


def in_time(days, job=JOB):
    return runs.in_time(job, SYSTEMS, days, PURCHASE)


def test_every_run_ends_in_time_and_the_bill_is_chips_times_hours():
    table = in_time(30.0)
    priced = table[table["usd"].notna()]
    assert (table["days"] <= 30.0).all() and (table["days"] <= table["days_high"]).all()
    by_hand = priced["n_chips"] * priced["days"] * 24 * priced["usd_per_chip_h"]
    assert priced["usd"].to_numpy(float) == pytest.approx(by_hand.to_numpy(float))
    assert priced["usd"].is_monotonic_increasing
    assert (priced["usd_low"] <= priced["usd"]).all()
    assert (priced["usd"] <= priced["usd_high"]).all()


def test_rents_are_those_of_the_cost_page():
    row = in_time(30.0).set_index("system").loc["Trn3 Gen2 UltraServer"]
    rent = rents.paid(hardware.system("trn3_gen2"), "capacity_block", "us_east_2")
    assert row["usd_per_chip_h"] == rent.usd_per_chip_h
    assert row["rented"] == "at an assumed rent"


def test_more_time_never_costs_more():
    bills = [in_time(days).set_index("system") for days in (3.0, 10.0, 30.0, 300.0)]
    for sooner, later in pairwise(bills):
        both = sooner["n_chips"] * sooner["days"]
        assert (later["n_chips"] * later["days"] <= both.reindex(later.index) + 1e-9).all()


def test_what_is_never_in_time_says_how_soon_it_can_be():
    table = in_time(0.01)
    assert table["n_chips"].isna().all() and table["usd"].isna().all()
    assert table["why"].str.contains("days at the soonest").all()
    with pytest.raises(InputError, match="days"):
        in_time(0.0)


def test_a_system_without_a_price_keeps_its_time():
    row = in_time(30.0).set_index("system").loc["TPU v6e pod"]
    assert row["days"] <= 30.0 and np.isnan(row["usd"])
    assert row["why"] == "no rent listed by Capacity Block"


def test_adapters_cost_less_than_all_weights():
    # Hu et al. 2021: no gradients of frozen weights, so four operations a weight instead of six
    lora = workload.TrainingJob(JOB.model, JOB.tokens, 8192, 1024, "bf16", finetune="lora")
    full, tuned = (in_time(30.0, job).set_index("system") for job in (JOB, lora))
    assert (tuned["usd"] < full["usd"]).loc["Trn3 Gen2 UltraServer"]


def test_formats_that_a_chip_has():
    assert list(runs.in_formats(JOB, hardware.system("trn3_gen2"), 512)) == ["bf16", "fp8"]
    found = runs.in_formats(JOB, hardware.system("hgx_b200"), 512)
    assert found["fp8"].step_time_s[1] < found["bf16"].step_time_s[1]


def test_utilisation_of_a_published_run_by_hand():
    # AWS, Neuron 2.21: 389,693 tokens/s of Llama 2 7B on 256 Trainium1 of 190 TFLOP/s; 6 N with
    # 6.6e9 weights in products, and 6 layers x width x length for causal attention
    row = runs.published_mfu("trainium").set_index("row_id").loc["N0666"]
    per_token = 6 * 6.607e9 + 6 * 32 * 4096 * 4096
    assert row["mfu"] == pytest.approx(per_token * 389693.4 / 256 / 190e12, rel=0.01)


@pytest.mark.parametrize("family", ["trainium", "hopper", "tpu", "ampere", "no such family"])
def test_published_runs_stay_below_the_peak(family):
    table = runs.published_mfu(family)
    assert table["mfu"].between(0, 1).all() and table["mfu"].is_monotonic_decreasing
    assert len(table) or family == "no such family"


def test_own_rents_of_the_first_and_the_second_system():
    buyer = replace(PURCHASE, price=2.0, baseline_price=1.5, discount=0.5)
    bills = runs.in_time(JOB, SYSTEMS, 30.0, buyer).set_index("system")
    listed = in_time(30.0).set_index("system")["usd_per_chip_h"]
    rent = bills["usd_per_chip_h"]
    assert rent["Trn3 Gen2 UltraServer"] == 2.0 and rent["Trn2 UltraServer"] == 1.5
    assert rent["8x B200 (p6-b200)"] == pytest.approx(listed["8x B200 (p6-b200)"] / 2)
    assert bills.loc["Trn2 UltraServer", "rented"] == "at your own rent"


def subject(job=JOB, systems=("trn3_gen2",), n_chips=2048, **how):
    return runs.rival(runs.compare(job, systems, n_chips, **how)[0])


def test_marks_of_trainium3():
    found = subject().subject
    marks = runs.marks(JOB, found).set_index("kind")
    assert marks.index[0] == "published"  # what was measured comes first
    assert marks.loc["projection", "mfu"] == pytest.approx(0.43)  # SemiAnalysis, dense, compiled
    assert marks.loc["published", "mfu"] == runs.published_mfu("trainium")["mfu"].max()
    assert marks.loc["typical", "mfu"] == found.mfu[1]
    levels = marks.loc[list(committed.LEVELS), "mfu"]
    assert levels.is_monotonic_increasing and levels.max() <= 1
    # a row's days follow from its share: the operations at that share of the peak
    by_hand = JOB.flops_per_token() * JOB.tokens / (2048 * 671e12 * marks["mfu"]) / 86400
    assert marks["days"].to_numpy() == pytest.approx(by_hand.to_numpy())
    experts = workload.TrainingJob(workload.model("mixtral_8x7b"), 1e12, 4096, 1024, "bf16")
    routed = runs.marks(experts, subject(experts, n_chips=512).subject).set_index("kind")
    projected = data.fact("assumption", "trainium3_projected_mfu", "", "moe_compiled").value
    assert routed.loc["projection", "mfu"] == projected
    other = runs.marks(JOB, subject(systems=["hgx_h100"], n_chips=512).subject)
    assert "projection" not in set(other["kind"])


def test_better_software_is_never_slower():
    days = [subject(software=level).subject.days[1] for level in committed.LEVELS]
    assert all(later <= sooner for sooner, later in pairwise(days))


def test_a_named_level_is_that_of_the_first_system_alone():
    pair = ["trn3_gen2", "hgx_h100"]
    tuned, typical = (runs.compare(JOB, pair, 512, level)[0] for level in ("tuned", "typical"))
    first, second = tuned
    assert tuned[first].days[1] < typical[first].days[1]
    assert tuned[second].days.tolist() == typical[second].days.tolist()


def test_own_runs_move_the_stack_that_they_ran_on():
    record = replace(committed.software("training", "tuned"), level="own", time_factor=1.2)
    levels = stacks.Stacks("tuned", (("training", "hopper", record),))
    found = runs.compare(JOB, ["trn3_gen2", "hgx_h100"], 512, levels)[0]
    typical = runs.compare(JOB, ["trn3_gen2", "hgx_h100"], 512)[0]
    first, second = found
    assert found[second].days[1] == pytest.approx(1.2 * typical[second].days[1])
    assert found[first].days[1] < typical[first].days[1]
    own = runs.marks(JOB, found[second], levels).set_index("kind")
    assert own.loc["own", "days"] == pytest.approx(found[second].days[1])
    assert own.loc["own", "label"] == "Software as in your runs"


def test_the_answer_names_the_format_in_which_a_chip_computes():
    system = hardware.system("trn3_gen2")
    formats = runs.in_formats(JOB, system, 2048)
    said = runs.lead("trn3_gen2", formats, "bf16")
    assert "2,048 Trainium3 chips in BF16; in MXFP8" in said and "FP8 " not in said[:20]
    assert "extrapolated" not in said and "Trn3" not in said
    tuned = runs.lead("trn3_gen2", runs.in_formats(JOB, system, 2048, "tuned"), "bf16", "tuned")
    assert "with tuned software" in tuned
    assert runs.lead("trn3_gen1", formats, "bf16").startswith("Trn3 Gen1 UltraServer cannot hold")


def test_a_run_at_the_best_published_share_takes_its_operations_over_that_share():
    found = subject().subject
    share = runs.published_mfu("trainium")["mfu"].max()
    flops_per_s = found.cluster.n_chips * found.cluster.chip.peak("bf16") * share
    days = found.job.flops_per_token() * found.job.tokens / flops_per_s / 86400
    said = runs.at_best_published(found)
    assert f"({share:.0%}) it would take {days:.0f} days." in said
    assert runs.at_best_published(replace(found, job=replace(found.job, dtype="fp8"))) == ""


def test_a_system_alone_has_no_rival():
    alone = subject()
    assert alone.alone and alone.sentence == "Failures add to the time." and alone.turns == []
    assert alone.closing(PURCHASE, ["trn3_gen2"]) == []


def test_an_open_comparison_names_what_would_close_it():
    pair = ["trn3_gen2", "trn2_ultraserver"]
    rival = subject(systems=pair)
    assert rival.verdict.word == "open"
    (said,) = rival.closing(PURCHASE, pair)
    # of the two only Trainium2 can be rented
    assert "one Trn2 UltraServer" in said and "Trn3" not in said
    before, after = re.findall(r"(\d\.\d+)–(\d\.\d+)", said)
    assert float(before[0]) <= float(after[0]) <= float(after[1]) <= float(before[1])


def test_largest_published_runs_stand_beside_what_is_predicted():
    table = runs.largest()
    # Meta 2024, table 4: 43% and 41% of the peak with 8,192 and 16,384 H100
    assert table.groupby("n_chips")["measured"].first().to_dict() == {8192: 0.43, 16384: 0.41}
    assert (table["low"] <= table["predicted"]).all() and (table["high"] < 1).all()
    assert len(table) == 4 and table["layout"].nunique() == 2


def test_marks_are_drawn_with_what_others_have_apart():
    marks = runs.marks(JOB, subject().subject)
    drawn = runs.drawn_marks(marks, "hours", 1 / 24)
    assert drawn["time"].to_numpy() == pytest.approx(24 * marks["days"].to_numpy())
    assert drawn["hollow"].tolist() == (marks["kind"] != "published").tolist()
    heads = drawn.groupby("group", sort=False).size()
    assert heads.tolist() == [2, len(committed.LEVELS)]
    assert all("hours" in text and "%" in text for text in drawn["text"])
    said = runs.beside(marks)
    assert said.startswith("best published run 34%") and "an analyst has 43%" in said


def test_what_costs_least_says_why_nothing_does():
    soon = runs.in_time(JOB, SYSTEMS, 0.01, PURCHASE)
    assert runs.least_cost(soon) == ("none", "no system ends in time")
    whole = in_time(30.0)
    unpriced = whole[whole["system"] == "TPU v6e pod"]
    assert runs.least_cost(unpriced)[0] == "not known"
    assert runs.needed(unpriced.iloc[0])[1] == "no rent listed by Capacity Block"
    chips, bill = runs.least_cost(whole)
    assert chips.endswith("Trainium2") and bill.endswith("USD by Capacity Block")


def test_chips_that_were_not_fitted_are_named():
    found = runs.compare(JOB, ["trn3_gen2", "hgx_h100"], 512)[0]
    assert runs.unseen(found) == "fitted on no public run of Trainium3"
    found.pop("Trn3 Gen2 UltraServer")
    assert runs.unseen(found) == "fitted on public runs of all these chips"


def test_days_in_another_unit():
    frame = runs.days(JOB, ["hgx_h100"], [512])
    hours = runs.in_unit(frame, 3600.0)
    for name in ("days", "low", "high"):
        assert hours[name].tolist() == pytest.approx((24 * frame[name]).tolist())


def test_published_runs_train_every_weight():
    found = runs.compare(JOB, ["hgx_h100"], 512)[0]
    lines = runs.days(JOB, ["hgx_h100"], [64, 512, 4096])
    assert len(runs.published_beside(found, lines))
    lora = replace(JOB, finetune="lora")
    assert runs.published_beside(runs.compare(lora, ["hgx_h100"], 512)[0], lines).empty
    assert runs.line_key(lines, hardware.chip("h100"))[1][0] == "dot"


@pytest.mark.parametrize("chip", ["trainium3", "h100", "mi300x"])
def test_runs_left_out_are_held_against_what_was_measured(chip):
    table = runs.left_out(hardware.chip(chip), runs.published(JOB.model, 1e12))
    assert 0 < len(table) <= 4
    assert table["ratio"].to_numpy() == pytest.approx(table["predicted"] / table["measured"])


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"dtype": "fp8"},
        {"finetune": "lora", "model": "llama3_1_8b", "n_chips": 64},
        {"model": "mixtral_8x7b", "systems": ["hgx_h100"], "n_chips": 512},
        {"seq_len": 131072, "global_batch": 64, "n_chips": 1024},
    ],
    ids=["as it stands", "8 bits", "adapters", "experts", "long sequences"],
)
def test_the_step_made_by_hand_is_the_package_s(given):
    cells = engine.run(NOTEBOOK, given).cells
    texts = [
        "".join(output.get("data", {}).get("text/plain", ""))
        for cell in cells
        for output in cell.get("outputs", [])
    ]
    found = [re.search(r"by hand ([\d.e+]+) s, package ([\d.e+]+) s", text) for text in texts]
    by_hand, package = map(float, next(each for each in found if each).groups())
    assert by_hand == pytest.approx(package, rel=1e-3)
