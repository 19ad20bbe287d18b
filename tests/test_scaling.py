"""Scaling: identities of the shares, limits, the network's pods, and the ways to recover."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import data, hardware, reliability, training, workload
from trn3.layouts import Layouts
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
