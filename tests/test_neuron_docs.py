"""AWS's tables on Inferentia and Trainium as rows of the serving table."""

import os
import shutil
from pathlib import Path

import pytest

from trn3 import data
from trn3.fit import evidence, neuron_docs

FILE = Path(os.environ.get("TRN3_EVIDENCE") or data.DATA.parent.parent / "shared" / "evidence")
FILE = FILE / "neuron_inference.csv"
HEADER = """model,task,instance_type,chips,tp,dp,lnc,batch_size,concurrency,seq_len,
input_len,output_len,throughput,ttft_p50_ms,tpot_p50_ms,model_dtype,weight_dtype,neuron_version,source,url,note"""
READ_OTHERWISE = {"neuron_docs-0003": "two users at a time; the first reading took one"}
"""Rows of the first survey that the converter reads in another way."""


def table(folder, *lines):
    """A table in the documentation's columns."""
    file = folder / "docs.csv"
    file.write_text("\n".join([HEADER.replace("\n", ""), *lines]) + "\n")
    return file


def test_a_row_of_the_documentation(tmp_path):
    """Llama 2 13B of release 2.18 on 12 Inferentia2 chips: 24 ranks of two a chip."""
    line = "Llama-2-13b,Text Generation,inf2.48xlarge,12,24,,,8,,4096,128,3968,589.88712,"
    line += "108.80947,14.89663,FP16,bf16,2.18.0,docs,address,said"
    (row,) = neuron_docs.convert(table(tmp_path, line)).to_dict("records")
    assert (row["accelerator"], row["accel_count"], row["tp"]) == ("AWS Inferentia2", "12", "24")
    assert (row["ttft_ms"], row["tpot_ms"], row["compiled_tokens"]) == (
        "108.809",
        "14.8966",
        "4096",
    )
    assert (row["quality"], row["note"]) == ("A", "tp counts ranks; said")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("2.18.0", "2.17.0"), "divides by the tokens of the prompt"),
        (("Llama-2-13b,", '"Llama-2-13b, fused speculation",'), "draft model"),
        (("589.88712", "67.1"), "batch contradicts"),
        ((",said", ",superseded table"), "a later one replaced"),
    ],
)
def test_what_cannot_be_used_is_kept_with_its_reason(tmp_path, change, why):
    line = "Llama-2-13b,Text Generation,inf2.48xlarge,12,24,,,8,,4096,128,3968,589.88712,"
    line += "108.80947,14.89663,FP16,bf16,2.18.0,docs,address,said"
    (row,) = neuron_docs.convert(table(tmp_path, line.replace(*change))).to_dict("records")
    assert row["quality"] == "C" and why in row["note"]


def test_a_first_token_that_its_row_contradicts_is_left_out(tmp_path):
    """One sequence at 60.2 tokens/s does not take 9.86 ms a token."""
    line = "Llama-2-13b,Text Generation,trn1.32xlarge,16,32,,,1,,8192,4096,4096,60.2,"
    line += "868.6,9.86,FP16,bf16,2.18.0,docs,address,said"
    (row,) = neuron_docs.convert(table(tmp_path, line)).to_dict("records")
    assert (row["ttft_ms"], row["tpot_ms"], row["quality"]) == ("", "9.86", "B")


def test_an_instance_without_a_chip_is_refused(tmp_path):
    line = "Llama-2-13b,x,p5.48xlarge,8,8,,,1,,,,,,,,,,,,,"
    with pytest.raises(data.DataError, match=r"docs.csv: no chip for 'p5.48xlarge'"):
        neuron_docs.convert(table(tmp_path, line))


@pytest.mark.skipif(not FILE.exists(), reason="the full tables are not beside the checkout")
def test_the_committed_rows_are_what_the_documentation_prints():
    made = neuron_docs.convert(FILE).set_index("row_id")
    stored = evidence.runs("serving", "all").set_index("row_id")
    stored = stored[stored["family"] == "neuron_docs"]
    assert set(stored.index) == set(made.index)
    checked = ["model", "accelerator", "accel_count", "tp", "tpot_ms", "weights_dtype"]
    checked += ["input_tokens", "output_tokens", "spec_decode", "source", "engine_version"]
    assert stored[checked].to_dict("index") == made.loc[stored.index, checked].to_dict("index")
    same = stored.index.difference(READ_OTHERWISE)
    load = ["mode", "batch_or_concurrency", "compiled_batch", "compiled_tokens"]
    assert stored.loc[same, load].to_dict("index") == made.loc[same, load].to_dict("index")


def test_rows_are_added_once_with_their_documents_and_notes(tmp_path, monkeypatch):
    shutil.copytree(data.DATA, tmp_path / "data")
    before = evidence.text_table("inference_runs")
    monkeypatch.setattr(data, "DATA", tmp_path / "data")
    line = "Llama-2-13b,Text Generation,inf2.48xlarge,12,24,,,8,,4096,128,3968,589.88712,"
    line += "108.80947,14.89663,FP16,bf16,2.18.0,a document,an address,a remark"
    rows = [line.replace("address", f"address {n}") for n in range(160)]
    file = table(tmp_path, *rows)
    known = before["row_id"].str.startswith("neuron_docs").sum()
    assert neuron_docs.append(file, "2026-12-01") == 160 - known
    assert neuron_docs.append(file, "2026-12-02") == 0
    after = evidence.text_table("inference_runs")
    assert after.iloc[: len(before)].equals(before)
    last = evidence.runs("serving", "all").iloc[-1]
    assert (last["source"], last["url"]) == ("a document", "an address 159")
    assert last["note"] == "tp counts ranks; a remark"
