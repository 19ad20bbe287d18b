"""Serving: published runs as arrays, the constants that the fit may move, and the baselines anyone could use.

A row of `data/inference_runs.csv` gives up to two records: time per token and time to first token, or a throughput.
No rule reads the name of a source.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trn3 import calibration, data, hardware, inference, validation, workload
from trn3.calibration import Constant
from trn3.inference import Device, Layouts, Sizes, Work

CONSTANTS = [
    Constant("hbm_share", 0.68, 0.1, 0.12, 0.05),
    Constant("matmul_share", 0.6, 0.15, 0.5, 0.05),
    Constant("collective_s", 6e-6, 0.3, 0.5, 0.05),
    Constant("kv_share", 0.95, 0.15),
    Constant("fp8_share", 0.78, 0.12),
    Constant("fp4_share", 0.6, 0.15),
    Constant("attention_share", 0.35, 0.2),
    Constant("expert_matmul_share", 0.45, 0.2),
    Constant("expert_imbalance", 1.4, 0.12),
    Constant("expert_sharing", 0.75, 0.2),
    Constant("layer_s", 18e-6, 0.3),
    Constant("moe_layers", 1.8, 0.2),
    Constant("latent_layers", 1.8, 0.2),
    Constant("host_s", 1.5e-3, 0.3),
    Constant("sequence_s", 7.5e-6, 0.2),
    Constant("all_to_all_s", 47e-6, 0.3),
    Constant("mixing", 0.75, 0.2),
    Constant("first_token_s", 15e-3, 0.4),
    Constant("first_token_steps", 2.0, 0.5),
    Constant("queue", 0.2, 0.5),
    Constant("queue_power", 0.9, 0.1),
    Constant("collective_2023", 2.0, 0.3),
    Constant("compiled_kv", 0.75, 0.5),
    Constant("compiled_attention", 0.5, 0.4),
    Constant("steps_trtllm", 4.0, 0.5),
    Constant("steps_sglang", 1.0, 0.5),
    Constant("queue_sglang", 1.5, 0.5),
    Constant("mixing_trtllm", 1.0, 0.3),
    Constant("mixing_sglang", 1.0, 0.3),
    Constant("collective_trtllm", 0.8, 0.3),
    Constant("compiled_first_s", 10e-3, 0.4),
    Constant("open_layout", 0.85, 0.2),
    Constant("draft_trtllm", 1.7, 0.1),
    Constant("draft_sglang", 1.3, 0.1),
]
"""What the fit may move, with the centre and width of its prior."""

_UNKNOWN = re.compile(r"RTX|Arc|PCIe|NVL-|144GB")
_CHIP = re.compile(r"Trainium\d|Inferentia2|TPU v\w+|MI3\d\dX|L40S|GH200|G?B[23]00|H[128]00|A100|V100", re.I)


def chip_id(accelerator: str) -> str:
    """Chip of an accelerator's name as publishers write it.

    Parameters
    ----------
    accelerator : str
        Such as ``NVIDIA H100 SXM`` [-].

    Returns
    -------
    str
        Chip id, empty where no specs are known [-].

    Examples
    --------
    >>> chip_id("NVIDIA GB200 NVL72"), chip_id("AWS Trainium1"), chip_id("NVIDIA H100-NVL-94GB")
    ('gb200', 'trainium1', '')
    """
    found = _CHIP.search(accelerator)
    if not found or _UNKNOWN.search(accelerator):
        return ""
    key = found[0].lower().replace(" ", "_")
    return {"a100": "a100_80"}.get(key, key)


def read(file: str | Path | None = None, corrections: int = 2) -> pd.DataFrame:
    """Rows in the evidence schema, with the corrections up to a class applied.

    Parameters
    ----------
    file : str or Path, optional
        CSV file; the committed rows where none is given [-].
    corrections : int
        0 none, 1 rows that are wrong whatever the model says, 2 also labels inferred from the times [-].

    Returns
    -------
    pandas.DataFrame
        Text columns [-].
    """
    rows = pd.read_csv(file or data.DATA / "inference_runs.csv", dtype=str, keep_default_na=False)
    for name in ("compiled_batch", "compiled_tokens", "beam", "kv_dtype", "pp", "ep", "parallel_note", "date"):
        if name not in rows:
            rows[name] = ""
    fixes = pd.read_csv(data.DATA / "corrections.csv", dtype=str, keep_default_na=False)
    fixes = fixes[fixes["row_id"].isin(rows["row_id"]) & (fixes["class"].astype(int) <= corrections)]
    place = {r: i for i, r in zip(rows.index, rows["row_id"])}
    for fix in fixes[fixes["column"].isin(rows.columns)].itertuples():
        rows.loc[place[fix.row_id], fix.column] = fix.new
    return rows


def number(column: pd.Series, default: float = np.nan) -> np.ndarray:
    """Numbers of a text column.

    Parameters
    ----------
    column : pandas.Series
        Text [-].
    default : float
        Where there is no number [-].

    Returns
    -------
    numpy.ndarray
        Numbers [-].
    """
    return pd.to_numeric(column, errors="coerce").fillna(default).to_numpy(float)


_PUBLISHER = {"inferencex": "semianalysis", "mlperf": "mlcommons", "pope2022": "google", "tpu_recipes": "google"}
_PUBLISHER |= {"neuron_docs": "aws", "deepseek_ep": "sglang", "nvidia_internal_silicon": "nvidia"}


def _dtype(text: str) -> str:
    found = re.match(r"fp4|nvfp4|mxfp4|fp8|int8|bf16|fp16", text.lower())
    return found[0] if found else ""


def _mode(row: Any) -> str:
    """What the row measures."""
    if row.mode == "prefill-only":
        return "prefill"
    if row.mode in ("offline-min-latency", "decode-only") or row.batch_kind == "static_batch":
        return "static"
    if row.mode == "offline-max":
        return "open" if "attention DP is named" in row.note and row.accel_count != "1" else "max"
    if row.mode == "offline":
        return "mlperf"
    return "loop" if row.mode.startswith("online") else ""


def _reason(row: Any) -> str:
    """Why a row cannot be scored; empty where it can."""
    checks = [
        (row.quality == "C", "quality C: latency without a usable layout, or contradictory"),
        (not row.chip, f"no specs for {row.accelerator!r}"),
        (not row.shape, f"no shape for {row.model!r}"),
        (not _dtype(row.weights_dtype), "number format not stated"),
        (not row.what, f"mode {row.mode!r} is not predicted"),
        (row.mode == "online-disagg", "disaggregated: draft tokens not labelled"),
        (row.what in ("static", "prefill", "loop") and not row.batch_or_concurrency, "load not stated"),
        ("poisson" in row.batch_kind, "load is a rate: running batch not stated"),
        ((row.what != "static" or not row.tpot_ms) and not row.input_tokens, "prompt length not stated"),
        (row.compiled and row.what != "prefill" and not row.compiled_batch, "batch of the compiled graph not stated"),
        (row.batch_kind == "per GPU", "expert-parallel fleet: not in the fit"),
    ]
    return next((text for bad, text in checks if bad), "")


def _shape(name: str) -> str:
    try:
        return str(workload.model(name).id)
    except data.UnknownId:
        return ""


def label(rows: pd.DataFrame) -> pd.DataFrame:
    """Add chip, model shape, what is measured and the reason to skip.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `read` [-].

    Returns
    -------
    pandas.DataFrame
        With columns chip, shape, what, compiled and skip [-].
    """
    known = {c.id for c in hardware.chips()}
    ids = {a: chip_id(a) if chip_id(a) in known else "" for a in rows["accelerator"].unique()}
    shapes = {m: _shape(m) for m in rows["model"].unique()}
    rows = rows.assign(chip=rows["accelerator"].map(ids), shape=rows["model"].map(shapes))
    rows["compiled"] = rows["accelerator"].str.startswith("AWS")
    rows["what"] = [_mode(r) for r in rows.itertuples()]
    rows["skip"] = [_reason(r) for r in rows.itertuples()]
    return rows


def records(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per measured quantity.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `label`, the skipped ones too [-].

    Returns
    -------
    pandas.DataFrame
        Rows repeated, with quantity and measured in seconds or tokens/s per chip [s], [1/s].
    """
    use = rows[rows["skip"] == ""]
    chips = number(use["accel_count"])
    rate = number(use["throughput_tok_s"]) / chips
    what, out = use["what"], []
    tpot, ttft = number(use["tpot_ms"]) / 1e3, number(use["ttft_ms"]) / 1e3
    for name, value, which in (
        (
            "tpot_static",
            np.where(np.isnan(tpot) & (use["mode"] == "offline-min-latency"), 1 / (rate * chips), tpot),
            what == "static",
        ),
        ("job_static", rate, (what == "static") & np.isnan(tpot) & (use["mode"] == "offline-static")),
        ("tpot_loop", tpot, what == "loop"),
        ("ttft", ttft, ~what.isin(["max", "open"])),
        ("max", rate, what == "max"),
        ("open", rate, what == "open"),
        ("mlperf", rate, what == "mlperf"),
    ):
        some = use[which & ~np.isnan(value)]
        out.append(some.assign(quantity=name, measured=value[which & ~np.isnan(value)]))
    return pd.concat(out, ignore_index=True)


def _stack(items: list[Any], kind: type) -> Any:
    return kind(**{f.name: np.array([getattr(i, f.name) for i in items], float) for f in fields(kind)})


@dataclass(frozen=True)
class Arrays:
    """Records as the evaluator takes them.

    Attributes
    ----------
    z, d, at, w : Sizes, Device, Layouts, Work
        Model, chip, layout and work of every record [-].
    live : numpy.ndarray
        Sequences that wait on one another in a group [-].
    late : numpy.ndarray
        Concurrency over the batch that memory or the graph allows [-].
    beams : numpy.ndarray
        Beams per sequence [-].
    """

    z: Sizes
    d: Device
    at: Layouts
    w: Work
    live: np.ndarray
    late: np.ndarray
    beams: np.ndarray


def arrays(r: pd.DataFrame) -> Arrays:
    """Turn records into arrays, layouts that the source leaves open included.

    Parameters
    ----------
    r : pandas.DataFrame
        From `records` [-].

    Returns
    -------
    Arrays
        One element per record [-].
    """
    shapes = {m: inference.sizes(workload.model(m)) for m in r["shape"].unique()}
    pairs = list(zip(r["chip"], r["weights_dtype"].map(_dtype)))
    devices = {p: _device(*p) for p in set(pairs)}
    z, d = _stack([shapes[m] for m in r["shape"]], Sizes), _stack([devices[p] for p in pairs], Device)
    d = replace(d, compiled=d.compiled > 0, torus=d.torus > 0)
    z = replace(z, latent=z.latent > 0)
    chips, dp, pp = number(r["accel_count"], 1), number(r["dp"], 1), number(r["pp"], 1)
    tp = np.where(d.compiled, number(r["tp"]) / d.n_ranks, number(r["tp"]))
    tp = np.where(np.isnan(tp), chips / dp / pp, tp)
    share = np.where(r["note"].str.contains("uniform 0.8-1.0"), 0.9, 1.0)
    seen, told = share * number(r["input_tokens"], 1024), share * number(r["output_tokens"], 1)
    width = {t: inference.dtype_bytes(t) for t in set(r["weights_dtype"].map(_dtype))}
    w = Work(
        1.0, seen, told, r["weights_dtype"].map(_dtype).map(width).to_numpy(float),
        np.where(r["kv_dtype"].str.contains("fp8"), 1.0, np.where(_kv8(r), 1.0, 2.0)),
        number(r["compiled_batch"], 0), np.where(d.compiled, _prompt(r), 0), number(r["compiled_tokens"], 0),
        expert_reads=np.where(d.compiled, 4.0, 1.0), chunk_tokens=np.where(d.torus, 1e9, 8192.0),
    )  # fmt: skip
    beams = number(r["beam"], 1)
    whole = (number(r["ep"], 1) > 1) | (dp > 1)
    at = _open_layouts(r, Layouts(tp, dp, pp, whole), z, d, w, chips)
    asked = number(r["batch_or_concurrency"], np.inf) / at.dp
    most = np.where(
        d.compiled,
        np.where(w.bucket_batch > 0, w.bucket_batch, np.inf),
        np.maximum(inference.max_batch(z, d, at, w) / beams, 1),
    )
    batch = np.where(r["what"].isin(["static", "prefill"]), asked, np.clip(asked, 1, most))
    return Arrays(z, d, at, replace(w, batch=batch), batch, np.maximum(asked / batch, 1.0), beams)


def _device(chip: str, dtype: str) -> Device:
    system = hardware.system(hardware.chip(chip).usual_system)
    return inference.device(
        system, "bf16" if dtype in ("int8", "") or not inference._has(system.chip, dtype) else dtype
    )


def _kv8(r: pd.DataFrame) -> np.ndarray:
    """TensorRT-LLM's own tables keep the cache in 8 bits where weights are narrow."""
    return (
        (r["kv_dtype"] == "") & r["weights_dtype"].str.contains("fp8|fp4") & r["engine"].str.contains("TensorRT|trtllm")
    ).to_numpy()


def _prompt(r: pd.DataFrame) -> np.ndarray:
    """Compiled prompt: the whole graph in optimum-neuron, the next power of two elsewhere."""
    whole, graph = r["engine"].str.contains("optimum|TGI"), number(r["compiled_tokens"], np.inf)
    return np.where(whole, graph, np.minimum(2.0 ** np.ceil(np.log2(number(r["input_tokens"], 1))), graph))


def _open_layouts(r: pd.DataFrame, at: Layouts, z: Sizes, d: Device, w: Work, chips: np.ndarray) -> Layouts:
    """Best layout by the centres of the priors, where a source states only the number of chips."""
    k = {c.name: c.value for c in CONSTANTS}
    free = (r["what"] == "mlperf").to_numpy()
    spread = (r["what"] == "open").to_numpy()
    best, tp, dp = np.full(len(r), -1.0), at.tp.copy(), at.dp.copy()
    for n in (1.0, 2.0, 4.0, 8.0):
        moe = z.n_experts > 0
        for groups, allowed in ((1.0, free), (np.maximum(chips / n, 1), (free & moe) | spread)):
            some = Layouts(np.minimum(n, chips), np.broadcast_to(groups, chips.shape), 1.0, np.greater(groups, 1))
            batch = inference.max_batch(z, d, some, w)
            rate = inference.evaluate(z, d, some, replace(w, batch=np.maximum(batch, 1)), k).tokens_per_s_per_chip
            better = allowed & (batch >= 1) & (rate > best) & (n <= chips)
            best, tp, dp = np.where(better, rate, best), np.where(better, some.tp, tp), np.where(better, some.dp, dp)
    return Layouts(tp, dp, np.where(best > 0, 1.0, at.pp), at.whole | (dp > 1))


def predictor(r: pd.DataFrame, a: Arrays) -> Any:
    """Function from constants to the predicted quantity of every record.

    Parameters
    ----------
    r : pandas.DataFrame
        Records [-].
    a : Arrays
        The same as arrays [-].

    Returns
    -------
    callable
        As `calibration.Problem` wants it [-].
    """
    engine = r["engine"].str.lower()
    trt, sgl = engine.str.contains("trtllm|tensorrt").to_numpy(), engine.str.contains("sglang").to_numpy()
    old = (r["date"].str[:4].isin(["2022", "2023"]) & r["engine"].str.contains("TensorRT|trtllm")).to_numpy()
    draft = r["spec_decode"].str.startswith("MTP").to_numpy()
    kind = {
        q: (r["quantity"] == q).to_numpy()
        for q in ("tpot_static", "job_static", "tpot_loop", "ttft", "max", "open", "mlperf")
    }
    static = r["what"].isin(["static", "prefill"]).to_numpy()
    together = replace(a.w, batch=a.w.batch * a.beams, prompts=np.where(static & ~a.d.compiled, a.w.batch, 1.0))
    together = inference.padded(a.d, together)
    step_work = replace(together, batch=np.maximum(together.bucket_batch, together.batch))
    mixed = inference.padded(a.d, a.w)
    groups = a.at.dp / a.at.n_chips

    def predict(v: Mapping[str, np.ndarray]) -> np.ndarray:
        k = dict(v)
        k["collective_s"] = v["collective_s"] * np.where(old, v["collective_2023"], 1.0)
        k["collective_s"] = k["collective_s"] * np.where(trt & ~old, v["collective_trtllm"], 1.0)
        k["attention_share"] = v["attention_share"] * np.where(a.d.compiled, v["compiled_attention"], 1.0)
        k["mixing"] = v["mixing"] * np.where(trt, v["mixing_trtllm"], np.where(sgl, v["mixing_sglang"], 1.0))
        k["kv_share"] = v["kv_share"] * np.where(a.d.compiled, v["compiled_kv"], 1.0)
        steps = v["first_token_steps"] * np.where(trt, v["steps_trtllm"], np.where(sgl, v["steps_sglang"], 1.0))
        queue = v["queue"] * np.where(sgl, v["queue_sglang"], 1.0)
        gain = np.where(draft, np.where(sgl, v["draft_sglang"], v["draft_trtllm"]), 1.0)
        step = inference.decode_s(a.z, a.d, a.at, k, step_work) / gain
        pre = inference.prefill_s(a.z, a.d, a.at, k, together)
        waiting = a.live - 1.0
        share = k["mixing"] * inference.mixed_prefill_s(a.z, a.d, a.at, k, mixed) / a.w.output_tokens
        tpot = step + np.where(kind["tpot_loop"], waiting * share, 0.0)
        first = pre * np.where(static, np.where(a.d.compiled, a.live, 1.0), 1 + queue * waiting ** v["queue_power"])
        ttft = (
            first
            + np.where(
                static,
                np.where(a.d.compiled, v["compiled_first_s"], 2 * v["host_s"]),
                v["first_token_s"] + steps * step,
            )
        ) * a.late
        per_token = step / a.live + share
        rate = np.where(
            kind["job_static"], a.live * a.w.output_tokens / (pre + a.w.output_tokens * step), 1 / per_token
        )
        rate = rate * np.where(kind["open"], v["open_layout"], 1.0)
        return np.select([kind["tpot_static"] | kind["tpot_loop"], kind["ttft"]], [tpot, ttft], rate * groups)

    return predict


def problem(file: str | Path | None = None, corrections: int = 2) -> calibration.Problem:
    """Records, constants and evaluator for fit and validation.

    Parameters
    ----------
    file : str or Path, optional
        Rows in the evidence schema; the committed ones where none is given [-].
    corrections : int
        Highest class of corrections to apply [-].

    Returns
    -------
    Problem
        Ready to fit or to score [-].
    """
    rows = label(read(file, corrections))
    r = records(rows)
    chips = {c.id: c for c in hardware.chips()}
    family = {c.id: "trainium" if c.family == "inferentia" else c.family for c in chips.values()}
    r = r.assign(
        source=r["family"], publisher=[_publisher(f) for f in r["family"]], family=r["chip"].map(family),
        generation=[chips[c].family + " " + chips[c].generation for c in r["chip"]],
        group=r["family"] + " | " + r["model"] + " | " + r["chip"] + " | " + r["quantity"],
    )  # fmt: skip
    skipped = {i: why for i, why in zip(rows["row_id"], rows["skip"]) if why}
    return calibration.Problem("serving", r, calibration.tree(CONSTANTS, family), predictor(r, arrays(r)), skipped, 0.1)


def _publisher(source: str) -> str:
    return _PUBLISHER.get(source, "nvidia" if source.startswith("trtllm") else "huggingface")


METRIC = {"tpot_static": "tpot", "tpot_loop": "tpot", "ttft": "ttft", "job_static": "throughput", "max": "throughput"}
"""The quantities that make the bands of each result; open layouts and MLPerf stay out."""


def band_rows(problem: calibration.Problem, full: calibration.Fit) -> list[dict[str, Any]]:
    """Bands as rows of `data/calibration.csv`: factors from a prediction to the 80 % band of what is measured.

    Residuals with the source left out and with the model left out count alike. A chip without measurements takes the
    residuals with the generation left out, widened in quadrature by the range of its memory bandwidth.

    Parameters
    ----------
    problem : Problem
        The committed rows [-].
    full : Fit
        Fit to all of them [-].

    Returns
    -------
    list of dict
        Rows for `calibration.constants_frame` [-].
    """
    r, out = problem.rows, []
    errors = {n: calibration.left_out(problem, r[n], full) for n in ("source", "model", "generation")}
    metric = r["quantity"].map(METRIC).to_numpy()
    for name in ("tpot", "ttft", "throughput"):
        mine = metric == name
        e = np.concatenate([errors["source"][mine], errors["model"][mine]])
        group, family = np.tile(r["group"][mine], 2), np.tile(r["family"][mine], 2)
        owners = {"global": validation.family_band(e, group, family, "")}
        owners |= {f: validation.family_band(e, group, family, f) for f in np.unique(family)}
        unseen = validation.family_band(errors["generation"][mine], r["group"][mine].to_numpy(), r["family"][mine].to_numpy(), "")
        for chip in hardware.chips():
            if chip.id not in set(r["chip"]):
                wide = np.log(chip.hbm_bytes_per_s / chip.hbm_sustained_bytes_per_s)
                owners[chip.id] = np.sign(unseen) * np.hypot(unseen, wide)
        for owner, (low, high) in owners.items():
            n = int(r[mine & ((r["family"] == owner) | (owner == "global")).to_numpy()]["group"].nunique())
            for side, value in (("low", np.exp(-high)), ("high", np.exp(-low))):
                out.append({"owner": owner, "name": f"band_{name}_{side}", "value": f"{value:.4g}", "log_sd": "", "n_groups": n, "borrowed_from": "" if n else "generations left out"})
    return out
