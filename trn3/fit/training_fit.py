"""Training: published runs as arrays, the constants that the fit may move, and the rules for what a
row leaves out.

No rule reads the name of a source or a model. The age of the software follows from year, release,
number format and the remark on the layout; a missing microbatch or interleave is filled by one rule
for all rows.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from trn3 import committed, data, hardware, memory, training_step, workload
from trn3.fit import calibration, evidence, run_files, scores
from trn3.fit.calibration import Values
from trn3.fit.run_files import DIMENSIONS, UNUSED, RunFile
from trn3.layouts import FULL, NONE, SELECTIVE, Layouts, chunks
from trn3.units import GIGA
from trn3.workload import ModelShape

BASELINES = ("half of peak", "constant MFU per chip")
"""What anyone could predict without a model."""
_MEGATRON = [
    "korthikanti22",
    "narayanan21",
    "narayanan21_t2",
    "mtnlg22",
    "megatron_core_h100",
]
_TABLES = {"Korthikanti table 5": ("R0023", "R0030"), "Narayanan table 2, PTD": ("R0017", "R0022")}
_LABELS = {
    "ampere": "A100",
    "hopper": "H100",
    "blackwell": "Blackwell",
    "tpu": "TPU",
    "trainium": "Trainium",
}
_LABELS |= {"moe": "MoE", "instinct": "AMD"}
_ARCHITECTURE = {
    "n_layers": "layers",
    "d_model": "hidden",
    "n_heads": "heads",
    "n_kv_heads": "kv_heads",
    "head_dim": "head_dim",
    "vocab": "vocab",
    "n_experts": "n_experts",
    "top_k": "topk",
    "n_shared_experts": "shared_experts",
}
_NEEDED = [
    *DIMENSIONS,
    "seq_len",
    "n_accel",
    "global_batch",
]
_NEEDED += ["tp", "pp", "dp", "cp", "ep", "iter_time_s"]


def numbers(column: pd.Series, default: float = np.nan) -> np.ndarray:
    """Numbers of a text column.

    Parameters
    ----------
    column : pandas.Series
        Text [-].
    default : float
        What stands where there is no number [-].

    Returns
    -------
    numpy.ndarray
        The numbers [-].
    """
    return pd.to_numeric(column, errors="coerce").fillna(default).to_numpy(float)


def read(
    file: str | Path | RunFile | None = None, corrections: int = 1, part: str = "fitted"
) -> pd.DataFrame:
    """Rows of the evidence schema, as text.

    Parameters
    ----------
    file : str, path or RunFile, optional
        A file of runs, see `run_files.read`; the committed ``data/training_runs.csv`` where None
        [-].
    corrections : int
        Apply the committed corrections up to this class to committed rows: 0 none, 1 wrong whatever
        a model says, 2 probable bad runs too [-].
    part : str
        Which of the committed rows, of `evidence.PARTS` [-].

    Returns
    -------
    pandas.DataFrame
        One line per published run; ``unused`` says why a row of a file cannot be used [-].

    Raises
    ------
    trn3.data.DataError
        A file that cannot be read, a column that is missing, too many fields.
    """
    if file is not None:
        run = file if isinstance(file, RunFile) else run_files.read("training", file)
        return _completed(run.rows)
    rows = evidence.corrected(evidence.runs("training", part), corrections)
    return _completed(rows.assign(**{UNUSED: ""}))


def _completed(rows: pd.DataFrame) -> pd.DataFrame:
    """Dimensions that rows leave out, field by field, from their model where it is known, and the
    ranks of latent attention that they only name.
    """
    latent = rows["arch_notes"].str.contains("MLA") & ~rows["arch_notes"].str.contains("q_lora")
    lacking = (rows[list(DIMENSIONS)] == "").any(axis=1) | latent
    for name in rows.loc[lacking, "model"].unique():
        try:
            known = _written(workload.model(name))
        except data.TrnError:
            continue
        mine = lacking & (rows["model"] == name)
        notes = known.pop("arch_notes")
        for column, value in known.items():
            rows.loc[mine & (rows[column] == ""), column] = value
        stated = rows["arch_notes"]
        said = stated.where(stated == "", stated + "; ") + notes
        rows["arch_notes"] = stated.where(~(mine & latent | mine & (stated == "")), said)
    return rows


def _written(m: ModelShape) -> dict[str, str]:
    """A shape in the columns of the evidence schema; `shapes` reads it back."""
    found = {c: str(getattr(m, k) or "") for k, c in _ARCHITECTURE.items()}
    notes = ["tied"] * m.tied + [f"first {m.n_dense_layers} layers dense with ffn {m.d_ff}"] * bool(
        m.n_dense_layers
    )
    notes += [f"q_lora {m.q_lora_rank}, kv_lora {m.kv_lora_rank}, rope dim {m.rope_dim}"] * bool(
        m.kv_lora_rank
    )
    if near := m.n_window_layers:
        notes += [f"{round(near / max(m.n_layers - near, 1))}:1 local({m.window})"]
    found |= {
        "ffn": str(m.d_ff),
        "ffn_gated": "y" if m.gated else "n",
        "moe_ffn": str(m.d_ff_expert or ""),
    }
    return found | {"arch_notes": "; ".join(notes)}


def _skip(row: pd.Series, layers: Mapping[str, str]) -> str:
    """Why a row cannot be scored; empty where it can."""
    if row[UNUSED]:
        return str(row[UNUSED])
    if row["readiness"] == "per_layer":
        return "time of one layer, not of a step"
    if row["source_key"] != "own" and row["model"] in layers:
        return f"not modelled: {layers[row['model']]}"
    if odd := _unread(row["arch_notes"]):
        return f"not modelled: {odd}"
    if row["quality"] == "C":
        return "quality C: context only"
    if not row["precision"]:
        return "precision not stated"
    try:
        chip = hardware.chip(row["accelerator"])
        chip.peak(_dtype(row["precision"]))
    except data.TrnError as error:
        return f"chip without specs: {error}".partition(";")[0]
    missing = [c for c in _NEEDED if not row[c] or float(row[c]) == 0]
    return f"no {missing[0]}" if missing else ""


_OTHER_LAYERS = {
    r"mamba|state.space|ssm": "state-space layers",
    r"linear attention|delta.?net": "linear attention",
    r"convolution": "convolution layers",
    r"indexer|sparse attention": "sparse attention with an indexer",
}
"""Layers that have no term in a training step, by what a row calls them."""


def _unread(text: str) -> str:
    """What a row says about its layers that no rule understands; empty where all is read."""
    if "global head_dim" in text:
        return "layers with heads of a width of their own"
    for pattern, layers in _OTHER_LAYERS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return layers
    if "MLA" in text and "q_lora" not in text:
        return "latent attention whose ranks are not stated"
    return ""


def _dtype(precision: str) -> str:
    """Number format of the matrix multiplications."""
    named = [d for d in ("nvfp4", "mxfp4", "int8") if d in precision]
    return named[0] if named else "fp8" if "fp8" in precision else "bf16"


def shapes(rows: pd.DataFrame) -> ModelShape:
    """Model shapes of the rows, as arrays.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of the evidence schema [-].

    Returns
    -------
    ModelShape
        Fields are arrays, one value per row; layers that no column can say are those of its model
        [-].
    """
    notes = rows["arch_notes"]
    found = {k: numbers(rows[c], 0) for k, c in _ARCHITECTURE.items()}
    local = notes.str.extract(r"(\d):1 local\((\d+)\)")
    other = notes.str.extract(r"()alternating sliding-window \((\d+)\)").replace("", "1")
    every = notes.str.extract(r"()(?:^|[^g] )sliding[- ]window \((\d+)\)").replace("", "1e9")
    local = local.fillna(other).fillna(every)
    per, mla = (
        numbers(local[0], 0),
        notes.str.extract(r"q_lora (\d+), kv_lora (\d+), rope dim (\d+)"),
    )
    dense_ffn = numbers(notes.str.extract(r"dense with ffn (\d+)")[0], 0)
    n_dense = numbers(notes.str.extract(r"first (\d+) layers dense")[0], 0)
    second = notes.str.contains(r"every (?:second|2nd|other) layer").to_numpy()
    ffn = numbers(rows["ffn"], 0)
    said = ModelShape(
        **found,
        d_ff=np.where(dense_ffn > 0, dense_ffn, ffn),
        gated=1.0 * (rows["ffn_gated"] == "y").to_numpy(),
        tied=1.0 * notes.str.contains("tied").to_numpy(),
        d_ff_expert=numbers(rows["moe_ffn"].where(rows["moe_ffn"] != "", rows["ffn"]), 0),
        n_dense_layers=np.where(second, found["n_layers"] / 2, n_dense),
        q_lora_rank=numbers(mla[0], 0),
        kv_lora_rank=numbers(mla[1], 0),
        rope_dim=numbers(mla[2], 0),
        window=numbers(local[1], 0),
        n_window_layers=found["n_layers"] * per / (per + 1),
    )
    return workload.with_known(said, list(rows["model"]))


def release_year(rows: pd.DataFrame) -> np.ndarray:
    """Date of the software: the release that the table's name gives, else the middle of the row's
    year.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of the evidence schema [-].

    Returns
    -------
    numpy.ndarray
        Date [year].
    """
    tag = rows["table"].str.extract(r"(?:release|tag v)\s*(\d\d)\.(\d\d)")
    year, month = numbers(tag[0]), numbers(tag[1])
    return np.where(np.isnan(year), numbers(rows["year"]) + 0.5, 2000 + year + (month - 0.5) / 12)


def frozen(rows: pd.DataFrame) -> np.ndarray:
    """Whether adapters beside frozen weights were trained (LoRA).

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of the evidence schema [-].

    Returns
    -------
    numpy.ndarray
        1 where they were, else 0 [-].
    """
    return 1.0 * (rows["tags"] + rows["arch_notes"]).str.contains("LoRA").to_numpy()


def _replicas(rows: pd.DataFrame, ranks: np.ndarray) -> np.ndarray:
    """Copies of what is sharded: ranks over the size of a sharding group that a row states, or the
    slices or pods across which it says that data parallelism is plain.
    """
    text = rows["zero_fsdp"]
    group = numbers(text.str.extract(r"FSDP (\d+)")[0])
    across = numbers(text.str.extract(r"DP (\d+) slices")[0])
    across = np.where(np.isnan(across), numbers(text.str.extract(r"(\d+)-pod DP")[0]), across)
    stated = np.where(np.isnan(across), ranks / group, across)
    whole = np.isfinite(stated) & (stated > 1) & (ranks % np.where(stated > 0, stated, 1) == 0)
    return np.where(whole, stated, 1.0)


def _stage(rows: pd.DataFrame) -> np.ndarray:
    """ZeRO stage of the rows; 1, the distributed optimizer of today, where none is stated."""
    text = rows["zero_fsdp"]
    stated = numbers(text.str.extract(r"^(\d)")[0])
    other = np.where(text.str.startswith("none"), 0.0, 1.0)
    return np.where(np.isnan(stated), other, stated)


def _kernel(rows: pd.DataFrame, year: np.ndarray) -> np.ndarray:
    """Rate of the flash kernels of the rows over that of kernels made for their chip: PyTorch,
    which is what shards weights or gradients on NVIDIA chips, had none for Hopper before 2025.
    """
    chips = [hardware.chip(a) for a in rows["accelerator"]]
    hopper = np.array([c.family == "hopper" for c in chips], dtype=bool)
    ported = hopper & (_stage(rows) >= 2) & (year < 2025)
    return np.where(ported, committed.prior("training", "ported_attention").value, 1.0)


def _layouts(rows: pd.DataFrame, year: np.ndarray) -> Layouts:
    """Layouts of the rows; an unstated microbatch is 1 in a pipeline, else the largest of 4, 2,
    1 that divides. What `_plausible` fills is at its first value here.
    """
    g = {k: numbers(rows[k], 1) for k in ("tp", "pp", "dp", "cp", "ep")}
    share = numbers(rows["global_batch"]) / g["dp"]
    usual = np.select([g["pp"] > 1, share % 4 == 0, share % 2 == 0], [1.0, 4.0, 2.0], 1.0)
    micro, recompute = numbers(rows["micro_batch"]), rows["recompute"]
    again = recompute.str.contains("^full|custom|save_dot|per-op|layers full").to_numpy()
    split = rows["seq_parallel"].str.startswith("y") | (rows["seq_parallel"] == "")
    plain = rows["notes"].str.contains("vanilla TP|eager")
    return Layouts(
        **g,
        micro_batch=np.where(np.isnan(micro), usual, micro),
        interleave=numbers(rows["vpp"], 1),
        recompute=np.select(
            [again, recompute.str.startswith("selective").to_numpy()], [FULL, SELECTIVE], NONE
        ),
        zero=_stage(rows),
        replicas=_replicas(rows, g["dp"] * g["cp"]),
        sequence_parallel=1.0 * split.to_numpy(),
        tp_overlap=1.0 * ((year >= 2024) & split.to_numpy() & ~plain.to_numpy()),
        dp_overlap=1.0 * (year >= 2023),
        pp_overlap=1.0 * (year >= 2024),
    )


def _machine(rows: pd.DataFrame, lay: Layouts) -> dict[str, Any]:
    """Chip and network of the rows; a rank is a core where the layout counts more ranks than
    chips.
    """
    chips = [hardware.chip(a) for a in rows["accelerator"]]
    dtypes = [_dtype(p) for p in rows["precision"]]
    ranks = lay.tp * lay.pp * lay.dp * lay.cp / numbers(rows["n_accel"])
    per = np.where(ranks == [c.n_cores for c in chips], ranks, 1.0)
    tiers = [hardware.system(c.id).tiers for c in chips]
    given = numbers(rows["inter_gbps_per_accel"]) * GIGA / 8
    out = np.where(np.isnan(given), [t[-1].bytes_per_s for t in tiers], given)
    near = (np.array([t[0].n_chips for t in tiers]), np.array([t[0].bytes_per_s for t in tiers]))
    alpha = (np.array([t[0].latency_s for t in tiers]), np.array([t[-1].latency_s for t in tiers]))
    peak = np.array([c.peak("bf16") for c in chips])
    return {
        "peak_flops_per_s": peak / per,
        "hbm_bytes_per_s": np.array([c.hbm_sustained_bytes_per_s for c in chips]) / per,
        "tiers": ((near[0] * per, near[1] / per, alpha[0]), (np.inf, out / per, alpha[1])),
        "narrow_ratio": np.array([c.peak(d) for c, d in zip(chips, dtypes)]) / peak,
        "fp8": np.array(
            [1.0 * ("8" in d and c.peak(d) > c.peak("bf16")) for c, d in zip(chips, dtypes)]
        ),
        "fp4": np.array([1.0 * ("fp4" in d) for d in dtypes]),
    }


def _work(rows: pd.DataFrame, year: np.ndarray) -> training_step.Work:
    """Work of the rows with the age of their software."""
    fp16 = (rows["precision"] == "fp16").to_numpy()
    return training_step.Work(
        shape=shapes(rows),
        seq_len=numbers(rows["seq_len"]),
        global_batch=numbers(rows["global_batch"]),
        unfused=1.0 * (fp16 | (year < 2023)),
        kernel=_kernel(rows, year),
        gradient_bytes=np.where(fp16, 2.0, 4.0),
        frozen=frozen(rows),
    )


UNSTATED = ("", "unstated", "unstated (recipe dependent)")
"""Texts of a row that does not say what is computed again."""
_EVERY_SECOND = 1 / 2
"""Of the matrix products, what recompute by operator repeats: torchtitan keeps every other one."""
_SOME = (0.0, 0.5, 1.0)
"""Shares of the forward pass that a mix of offload and recompute may repeat, where a row does not
say which tensors it keeps.
"""
NEARLY = 1.05
"""Memory over that of a chip up to which a layout may have fitted: the error of its terms."""


def _interleaves(text: str, n_layers: float, pp: float, n_micro: float) -> list[float]:
    """Model chunks of a stage that a row may have had: the stated number; where it says only that
    it interleaves, every number that divides the layers of a stage; without a word 1, the default
    of stacks. DualPipe idles (p / 2 - 1) times a forward, a backward and a split backward pass;
    with a backward of two forwards that is the bubble of 3 (p - 1) / (p - 2) chunks (DeepSeek-AI
    2024, arXiv:2412.19437, table 2).
    """
    if text == "DualPipe" and pp > 2:
        return [3 * (pp - 1) / (pp - 2)]
    if "interleaved" not in text:
        return [float(text) if text.isdigit() else 1.0]
    several = chunks(int(n_layers), int(pp))[1:] if n_micro % pp == 0 else []
    return [float(v) for v in several] or [1.0]


def _repeats(
    rows: pd.DataFrame, lay: Layouts, work: training_step.Work
) -> list[list[tuple[int, float]]]:
    """What rows may have computed again: codes of `recompute`, and the share of the forward pass
    that full recompute repeats.

    Where a row does not say, nothing if its activations fit the memory of its chip. Else nothing
    (they were moved to the host), the share of the layers with which they just fit, or everything.
    """
    hbm_bytes = np.array([hardware.chip(c).hbm_bytes for c in rows["accelerator"]])
    ranks = np.maximum(lay.n_chips / numbers(rows["n_accel"]), 1.0)
    shape, layouts = work.shape, (dataclasses.replace(lay, recompute=c) for c in (NONE, FULL))
    trained = shape.n_adapter_params(work.lora_rank) / shape.n_params
    trained = np.where(work.frozen, trained, 1.0)
    sizes = (work.seq_len, work.global_batch)
    kept, least = (
        ranks * memory.training_bytes(shape, *sizes, lay, trained=trained).total for lay in layouts
    )
    share = np.clip((kept - hbm_bytes) / np.maximum(kept - least, 1.0), 0.0, 1.0)
    open_ = rows["recompute"].isin(UNSTATED).to_numpy() & (kept > NEARLY * hbm_bytes)
    cases = [[(int(code), 1.0)] for code in np.asarray(lay.recompute)]
    for i in np.flatnonzero(open_).tolist():
        cases[i] = [(NONE, 1.0), (FULL, float(share[i])), (FULL, 1.0)]
    for i, text in enumerate(rows["recompute"]):
        if "per-op" in text:
            cases[i] = [(FULL, _EVERY_SECOND)]
        elif part := re.match(r"(\d+) of (\d+) layers full", text):
            cases[i] = [(FULL, int(part[1]) / int(part[2]))]
        elif re.match("custom|save_dot", text):
            cases[i] = [(FULL, some) for some in _SOME]
    return cases


def _plausible(
    rows: pd.DataFrame, lay: Layouts, work: training_step.Work
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What rows may have run that leave their interleave or their recompute unsaid: an index of the
    row, its interleave, its recompute and the share that this repeats; the cases of a row count
    alike.
    """
    n_micro = work.global_batch / (lay.dp * lay.micro_batch)
    sizes = (np.asarray(each) for each in (work.shape.n_layers, lay.pp, n_micro))
    stages = zip(rows["vpp"], *sizes)
    cuts = [_interleaves(*stage) for stage in stages]
    cases = [
        (i, cut, code, share)
        for i, (values, again) in enumerate(zip(cuts, _repeats(rows, lay, work)))
        for cut in values
        for code, share in again
    ]
    of, interleave, recompute, share = np.array(cases, float).reshape(-1, 4).T
    return of.astype(int), interleave, recompute.astype(int), share


def _take(record: Any, of: np.ndarray) -> Any:
    """A record of arrays by row, at these rows; scalars stay."""
    found = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    return type(record)(**{name: _at(value, of) for name, value in found.items()})


def _at(value: Any, of: np.ndarray) -> Any:
    """An array by row, or a record or tuple of such, at these rows."""
    if dataclasses.is_dataclass(value):
        return _take(value, of)
    if isinstance(value, tuple):
        return tuple(_at(one, of) for one in value)
    return value[of] if np.ndim(value) else value


def predictor(rows: pd.DataFrame) -> calibration.Predict:
    """Evaluator of the rows as a function of the constants.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows that can be scored [-].

    Returns
    -------
    callable
        From constants by name to step times [s].
    """
    cases = Cases.of(rows)
    return cases.time_s


@dataclasses.dataclass(frozen=True)
class Cases:
    """What rows may have run, laid out one after the other.

    Attributes
    ----------
    row : numpy.ndarray
        Row of each case [-].
    work : trn3.training_step.Work
        What each computes [-].
    machine : dict
        Chip and network of each, but for the constants [-].
    layout : Layouts
        How each is split [-].
    """

    row: np.ndarray
    work: training_step.Work
    machine: dict[str, Any]
    layout: Layouts

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "Cases":
        """Cases of rows of the evidence schema.

        Parameters
        ----------
        rows : pandas.DataFrame
            Rows that can be scored [-].

        Returns
        -------
        Cases
            At least one for each row [-].
        """
        year = release_year(rows)
        lay = _layouts(rows, year)
        work, machine = _work(rows, year), _machine(rows, lay)
        row, interleave, recompute, share = _plausible(rows, lay, work)
        layout = dataclasses.replace(_take(lay, row), interleave=interleave, recompute=recompute)
        machine = {name: _at(value, row) for name, value in machine.items()}
        work = dataclasses.replace(_take(work, row), redo=share)
        return cls(row, work, machine, layout)

    def logs(self, values: Values) -> np.ndarray:
        """Log step time of each case.

        Parameters
        ----------
        values : mapping of str to numpy.ndarray
            Constants by name, each with one value per row [-].

        Returns
        -------
        numpy.ndarray
            Logarithms of seconds [-].
        """
        mine = {name: value[self.row] for name, value in values.items()}
        constants = committed.record(committed.TrainingConstants, mine)
        machine = training_step.Machine(constants=constants, **self.machine)
        return np.log(training_step.evaluate(self.work, machine, self.layout).step_time_s)

    def time_s(self, values: Values) -> np.ndarray:
        """Step time of each row: the geometric mean of its cases.

        Parameters
        ----------
        values : mapping of str to numpy.ndarray
            Constants by name, each with one value per row [-].

        Returns
        -------
        numpy.ndarray
            Step times [s].
        """
        return np.exp(np.bincount(self.row, self.logs(values)) / np.bincount(self.row))

    def spread(self, values: Values) -> np.ndarray:
        """What is left open about each row: deviation of the logs of its cases.

        Parameters
        ----------
        values : mapping of str to numpy.ndarray
            Constants by name, each with one value per row [-].

        Returns
        -------
        numpy.ndarray
            0 where a row says all that counts [-].
        """
        logs, n = self.logs(values), np.bincount(self.row)
        mean = np.bincount(self.row, logs) / n
        return np.sqrt(np.bincount(self.row, (logs - mean[self.row]) ** 2) / n)


def problem(
    file: str | Path | RunFile | None = None, corrections: int = 1, part: str = "fitted"
) -> calibration.Problem:
    """Rows that can be scored, their evaluator and the constants.

    Parameters
    ----------
    file : str, path or RunFile, optional
        A file of runs, see `run_files.read`; the committed rows where None [-].
    corrections : int
        Class of corrections up to which rows are mended or dropped [-].
    part : str
        Which of the committed rows, of `evidence.PARTS` [-].

    Returns
    -------
    trn3.fit.calibration.Problem
        Ready to fit or to score [-].
    """
    rows = read(file, corrections, part)
    layers = evidence.unmodelled(rows["model"].unique())
    why = rows.apply(_skip, axis=1, layers=layers).astype(str)
    skipped = {row_id: reason for row_id, reason in zip(rows["row_id"], why) if reason}
    rows = described(rows[why == ""].reset_index(drop=True))
    families = {c.id: c.family for c in hardware.chips()}
    moved = [prior for prior in committed.priors("training") if prior.sd]
    return calibration.Problem(
        "training",
        rows,
        committed.tree(moved, families),
        predictor(rows),
        skipped,
        stack_sd=committed.prior("training", "stack").value,
    )


def rows_of(row_ids: set[str], corrections: int = 1) -> pd.DataFrame:
    """Committed rows by their ids, described.

    Parameters
    ----------
    row_ids : set of str
        Which [-].
    corrections : int
        Class of corrections up to which rows are mended [-].

    Returns
    -------
    pandas.DataFrame
        As `described` [s].
    """
    rows = read(None, corrections, "all")
    return described(rows[rows["row_id"].isin(row_ids)].reset_index(drop=True))


def described(rows: pd.DataFrame) -> pd.DataFrame:
    """Add what a row is grouped, left out and scored by.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of the evidence schema, of known chips [-].

    Returns
    -------
    pandas.DataFrame
        With publisher, source, chip, family, generation, group, band, metric, quantity, measured,
        stack, and dated in years [s].
    """
    rows = rows.copy()
    chips = [hardware.chip(a) for a in rows["accelerator"]]
    rows["publisher"] = evidence.who("training", rows["source_key"], own=True)
    rows["source"], rows["chip"] = rows["source_key"], [c.id for c in chips]
    rows["chip_family"] = [c.family for c in chips]
    rows["generation"] = [_generation(c) for c in chips]
    rows["group"] = rows["source_key"] + " | " + rows["model"] + " | " + rows["accelerator"]
    rows["family"] = np.where(rows["n_experts"] != "", "moe", rows["chip_family"])
    rows["band"], rows["metric"] = rows["family"], "step_time_s"
    rows["quantity"], rows["measured"] = "step_time_s", numbers(rows["iter_time_s"])
    rows["dated"] = release_year(rows)
    rows["stack"] = rows["source"] + " | " + rows["family"]
    return rows


def slices(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Families of rows on which the bars bind.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].

    Returns
    -------
    dict
        Mask by name [-].
    """
    return {label: (rows["family"] == family).to_numpy() for family, label in _LABELS.items()}


def tables(
    problem: calibration.Problem,
) -> dict[str, tuple[np.ndarray, np.ndarray, dict[str, calibration.Problem]]]:
    """Published tables that other tools are scored on, with every Megatron paper left out.

    Parameters
    ----------
    problem : trn3.fit.calibration.Problem
        Rows [-].

    Returns
    -------
    dict
        By name: mask of the table, mask of the rows to leave out, and the sweep of a field that is
        not published [-].
    """
    rows = problem.rows
    baseline = rows["notes"].str.startswith("Megatron-LM")
    left = (rows["source"].isin(_MEGATRON) | baseline).to_numpy()
    out: dict[str, tuple[np.ndarray, np.ndarray, dict[str, calibration.Problem]]] = {}
    for name, ends in _TABLES.items():
        mask, others = rows["row_id"].between(*ends).to_numpy(), {}
        if (rows["vpp"][mask] == "unstated").any():
            # 1 is taken; the other choices that divide the 8 (175B) and 3 (530B) layers of a stage
            for small, large in (("2", "3"), ("4", "3"), ("8", "3")):
                chosen = np.where(mask, np.where(rows["pp"] == "12", small, large), rows["vpp"])
                others[f"interleave {small} and {large} for 1"] = dataclasses.replace(
                    problem, predict=predictor(rows.assign(vpp=chosen))
                )
        out[name] = mask, left, others
    return out


def reference(problem: calibration.Problem) -> np.ndarray:
    """Step time at half of the peak of the row's format, full attention, the forward pass twice
    with full recompute.

    Parameters
    ----------
    problem : trn3.fit.calibration.Problem
        Rows [-].

    Returns
    -------
    numpy.ndarray
        Step time [s].
    """
    r = problem.rows
    seq_len, again = numbers(r["seq_len"]), r["recompute"].str.startswith("full").to_numpy()
    shape = shapes(r)
    per_token = np.where(
        frozen(r),
        shape.finetune_flops_per_token(seq_len, causal=False),
        shape.train_flops_per_token(seq_len, causal=False),
    )
    flops = per_token * seq_len * numbers(r["global_batch"])
    peak = np.array([hardware.chip(c).peak(_dtype(p)) for c, p in zip(r["chip"], r["precision"])])
    return flops * np.where(again, 4 / 3, 1.0) / (numbers(r["n_accel"]) * peak / 2)


def baseline_key(rows: pd.DataFrame) -> np.ndarray:
    """What has an MFU of its own in the second baseline: chip, format, dense or routed.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].

    Returns
    -------
    numpy.ndarray
        Text [-].
    """
    routed = np.where(rows["n_experts"] != "", "moe", "dense")
    return (rows["chip"] + " " + rows["precision"].map(_dtype) + " " + routed).to_numpy(str)


def committed_bands(rows: pd.DataFrame) -> np.ndarray:
    """Bands of ``data/calibration.csv`` for rows that no fold leaves out, wider in quadrature by
    what a row leaves open.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].

    Returns
    -------
    numpy.ndarray
        Lower and upper log of predicted over measured, shape (2, n) [-].
    """
    kinds = ["_moe" if n else "" for n in rows["n_experts"]]
    factors = [
        [committed.constant("training", f"band{k}_{end}", c, f) for end in ("high", "low")]
        for k, c, f in zip(kinds, rows["chip"], rows["chip_family"])
    ]
    ends = -np.log(np.array(factors).reshape(-1, 2)).T
    return scores.widened(ends, open_spread(rows))


def open_spread(rows: pd.DataFrame) -> np.ndarray:
    """Deviation of the log step time over what a row leaves unsaid, with the committed constants.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].

    Returns
    -------
    numpy.ndarray
        0 where a row says all that counts [-].
    """
    families = dict(zip(rows["chip"], rows["chip_family"]))
    values = {}
    for field in dataclasses.fields(committed.TrainingConstants):
        own = {
            chip: committed.constant("training", field.name, chip, family)
            for chip, family in families.items()
        }
        values[field.name] = rows["chip"].map(own).to_numpy(float)
    return Cases.of(rows).spread(values)


def _generation(chip: hardware.Chip) -> str:
    """Label of what one fold of unseen hardware leaves out; an "ultra" part counts with its
    architecture.
    """
    return chip.family if chip.vendor == "NVIDIA" else f"{chip.family} {chip.generation}"


def _input_range(chip: hardware.Chip) -> float:
    """Half the log range of a chip's own inputs: published range of its peak, and peak against
    sustained bandwidth.
    """
    peak = chip.fact("peak_flops_per_s", chip.native("bf16"))
    spread = np.log(peak.high / peak.low) / 2 if peak.low < peak.high else 0.0
    return float(np.hypot(spread, np.log(chip.hbm_bytes_per_s / chip.hbm_sustained_bytes_per_s)))


def band_rows(problem: calibration.Problem, full: calibration.Fit) -> list[dict[str, Any]]:
    """Bands and trust figures as rows of ``data/calibration.csv``.

    A band is a pair of factors from a prediction to the 80 % range of what is measured
    (`scores.StackResiduals.band`): by family with publishers left out; for a generation without
    rows with
    generations left out, nowhere narrower than that of a new family or its family's own, for routed
    models nowhere narrower than for dense ones, and widened in quadrature by the range of the
    chip's inputs.

    Parameters
    ----------
    problem : trn3.fit.calibration.Problem
        The committed rows [-].
    full : trn3.fit.calibration.Fit
        Fit to all of them [-].

    Returns
    -------
    list of dict
        Rows for `calibration.constants_frame` [-].
    """
    r, step = problem.rows, "step_time_s"
    group = r["group"].to_numpy(str)
    folds = ("source", "generation", "publisher")
    left = {fold: calibration.left_out(problem, r[fold], full) for fold in folds}
    median = {
        fold: scores.group_score(left[fold], group)["median_abs_error"].median()
        for fold in folds[:2]
    }
    seen, new = (
        scores.residuals(r, left[fold], fold, left["generation"])
        for fold in ("publisher", "generation")
    )
    n, fitted = (r.groupby(c)["group"].nunique().to_dict() for c in ("family", "generation"))
    out: list[dict[str, Any]] = []

    def add(owner: str, count: int, **values: float) -> None:
        for name, value in values.items():
            out.append(
                dict(zip(calibration.COLUMNS[1:7], [owner, name, f"{value:.4g}", "", count, ""]))
            )

    def add_band(owner: str, family: str, fold: str, ends: np.ndarray) -> None:
        name = "band_moe" if family == "moe" else "band"
        out.extend(calibration.band_lines(owner, name, ends, n.get(family, 0), fold))

    for name in ("global", *n):
        add_band("global" if name == "moe" else name, name, "publisher", seen.band(name, step))
    for fold, error in median.items():
        add(
            "global",
            len(set(group)),
            **{f"{fold}_error": float(error), f"{fold}_n_groups": len(set(group))},
        )
    for chip in hardware.chips():
        count = fitted.get(_generation(chip), 0)
        add(chip.id, count, n_groups_fitted=count)
        if not count:
            dense, routed = (
                [new.band("", step), *(x.band(f, step) for x in (seen, new))]
                for f in (chip.family, "moe")
            )
            by = _input_range(chip)
            add_band(chip.id, chip.family, "generation", scores.widest(dense, by))
            add_band(chip.id, "moe", "generation", scores.widest(dense + routed, by))
    return out + software_rows(r, left["publisher"])


def stack_spread(rows: pd.DataFrame, error: np.ndarray) -> float:
    """Deviation between the levels of software stacks, by the method of moments.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].
    error : numpy.ndarray
        Log of predicted over measured with the publisher of each row left out [-].

    Returns
    -------
    float
        Deviation of the log level [-].

    Notes
    -----
    The variance of the mean misses of the stacks, each of the median misses of its groups, less
    what the scatter of the groups of a stack adds to it.

    References
    ----------
    DerSimonian and Laird 1986, Meta-analysis in clinical trials (moments of random effects).
    """
    by_group = pd.Series(error).groupby([rows["stack"], rows["group"]]).median()
    stacks = by_group.groupby(level=0)
    mean, n = stacks.mean(), stacks.size()
    degrees = len(by_group) - len(n)
    within = ((by_group - mean.loc[by_group.index.get_level_values(0)].to_numpy()) ** 2).sum()
    noise = within / max(degrees, 1) * (1 / n).mean()
    return float(np.sqrt(max(mean.var(ddof=1) - noise, 0.0)))


def software_rows(
    rows: pd.DataFrame, error: np.ndarray, fold: str = "publisher"
) -> list[dict[str, Any]]:
    """Levels of software as rows of ``data/calibration.csv``: factors on the time of a step.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].
    error : numpy.ndarray
        Log of predicted over measured with the fold of each row left out [-].
    fold : str
        What was left out [-].

    Returns
    -------
    list of dict
        For `calibration.constants_frame` [-].
    """
    spread = stack_spread(rows, error)
    z = special.ndtri(0.9)
    n_stacks, n_publishers = rows["stack"].nunique(), rows["publisher"].nunique()
    levels = {"first_port": z * spread, "typical": 0.0, "tuned": -z * spread, "hardware": 0.0}
    out = [
        (
            level,
            "stack_spread",
            f"{np.exp(shift):.4g}",
            f"{spread:.3f}",
            n_stacks,
            f"{fold} left out",
        )
        for level, shift in levels.items()
    ]
    out.append(("global", "stack_publishers", f"{n_publishers}", "", n_stacks, ""))
    return [dict(zip(calibration.COLUMNS[1:7], line)) for line in out]
