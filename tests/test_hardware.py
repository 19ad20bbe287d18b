"""Chips, systems and clusters: complete, consistent with what vendors publish, and open to new
rows.
"""

import dataclasses
import math
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import data, hardware

CHIPS = """
trainium1 trainium2 trainium3 trainium4 inferentia2 a100_40 a100_80 h100 h200 b200 b300
gb200 gb300 h800 gh200
l40s v100
tpu_v4 tpu_v5e tpu_v5p tpu_v6e tpu_v7 mi300x mi325x mi355x"""
SYSTEMS = """
trn1_32xl trn2_48xl trn2_ultraserver trn3_gen1 trn3_gen2 inf2_48xl hgx_a100 hgx_h100 hgx_h200
hgx_b200 hgx_b300
gb200_nvl72 gb300_nvl72 mi300x_8 mi325x_8 mi355x_8 tpu_v4_pod tpu_v5e_pod tpu_v5p_pod tpu_v6e_pod
tpu_v7_pod"""
ALL_SYSTEMS = data.ids("system")


def test_everything_promised_is_there():
    assert set(CHIPS.split()) <= {c.id for c in hardware.chips()}
    assert set(SYSTEMS.split()) <= {s.id for s in hardware.systems()}
    assert [c.id for c in hardware.chips() if c.announced] == ["trainium4"]


@pytest.mark.parametrize("name", data.ids("chip"))
def test_chips_are_whole(name):
    chip = hardware.chip(name)
    assert chip.peak_flops_per_s and all(v > 0 for v in chip.peak_flops_per_s.values())
    assert chip.hbm_bytes > 1e9 and chip.hbm_bytes_per_s > 1e11
    assert 0 < chip.hbm_sustained_bytes_per_s <= chip.hbm_bytes_per_s
    assert chip.scale_up_bytes_per_s > 0 and chip.scale_out_bytes_per_s > 0
    assert chip.tile[0] >= 16 and chip.tile[1] >= 16 and chip.tile[2] >= 16
    low, middle, high = chip.power_w
    assert 50 < low <= middle <= high < 3000
    assert hardware.system(name).chip is chip  # its usual system is made of it


@pytest.mark.parametrize("name", ALL_SYSTEMS)
def test_tiers_run_outward(name):
    system = hardware.system(name)
    sizes = [t.n_chips for t in system.tiers]
    assert sizes == sorted(sizes) and sizes[-1] == math.inf and len(set(sizes)) == len(sizes)
    assert system.tiers[-1].name == "scale_out"
    assert system.n_chips == 1 or system.tiers[-2].n_chips == system.n_chips
    assert all(0 < t.latency_s < 1e-3 and t.bytes_per_s > 1e9 for t in system.tiers)
    assert all(a.latency_s <= b.latency_s for a, b in zip(system.tiers, system.tiers[1:]))
    assert system.tiers[-1].bytes_per_s == pytest.approx(
        system.chip.scale_out_bytes_per_s, rel=1e-9
    )


@pytest.mark.parametrize("name", ALL_SYSTEMS)
def test_a_system_draws_more_than_its_chips_alone(name):
    system = hardware.system(name)
    if not np.isnan(system.power_w).any():
        assert system.power_w[0] <= system.power_w[1] <= system.power_w[2]
        assert system.power_w[2] > system.n_chips * system.chip.power_w[0]


@pytest.mark.parametrize("name", ALL_SYSTEMS)
def test_published_totals_are_the_chips_times_their_number(name):
    system = hardware.system(name)
    for total in data.facts(name):
        if not total.use or total.quantity not in (
            "peak_flops_per_s",
            "hbm_bytes",
            "hbm_bytes_per_s",
            "scale_out_bytes_per_s",
        ):
            continue
        one = data.fact(system.chip.id, total.quantity, total.dtype).value
        assert total.value == pytest.approx(one * system.n_chips, rel=0.005), (
            total.quantity,
            total.dtype,
        )


def test_trainium3_ultraserver_has_three_link_tiers():
    system = hardware.system("trn3_gen2")
    assert [(t.name, t.n_chips, t.bytes_per_s / 1e9) for t in system.tiers] == [
        ("board", 4, 512),  # 64 lanes of PCIe 6 at 8 GB/s, one way
        ("rack", 72, 512),
        ("cross_rack", 144, 128),
        ("scale_out", math.inf, 25),  # 200 Gbit/s of EFA
    ]
    assert system.chip.scale_up_bytes_per_s == sum(
        t.bytes_per_s for t in system.tiers[:3]
    )  # 1,152 GB/s


def test_memory_is_capped_by_the_dma_engines():
    # 16 engines per core at 17, 23 and 33 GB/s: AWS's DMA guide
    assert hardware.chip("trainium1").hbm_sustained_bytes_per_s == pytest.approx(2 * 16 * 17e9)
    assert hardware.chip("trainium3").hbm_sustained_bytes_per_s == pytest.approx(8 * 16 * 33e9)
    assert (
        hardware.chip("trainium2").hbm_sustained_bytes_per_s
        == hardware.chip("trainium2").hbm_bytes_per_s
    )
    assert hardware.chip("h100").hbm_sustained_bytes_per_s == hardware.chip("h100").hbm_bytes_per_s


def test_tensor_engine_peak_is_array_times_clock():
    for name, tflops in (("trainium1", 183.5), ("trainium2", 629.1), ("trainium3", 629.1)):
        peak = data.fact(name, "peak_flops_per_s", "bf16", "tensor_engine").value
        assert peak == pytest.approx(tflops * 1e12, rel=1e-3)
        assert peak < hardware.chip(name).peak("bf16")  # the published peak counts all engines


def test_formats_of_one_width_stand_in_for_each_other():
    trainium3, h100, b300, v100 = (hardware.chip(c) for c in ("trainium3", "h100", "b300", "v100"))
    assert (trainium3.native("fp8"), h100.native("fp8"), h100.native("mxfp8")) == (
        "mxfp8",
        "fp8",
        "fp8",
    )
    assert (b300.native("fp4"), trainium3.native("fp4"), hardware.chip("mi355x").native("fp4")) == (
        "nvfp4",
        "mxfp4",
        "mxfp4",
    )
    assert v100.native("bf16") == "fp16"
    assert trainium3.peak("fp8") == 2517e12 and trainium3.peak_flops_per_s["fp8"] == 1342e12
    plain = trainium3.fact("peak_flops_per_s", "fp8")  # twice the tensor engines, twice the chip
    assert plain.range.tolist() == [1258.3e12, 1342e12, 1342e12]


def test_matrix_products_are_timed_as_printed_and_stay_below_the_data_sheet():
    """The source prints rate and time apart: 2 m n k over the one is the other."""
    for name, parts in (("trainium3", 4), ("tpu_v7", 2)):
        rows, printed = hardware.measured_products(name), data.table("gemm_measured")
        printed = printed.set_index("row_id").loc[rows["row_id"]]
        np.testing.assert_allclose(rows["flops_per_s"] / 1e12, printed["tflop_per_s"], rtol=1e-3)
        assert len(rows) == (printed["chip"] == name).sum() > 0
        assert rows["peak_share"].between(0, 1).all() and rows["hbm_share"].between(0, 1).all()
        best = data.fact(name, "gemm_flops_per_s", "bf16").value
        assert best == pytest.approx(parts * rows["flops_per_s"].max(), rel=1e-3)


def test_the_profiler_of_aws_divides_by_the_tensor_engines_alone():
    rows = data.table("gemm_measured").query("chip == 'trainium3'")
    ceiling = 4 * rows["tflop_per_s"] / rows["maker_peak_share"]
    engines = data.fact("trainium3", "peak_flops_per_s", "bf16", "tensor_engine")
    np.testing.assert_allclose(ceiling, engines.value / engines.scale, rtol=5e-3)


def test_a_chip_without_timed_products_has_none():
    assert hardware.measured_products("h100").empty


@pytest.mark.parametrize(
    ("name", "dtype"), [("a100_80", "fp8"), ("h100", "fp4"), ("trainium2", "int4"), ("tpu_v4", "")]
)
def test_missing_formats_are_refused_with_the_list(name, dtype):
    chip = hardware.chip(name)
    with pytest.raises(hardware.UnsupportedDtype) as error:
        chip.peak(dtype)
    assert all(d in str(error.value) for d in chip.peak_flops_per_s)
    assert issubclass(hardware.UnsupportedDtype, data.TrnError)


def test_names():
    assert hardware.chip("H100") is hardware.chip("h100")
    assert hardware.system("trainium3") is hardware.system("trn3-gen2") is hardware.system("TRN3")
    with pytest.raises(data.UnknownId, match="trainium3"):
        hardware.chip("trainium5")
    with pytest.raises(data.UnknownId, match="trn3_gen2"):
        hardware.system("trn3_gen4")


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        hardware.chip("h100").hbm_bytes = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        hardware.system("trn3_gen2").n_chips = 145


@given(st.sampled_from(ALL_SYSTEMS), st.integers(1, 1_000_000))
@settings(max_examples=60, deadline=None)
def test_a_cluster_crosses_the_tiers_that_it_needs(name, n_chips):
    tiers = hardware.Cluster(hardware.system(name), n_chips).tiers
    assert tiers[-1].n_chips >= n_chips
    assert all(t.n_chips < n_chips for t in tiers[:-1])


def test_small_clusters_stay_inside():
    system = hardware.system("trn3_gen2")
    assert [t.name for t in hardware.Cluster(system, 4).tiers] == ["board"]
    assert [t.name for t in hardware.Cluster(system, 5).tiers] == ["board", "rack"]
    assert len(hardware.Cluster(system, 1_000_000).tiers) == 4
    assert hardware.Cluster(system, 8).chip.id == "trainium3"


@pytest.mark.parametrize("n_chips", [0, -3, 1.5, math.nan, "8"])
def test_impossible_clusters_are_refused(n_chips):
    with pytest.raises(data.TrnError, match="n_chips"):
        hardware.Cluster(hardware.system("h100"), n_chips)


def test_a_new_chip_is_a_few_rows(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    shutil.copytree(data.DATA, folder)
    monkeypatch.setattr(data, "DATA", folder)
    subject = (
        "{id},{kind},{name},Acme,anvil,1,available,2027-01,{usual},{chip},ring,air,,,,,,{alias},"
    )
    subject += "this_survey\n"
    row = "{s},{q},{v},,,{u},,{d},{b},published,yes,this_survey,,2026-11-22,\n"
    with (folder / "subjects.csv").open("a", encoding="utf-8") as file:
        file.write(
            subject.format(
                id="anvil1",
                kind="chip",
                name="Anvil 1",
                usual="anvil_4",
                chip="",
                alias="the_anvil",
            )
        )
        file.write(
            subject.format(
                id="anvil_4", kind="system", name="4x Anvil 1", usual="", chip="anvil1", alias=""
            )
        )
    with (folder / "specs.csv").open("a", encoding="utf-8") as file:
        numbers = [
            ("peak_flops_per_s", 5, "PFLOP/s", "bf16"),
            ("hbm_bytes", 300, "GB", ""),
            ("hbm_bytes_per_s", 10, "TB/s", ""),
        ]
        numbers += [(f"tile_{axis}", 128, "count", "") for axis in "mnk"]
        for quantity, value, unit, dtype in numbers:
            file.write(row.format(s="anvil1", q=quantity, v=value, u=unit, d=dtype, b=""))
    with (folder / "systems.csv").open("a", encoding="utf-8") as file:
        file.write(row.format(s="anvil_4", q="n_chips", v=4, u="count", d="", b=""))
        for tier, n_chips, rate, latency in (("ring", 4, 500, 1), ("scale_out", "", 50, 10)):
            if n_chips:
                file.write(
                    row.format(s="anvil_4", q="tier_chips", v=n_chips, u="count", d="", b=tier)
                )
            file.write(
                row.format(s="anvil_4", q="tier_bytes_per_s", v=rate, u="GB/s", d="", b=tier)
            )
            file.write(row.format(s="anvil_4", q="tier_latency_s", v=latency, u="us", d="", b=tier))
    system = hardware.system("The Anvil")
    assert system.id == "anvil_4" and system.n_chips == 4 and len(system.tiers) == 2
    assert system.chip.n_ranks == 1 and not system.chip.compiled and not system.axis_collectives
    assert system.chip.peak("fp16") == 5e15 and np.isnan(system.chip.power_w).all()


@pytest.mark.parametrize(
    ("name", "dtype", "flops"),
    [
        ("v100", "fp16", 1024),
        ("a100_80", "bf16", 2048),
        ("h100", "bf16", 4096),
        ("h200", "fp8", 8192),
        ("b200", "bf16", 8192),
    ],
)
def test_gpu_peaks_are_cores_times_clock(name, dtype, flops):
    # dense operations of a streaming multiprocessor in a cycle: twice as many in every generation
    chip = hardware.chip(name)
    assert chip.n_cores * flops * chip.fact("tensor_clock_hz").value == pytest.approx(
        chip.peak(dtype), rel=5e-3
    )


def test_how_engines_serve_is_data_of_the_chip():
    # Neuron compiles graphs and counts two or four ranks a chip; collectives of a TPU pod run along
    # its torus, those of a Trainium server through their own library whatever its topology
    neuron = {c.id for c in hardware.chips() if c.compiled}
    assert neuron == {"inferentia2", *(f"trainium{i}" for i in (1, 2, 3, 4))}
    assert {c.id: c.n_ranks for c in hardware.chips() if c.n_ranks > 1} == {
        "inferentia2": 2.0,
        "trainium1": 2.0,
        "trainium2": 4.0,
        "trainium3": 4.0,
        "trainium4": 4.0,
    }
    assert not any(c.widens_4bit for c in hardware.chips() if c.id in neuron)
    along = [s.id for s in hardware.systems() if s.axis_collectives]
    assert along and all(i.startswith("tpu") for i in along)
