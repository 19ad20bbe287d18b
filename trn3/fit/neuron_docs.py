"""Rows of the serving table made of AWS's own tables on Inferentia and Trainium.

The Neuron documentation prints its runs with columns of its own: ranks instead of chips, lengths of
compiled graphs, a throughput whose tokens changed their meaning between releases. `convert` reads
such a table into the columns of ``data/inference_runs.csv``. Every row is kept: what cannot be
scored has quality C, or lacks the cell without which `trn3.fit.serving_fit` skips it, and its note
says why. ``python -m trn3.fit.neuron_docs FILE DAY`` adds what the table does not have.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from trn3 import data, hardware
from trn3.fit import evidence

FAMILY, SOURCE = "neuron_docs", "neuron_inference_bench"
CHIPS = {"inf2": "AWS Inferentia2", "trn1": "AWS Trainium1", "trn2": "AWS Trainium2"}
"""Accelerator by the first letters of the instance."""
MODELS = {
    "codellama-13b": "llama-2-13b",
    "google/flan-t5-xl": "flan-t5-xl",
    "llama-3-8b": "llama-3.1-8b",
    "mistral-7b-instruct-v0.2": "mistral-7b-v0.2",
}
"""Names of the serving table for models of the same shape."""
COUNT_PROMPTS = ("2.16.0", "2.17.0")
"""Releases whose time per token divides by the tokens of the prompt, too: the same run with 128
tokens in and 3,968 out takes 9.6 ms a token, with 3,968 in and 128 out 0.42 ms."""
AGREE = 0.25
"""Share by which throughput and time per token of one row may differ."""
FEW = 0.25
"""Share of the batch, by throughput times time per token, below which the batch is not believed."""
REMARKS = {
    "speculation": "tokens of a draft model are accepted by a share that is not stated",
    "prompts": "its time per token divides by the tokens of the prompt, too",
    "superseded": "of a table that a later one replaced, which gives its lengths",
    "batch": "throughput is that of about one sequence: the batch contradicts it",
}
"""Why a row has quality C."""
CONTRADICTED = "throughput contradicts the times, the first token is left out"


def read(file: str | Path) -> pd.DataFrame:
    """The documentation's table as text, one row a run.

    Parameters
    ----------
    file : str or Path
        CSV file with the columns model, instance_type, tp, batch_size, seq_len and so on [-].

    Returns
    -------
    pandas.DataFrame
        Text columns [-].

    Raises
    ------
    trn3.data.DataError
        A file that cannot be read, or an instance that is none of `CHIPS`.
    """
    rows = evidence.read_file(file)
    odd = rows[~rows["instance_type"].str[:4].isin(CHIPS)]
    if len(odd):
        raise data.DataError(f"{Path(file).name}: no chip for {odd['instance_type'].iloc[0]!r}")
    return rows


def convert(file: str | Path) -> pd.DataFrame:
    """Rows of the documentation in the columns of the serving table.

    Parameters
    ----------
    file : str or Path
        As for `read` [-].

    Returns
    -------
    pandas.DataFrame
        Text columns, those of `evidence.columns`; rows keep their order, and the number in row_id
        is their place in the file [-].
    """
    rows = read(file)
    chip = rows["instance_type"].str[:4].map(CHIPS)
    ranks = chip.map({name: hardware.chip(name.split()[1]).n_ranks for name in CHIPS.values()})
    name = rows["model"].str.lower().str.split(r",| \+ ", regex=True).str[0].str.removesuffix("-hf")
    load = rows["batch_size"].where(rows["batch_size"] != "", rows["concurrency"])
    why, odd = _remark(rows, load), _contradicted(rows, load)
    static = rows["batch_size"] != ""
    quality = np.select([why != "", odd | ~static], ["C", "B"], "A")
    number = (np.arange(len(rows)) + 1).astype(str)
    out = pd.DataFrame({"row_id": [f"{FAMILY}-{n:0>4}" for n in number]})
    return out.assign(
        family=FAMILY,
        model=name.replace(MODELS),
        weights_dtype=np.where(rows["model_dtype"].str.startswith("FP8"), "fp8", "bf16"),
        kv_dtype="bf16",
        accelerator=chip,
        accel_count=(rows["tp"].astype(float) / ranks).map("{:g}".format),
        tp=rows["tp"],
        pp="1",
        dp="1",
        mode=np.where(static, "offline-static", "online-synchronous"),
        batch_or_concurrency=load,
        batch_kind=np.where(static, "static_batch", "max_concurrency"),
        compiled_batch=rows["batch_size"],
        compiled_tokens=rows["seq_len"],
        input_tokens=rows["input_len"],
        output_tokens=rows["output_len"],
        ttft_ms=_six(rows["ttft_p50_ms"]).mask(odd, ""),
        tpot_ms=_six(rows["tpot_p50_ms"]),
        spec_decode=np.where(_drafted(rows), "draft model", "none"),
        engine="Neuron SDK",
        engine_version=rows["neuron_version"],
        source_id=SOURCE,
        source=rows["source"],
        url=rows["url"],
        quality=quality,
        note=_notes(rows, why, odd),
    ).reindex(columns=evidence.columns("serving"), fill_value="")


def append(file: str | Path, day: str) -> int:
    """Add the rows that ``data/inference_runs.csv`` does not have, with their documents and notes;
    rows that stand there stay as they are.

    Parameters
    ----------
    file : str or Path
        As for `read` [-].
    day : str
        Day on which they come in, ISO [-].

    Returns
    -------
    int
        Rows added [-].
    """
    stored = evidence.text_table("inference_runs")
    new = convert(file)
    new = new[~new["row_id"].isin(stored["row_id"])]
    texts = ["source", "url", "verified"]
    printed = _known("run_documents", new[texts], "s")
    note = _known("run_notes", new[["note"]], "n")
    new = new.assign(printed_in=printed, note=note, added=day, fitted_since="")
    _write(
        "inference_runs", pd.concat([stored, new.reindex(columns=stored.columns, fill_value="")])
    )
    return len(new)


def _known(name: str, texts: pd.DataFrame, letter: str) -> pd.Series:
    """Ids of texts in their table, which takes in what it does not have."""
    table = evidence.text_table(name)
    columns = list(texts.columns)
    ids = dict(zip(table[columns].itertuples(index=False, name=None), table["id"]))
    for text in dict.fromkeys(texts.itertuples(index=False, name=None)):
        ids.setdefault(text, f"{letter}{len(ids) + 1:03}")
    whole = pd.DataFrame([*ids], columns=columns)
    whole.insert(0, "id", list(ids.values()))
    _write(name, whole)
    return pd.Series([ids[t] for t in texts.itertuples(index=False, name=None)], texts.index)


def _write(name: str, table: pd.DataFrame) -> None:
    table.to_csv(data.DATA / f"{name}.csv", index=False, lineterminator="\n")


def _six(column: pd.Series) -> pd.Series:
    """Numbers to six digits, as text."""
    return column.map(lambda text: text and f"{float(text):.6g}")


def _drafted(rows: pd.DataFrame) -> pd.Series:
    return rows["model"].str.contains("fused speculation|EAGLE")


def _number(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column, errors="coerce")


def _remark(rows: pd.DataFrame, load: pd.Series) -> pd.Series:
    """Why a row is of quality C; empty where it is not."""
    counted = rows["neuron_version"].isin(COUNT_PROMPTS) & rows["model"].str.startswith("Llama")
    replaced = rows["note"].str.startswith("superseded")
    done = _number(rows["throughput"]) * _number(rows["tpot_p50_ms"]) / 1000
    alone = done < FEW * _number(load)
    masks = {"speculation": _drafted(rows), "prompts": counted}
    masks |= {"superseded": replaced, "batch": alone}
    found = np.select([*masks.values()], [REMARKS[name] for name in masks], "")
    return pd.Series(found, rows.index)


def _contradicted(rows: pd.DataFrame, load: pd.Series) -> pd.Series:
    """Whether one sequence at a time was slower by its throughput than by its times."""
    done = _number(rows["throughput"]) * _number(rows["tpot_p50_ms"]) / 1000
    short = done / _number(load) < 1 - AGREE
    return short & (_number(load) == 1) & (_number(rows["ttft_p50_ms"]) > 0)


def _notes(rows: pd.DataFrame, why: pd.Series, odd: pd.Series) -> pd.Series:
    """What to know about a row: how its ranks count, why it is not used, what the table says."""
    narrow = rows["weight_dtype"] == "int8"
    told = rows["note"].mask(narrow, "int8 weights in the table, speeds of bf16")
    code = rows["model"].str.startswith("CodeLlama")
    parts = [code.map({True: "CodeLlama, the shape of Llama 2", False: ""}), why]
    parts += [odd.map({True: CONTRADICTED, False: ""}), told]
    text = pd.Series("tp counts ranks", rows.index)
    for part in parts:
        text = text + ("; " + part).where(part != "", "")
    return text


if __name__ == "__main__":
    print(append(*sys.argv[1:3]), "rows added to data/inference_runs.csv")
