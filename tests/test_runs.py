"""Training runs side by side: what finishes in time, formats, and utilisation beside what others
have shown.
"""

from itertools import pairwise

import numpy as np
import pytest

from trn3 import data, hardware, workload
from trn3.study import rents, runs
from trn3.units import InputError

JOB = workload.TrainingJob(workload.model("llama3_1_70b"), 2e12, 8192, 1024, "bf16")
SYSTEMS = ["trn3_gen2", "trn2_ultraserver", "hgx_b200", "tpu_v6e_pod"]


def in_time(days, job=JOB):
    return runs.in_time(job, SYSTEMS, days, "capacity_block", "us_east_2")


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
    assert row["usd_per_chip_h"] == rent.usd_per_chip_h and row["assumed"]


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
    assert row["days"] <= 30.0 and np.isnan(row["usd"]) and "no price" in row["why"]


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


def test_marks_of_trainium3():
    found = runs.in_formats(JOB, hardware.system("trn3_gen2"), 2048)
    marks = runs.mfu_marks(found).set_index("kind")
    assert marks.loc["projection", "mfu"] == pytest.approx(0.43)  # SemiAnalysis, dense, compiled
    assert marks.loc["published", "mfu"] == runs.published_mfu("trainium")["mfu"].max()
    assert marks.loc["model", "mfu"].tolist() == [each.mfu[1] for each in found.values()]
    experts = workload.TrainingJob(workload.model("mixtral_8x7b"), 1e12, 4096, 1024, "bf16")
    routed = runs.mfu_marks(runs.in_formats(experts, hardware.system("trn3_gen2"), 512))
    projected = routed.set_index("kind").loc["projection", "mfu"]
    assert projected == data.fact("assumption", "trainium3_projected_mfu", "", "moe_compiled").value
    other = runs.mfu_marks(runs.in_formats(JOB, hardware.system("hgx_h100"), 512))
    assert "projection" not in set(other["kind"])
