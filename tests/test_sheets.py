"""Data sheets side by side, rooflines, and the intensity of a decode step."""

import json
import sys

import numpy as np
import pytest

from trn3 import hardware, roofline, serving_step, workload
from trn3.show import story
from trn3.study import sheets

TRN3, H100, A100 = (hardware.chip(key) for key in ("trainium3", "h100", "a100_80"))


def test_a_sheet_holds_what_the_chips_say_and_nan_where_a_format_is_missing():
    sheet = sheets.sheet([TRN3, A100], ["bf16", "fp8"])
    assert sheet.loc[TRN3.name, "fp8"] == TRN3.peak("fp8")
    assert sheet.loc[A100.name, "hbm_bytes_per_s"] == A100.hbm_bytes_per_s
    assert np.isnan(sheet.loc[A100.name, "fp8"])


def test_a_roofline_turns_at_its_ridge_and_never_passes_the_peak():
    lines = sheets.rooflines([TRN3, H100], "fp8")
    for chip in (TRN3, H100):
        line = lines[lines["chip"] == chip.name]
        ridge = roofline.ridge(chip.peak("fp8"), chip.hbm_bytes_per_s)
        assert np.isclose(line["intensity"], ridge).any()
        assert line["tflops"].max() == pytest.approx(chip.peak("fp8") / 1e12)
        assert (line["sustained"] <= line["tflops"] + 1e-9).all()
        assert line["tflops"].is_monotonic_increasing


def test_more_users_do_more_per_byte_and_long_texts_less():
    llama = workload.model("llama3_3_70b")
    users = np.array([1.0, 8.0, 64.0, 512.0])
    short = sheets.decode_intensity(llama, TRN3, "fp8", users, 1024)
    long = sheets.decode_intensity(llama, TRN3, "fp8", users, 65536)
    assert (np.diff(short) > 0).all() and (np.diff(long) > 0).all()
    assert (long[2:] < short[2:]).all()  # caches fill the bandwidth
    one = [float(sheets.decode_intensity(llama, TRN3, "fp8", n, 1024)) for n in users]
    assert one == pytest.approx(short.tolist())


def test_without_texts_a_user_costs_two_operations_per_weight():
    llama = workload.model("llama3_3_70b")
    for dtype in ("bf16", "fp8"):
        per_byte = 2 / serving_step.dtype_bytes(dtype)
        many = float(sheets.decode_intensity(llama, H100, dtype, 16.0, 1.0))
        assert many == pytest.approx(16 * per_byte, rel=0.03)


def test_a_compiled_engine_changes_nothing_on_paper():
    llama = workload.model("llama3_3_70b")
    ours, theirs = (
        float(sheets.decode_intensity(llama, chip, "bf16", 65.0, 4096)) for chip in (TRN3, H100)
    )
    assert ours == pytest.approx(theirs, rel=0.01)


def test_no_product_that_somebody_timed_passes_a_peak():
    best = sheets.best_products(hardware.chips(), ["bf16", "fp8"])
    assert len(best) > 5 and (best["share"] < 1).all() and (best["share"] > 0.3).all()
    assert sheets.best_products([hardware.chip("inferentia2")], ["bf16"]).empty


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the forked engine is for Linux")
@pytest.mark.parametrize(
    "given",
    [{}, {"model": "deepseek_v3", "batch": 7}, {"chip": "b200", "dtype": "fp4", "context": 128}],
    ids=str,
)
def test_the_step_that_page_02_counts_by_hand_is_the_package_s(given):
    from trn3.reporting import engine, parameters

    tables = {}
    for cell in engine.run(parameters.find("02"), given).cells:
        for output in cell.get("outputs", []):
            results = output.get("data", {}).get(story.RESULTS)
            if results:
                tables = (json.loads(results) if isinstance(results, str) else results)["tables"]
    (by_hand, package), *_ = tables["by hand"]["data"]
    assert by_hand == pytest.approx(package, rel=0.01)
