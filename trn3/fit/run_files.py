"""A reader's own measured runs: read, recognised and checked cell by cell, so that every row is
used or named with its reason.

The bounds of every column are ``data/bounds.csv``. A cell that cannot be meant takes its row out,
a file that cannot be understood is refused; nothing is taken for granted without being said.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from trn3 import data, workload
from trn3.bounds import Bound, bounds, nearest, printable, shown, text_of
from trn3.fit import evidence, foreign

LARGEST_BYTES = 64 * 2**20
"""Size of the largest file of runs [byte]."""
MOST_ROWS = 100_000
"""Most runs in a file."""
SLIP = 0.8
"""Share of letters that agree in a misspelt column [-]."""
UNUSED = "unused"
"""Column with the reason why a row cannot be used; empty where it can."""
DIMENSIONS = ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab")
"""Columns of a training run that its model fills where they are empty."""
_KINDS = {"training": "training", "inference": "serving", "serving": "serving"}
_OWN = {"training": "source_key", "serving": "family"}


@dataclass(frozen=True)
class RunFile:
    """Runs of a reader's file in the columns of the committed ones.

    Attributes
    ----------
    name, title : str
        File name, and what its form is called.
    rows : pandas.DataFrame
        Text columns; ``unused`` says why a row cannot be used, ``line`` where it stands.
    taken : tuple of str
        What empty cells stand for, in words.
    ignored : tuple of str
        Columns that were not read.
    """

    name: str
    title: str
    rows: pd.DataFrame
    taken: tuple[str, ...]
    ignored: tuple[str, ...]


def template(kind: str) -> str:
    """Where the template of a kind lies.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].

    Returns
    -------
    str
        Path in the collection [-].

    Examples
    --------
    >>> template("serving")
    'data/templates/inference_runs.csv'
    """
    return f"data/templates/{'training' if kind == 'training' else 'inference'}_runs.csv"


def read(kind: str, file: str | Path, given: Mapping[str, str] | None = None) -> RunFile:
    """Read a file of runs.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    file : str or Path
        CSV with commas, semicolons or tabs, in our columns or in well-known ones; a result file of
        vLLM, SGLang, GenAI-Perf or InferenceX; a log of Megatron-LM or NeMo [-].
    given : mapping, optional
        Cells for all rows where the file has none, by column [-].

    Returns
    -------
    RunFile
        Every row of the file, with the reason for each that cannot be used [-].

    Raises
    ------
    trn3.data.DataError
        A file that cannot be read, a column that is missing or misspelt; names the template.
    """
    name, table = Path(file).name, _KINDS[kind]
    record = "training" if table == "training" else "inference"
    columns, limits = list(_columns(data.DATA, table)), bounds(record)
    given = _given(given or {}, columns)
    try:
        found = foreign.records(text_of(file, LARGEST_BYTES))
    except data.TrnError as error:
        join = " " if str(error).startswith(("row", "line", "record")) else ": "
        raise data.DataError(f"{name}{join}{error}; template: {template(kind)}") from None
    if len(found) > MOST_ROWS:
        raise data.DataError(f"{name}: {len(found):,} rows; at most {MOST_ROWS:,} are read")
    names = list(dict.fromkeys(key for _, cells in found for key in cells))
    form, title = foreign.form(record, names)
    used: set[str] = set()
    rows = []
    for line, cells in found:
        row, read_here = foreign.mapped(record, form, cells, [*columns, *evidence.BOOKKEEPING])
        used |= read_here
        row |= {column: cell for column, cell in given.items() if not row.get(column)}
        rows.append({"line": line, **row})
    ignored = [key for key in names if key not in {*used, *evidence.BOOKKEEPING, UNUSED}]
    about = f"{name}, read as {title}" if form != foreign.PLAIN else name
    frame = pd.DataFrame(rows, columns=None if rows else ["line"]).fillna("")
    frame = evidence.as_printed(frame)
    _complete(about, kind, frame, ignored, limits, names)
    own = "quality" not in frame or _OWN[table] not in frame
    frame = frame.reindex(columns=["line", *columns], fill_value="")
    frame["row_id"] = _ids(frame)
    frame[_OWN[table]] = frame[_OWN[table]].where(frame[_OWN[table]] != "", "own")
    folder = Path(file).resolve().parent
    frame["model"] = [_beside(folder, model) for model in frame["model"]]
    taken = _checked(frame, limits, own)
    if own:
        _known(frame)
        _contradicted(frame)
        (_training if table == "training" else _serving)(frame)
    return RunFile(name, title, frame, tuple(taken), tuple(ignored))


@lru_cache(4)
def _columns(_folder: Path, table: str) -> tuple[str, ...]:
    """The columns of a committed table, which is long."""
    return tuple(evidence.columns(table))


def _given(given: Mapping[str, str], columns: list[str]) -> dict[str, str]:
    """Cells for all rows, of columns that there are."""
    for name in given:
        if name not in columns:
            there = ", ".join(columns)
            raise data.DataError(f"no column {shown(name)}{nearest(name, columns)}; known: {there}")
    return dict(given)


def _complete(
    about: str,
    kind: str,
    frame: pd.DataFrame,
    ignored: list[str],
    limits: Mapping[str, Bound],
    names: list[str],
) -> None:
    """Refuse a file in which a needed column is missing or misspelt."""
    if not len(frame):
        raise data.DataError(f"{about}: it has no row; template: {template(kind)}")
    lacking = [c for c in limits if c not in frame]
    for name in ignored:
        if near := nearest(name, lacking, SLIP):
            raise data.DataError(f"{about} row 1: column {shown(name)} is unknown{near}")
    missing = [c for c, limit in limits.items() if limit.needed and c not in frame]
    if missing:
        other = "inference" if kind == "training" else "training"
        if _is_of(other, names):
            raise data.DataError(
                f"{about}: these are {other} runs; give the file to validate {other}; "
                f"template: {template(kind)}"
            )
        what = ", ".join(f"{c} ({limits[c].meaning})" for c in missing)
        hint = " ".join(f"-p {c}=..." for c in missing)
        raise data.DataError(
            f"{about}: it does not say {what}; add a column for each, or give it for all rows: "
            f"{hint}; template: {template(kind)}"
        )


def _is_of(kind: str, names: list[str]) -> bool:
    """Whether the columns are those of runs of a kind."""
    needed = {column for column, limit in bounds(kind).items() if limit.needed}
    return needed <= set(names) or foreign.form(kind, names)[0] != foreign.PLAIN


def _ids(frame: pd.DataFrame) -> list[str]:
    """A name of its own for every row."""
    ids = frame["row_id"].where(frame["row_id"] != "", "row " + frame["line"].astype(str))
    twice = ids.duplicated(keep=False)
    return list(ids.where(~twice, ids + ", row " + frame["line"].astype(str)).map(printable))


def _beside(folder: Path, model: str) -> str:
    """A model's config.json is looked for beside the file of runs too."""
    beside = folder / model
    return os.path.relpath(beside) if model.endswith(".json") and beside.is_file() else model


def _checked(frame: pd.DataFrame, limits: Mapping[str, Bound], own: bool) -> list[str]:
    """Check every cell, put the allowed word or what an empty one stands for, and note the first
    fault of each row; returns what was taken for empty cells.
    """
    faults = pd.Series("", index=frame.index)
    taken: dict[str, list[str]] = {}
    for name, limit in limits.items():
        texts = limit.kind in ("text", "choice")
        if texts and not own:
            continue  # the committed tables hold more words than a reader may use
        cells = {text: _cell(limit, text) for text in frame[name].unique()}
        wrong = frame[name].map({text: fault for text, (_, fault) in cells.items()})
        faults = faults.where((faults != "") | (wrong == ""), wrong)
        if own:
            if limit.empty and (frame[name] == "").any():
                taken.setdefault(limit.empty, []).append(name)
            frame[name] = frame[name].map({text: cell for text, (cell, _) in cells.items()})
    for name in frame.columns.difference([*limits, "line"]):
        odd = ~frame[name].map(str.isprintable)
        fault = f"{name}: must be printable text"
        faults = faults.where((faults != "") | ~odd, fault)
    frame[UNUSED] = faults
    return [f"{', '.join(names)} = {what}" for what, names in taken.items()]


def _cell(limit: Bound, text: str) -> tuple[str, str]:
    """A cell as it is used, and what is wrong with it."""
    if text == "":
        if limit.needed:
            return "", f"{limit.field} is empty: must be {limit.wants} ({limit.meaning})"
        return _default(limit), ""
    try:
        value = limit.cell(text)
    except data.TrnError as error:
        return text, str(error)
    return str(value) if limit.kind == "choice" else text.strip(), ""


def _default(limit: Bound) -> str:
    """What an empty cell stands for, where that is a value and not a rule in words."""
    try:
        return str(limit.cell(limit.empty)) if limit.empty else ""
    except data.TrnError:
        return ""


def _numbers(frame: pd.DataFrame, name: str) -> pd.Series:
    return pd.to_numeric(frame[name], errors="coerce")


def _fault(frame: pd.DataFrame, wrong: pd.Series, texts: pd.Series | str) -> None:
    """Note a reason for rows that have none yet."""
    first = wrong & (frame[UNUSED] == "")
    frame[UNUSED] = frame[UNUSED].mask(first, texts)


def _known(frame: pd.DataFrame) -> None:
    """Models that are no model, with the nearest."""
    faults = {}
    for name in frame.loc[frame["model"] != "", "model"].unique():
        try:
            workload.model(name)
        except data.TrnError as error:
            faults[name] = str(error)
    why = pd.Series([faults.get(name, "") for name in frame["model"]], frame.index, dtype=str)
    needed = why != ""
    if "layers" in frame:  # a training run may bring its own dimensions
        needed &= (frame[list(DIMENSIONS)] == "").any(axis=1)
    _fault(frame, needed, why)


def _contradicted(frame: pd.DataFrame) -> None:
    """Counts of parameters that are not those of the model which the row names."""
    if "params_b" not in frame:
        return
    stated = _numbers(frame, "params_b")
    named = (frame["model"] != "") & (frame[UNUSED] == "")
    counts = {name: _billions(name) for name in frame.loc[named, "model"].unique()}
    counted = frame["model"].map(counts)
    apart = (stated / counted - 1).abs() > workload.COUNTS_AGREE
    told = "params_b = " + frame["params_b"] + " billion: " + frame["model"] + " has "
    _fault(frame, named & apart, told + counted.map("{:.4g} billion".format))


def _billions(model: str) -> float:
    """Parameters of a model, not a number where there is none [1e9]."""
    try:
        return float(workload.model(model).n_params) / 1e9
    except data.TrnError:
        return float("nan")


def _training(frame: pd.DataFrame) -> None:
    """The rest of the chips are replicas, and the product of the degrees is all of them."""
    degrees = {name: _numbers(frame, name) for name in ("tp", "pp", "cp")}
    chips = _numbers(frame, "n_accel")
    rest = chips / degrees["tp"] / degrees["pp"] / degrees["cp"]
    empty = frame["dp"] == ""
    whole = empty & (rest % 1 == 0)
    frame["dp"] = frame["dp"].mask(whole, rest.map("{:.0f}".format))
    ranks = degrees["tp"] * degrees["pp"] * degrees["cp"] * _numbers(frame, "dp")
    told = "tp x pp x cp = " + (chips / rest).map("{:g}".format) + " does not divide n_accel = "
    _fault(frame, empty & ~whole, told + frame["n_accel"])
    told = "tp x pp x dp x cp = " + ranks.map("{:g}".format) + " ranks are fewer than n_accel = "
    _fault(frame, ranks < chips, told + frame["n_accel"])
    frame["year"] = frame["year"].where(frame["year"] != "", str(data.data_date().year))


def _serving(frame: pd.DataFrame) -> None:
    """Throughput as output tokens of all chips; what a mode must have measured."""
    rate, chips = _numbers(frame, "throughput_tok_s"), _numbers(frame, "accel_count")
    prompt, answer = _numbers(frame, "input_tokens"), _numbers(frame, "output_tokens")
    rate = rate.where(~frame["throughput_kind"].str.endswith("per_chip"), rate * chips)
    total = frame["throughput_kind"].str.startswith("total")
    rate = rate.where(~total, rate * answer / (prompt + answer))
    good = (frame[UNUSED] == "") & rate.notna()
    frame["throughput_tok_s"] = frame["throughput_tok_s"].mask(good, rate.map("{:.12g}".format))
    frame["throughput_kind"] = frame["throughput_kind"].mask(good, "output, system")
    fixed = (frame["mode"] == "offline-max") & (frame["batch_kind"] == "static_batch")
    frame["mode"] = frame["mode"].mask(fixed, "offline-static")
    timed = (frame["ttft_ms"] != "") | (frame["tpot_ms"] != "")
    mode = frame["mode"]
    fast = mode.isin(["offline-max", "offline"])
    job = mode.isin(["offline-static", "offline-min-latency"])
    has_rate = frame["throughput_tok_s"] != ""
    _fault(frame, fast & ~has_rate, "throughput_tok_s is empty: it is what this mode measures")
    _fault(
        frame,
        job & ~timed & ~has_rate,
        "ttft_ms, tpot_ms and throughput_tok_s are empty: nothing was measured",
    )
    _fault(
        frame,
        ~fast & ~job & ~timed,
        "ttft_ms and tpot_ms are empty: with a load of users these are what is scored, not "
        "throughput_tok_s",
    )
