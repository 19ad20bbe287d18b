"""Serving: published runs as arrays, the constants that the fit may move, and the bands of a
prediction.

A row of `data/inference_runs.csv` gives up to two records: time per token and time to first token,
or a throughput. No rule reads the name of a source.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from trn3 import committed, data, hardware, inference, serving_step, ties, workload
from trn3.committed import ServingConstants
from trn3.fit import calibration, evidence, run_files, scores, training_fit
from trn3.fit.run_files import UNUSED, RunFile
from trn3.fit.training_fit import numbers
from trn3.serving_step import Device, Layouts, Work

QUANTITIES = {
    "tpot_static": "tpot",
    "tpot_loop": "tpot",
    "ttft": "ttft",
    "job_static": "throughput",
    "max": "throughput",
    "open": "throughput",
    "mlperf": "throughput",
}
"""Measured quantities and the metric of each; open layouts and MLPerf have bands of their own."""

METRICS = {
    "tpot": "tpot",
    "ttft": "ttft",
    "ttft_load": "ttft",
    "throughput": "throughput",
    "open": "throughput",
    "mlperf": "throughput",
}
"""Bands, and the metric of each."""

APART = ("open", "mlperf")
"""Bands of rows whose layout is open; no compiled engine has such rows."""

TIMED_AS = {"throughput": "tpot"}
"""Bands of compiled engines that follow from another: their rates are as far off as their times."""

COMPILED = " compiled"
"""Ending of the bands of engines that compile graphs for fixed shapes."""

_BUILD = ["family", "engine", "engine_version", "weights_dtype"]
"""What a group of runs shares besides model, chip and quantity."""

_UNKNOWN = re.compile(r"RTX|Arc|PCIe|NVL-|144GB")
_CHIP = re.compile(
    r"Trainium\d|Inferentia2|TPU v\w+|MI3\d\dX|L40S|GH200|G?B[23]00|H[128]00|A100|V100", re.I
)


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
    found = None if _UNKNOWN.search(accelerator) else _CHIP.search(accelerator)
    return found[0].lower().replace(" ", "_").replace("a100", "a100_80") if found else ""


def read(
    file: str | Path | RunFile | None = None, corrections: int = 1, part: str = "fitted"
) -> pd.DataFrame:
    """Rows in the evidence schema, with the corrections up to a class applied.

    Parameters
    ----------
    file : str, path or RunFile, optional
        A file of runs, see `run_files.read`; the committed rows where none is given [-].
    corrections : int
        Of committed rows: 0 none, 1 rows that are wrong whatever the model says, 2 also labels
        inferred from the times [-].
    part : str
        Which of the committed rows, of `evidence.PARTS` [-].

    Returns
    -------
    pandas.DataFrame
        Text columns; ``unused`` says why a row of a file cannot be used [-].
    """
    if file is not None:
        run = file if isinstance(file, RunFile) else run_files.read("serving", file)
        return run.rows
    rows = evidence.corrected(evidence.runs("serving", part), corrections)
    return rows.assign(**{UNUSED: ""})


def _dtype(text: str) -> str:
    found = re.match(r"fp4|nvfp4|mxfp4|fp8|int4|int8|bf16|fp16", text.lower())
    return found[0] if found else ""


def _what(row: Any) -> str:
    """What the row measures."""
    if row.mode == "prefill-only":
        return "prefill"
    if row.mode in ("offline-min-latency", "decode-only") or row.batch_kind == "static_batch":
        return "static"
    if row.mode == "offline-max":
        return "open" if "attention DP is named" in row.note and row.accel_count != "1" else "max"
    return "mlperf" if row.mode == "offline" else "loop" if row.mode.startswith("online") else ""


def _queued(row: Any) -> bool:
    """Whether a request under load spends more than half of its time before the first token."""
    if row.unused or row.what != "loop" or "" in (row.ttft_ms, row.tpot_ms, row.output_tokens):
        return False
    alone = row.batch_or_concurrency in ("", "1")
    rest = float(row.tpot_ms) * (float(row.output_tokens) - 1)
    return not alone and float(row.ttft_ms) > rest


def _reason(row: Any, layers: Mapping[str, str]) -> str:
    """Why a row cannot be scored; empty where it can."""
    loaded = row.what in ("static", "prefill", "loop")
    checks = [
        (row.unused, row.unused),
        (row.quality == "C", "quality C: latency without a usable layout, or contradictory"),
        (not row.chip, f"no specs for {row.accelerator!r}"),
        (row.family != "own" and row.model in layers, f"not modelled: {layers.get(row.model)}"),
        (not row.shape, f"no shape for {row.model!r}"),
        (not _dtype(row.weights_dtype), "number format not stated"),
        (not row.what, f"mode {row.mode!r} is not predicted"),
        (row.mode == "online-disagg", "disaggregated: draft tokens not labelled"),
        ("poisson" in row.batch_kind, "load is a rate: running batch not stated"),
        (loaded and not row.batch_or_concurrency, "load not stated"),
        (
            (row.what != "static" or not row.tpot_ms) and not row.input_tokens,
            "prompt length not stated",
        ),
        (
            row.compiled and row.what != "prefill" and not row.compiled_batch,
            "batch of the compiled graph not stated",
        ),
        (row.mode.startswith("online-pareto"), "interpolated by the page, layout not given"),
        (row.batch_kind == "per GPU", "expert-parallel fleet: not in the fit"),
        (_queued(row), "queue-limited: the first token takes more than half of the request"),
    ]
    return next((text for bad, text in checks if bad), "")


def _chip(accelerator: str) -> str:
    """Id of a chip with specs, by its id, an alias, or its name as publishers write it."""
    try:
        return data.resolve("chip", accelerator)
    except data.UnknownId:
        found = chip_id(accelerator)
        return found if found in {c.id for c in hardware.chips()} else ""


def _shape(name: str) -> str:
    """What `workload.model` finds the shape by: an id, or the path of a config.json."""
    try:
        found = str(workload.model(name).id)
    except data.TrnError:
        return ""
    return found if found in workload.models() else name


def label(rows: pd.DataFrame) -> pd.DataFrame:
    """Add chip, model shape, what is measured and the reason to skip.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `read` [-].

    Returns
    -------
    pandas.DataFrame
        With columns chip, shape, compiled, what and skip [-].
    """
    ids = {a: _chip(a) for a in rows["accelerator"].unique()}
    aws = {c.id: c.vendor == "AWS" for c in hardware.chips()} | {"": False}
    chip = rows["accelerator"].map(ids)
    rows = rows.assign(chip=chip, compiled=chip.map(aws).astype(bool))
    models = rows["model"].unique()
    rows["shape"] = rows["model"].map({m: _shape(m) for m in models})
    graph = rows["note"].str.extract(r"(?:padded to|compiled at) (\d+)")[0].fillna("")
    engine = rows["batch_kind"].str.extract(r"engine batch (\d+)")[0].fillna("")
    engine = engine.where(
        engine != "", rows["batch_or_concurrency"].where(rows["batch_kind"] == "static_batch", "")
    )
    for name, told in (("compiled_tokens", graph), ("compiled_batch", engine)):
        rows[name] = rows[name].where((rows[name] != "") | ~rows["compiled"], told)
    rows["what"] = [_what(r) for r in rows.itertuples()]
    layers = evidence.unmodelled(models)
    return rows.assign(skip=[_reason(r, layers) for r in rows.itertuples()])


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
    chips, what, static = (
        numbers(use["accel_count"]),
        use["what"],
        (use["what"] == "static").to_numpy(),
    )
    rate = numbers(use["throughput_tok_s"]) / chips
    tpot, ttft = numbers(use["tpot_ms"]) / 1e3, numbers(use["ttft_ms"]) / 1e3
    alone = np.isnan(tpot) & (use["mode"] == "offline-min-latency").to_numpy()
    jobs = np.isnan(tpot) & (use["mode"] == "offline-static").to_numpy()
    table = {
        "tpot_static": (np.where(alone, 1 / (rate * chips), tpot), static),
        "job_static": (rate, static & jobs),
        "tpot_loop": (tpot, what == "loop"),
        "ttft": (ttft, ~what.isin(["max", "open", "mlperf"])),
        "max": (rate, what == "max"),
        "open": (rate, what == "open"),
        "mlperf": (rate, what == "mlperf"),
    }
    parts = [
        use.assign(quantity=q, measured=v)[np.asarray(m) & ~np.isnan(v)]
        for q, (v, m) in table.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _device(chip: str, dtype: str) -> Device:
    system = hardware.system(hardware.chip(chip).usual_system)
    same = dtype != "int8" and serving_step.has(system.chip, dtype)
    found = serving_step.device(system, dtype if same else "bf16")
    four_bits = serving_step.dtype_bytes(dtype) < 1
    return replace(found, widened=four_bits and not same)


def arrays(r: pd.DataFrame) -> SimpleNamespace:
    """Turn records into arrays, layouts that the source leaves open included.

    Parameters
    ----------
    r : pandas.DataFrame
        From `records` [-].

    Returns
    -------
    SimpleNamespace
        z, d, at, w (model, chip, layout, work), live (sequences of a group), late (load over
        batch), beams [-].
    """
    dtype = r["weights_dtype"].map(_dtype)
    devices = {p: _device(*p) for p in set(zip(r["chip"], dtype))}
    z, each = (
        workload.stack([workload.model(m) for m in r["shape"]]),
        [devices[p] for p in zip(r["chip"], dtype)],
    )
    stacked = [f.name for f in fields(Device) if f.name != "tiers"]
    d = Device(
        **{name: np.array([getattr(e, name) for e in each], float) for name in stacked},
        tiers=(),  # no run that is fitted leaves its first tier; a test looks
    )
    d = replace(
        d,
        compiled=d.compiled > 0,
        widened=d.widened > 0,
        torus=d.torus > 0,
        # the TPU runs were made with engines that read a prompt in one pass
        chunk_tokens=np.where(d.torus > 0, 1e9, d.chunk_tokens),
    )
    chips, dp, pp, beams = (numbers(r[c], 1) for c in ("accel_count", "dp", "pp", "beam"))
    tp = np.where(d.compiled, numbers(r["tp"]) / d.n_ranks, numbers(r["tp"]))
    tp = np.where(np.isnan(tp), chips / dp / pp, tp)
    share = np.where(
        r["note"].str.contains("uniform 0.8-1.0"), 0.9, 1.0
    )  # mean of the lengths drawn
    engine, narrow = r["engine"].str.lower(), r["weights_dtype"].str.contains("fp8|fp4")
    # TensorRT-LLM's checkpoints of 8 and 4 bits keep the cache in 8 bits, where they have scales
    # for it: those of gpt-oss, which its makers publish in MXFP4, have none.
    scales = narrow & engine.str.contains("tensorrt|trtllm") & ~r["shape"].str.contains("gpt_oss")
    kv8 = r["kv_dtype"].str.contains("fp8") | (r["kv_dtype"].eq("") & scales)
    graph = numbers(r["compiled_tokens"], 0)
    power = np.minimum(
        ties.power_of_two(numbers(r["input_tokens"], 1)), np.where(graph > 0, graph, np.inf)
    )
    prompt = np.where(d.compiled, np.where(engine.str.contains("optimum|tgi"), graph, power), 0)
    w = Work(
        1.0,
        share * numbers(r["input_tokens"], 1024),
        np.maximum(share * numbers(r["output_tokens"], 1), 1.0),  # a prompt alone has one
        dtype.map(serving_step.dtype_bytes).to_numpy(float),
        np.where(kv8, 1.0, 2.0),
        numbers(r["compiled_batch"], 0),
        prompt,
        graph,
        expert_reads=np.where(d.compiled, 4.0, 1.0),
    )
    at = _open_layouts(
        r["what"], Layouts(tp, dp, pp, (numbers(r["ep"], 1) > 1) | (dp > 1)), z, d, w, chips
    )
    asked = numbers(r["batch_or_concurrency"], np.inf) / at.dp
    held = np.where(w.bucket_batch > 0, w.bucket_batch, np.inf)
    most = np.where(d.compiled, held, np.maximum(serving_step.max_batch(z, d, at, w) / beams, 1))
    live = np.where(r["what"].isin(["static", "prefill"]), asked, np.clip(asked, 1, most))
    late = np.maximum(asked / live, 1.0)
    return SimpleNamespace(
        z=z, d=d, at=at, w=replace(w, batch=live), live=live, late=late, beams=beams
    )


def _open_layouts(
    what: pd.Series, at: Layouts, z: Any, d: Device, w: Work, chips: np.ndarray
) -> Layouts:
    """Best layout by the centres of the priors, where a source states only the number of chips."""
    centres = {c.name: c.value for c in committed.priors("serving") if c.sd}
    k = committed.record(ServingConstants, centres)
    free, spread = (what == "mlperf").to_numpy(), (what == "open").to_numpy()
    best = np.full(len(what), -1.0)
    # "attention data parallelism" without a number: every chip is a group of its own
    tp, dp = np.where(spread, 1.0, at.tp), np.where(spread, chips, at.dp)
    routed = np.greater(z.n_experts, 0)
    for n in (1.0, 2.0, 4.0, 8.0):
        many = np.maximum(chips / n, 1)
        for groups, allowed in ((np.ones(len(what)), free), (many, free & routed)):
            some = Layouts(np.minimum(n, chips), groups, 1.0, groups > 1)
            batch = serving_step.max_batch(z, d, some, w)
            rate = serving_step.evaluate(
                z, d, some, k, replace(w, batch=np.maximum(batch, 1))
            ).tokens_per_s_per_chip
            better = allowed & (batch >= 1) & (rate > best) & (n <= chips)
            best, tp, dp = (
                np.where(better, rate, best),
                np.where(better, some.tp, tp),
                np.where(better, groups, dp),
            )
    whole = np.logical_or(at.whole, dp > 1)
    return Layouts(tp, dp, np.where(best > 0, 1.0, at.pp), whole)


def predictor(
    r: pd.DataFrame, a: SimpleNamespace
) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Function from constants to the predicted quantity of every record.

    Parameters
    ----------
    r : pandas.DataFrame
        Records [-].
    a : SimpleNamespace
        The same as arrays [-].

    Returns
    -------
    callable
        As `calibration.Problem` wants it [-].
    """
    q = r["quantity"].to_numpy(str)
    draft = r["spec_decode"].str.startswith("MTP").to_numpy()
    static = r["what"].isin(["static", "prefill"]).to_numpy()
    alone = static & ~a.d.compiled
    first = replace(a.w, batch=a.w.batch * a.beams, prompts=np.where(alone, a.w.batch, 1.0))
    first, mixed = serving_step.padded(a.d, first), serving_step.padded(a.d, a.w)
    decode = replace(first, batch=np.maximum(first.bucket_batch, first.batch))
    groups, waiting, told = a.at.dp / a.at.n_chips, a.live - 1.0, a.w.output_tokens

    def predict(v: Mapping[str, np.ndarray]) -> np.ndarray:
        k = committed.record(ServingConstants, v)
        speedup = np.where(draft, v["draft"], 1.0)
        step = serving_step.decode_s(a.z, a.d, a.at, k, decode) / speedup
        pre = serving_step.prefill_s(a.z, a.d, a.at, k, first)
        prompt = serving_step.mixed_prefill_s(a.z, a.d, a.at, k, mixed) / told
        share = v["mixing"] * prompt
        queue = 1 + v["queue"] * waiting ** v["queue_power"]
        served = pre * queue + v["first_token_s"] + v["first_token_steps"] * step
        alone_s = np.where(
            a.d.compiled, pre * a.live + v["compiled_first_s"], pre + 2 * v["host_s"]
        )
        least = serving_step.least_tpot_s(a.z, a.d, a.at, k, mixed) / speedup
        loop = step + serving_step.longer(waiting * share, np.maximum(least - step, 0.0))
        # who finds no room waits until others have finished
        queued = (a.late - 1) * (prompt * told + told * loop)
        rate = groups * a.live / (loop + prompt)
        job = groups * a.live * told / (pre + told * step)
        cases = [q == "tpot_static", q == "tpot_loop", q == "ttft", q == "job_static"]
        return np.select(
            cases,
            [step, loop, np.where(static, alone_s, served) + queued, job],
            rate,
        )

    return predict


def problem(
    file: str | Path | RunFile | None = None, corrections: int = 1, part: str = "fitted"
) -> calibration.Problem:
    """Records, constants and evaluator for fit and validation.

    Parameters
    ----------
    file : str, path or RunFile, optional
        A file of runs, see `run_files.read`; the committed rows where none is given [-].
    corrections : int
        Highest class of corrections to apply [-].
    part : str
        Which of the committed rows, of `evidence.PARTS` [-].

    Returns
    -------
    Problem
        Ready to fit or to score [-].
    """
    rows = label(read(file, corrections, part))
    r = described(records(rows))
    skipped = {i: why for i, why in zip(rows["row_id"], rows["skip"]) if why}
    a = arrays(r)
    held = serving_step.weight_bytes_per_chip(a.z, a.at, a.w)
    over = np.asarray(held > a.d.usable_bytes) & r["what"].ne("prefill").to_numpy()
    skipped |= dict.fromkeys(r.loc[over, "row_id"], "the weights exceed the chips that it states")
    r = r[~over].reset_index(drop=True)
    blank = set(rows["row_id"]) - set(skipped) - set(r["row_id"])
    skipped |= dict.fromkeys(blank, "no measured time or rate that is predicted")
    moved = [prior for prior in committed.priors("serving") if prior.sd]
    return calibration.Problem(
        "serving",
        r,
        committed.tree(moved, _families()),
        predictor(r, arrays(r)),
        skipped,
        0.1,
        stack_sd=committed.prior("serving", "stack").value,
    )


def _families() -> dict[str, str]:
    """Family of each chip; Inferentia2 has the cores of Trainium1."""
    return {c.id: c.cores for c in hardware.chips()}


def rows_of(row_ids: set[str], corrections: int = 1) -> pd.DataFrame:
    """Records of committed rows by their ids, described.

    Parameters
    ----------
    row_ids : set of str
        Which [-].
    corrections : int
        Class of corrections up to which rows are mended [-].

    Returns
    -------
    pandas.DataFrame
        As `described` [s], [1/s].
    """
    rows = label(read(None, corrections, "all"))
    return described(records(rows[rows["row_id"].isin(row_ids)].assign(skip="")))


def described(records: pd.DataFrame) -> pd.DataFrame:
    """Add what a record is grouped, left out and scored by.

    Parameters
    ----------
    records : pandas.DataFrame
        From `records` [-].

    Returns
    -------
    pandas.DataFrame
        With source, family, metric, group, publisher, harness, generation, band, and dated in
        years [-].
    """
    r, chips, family = records, {c.id: c for c in hardware.chips()}, _families()
    source = r["family"]
    r = r.assign(
        source=source,
        family=r["chip"].map(family),
        metric=r["quantity"].map(QUANTITIES),
        group=_groups(r),
        publisher=evidence.who("serving", source, own=True),
        harness=evidence.who("serving", source, "harness", own=True),
        dated=_years(r["date"]),
        generation=[f"{chips[c].family} {chips[c].generation}" for c in r["chip"]],
    )
    r["stack_time"] = _joined(r[["harness", "family", "engine"]], " | ")
    # schedulers and the sending of answers decide about first tokens
    r["stack_first_token"] = r["stack_time"].where(r["metric"] == "ttft", "")
    r["slower"] = np.where(r["metric"] == "throughput", -1.0, 1.0)
    loaded = (r["metric"] == "ttft") & ~_low_load(r)
    regime = r["metric"] + np.where(loaded, "_load", "")
    compiled = r["chip"].map({c: chip.compiled for c, chip in chips.items()})
    regime += np.where(compiled, COMPILED, "")
    r["band"] = np.where(r["quantity"].isin(APART), r["quantity"], regime)
    return r


def _joined(texts: pd.DataFrame, between: str) -> pd.Series:
    """The texts of each row in one, also where there is no row."""
    joined = [between.join(map(str, row)) for row in texts.itertuples(index=False)]
    return pd.Series(joined, texts.index, dtype=object)


def _groups(records: pd.DataFrame) -> pd.Series:
    """Runs of one build, model, chip and quantity; builds are numbered, as their names are long."""
    whole = _joined(records[["family", "model", "chip", "quantity"]], "|")
    build = _joined(records[_BUILD], "|")
    number = build.groupby(whole).rank(method="dense")
    return whole + "|" + number.astype(int).astype(str)


def _years(dates: pd.Series) -> np.ndarray:
    """Dates as years; the middle of what a date leaves open, nan where none is stated."""
    parts = dates.str.extract(r"^(\d{4})(?:-(\d\d))?(?:-(\d\d))?")
    year, month, day = (numbers(parts[i]) for i in range(3))
    months = np.where(np.isnan(month), 6.0, month - 1 + np.where(np.isnan(day), 15, day) / 31)
    return year + months / 12


def published(
    model: str | workload.ModelShape, input_tokens: float, output_tokens: float, dtype: str
) -> pd.DataFrame:
    """Served runs of a model at about these lengths, as points of the frontier.

    Parameters
    ----------
    model : str or ModelShape
        Model, or what `workload.model` finds it by [-].
    input_tokens, output_tokens : float
        Lengths; rows within a factor of 1.5 of both count [-].
    dtype : str
        Format of the weights; others of the same width count [-].

    Returns
    -------
    pandas.DataFrame
        row_id, source_id, system, batch, tokens_per_s_per_user, output_tokens_per_s_per_chip [1/s].
    """
    r = label(read())
    like = {
        t: bool(t) and abs(serving_step.dtype_bytes(t) / serving_step.dtype_bytes(dtype) - 1) < 0.2
        for t in r["weights_dtype"].map(_dtype).unique()
    }
    shape = workload.model(model) if isinstance(model, str) else model
    same = shape.n_params
    kin = {i for i, m in workload.models().items() if m.n_params == same}
    lengths = (("input_tokens", input_tokens), ("output_tokens", output_tokens))
    near = np.logical_and.reduce(
        [(n / 1.5 < numbers(r[c])) & (numbers(r[c]) < 1.5 * n) for c, n in lengths]
    )
    served = (
        (r["what"] == "loop")
        & (r["skip"] == "")
        & r["shape"].isin(kin)
        & r["weights_dtype"].map(_dtype).map(like)
    )
    r = r[near & served]
    tpot, ttft, told = (
        numbers(r["tpot_ms"]) / 1e3,
        numbers(r["ttft_ms"], 0.0) / 1e3,
        numbers(r["output_tokens"]),
    )
    load, chips = numbers(r["batch_or_concurrency"]), numbers(r["accel_count"])
    systems = [hardware.system(hardware.chip(c).usual_system) for c in r["chip"]]
    out = {
        "row_id": r["row_id"],
        "source_id": r["source_id"],
        "system": [s.name for s in systems],
        "batch": load,
    }
    out |= {
        "tokens_per_s_per_user": 1 / tpot,
        "output_tokens_per_s_per_chip": load * told / (ttft + told * tpot) / chips,
    }
    return pd.DataFrame(out).dropna().reset_index(drop=True)


def open_spread(rows: pd.DataFrame) -> np.ndarray:
    """Deviation of the log of a prediction over what its row leaves unsaid.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].

    Returns
    -------
    numpy.ndarray
        0: what serving rows leave out is filled by one rule [-].
    """
    return np.zeros(len(rows))


def committed_bands(rows: pd.DataFrame) -> np.ndarray:
    """Committed band of every row.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].

    Returns
    -------
    numpy.ndarray
        Lower and upper log of predicted over measured, shape (2, n) [-].
    """
    names = rows["band"].str.removesuffix(COMPILED)
    known = [inference.band(hardware.chip(c), name) for c, name in zip(rows["chip"], names)]
    return -np.log(np.array(known).reshape(-1, 3)[:, [2, 0]].T)


def independent() -> pd.DataFrame:
    """Published runs that no constant was fitted to: expert-parallel fleets, and points of a
    dashboard.

    Returns
    -------
    pandas.DataFrame
        row_id, chip, source_id, what, and tokens/s per chip predicted, low, high and measured
        [1/s].
    """
    r, out = label(read()), []
    for row in r[
        (r["batch_kind"] == "per GPU") | r["mode"].str.startswith("online-pareto")
    ].itertuples():
        system, m = hardware.system(row.chip), workload.model(row.shape)
        lengths = float(row.input_tokens), float(row.output_tokens or 1)
        rate, band = float(row.throughput_tok_s), inference.band(system.chip, "throughput")
        if row.batch_kind == "per GPU":
            d, at, k = (
                serving_step.device(system, "fp8"),
                Layouts(1.0, float(row.dp)),
                serving_step.constants(system.chip),
            )
            n, decode, rate = (
                float(row.batch_or_concurrency),
                row.mode == "decode-only",
                rate / float(row.accel_count),
            )
            w = Work(
                n if decode else 1.0, *lengths, 1.0, 2.0, prompts=1.0 if decode else n / lengths[0]
            )
            mid = n / float(
                (serving_step.decode_s if decode else serving_step.prefill_s)(m, d, at, k, w)
            )
            what = f"{row.mode} on {row.accel_count} chips"
        else:
            load = workload.ServingLoad(
                m,
                int(lengths[0]),
                int(lengths[1]),
                tpot_s=float(row.tpot_ms) / 1e3,
                weights_dtype="fp8",
            )
            users = float(row.batch_or_concurrency)
            n_chips = users / (rate * load.tpot_s) * sum(lengths) / lengths[1]
            mid = _best_on(load, system, n_chips)
            rate *= lengths[1] / sum(lengths)
            speed = 1e3 / float(row.tpot_ms)
            what = f"best layout on {n_chips:.0f} chips at {speed:.0f} tokens/s per user"
        out.append(
            (
                row.row_id,
                row.chip,
                row.source_id,
                f"{m.name}, {what}",
                mid,
                *(mid * band[[0, 2]]),
                rate,
            )
        )
    return pd.DataFrame(
        out, columns=["row_id", "chip", "source_id", "what", "predicted", "low", "high", "measured"]
    )


def _best_on(load: workload.ServingLoad, system: hardware.System, n_chips: float) -> float:
    """Highest output per chip of a published frontier that states no layout, prompts read together
    with answers or apart, on no more chips than its users keep busy.
    """
    points = pd.concat([inference.frontier(load, system, apart).points for apart in (False, True)])
    rate = points["output_tokens_per_s_per_chip"]
    needed = points["batch"] * points["tokens_per_s_per_user"] / rate
    return float(rate[points["meets"] & (needed <= n_chips)].max())


def _low_load(rows: pd.DataFrame) -> pd.Series:
    """Whether few requests are in flight, or the load is known exactly."""
    few = numbers(rows["batch_or_concurrency"], np.inf) <= inference.LOW_LOAD
    return few | rows["what"].isin(["prefill", "static"])


def slices(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """The classes of rows on which the bars bind, and those that are reported beside.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].

    Returns
    -------
    dict
        Mask by name [-].
    """
    q, neuron = rows["quantity"], rows["family"] == "trainium"
    moe = (
        rows["shape"]
        .map({s: workload.model(s).n_experts > 0 for s in rows["shape"].unique()})
        .astype(bool)
    )
    loop, low = q == "tpot_loop", _low_load(rows)
    table = {
        "time per token, static batch": q == "tpot_static",
        "time per token, closed loop": loop,
        "  dense, GPU and TPU": loop & ~neuron & ~moe,
        "  mixture of experts, GPU": loop & ~neuron & moe,
        "first token, low load": (q == "ttft") & low,
        "first token, higher load": (q == "ttft") & ~low,
        "maximum throughput, layout stated": q == "max",
        "maximum throughput, layout open": q == "open",
        "MLPerf offline, layout and prompts assumed": q == "mlperf",
        "whole job, engines of 2023": q == "job_static",
        "Inferentia2 and Trainium, time per token": neuron & q.isin(["tpot_static", "tpot_loop"]),
        "Inferentia2 and Trainium, first token": neuron & (q == "ttft") & low,
        "PaLM 540B on TPU v4, 28.5 and 36.9 ms": rows["row_id"].isin(
            ["pope2022-0002", "pope2022-0005"]
        ),
    }
    return {name: np.asarray(mask, bool) for name, mask in table.items()}


def reference(problem: calibration.Problem) -> np.ndarray:
    """Pure roofline: peaks and bandwidths in full, no fixed cost, no padding, no sharing of
    experts.

    Parameters
    ----------
    problem : Problem
        Rows [-].

    Returns
    -------
    numpy.ndarray
        Predicted quantity of every row [s], [1/s].
    """
    r = problem.rows
    a = arrays(r)
    a.d = replace(a.d, compiled=np.zeros(len(r), bool))
    free = {
        c.name: 1e-12 if c.value < 0.1 or c.name in ("mixing", "queue") else 1.0
        for c in committed.priors("serving")
    }
    return predictor(r, a)({n: np.full(len(r), v) for n, v in free.items()})


def band_rows(problem: calibration.Problem, full: calibration.Fit) -> list[dict[str, Any]]:
    """Bands and levels of software as rows of `data/calibration.csv`.

    A band is a pair of factors from a prediction to the 80 % range of what is measured. Families
    are regimes: time per token, first token at low load and under load, throughput, and apart from
    it open layouts and MLPerf; those of compiled engines have their own. Residuals with the harness
    left out and with the model left out count alike. A chip without measurements takes those with
    generations left out, nowhere narrower, widened in quadrature by the range of its memory
    bandwidth; a chip of a compiled engine is nowhere narrower than what its own generation missed
    when that was left out, and a new one nowhere narrower than any of its family.

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
    r = problem.rows
    left = {
        fold: calibration.left_out(problem, r[fold], full)
        for fold in ("harness", "model", "generation")
    }
    twice = pd.concat([r, r], ignore_index=True)
    both = np.concatenate([left["harness"], left["model"]])
    seen = scores.residuals(twice, both, "harness", np.tile(left["generation"], 2))
    new = scores.residuals(r, left["generation"], "generation", left["generation"])
    fitted = set(r["chip"])
    out: list[dict[str, Any]] = []
    for name, metric in METRICS.items():
        plain = [x.band(name, metric) for x in (seen, new)]
        n = r.loc[r["band"] == name, "group"].nunique()
        out += calibration.band_lines("global", f"band_{name}", plain[0], n, "harness or model")
        for chip in hardware.chips():
            compiled = chip.compiled and name not in APART
            ends = _compiled_ends(r, left["generation"], seen, name, chip) if compiled else plain
            if chip.id not in fitted or compiled:
                by = _input_range(chip) if chip.id not in fitted else 0.0
                behind = TIMED_AS.get(name, name) + COMPILED if compiled else name
                n = r.loc[r["band"] == behind, "group"].nunique()
                whole = scores.widest(ends, by)
                out += calibration.band_lines(chip.id, f"band_{name}", whole, n, "generation")
    return out + software_rows(r, r["slower"].to_numpy() * left["harness"])


def _input_range(chip: hardware.Chip) -> float:
    """Half the log range of the memory bandwidth of a chip without runs."""
    return float(np.log(chip.hbm_bytes_per_s / chip.hbm_sustained_bytes_per_s))


def _compiled_ends(
    rows: pd.DataFrame,
    unseen: np.ndarray,
    seen: scores.Residuals,
    name: str,
    chip: hardware.Chip,
) -> list[np.ndarray]:
    """Bands that a chip of a compiled engine has to hold: its engine's, and what generations of its
    family missed when they were left out; a rate is as far off as the time of a token.
    """
    regime = TIMED_AS.get(name, name)
    sign = -1.0 if regime != name else 1.0
    mine = (rows["band"] == regime + COMPILED) & (rows["family"] == chip.cores)
    own = mine & (rows["chip"] == chip.id)
    ends = [seen.band(regime + COMPILED, METRICS[regime])]
    groups = own if own.any() else mine
    for _, same in rows[groups].groupby("generation"):
        labels = (same[c].to_numpy(str) for c in ("group", "stack_time"))
        ends.append(scores.own_ends(unseen[same.index], *labels))
    flipped = [np.sort(sign * each) for each in ends]
    return [*flipped, seen.band(name, METRICS[name])]


def software_rows(rows: pd.DataFrame, slow: np.ndarray) -> list[dict[str, Any]]:
    """Levels of software as rows of `data/calibration.csv`: factors on the time of a step.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].
    slow : numpy.ndarray
        Log of predicted over measured time with the harness of each row left out [-].

    Returns
    -------
    list of dict
        For `calibration.constants_frame` [-].

    Notes
    -----
    First tokens hang on schedulers and have a level of their own in the fit; they do not count
    here.
    """
    steps = (rows["metric"] != "ttft").to_numpy()
    rows = rows.assign(stack=rows["stack_time"])
    return training_fit.software_rows(rows[steps], slow[steps], "harness")
