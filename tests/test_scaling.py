"""Scaling: identities of the shares, limits, the network's pods, and the ways to recover."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import committed, data, hardware, reliability, training, workload
from trn3.layouts import Layouts
from trn3.reporting import engine
from trn3.study import scaling
from trn3.units import InputError

SYSTEM = hardware.system("trn3_gen2")
JOB = workload.TrainingJob(workload.model("llama3_1_405b"), 15.6e12, 8192, 2048, "bf16")
SIZES = [2**i for i in range(6, 20, 2)] + [1_000_000]


@pytest.fixture(scope="module")
def curves():
    return {name: scaling.curve(JOB, SYSTEM, SIZES, name).frame() for name in scaling.RECOVERY}


def test_losses_alone_multiply_to_all_together(curves):
    for frame in curves.values():
        kept = 1 - frame[list(scaling.LOSSES)]
        assert ((kept >= -1e-9) & (kept <= 1 + 1e-9)).all().all()
        # checkpoints and failures share the same hours; the other factors act on what is left
        time = 1 - frame["checkpoint"] - frame["failure"]
        assert time.to_numpy() == pytest.approx(frame["goodput"].to_numpy())
        product = kept["layout"] * kept["batch"] * kept["straggler"] * time
        assert frame["useful"].to_numpy() == pytest.approx(product.to_numpy())
        assert (frame["useful"] <= kept.min(axis=1) + 1e-9).all()  # no better than the worst alone
        assert (frame["useful_low"] <= frame["useful_high"]).all()


def test_what_is_kept_stands_in_long_form():
    curve = scaling.curve(JOB, SYSTEM, [4096, 65536], "memory")
    wide = curve.kept().pivot(index="n_chips", columns="part", values="share")
    frame = curve.frame().set_index("n_chips")
    assert wide["All together"].tolist() == frame["useful"].tolist()
    assert wide["Slow chips"].tolist() == (1 - frame["straggler"]).tolist()


def test_a_layout_uses_at_most_the_chips(curves):
    for frame in curves.values():
        assert (frame["n_used"] <= frame["n_chips"] * (1 + 1e-9)).all()


@settings(max_examples=15, deadline=None)
@given(
    model=st.sampled_from(["llama3_1_8b", "llama3_1_70b", "mixtral_8x7b"]),
    system=st.sampled_from(["trn3_gen2", "trn2_ultraserver", "hgx_h100", "tpu_v6e_pod"]),
    batch=st.sampled_from([96, 512, 1000, 1024]),
    sizes=st.lists(st.integers(32, 1_000_000), min_size=2, max_size=5, unique=True),
)
def test_a_step_never_takes_longer_with_more_chips(model, system, batch, sizes):
    job = workload.TrainingJob(workload.model(model), 1e12, 4096, batch, "bf16")
    at = hardware.system(system)
    times = []
    for n in sorted(sizes):  # asked one by one, so that no size knows of the others
        fields = scaling.fastest(job, at, [n])[0]
        assert fields or not times
        if fields:
            lay = Layouts(**fields)
            assert lay.n_chips <= n
            found = training.estimate(job, hardware.Cluster(at, n), lay)
            times.append(found.step_time_s[1])
    assert all(later <= sooner * (1 + 1e-9) for sooner, later in pairwise(times))


def test_a_million_chips_are_no_slower_than_half_of_them():
    frame = scaling.curve(JOB, SYSTEM, [524_288, 1_000_000], "memory").frame()
    assert frame["step_time_s"][1] <= frame["step_time_s"][0]


def test_a_layout_that_leaves_chips_idle_can_be_handed_back():
    cluster = hardware.Cluster(SYSTEM, 1_000_000)
    found = training.estimate(JOB, cluster, Layouts(**scaling.fastest(JOB, SYSTEM, [1_000_000])[0]))
    again = training.estimate(JOB, cluster, found.layout)
    assert again.layout.n_chips < cluster.n_chips
    assert again.step_time_s.tolist() == found.step_time_s.tolist()
    assert again.mfu[1] < 1  # of all chips, the idle ones too
    with pytest.raises(data.TrnError, match="but there are n_chips"):
        training.estimate(JOB, hardware.Cluster(SYSTEM, 144), found.layout)


def test_many_jobs_share_a_cluster(curves):
    frame = curves["memory"]
    table = scaling.many_jobs(frame, 1_000_000)
    assert (table["n_jobs"] * table["n_chips"] <= 1_000_000).all()
    assert ((table["n_jobs"] + 1) * table["n_chips"] > 1_000_000).all()
    # as many model-days as jobs: runs a year times days of one fill the year
    year = table["runs_per_year"] * table["days"] / table["n_jobs"]
    assert year.to_numpy() == pytest.approx(365.25)
    assert table["n_chips"].max() == 1_000_000 and table["n_jobs"].iloc[-1] == 1
    assert scaling.many_jobs(frame, 16384)["n_chips"].max() == 16384


def test_extrapolation_starts_where_the_scored_runs_end():
    scored = set(data.table("validation").query("kind == 'training'")["row_id"])
    runs = data.table("training_runs").set_index("row_id")["n_accel"]
    largest = max(int(float(n)) for row, n in runs.items() if row in scored)
    assert scaling.scored_chips() == largest


def test_smaller_blast_radius_is_never_worse(curves):
    at = {name: frame.set_index("n_chips")["goodput"] for name, frame in curves.items()}
    large = [n for n in SIZES if n >= 16384]
    assert (at["memory"][large] > at["restart"][large]).all()
    assert (at["replica"][large] > at["memory"][large]).all()


def test_half_a_million_chips_with_a_job_wide_restart_make_no_progress(curves):
    # 2e-5 failures per chip-hour: the chips at work fail every 180 s x 1e6 / n, less than the ten
    # minutes of a restart
    last = curves["restart"].iloc[-1]
    assert last["mtti_s"] == pytest.approx(180.0 * 1e6 / last["n_used"])
    assert last["n_used"] >= 500_000 and last["goodput"] < 0.15


def test_goodput_is_the_exact_result(curves):
    row = curves["restart"].set_index("n_chips").loc[16384]
    read = data.assumption
    mtti = reliability.mtti_s(16384, read("failures_per_chip_h").value / 3600)
    drain = scaling.STATE_BYTES * JOB.model.n_params / read("checkpoint_bandwidth").value
    write, restart = read("checkpoint_blocking_s").value, read("restart_s").value + drain
    work = max(float(reliability.best_interval_s(write, mtti)), drain)
    assert row["goodput"] == pytest.approx(float(reliability.goodput(work, write, restart, mtti)))


def test_days_follow_from_tokens_and_shares(curves):
    frame = curves["memory"]
    rate = frame["tokens_per_s"] * (frame["useful"] / (1 - frame["layout"]))
    assert frame["days"].to_numpy() == pytest.approx((JOB.tokens / rate / 86400).to_numpy())


def test_weak_scaling_keeps_the_layout_and_loses_to_the_critical_batch():
    weak = scaling.curve(JOB, SYSTEM, [16384, 131072], "replica", weak_from=16384).frame()
    strong = scaling.curve(JOB, SYSTEM, [16384, 131072], "replica").frame()
    assert weak["batch_tokens"].tolist() == [2048 * 8192, 8 * 2048 * 8192]
    assert weak["layout"].iloc[1] < strong["layout"].iloc[1]
    assert weak["batch"].iloc[1] > 0.5 > strong["batch"].iloc[1] == 0.0


def test_a_network_without_oversubscription_is_never_slower():
    times = [
        scaling.curve(JOB, SYSTEM, [262144], "replica", given={"pod_oversubscription": f}).frame()[
            "step_time_s"
        ][0]
        for f in (1.0, 7.0)
    ]
    assert times[0] <= times[1]


def test_pods_are_whole_systems():
    tiers = scaling.with_pods(SYSTEM, 3072, 7.0).tiers
    assert tiers[-2].n_chips % SYSTEM.n_chips == 0 and tiers[-2].n_chips >= 3072
    assert tiers[-2].bytes_per_s == pytest.approx(7 * tiers[-1].bytes_per_s)


def test_critical_batch():
    # McCandlish et al. 2018: at the critical batch a run takes twice the fewest tokens
    assert scaling.batch_efficiency(1e6, 1e6, 0.0) == pytest.approx(0.5)
    assert scaling.batch_efficiency(4e6, 1e6, 4e6) == 1.0
    small, large = (float(scaling.critical_batch_tokens(n, 20 * n)) for n in (1e9, 1e12))
    assert small < large
    # Kaplan et al. 2020, figure 10: 2e8 tokens x L^-4.76; at L = 3 about one million
    assert pytest.approx(1.07e6, rel=0.01) == 2e8 * 3.0 ** (-1 / 0.21)


def test_failure_rate_moves_the_range_with_it():
    double = scaling.assumed({"failures_per_chip_h": 4e-5})["failures_per_chip_h"]
    plain = scaling.assumed()["failures_per_chip_h"]
    assert double.low == pytest.approx(2 * plain.low) and double.high == pytest.approx(
        2 * plain.high
    )


@pytest.mark.parametrize("bad", [0.0, -1e-5, np.inf, np.nan])
def test_rates_out_of_range(bad):
    with pytest.raises(InputError, match="failures_per_chip_h"):
        scaling.curve(JOB, SYSTEM, [4096], given={"failures_per_chip_h": bad})


def test_what_cannot_be_is_said():
    with pytest.raises(data.TrnError, match="fits none of the sizes"):
        scaling.curve(JOB, SYSTEM, [1, 2, 4])
    with pytest.raises(data.TrnError, match="recovery = 'luck'"):
        scaling.curve(JOB, SYSTEM, [4096], "luck")


def test_weak_series_compare_the_ends_of_a_series():
    # 70B on H100, BF16, 64 and 2,048 chips: a prediction that is twice too slow at the large end
    # loses half
    runs = [
        {"row_id": "R0796", "measured": 10.0, "predicted": 5.0},
        {"row_id": "R0801", "measured": 12.5, "predicted": 10.0},
    ]
    only = scaling.weak_series(runs).iloc[0]
    assert (only["n_small"], only["n_large"]) == (64, 2048)
    assert only["measured"] == pytest.approx(0.8) and only["predicted"] == pytest.approx(0.5)
    assert only["error"] == pytest.approx(0.5 / 0.8 - 1)
    assert scaling.weak_series(runs[:1]).empty


@pytest.fixture(scope="module")
def by_way():
    return {way: scaling.curve(JOB, SYSTEM, SIZES, way) for way in scaling.RECOVERY}


def test_the_answer_names_one_way_to_recover(by_way):
    for way, found in by_way.items():
        said = scaling.lead(found)
        named = [other for other, text in scaling.WAYS.items() if text in said]
        assert named == [way]
        assert "262,144" in said or way != "memory"


def test_a_size_that_helps_is_the_soonest(by_way):
    for found in by_way.values():
        soonest = found.soonest
        assert soonest["days"] == found.table["days"].min()
        assert f"{int(soonest['n_chips']):,}" in scaling.lead(found)


def test_failures_of_the_cluster_that_one_has_come_first(by_way):
    said = scaling.job_and_cluster(by_way["memory"], 16384, 1_000_000)
    assert said.startswith("On 16,384 chips failures and checkpoints cost")
    assert "hold 61 such jobs" in said
    alone = scaling.job_and_cluster(by_way["memory"], 1_000_000, 1_000_000)
    assert "such jobs" not in alone and "alone cost" in alone
    small = scaling.job_and_cluster(by_way["memory"], 16, 1_000_000)
    assert small.startswith("The run does not fit on 16. On 64 chips")


def test_lost_hours_are_what_the_shares_leave_of_a_month(by_way):
    table = scaling.monthly(by_way, 16384, 3.5)
    assert table["hours"].to_numpy() == pytest.approx((1 - table["useful"]) * 365.25 * 24 / 12)
    assert table["chip_days"].to_numpy() == pytest.approx(table["hours"] * 16384 / 24)
    assert table["usd"].to_numpy() == pytest.approx(table["hours"] * 16384 * 3.5)
    assert (table["low"] <= table["hours"]).all() and (table["hours"] <= table["high"]).all()
    assert scaling.monthly(by_way, 16384)["usd"].isna().all()


def test_side_by_side_takes_a_rent_each(by_way):
    curves = {"trn3_gen2": by_way["memory"], "other": by_way["memory"]}
    table = scaling.side_by_side(curves, 16384, {"trn3_gen2": 2.0})
    assert table["usd"][0] == pytest.approx(table["hours"][0] * 16384 * 2.0)
    assert np.isnan(table["usd"][1]) and table["useful"][0] == table["useful"][1]


@pytest.mark.parametrize(("slow", "fast"), list(pairwise(committed.LEVELS)))
def test_better_software_ends_no_later(slow, fast):
    days = [
        scaling.curve(JOB, SYSTEM, [4096, 65536], "memory", software=level).frame()["days"]
        for level in (slow, fast)
    ]
    assert (days[1] <= days[0] * (1 + 1e-9)).all()


def test_causes_carry_the_count_over_to_a_job():
    table = scaling.causes("meta_llama3", 16384)
    # 148 GPU faults of 419 in 54 days on 16,384 H100: as many in 30.4 days by proportion
    first = table.iloc[0]
    assert (first["cause"], first["count"]) == ("GPU", 148)
    assert first["a_month"] == pytest.approx(148 * 365.25 / 12 / 54)
    assert table["count"].sum() == 419 and table["count"].is_monotonic_decreasing
    assert (table["low"] < table["per_million_h"]).all()


def test_own_values_say_so_and_keep_their_proportions():
    facts = scaling.given_facts({"restart_s": 1200.0, "failures_per_chip_h": 4e-5})
    assert facts["restart_s"].value == 1200.0 and facts["restart_s"].source_id == ""
    assert "given as a parameter" in facts["restart_s"].note
    assert "default, 20" in facts["failures_per_chip_h"].note
    assert scaling.given_facts({})["restart_s"] == data.assumption("restart_s")


def test_nothing_is_extrapolated_below_the_largest_scored_run(by_way):
    small = scaling.curve(JOB, SYSTEM, [64, 1024])
    assert scaling.extrapolated_from(small) is None
    assert scaling.extrapolated_from(by_way["memory"]) == scaling.scored_chips()
    assert scaling.status(64) == "modelled" and scaling.status(1_000_000) == "extrapolated"


def test_published_shares_are_in_per_cent_and_judged():
    table = scaling.published_shares().set_index("check")
    llama = table.loc["Llama 3: effective training time on 16,384 GPUs, at least"]
    assert (llama["published"], llama["unit"], llama["verdict"]) == (90.0, "%", "Within band")
    inside = table["published"].between(0.97 * table["low"], 1.03 * table["high"])
    assert (table["verdict"] == np.where(inside, "Within band", "Outside band")).all()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"model": "llama3_1_70b", "job_chips": 512, "max_chips": 4096, "recovery": "island"},
        {"failures_per_chip_h": 1.0, "restart_min": 1e4, "recovery": "restart"},
    ],
    ids=["as it stands", "a small cluster", "nothing but failures"],
)
def test_shares_made_by_hand_are_the_package_s(given):
    notebook = Path(__file__).parent.parent / "notebooks" / "06_scaling.ipynb"
    texts = [
        output["data"]["text/plain"]
        for cell in engine.run(notebook, given).cells
        for output in cell.get("outputs", [])
        if "text/plain" in output.get("data", {})
    ]
    (shares,) = (text for text in texts if "by hand, %" in text)
    rows = re.findall(r"(restart|memory|replica) +([\d.]+) +([\d.]+)", shares)
    assert len(rows) == 3 and all(by_hand == package for _, by_hand, package in rows)
    (product,) = (text for text in texts if "product" in text and "package" in text)
    ends = re.findall(r"(?:product|package) +([\d.]+)", product)
    assert float(ends[0]) == pytest.approx(float(ends[1]), abs=0.11)
