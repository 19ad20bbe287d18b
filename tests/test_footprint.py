"""Footprint: identities, limits, regions and chips without data, and the published checks."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trn3 import data, hardware, inference, workload
from trn3.reporting import engine
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
    same = curve[(curve["reading"] == "MXFP8 against FP8") & (curve["tpot_s"] == 0.02)].iloc[0]
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


@pytest.fixture(scope="module")
def several():
    systems = ["trn3_gen2", "trn2_ultraserver", "hgx_b200"]
    return footprint.compare(LOAD, systems, "us-east-2", 0.6)[0]


def test_a_table_of_several_systems(several):
    table = footprint.table(several)
    for name, each in several.items():
        row = table.loc[name]
        assert row["j_per_token"] == pytest.approx(np.median(each.total_j))
        assert row["low"] < row["j_per_token"] < row["high"]
        assert row["mean_w"] < row["provisioned_w"]
    parts, totals = footprint.stacked(several)
    summed = parts.groupby("system", sort=False)["j_per_token"].sum()
    assert summed.to_numpy() == pytest.approx(table["j_per_token"].to_numpy())
    assert totals["low"].tolist() == table["low"].tolist()


def test_two_systems_of_one_chip_keep_their_names():
    found, _ = footprint.compare(LOAD, ["trn3_gen2", "trn3_gen1"], "us-east-2", 0.6)
    assert list(footprint.labels(found).values()) == list(found)


def test_the_first_system_beside_the_second(several):
    pair = footprint.pair(several)
    assert (pair.name, pair.other) == ("Trainium3", "Trainium2")
    fewer = np.mean(pair.base.total_j > pair.subject.total_j)
    assert pair.verdict.share == pytest.approx(fewer)
    assert pair.lead("trn3_gen1").startswith("Trn3 Gen1 UltraServer cannot serve this load.")
    (turn,) = pair.turns()
    assert "as much energy per token as Trainium2" in turn
    (measure,) = pair.closing()
    assert measure.split(";")[0].startswith("Measure the") and "of Trainium2" in measure[:40]
    assert "Trainium3, which nobody rents out" in measure and "it takes 24 hours" in measure
    alone = footprint.pair({"Trn3": pair.subject})
    assert alone.alone and alone.turns() == alone.closing() == []
    assert ";" not in alone.lead("trn3_gen2")


def test_the_grammar_says_who_gives_most_under_a_cap(several):
    capped = footprint.under_cap(several, 10.0)
    said = footprint.productive(several, capped, "Trn3 Gen2 UltraServer", 10.0)
    assert said == "Under 10 MW of provisioned power B200 HGX is more productive than Trainium3."
    small = footprint.under_cap(several, 0.05)
    said = footprint.productive(several, small, "Trn3 Gen2 UltraServer", 0.05)
    assert said == "0.05 MW do not feed one Trn3 Gen2 UltraServer."
    alone = {"Trn3 Gen2 UltraServer": several["Trn3 Gen2 UltraServer"]}
    said = footprint.productive(alone, footprint.under_cap(alone, 10.0), *alone, 10.0)
    assert said.startswith("Under 10 MW of provisioned power 6,624 chips give about")


def test_better_software_takes_fewer_joules(several):
    pair = ["trn3_gen2", "hgx_b200"]
    tuned = footprint.compare(LOAD, pair, "us-east-2", 0.6, "tuned")[0]
    for name, each in tuned.items():
        ratio = np.median(each.total_j) / np.median(several[name].total_j)
        # a named level is that of the first system alone
        assert ratio < 1 if each.system.id == pair[0] else ratio == pytest.approx(1)
    said = footprint.by_level(LOAD, SYSTEM, "us-east-2", 0.6)
    joules = [float(text) for text in re.findall(r"\*\*([\d.]+) J", said)]
    assert len(joules) == 4 and joules == sorted(joules, reverse=True)


def test_a_year_is_joules_times_tokens(several):
    table = footprint.year(several, 1e12).set_index("Chip")
    mwh = np.median(several["Trn3 Gen2 UltraServer"].total_j) * 1e12 / 3.6e9
    assert table.loc["Trainium3", "MWh"] == pytest.approx(mwh)
    assert (table["t CO₂e, market-based"] < table["t CO₂e, average grid"]).all()


def test_training_says_why_a_chip_has_no_answer():
    job = workload.TrainingJob(workload.model("llama3_1_405b"), 1e12, 8192, 1024)
    table = footprint.training_table(job, ["trn3_gen2", "hgx_h100"], 64, "us-east-2")
    assert table["MWh"].notna().tolist() == [True, False]
    assert "does not fit" in table["Why not"][1]


def test_claims_are_worded_without_brackets_in_brackets():
    told = footprint.claims()
    ways = footprint.possible_ways(told)
    assert not ways.map(lambda text: "((" in text or "))" in text).any().any()
    drawn = footprint.drawn_claims(told)
    assert drawn["group"].notna().all() and len(drawn) == len(told)


def test_regions_that_are_shown(several):
    regions = footprint.by_region(several["Trn3 Gen2 UltraServer"])
    shown = footprint.shown_regions(regions, "ap_south_2")
    assert "ap-south-2" in set(shown["region"])
    assert shown["subject"].tolist().count("trainium3") == 1
    assert shown["kg_per_mtok"].iloc[[0, -1]].tolist() == [
        regions["kg_per_mtok"].min(),
        regions["kg_per_mtok"].max(),
    ]


def test_two_prices_of_electricity_are_told_apart():
    ohio = data.fact("us_east_2", "electricity_usd_per_kwh")
    said = footprint.two_tariffs(ohio, "us-east-2")
    contract = data.assumption("electricity_usd_per_kwh")
    assert f"{contract.value:.4f}" in said and f"{ohio.value:.4f}" in said
    same = footprint.two_tariffs(contract, "us-west-1")
    assert "cost page too" in same


@pytest.mark.parametrize(
    "given",
    [{}, {"systems": ["hgx_b200"], "utilisation": 1.0, "dtype": "bf16"}],
    ids=["as it stands", "another chip"],
)
def test_joules_made_by_hand_are_the_package_s(given):
    notebook = Path(__file__).parent.parent / "notebooks" / "05_energy.ipynb"
    texts = [
        output["data"]["text/plain"]
        for cell in engine.run(notebook, given).cells
        for output in cell.get("outputs", [])
        if "text/plain" in output.get("data", {})
    ]
    (said,) = (text for text in texts if text.startswith("by hand"))
    by_hand, package = map(float, re.findall(r"([\d.]+) J", said))
    assert by_hand == pytest.approx(package, rel=1e-3)
