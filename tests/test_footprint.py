"""Footprint: identities, limits, regions and chips without data, and the published checks."""

import numpy as np
import pytest

from trn3 import data, hardware, inference, workload
from trn3.study import footprint, scaling

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
