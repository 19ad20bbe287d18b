"""The tables against the survey that they were taken from: a sample of its rows that lies here,
and all of them where it lies beside the checkout or TRN3_EVIDENCE names its folder.
"""

import csv
import os
from pathlib import Path

from trn3 import data

EVIDENCE = Path(
    os.environ.get("TRN3_EVIDENCE") or Path(__file__).resolve().parents[2] / "shared" / "evidence"
)
CHIPS = {
    "NVIDIA A100 SXM 80GB": "a100_80",
    "NVIDIA A100 SXM 40GB": "a100_40",
    "NVIDIA H100 SXM": "h100",
    "NVIDIA H200 SXM": "h200",
    "NVIDIA B200 (HGX/DGX)": "b200",
    "NVIDIA B300 (HGX/DGX)": "b300",
    "NVIDIA GB200 NVL72 (per GPU)": "gb200",
    "NVIDIA GB300 NVL72 (per GPU)": "gb300",
    "Google TPU v4": "tpu_v4",
    "Google TPU v5e": "tpu_v5e",
    "Google TPU v5p": "tpu_v5p",
    "Google TPU v6e (Trillium)": "tpu_v6e",
    "Google TPU v7 (Ironwood, TPU7x)": "tpu_v7",
    "AMD Instinct MI300X": "mi300x",
    "AMD Instinct MI325X": "mi325x",
    "AMD Instinct MI355X": "mi355x",
    "Trainium1": "trainium1",
    "Trainium2": "trainium2",
    "Trainium3": "trainium3",
    "Inferentia2": "inferentia2",
}
QUANTITIES = {
    "hbm_capacity": "hbm_bytes",
    "hbm_bandwidth": "hbm_bytes_per_s",
    "scale_up_bw_bidirectional": "scale_up_bytes_per_s",
    "scale_out_nic": "scale_out_bytes_per_s",
    "tdp": "power_w",
    "TDP": "power_w",
    "chip_power_max": "power_w",
    "HBM capacity": "hbm_bytes",
    "HBM capacity (launch)": "hbm_bytes",
    "HBM bandwidth": "hbm_bytes_per_s",
    "HBM bandwidth (NKI guide)": "hbm_bytes_per_s",
    "DMA engine achievable rate": "dma_engine_bytes_per_s",
    "TensorE clock": "tensor_clock_hz",
    "NeuronCores": "n_cores",
    "peak MXFP8": "peak_flops_per_s mxfp8",
    "peak MXFP4": "peak_flops_per_s mxfp4",
    "peak FP8": "peak_flops_per_s fp8",
    "peak BF16/FP16/TF32": "peak_flops_per_s bf16",
    "peak FP16/BF16": "peak_flops_per_s bf16",
    "peak FP32": "peak_flops_per_s fp32",
    "peak INT8": "peak_flops_per_s int8",
    "peak_dense_fp4": "peak_flops_per_s nvfp4 mxfp4",
    **{f"peak_dense_{d}": f"peak_flops_per_s {d}" for d in ("fp32", "tf32", "bf16", "fp8", "int8")},
}


SAMPLE = Path(__file__).resolve().parent / "evidence_sample" / "surveyed_specs.csv"


def surveyed(paths: list[Path]) -> list[dict[str, str]]:
    """Rows of the survey that say a number of a chip in the tables."""
    rows = []
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    known = [row for row in rows if row["entity"] in CHIPS and row["quantity"] in QUANTITIES]
    return [row for row in known if row["value"].replace(".", "", 1).isdigit()]


def test_every_surveyed_spec_stands_in_the_tables():
    whole = [EVIDENCE / f"{name}.csv" for name in ("aws_facts", "peer_facts")]
    rows = surveyed([SAMPLE, *(path for path in whole if path.exists())])
    assert len(rows) > 160 and {row["entity"] for row in rows} == set(CHIPS)
    units = {r["unit"]: r["factor"] for r in data._rows(data.DATA, "units")}
    for row in rows:
        quantity, *dtypes = QUANTITIES[row["quantity"]].split()
        value = float(row["value"]) * units[row["unit"].replace(" per chip", "")]
        found = [
            f
            for f in data.facts(CHIPS[row["entity"]])
            if f.quantity == quantity and (not dtypes or f.dtype in dtypes)
        ]
        near = [
            f for f in found if any(abs(v / value - 1) < 1e-6 for v in (f.low, f.value, f.high))
        ]
        assert near, (
            f"{row['entity']} {row['quantity']} = {row['value']} {row['unit']}: "
            f"{[f.value for f in found]}"
        )


def test_rivals_peaks_keep_the_ratios_of_their_formats():
    """What no survey is needed for: a narrower format runs at 0.9 to 4 times the rate."""
    halves = [
        ("bf16", "fp8"),
        ("tf32", "bf16"),
        ("fp8", "nvfp4"),
        ("fp8", "mxfp4"),
        ("bf16", "mxfp8"),
    ]
    for chip in data.ids("chip"):
        for wide, narrow in halves:
            a, b = (
                data.maybe(chip, "peak_flops_per_s", wide),
                data.maybe(chip, "peak_flops_per_s", narrow),
            )
            if a and b and a.status != "assumed":
                assert 0.9 <= b.value / a.value <= 4.01, (chip, wide, narrow)
