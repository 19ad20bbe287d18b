"""Footprint: identities, limits, regions and chips without data, and the published checks."""

from dataclasses import replace

import numpy as np
import pytest

from trn3 import data, hardware, inference, workload
from trn3.study import footprint, scaling
from trn3.units import InputError

SYSTEM = hardware.system("trn3_gen2")
LOAD = workload.ServingLoad(workload.model("llama3_3_70b"), 2048, 512, 2.0, 0.03, "fp8", "fp8")


@pytest.fixture(scope="module")
def point():
    return inference.best(LOAD, SYSTEM)


def test_parts_add_up_to_power_times_time(point):
    found = footprint.serving(point, "fp8", "us-east-2")
    assert set(found.parts_j) == set(footprint.PARTS)
    assert found.facility_w * found.chip_s == pytest.approx(found.total_j)
    it = found.total_j - found.parts_j["cooling"]
    assert found.total_j == pytest.approx(it * found.x["pue"])
    assert found.tokens_per_mwh * found.total_j == pytest.approx(3.6e9)


def test_no_chip_draws_more_than_its_rating(point):
    found = footprint.serving(point, "fp8", "us-east-2")
    chip = sum(found.parts_j[k] for k in ("floor", "arithmetic", "memory", "links"))
    assert np.all(chip / found.chip_s <= found.x["rated_w"] * (1 + 1e-9))


def test_idle_chips_cost_energy(point):
    busy, half = (
        np.median(footprint.serving(point, "fp8", "us-east-2", u).total_j) for u in (1.0, 0.5)
    )
    assert busy < half < 2 * busy


def test_carbon_by_basis(point):
    found = footprint.serving(point, "fp8", "us-east-2")
    average, marginal, market = (
        np.median(found.carbon_kg(1e6, f"grid_{b}g_per_kwh")) for b in ("", "marginal_", "market_")
    )
    assert market < average < marginal
    assert average == pytest.approx(float(np.median(found.total_j)) / 3.6 * 396.25e-3, rel=0.01)


def test_a_region_without_a_figure_says_not_known(point):
    found = footprint.serving(point, "fp8", "eu-north-1")
    assert np.isnan(found.carbon_kg(1e6, "grid_marginal_g_per_kwh")).all()
    assert np.isfinite(found.carbon_kg(1e6)).all()


def test_a_chip_without_power_is_an_error(monkeypatch):
    with pytest.raises(data.UnknownId):
        footprint.inputs(SYSTEM, "mars-north-1")
    monkeypatch.setattr(data, "maybe", lambda *_, **__: None)
    with pytest.raises(footprint.NotKnown, match=r"Trainium3.*no chip power is published"):
        footprint.inputs(SYSTEM, "us-east-2")


def test_frame_has_units_and_a_total(point):
    frame = footprint.serving(point, "fp8", "us-east-2").frame()
    assert frame["part"].tolist()[-1] == "Total"
    assert (frame["j_per_token_low"] <= frame["j_per_token"]).all()
    assert (frame["j_per_token"] <= frame["j_per_token_high"]).all()


@pytest.mark.parametrize("system", ["trn2_ultraserver", "trn3_gen1", "hgx_h100", "gb300_nvl72"])
def test_narrow_formats_cost_no_more_per_operation(system):
    at = hardware.system(system)
    x = {name: fact.value for name, fact in footprint.inputs(at, "us-east-2").items()}
    wide, narrow = (footprint.chip_joules(at, d, x).per_flop for d in ("bf16", "fp8"))
    assert 1.9 * narrow <= wide <= at.chip.peak("fp8") / at.chip.peak("bf16") * narrow * 1.001


def test_published_checks():
    rows = scaling.checks().set_index("check")
    assert set(rows["kind"]) == {"independent", "left out", "reproduces its input"}
    independent = rows[rows["kind"] == "independent"]
    # energies and power within a factor of two; the notes of the rows explain in which direction
    # and why
    assert independent["ratio"].between(0.5, 2.0).all()
    fleets = rows[
        (rows["kind"] == "left out")
        & rows["unit"].isin(["per day", "per 1,000 node-days", "per week"])
    ]
    assert (fleets["low"] <= fleets["published"]).all() and (
        fleets["published"] <= fleets["high"]
    ).all()
    own = rows[rows["kind"] == "reproduces its input"]
    assert own["ratio"].between(0.97, 1.03).all()


def test_training_run():
    job = workload.TrainingJob(workload.model("llama3_1_405b"), 15.6e12, 8192, 2048, "bf16")
    found, missing = footprint.runs(job, ["hgx_h100", "trn2_ultraserver"], 16384, "us-east-2")
    assert not missing
    for each in found.values():
        assert each.facility_w * each.chip_s == pytest.approx(each.total_j)
    hours = np.median(found["8x H100 (p5)"].chip_s) * job.tokens / 3600
    # below the draw of a node nameplate (10.2 kW per eight chips) at PUE 1.13, above half of it
    energy = np.median(found["8x H100 (p5)"].total_j) * job.tokens / 3.6e6
    assert 0.5 * hours * 1.275 * 1.13 < energy < hours * 1.275 * 1.13
    with pytest.raises(data.TrnError, match="does not fit"):
        footprint.runs(job, ["hgx_h100"], 8, "us-east-2")


@pytest.mark.parametrize("utilisation", [0.1, 0.5, 1.0])
def test_hours_without_requests_draw_idle_power(point, utilisation):
    found = footprint.serving(point, "fp8", "us-east-2", utilisation)
    idle_s = found.chip_s * (1 - utilisation)
    drawn = found.x["rated_w"] * found.x["idle_share"] * idle_s
    assert found.parts_j["idle"] == pytest.approx(drawn)
    always = footprint.serving(point, "fp8", "us-east-2")
    for part in ("floor", "arithmetic", "memory", "links"):  # of the busy time alone
        assert found.parts_j[part] == pytest.approx(always.parts_j[part])
    assert np.all(found.total_j >= always.total_j * (1 - 1e-12))


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.01, np.nan])
def test_a_share_of_time_lies_within_bounds(point, bad):
    with pytest.raises(InputError, match="utilisation"):
        footprint.serving(point, "fp8", "us-east-2", bad)


@pytest.mark.parametrize("system", ["trn3_gen2", "trn3_gen1", "hgx_b200", "gb300_nvl72"])
def test_the_mean_draw_stays_below_the_provisioned_power(system):
    at = hardware.system(system)
    for utilisation in (0.2, 1.0):
        found = footprint.serving(inference.best(LOAD, at), "fp8", "us-east-2", utilisation)
        cap_w = found.x["rated_w"] * footprint.nameplate_factor(at) * found.x["pue"]
        assert np.all(found.facility_w <= cap_w)


def test_the_share_that_time_costs(point):
    found = footprint.serving(point, "fp8", "us-east-2", 0.6)
    work = sum(found.parts_j[part] for part in ("arithmetic", "memory", "links"))
    assert found.fixed_share == pytest.approx(1 - work * found.x["pue"] / found.total_j)


def test_a_cap_feeds_whole_systems_and_is_never_exceeded():
    found, _ = footprint.compare(LOAD, ["trn3_gen2", "hgx_b200", "hgx_h200"], "us-east-2", 0.6)
    last = None
    for megawatts in (0.05, 1.0, 10.0, 333.0):
        table = footprint.under_cap(found, megawatts).set_index("system")
        for name, each in found.items():
            row = table.loc[name]
            assert row["n_chips"] % each.system.n_chips == 0
            assert row["n_chips"] * row["provisioned_w"] <= megawatts * 1e6
            left = megawatts * 1e6 - row["n_chips"] * row["provisioned_w"]
            assert left < each.system.n_chips * row["provisioned_w"]
            assert row["mean_mw"] <= megawatts
            assert row["low"] <= row["tokens_per_s"] <= row["high"]
        assert table["tokens_per_s"].is_monotonic_decreasing
        if last is not None:
            assert (table["tokens_per_s"] >= last.reindex(table.index)).all()
        last = table["tokens_per_s"]


def test_a_cap_by_hand():
    # 14.3 kW for eight B200 at the PUE of Ohio: 10 MW feed 618 nodes
    found, _ = footprint.compare(LOAD, ["hgx_b200"], "us-east-2", 0.6)
    assert footprint.under_cap(found, 10.0)["n_chips"][0] == int(10e6 / (14300 * 1.13)) * 8


def test_tokens_per_megawatt_is_the_ratio_of_energies():
    curve = footprint.tokens_per_megawatt(LOAD, "us-east-2", 0.6, [0.001, 0.02, 0.05])
    assert 0.001 not in set(curve["tpot_s"])  # nothing is that fast
    same = curve[(curve["reading"] == "FP8 against FP8") & (curve["tpot_s"] == 0.02)].iloc[0]
    load = replace(LOAD, tpot_s=0.02)
    found, _ = footprint.compare(load, ["trn3_gen2", "trn2_ultraserver"], "us-east-2", 0.6)
    new, old = (each.total_j for each in found.values())
    assert same["ratio"] == pytest.approx(np.median(old / new))
    assert (curve["low"] <= curve["ratio"]).all() and (curve["ratio"] <= curve["high"]).all()


def test_logged_power_of_serving_is_met():
    rows = scaling.checks()
    served = rows[rows["unit"] == "J"]
    assert len(served) == 9
    # 8 GPUs x 571.7 W over 4,789 tokens/s
    assert served["published"].tolist()[0] == pytest.approx(8 * 571.7 / 4789.45)
    assert (served["low"] <= served["published"]).all()
    assert (served["published"] <= served["high"]).all()


def test_a_reading_narrows_what_it_tells_about():
    found, _ = footprint.compare(LOAD, ["trn3_gen2", "trn2_ultraserver"], "us-east-2", 0.6)
    subject, base = found.values()
    table = footprint.readings(subject, base)
    assert table["left"].is_monotonic_increasing and table["left"][0] < 0.95
    assert (table["low"] <= table["high"]).all()
    assert set(table[table["chip"] == "Trainium3"]["can_be_had"]) == {False}
    assert set(table[table["chip"] == "Trainium2"]["can_be_had"]) == {True}
    # the speed of either chip is the widest of its inputs
    assert table["reading"][0] == "speed"
