"""A reader's measured runs: every file is recognised or refused by name, every row scored or named
with its reason.
"""

import json

import pandas as pd
import pytest
from samples import AIPERF, BENCH, GENAI, GOOD, INFERENCEX, MEGATRON, NEMO, SGLANG, STEP

from trn3 import data
from trn3.bounds import bounds
from trn3.fit import evidence, foreign, run_files, validation
from trn3.reporting import cli

BAD = ["abc", "-1", "nan", "inf", "-inf", "1e400", "1e300", "1,024", "1_000", "0x10", "١", "1e"]
BAD += ["8.5.1", "=1+1", "\x1b[31m8", "8\n8", "9" * 5000, "None", "true", "[]", "8;8", "8 GiB"]
CELLS = [(kind, column) for kind, row in GOOD.items() for column in row if column != "row_id"]


def write(path, *rows: dict[str, str]):
    """A table of these rows."""
    pd.DataFrame(rows).fillna("").to_csv(path, index=False)
    return path


@pytest.mark.parametrize("kind", GOOD)
def test_the_good_rows_are_good(tmp_path, kind):
    rows = [GOOD[kind] | {"row_id": name} for name in "ab"]
    result = validation.validate(kind, write(tmp_path / "mine.csv", *rows), "none")
    assert result["scored"] == result["rows"] == 2 and not result["not_used"]


@pytest.mark.parametrize(("kind", "column"), CELLS)
def test_a_bad_cell_takes_its_row_out_and_names_row_and_column(tmp_path, kind, column):
    good, path = GOOD[kind], tmp_path / "mine.csv"
    bad = [text for text in BAD if text.lower() not in bounds(kind)[column].allowed]
    rows = [good | {column: text, "row_id": f"bad {i}"} for i, text in enumerate(bad)]
    read = run_files.read(kind, write(path, good, *rows)).rows
    assert read[run_files.UNUSED][0] == ""
    number = bounds(kind)[column].kind in ("whole", "number")
    for text, reason in zip(bad, read[run_files.UNUSED][1:], strict=True):
        known_only_later = column == "accelerator" and text.isprintable() and len(text) < 200
        assert known_only_later or reason, (column, text)
        assert reason.isprintable() and len(reason) < 600
        assert not number or reason.startswith(f"{column} = "), reason


@pytest.mark.parametrize("kind", GOOD)
def test_no_bad_cell_is_scored_as_if_it_were_fine(tmp_path, kind):
    columns = [column for each, column in CELLS if each == kind]
    bad = [
        GOOD[kind] | {column: text, "row_id": f"{column} {text}"}
        for column in columns
        for text in ("abc", "-1", "1e300", "nan")
    ]
    result = validation.validate(kind, write(tmp_path / "mine.csv", GOOD[kind], *bad), "none")
    assert result["scored"] == 1 and result["rows"] == 1 + len(bad)
    assert {r["row_id"] for r in result["not_used"]} == {row["row_id"] for row in bad}


@pytest.mark.parametrize("kind", GOOD)
def test_a_file_of_bad_rows_alone_is_one_line_and_status_2(tmp_path, capsys, kind):
    path = write(tmp_path / "mine.csv", GOOD[kind] | {"tp": "abc"})
    assert cli.main(["validate", kind, str(path)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1
    assert "no row can be scored: row 2 (a): tp = 'abc': must be a whole number" in err
    assert run_files.template(kind) in err


@pytest.mark.parametrize("kind", GOOD)
def test_an_empty_cell_that_is_needed_is_named_and_others_are_said(tmp_path, kind):
    path = tmp_path / "mine.csv"
    for column, limit in bounds(kind).items():
        if column not in GOOD[kind] or column == "row_id":
            continue
        run = run_files.read(kind, write(path, GOOD[kind], GOOD[kind] | {column: ""}))
        reason = run.rows[run_files.UNUSED][1]
        assert reason.startswith(f"{column} is empty: must be ") == limit.needed
        said = [text for text in run.taken if column in text.partition(" = ")[0].split(", ")]
        assert bool(said) == bool(limit.empty)


@pytest.mark.parametrize(
    ("column", "value", "asks"),
    [
        ("tpot_ms", "0.009", "is it in s? then write 9 ms"),
        ("ttft_ms", "0.06", "is it in s? then write 60 ms"),
        ("tpot_ms", "9000000", ""),
    ],
)
def test_a_time_in_the_wrong_unit_is_asked_about(tmp_path, column, value, asks):
    row = GOOD["inference"] | {column: value}
    reason = run_files.read("inference", write(tmp_path / "a.csv", row)).rows[run_files.UNUSED][0]
    assert reason.startswith(f"{column} = ") and reason.endswith(asks or ")")


def test_a_time_that_is_off_by_a_thousand_is_asked_about(tmp_path):
    slip = GOOD["training"] | {"row_id": "slip", "iter_time_s": "6500"}
    result = validation.validate(
        "training", write(tmp_path / "a.csv", GOOD["training"], slip), "none"
    )
    assert result["unit_in_doubt"] == ["slip"]
    assert "slip: off by about a thousand; ms for s, or s for ms?" in validation.text(result)


def test_a_column_says_which_tokens_a_throughput_counts(tmp_path):
    row = GOOD["inference"] | {"mode": "offline-max", "batch_kind": "", "batch_or_concurrency": ""}
    row |= {"accel_count": "2", "tp": "2", "input_tokens": "3000", "output_tokens": "1000"}
    kinds = {"output": "1000", "total": "4000", "output_per_chip": "500", "total_per_chip": "2000"}
    rows = [
        row | {"row_id": kind, "throughput_kind": kind, "throughput_tok_s": rate}
        for kind, rate in kinds.items()
    ]
    read = run_files.read("inference", write(tmp_path / "a.csv", *rows)).rows
    assert list(read["throughput_tok_s"].astype(float)) == [1000.0] * 4
    result = validation.validate("inference", tmp_path / "a.csv", "none")
    assert [r["measured"] for r in result["runs"]] == [500.0] * 4, "per chip"


@pytest.mark.parametrize("kind", ["training", "serving"])
def test_every_committed_run_lies_within_the_bounds(kind):
    rows = evidence.runs(kind, "all")
    for column, limit in bounds("training" if kind == "training" else "inference").items():
        if limit.kind in ("whole", "number"):
            texts = set(rows[column]) - {""}
            if column in ("micro_batch", "vpp"):
                texts = {t for t in texts if t.replace(".", "").isdigit()}
            assert all(limit.cell(text) is not None for text in texts), column


def test_degrees_that_are_fewer_than_the_chips_are_named(tmp_path):
    rows = [GOOD["training"] | {"row_id": "few", "tp": "2"}]
    rows += [GOOD["training"] | {"row_id": "odd", "tp": "7", "dp": ""}]
    few, odd = run_files.read("training", write(tmp_path / "a.csv", *rows)).rows[run_files.UNUSED]
    assert few == "tp x pp x dp x cp = 16 ranks are fewer than n_accel = 64"
    assert odd == "tp x pp x cp = 7 does not divide n_accel = 64"


# ----------------------------------------------------------------------------------- other tools
def given(*texts: str) -> dict[str, str]:
    return dict(text.split("=", 1) for text in texts)


def one(run: run_files.RunFile, **cells: object) -> None:
    """The first row of a file has these cells and no fault."""
    row = run.rows.iloc[0]
    assert row[run_files.UNUSED] == ""
    for column, value in cells.items():
        found = row[column]
        assert found == value if isinstance(value, str) else float(found) == pytest.approx(value)


H100 = given("accelerator=h100", "accel_count=1", "weights_dtype=bf16")


def test_the_serving_benchmark_of_vllm_is_read(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(BENCH))
    run = run_files.read("inference", path, H100)
    assert run.title == "serving benchmark of vLLM or SGLang" and "duration" in run.ignored
    told = {"model": "meta-llama/Llama-3.1-8B-Instruct", "mode": "online-agg", "engine": "vllm"}
    one(run, batch_or_concurrency=64, input_tokens=1024, output_tokens=256, ttft_ms=312.5, **told)
    result = validation.validate("inference", path, "none", given=H100)
    measured = {r["quantity"]: r["measured"] for r in result["runs"]}
    assert measured == {"tpot_loop": pytest.approx(0.0213), "ttft": pytest.approx(0.3125)}
    # as a table, without the totals: tokens a request follow from the rates
    columns = "model_id max_concurrency request_throughput output_throughput"
    columns += " total_token_throughput mean_ttft_ms mean_tpot_ms"
    write(tmp_path / "result.csv", {c: BENCH[c] for c in columns.split()})
    run = run_files.read("inference", tmp_path / "result.csv", H100)
    one(run, input_tokens=(13445.4 - 2689.1) / 10.5, output_tokens=2689.1 / 10.5, tpot_ms=21.3)


def test_what_a_result_file_does_not_say_is_asked_for(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(BENCH))
    with pytest.raises(data.DataError) as error:
        run_files.read("inference", path)
    line = str(error.value)
    assert line.startswith("result.json, read as serving benchmark of vLLM or SGLang: it does not")
    assert "-p accelerator=... -p accel_count=... -p weights_dtype=..." in line
    assert line.endswith("template: data/templates/inference_runs.csv") and "\n" not in line
    path.write_text(json.dumps(BENCH | H100))  # vLLM's --metadata writes fields of one's own
    one(run_files.read("inference", path), accelerator="h100", tpot_ms=21.3)
    with pytest.raises(data.DataError, match="no column 'acceleratr'; did you mean accelerator"):
        run_files.read("inference", path, given("acceleratr=h100"))


def test_the_serving_benchmark_of_sglang_is_read_line_by_line(tmp_path):
    path = tmp_path / "result.jsonl"
    path.write_text(json.dumps(SGLANG) + "\n" + json.dumps(SGLANG | {"max_concurrency": 16}) + "\n")
    run = run_files.read("inference", path, H100 | given("model=llama3_1_8b"))
    one(run, batch_or_concurrency=8, input_tokens=1024, output_tokens=256, tpot_ms=9)
    assert list(run.rows["batch_or_concurrency"]) == ["8", "16"]


def test_genai_perf_is_read_as_csv_and_json(tmp_path):
    more = H100 | given("model=llama3_1_8b", "batch_or_concurrency=10")
    (tmp_path / "profile.csv").write_text(GENAI)
    run = run_files.read("inference", tmp_path / "profile.csv", more)
    one(run, ttft_ms=1146.31, tpot_ms=30.35, input_tokens=3000.05, output_tokens=174.45)
    (tmp_path / "profile.json").write_text(json.dumps(AIPERF))
    run = run_files.read("inference", tmp_path / "profile.json", H100)
    one(run, ttft_ms=195.84, tpot_ms=35.2, batch_or_concurrency=2, model="Qwen/Qwen3-32B")


def test_an_inferencex_row_is_read(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(INFERENCEX)
    run = run_files.read("inference", path)
    one(run, accel_count=8, tp=8, ttft_ms=350, tpot_ms=32, throughput_tok_s=8 * 240.2)
    assert (run.rows["dp"][1], run.rows["tp"][1]) == ("8", "1"), "attention over requests"
    result = validation.validate("inference", path, "none")
    assert result["scored"] == 2
    assert {r["measured"] for r in result["runs"]} == {0.032, 0.35}


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_other_delimiters_and_a_byte_order_mark_are_read(tmp_path, delimiter, encoding):
    head = "model,accelerator,accel_count,tp,isl,osl,concurrency,dtype,tpot_ms,comment"
    text = f"{head}\nLlama-3.3-70B,H100,8,8,1024,1024,64,fp8,21,fine\n"
    path = tmp_path / "table.csv"
    path.write_text(text.replace(",", delimiter), encoding=encoding)
    run = run_files.read("inference", path)
    one(run, input_tokens=1024, batch_or_concurrency=64, mode="online-agg", weights_dtype="fp8")
    assert run.ignored == ("comment",)
    assert validation.validate("inference", path, "none")["scored"] == 1


def test_a_load_of_users_without_a_time_is_named(tmp_path):
    head = "model;accelerator;accel_count;tp;isl;osl;concurrency;output_tok_s"
    path = tmp_path / "users.csv"
    path.write_text(f"{head}\nLlama-3.3-70B;H100;8;8;1024;1024;64;2400\n")
    with pytest.raises(data.DataError, match="it does not say weights_dtype"):
        validation.validate("inference", path, "none")
    with pytest.raises(data.TrnError, match=r"row 2: ttft_ms and tpot_ms are empty: .*template"):
        validation.validate("inference", path, "none", given=given("weights_dtype=fp8"))


def test_a_static_batch_at_full_speed_is_a_whole_job(tmp_path):
    head = "row_id,model,accelerator,accel_count,weights_dtype,kv_dtype,tp,mode,"
    head += "batch_or_concurrency,batch_kind,input_tokens,output_tokens,ttft_ms,throughput_tok_s\n"
    row = "{},llama2_7b,a100,1,fp16,fp16,1,{},{},static_batch,{},{},{},{}\n"
    rates = [(256, 128, 128, 5353), (32, 128, 2048, 1518), (32, 2048, 128, 547)]
    rates += [(16, 2048, 2048, 613)]
    text = "".join(
        row.format(i, "offline-max", batch, prompt, answer, "", rate)
        for i, (batch, prompt, answer, rate) in enumerate(rates)
    )
    text += row.format("e", "prefill-only", 1, 128, 1, 16.1, "")
    text += row.format("f", "prefill-only", 1, 2048, 1, 120.5, "")
    (tmp_path / "six.csv").write_text(head + text)
    result = validation.validate("inference", tmp_path / "six.csv", "none")
    assert result["scored"] == result["rows"] == 6 and not result["not_used"]
    measured = [r["measured"] for r in result["runs"]]
    assert sorted(measured[:4], reverse=True) == [5353, 1518, 613, 547]
    assert measured[4:] == [pytest.approx(0.0161), pytest.approx(0.1205)]


def test_a_model_of_the_readers_own_lies_beside_the_file_of_runs(tmp_path, monkeypatch):
    config = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32}
    config |= {"num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256}
    (tmp_path / "cfg").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "cfg" / "mine-8b.json").write_text(json.dumps(config))
    for kind, base in GOOD.items():
        rows = [base | {"row_id": "own", "model": "../cfg/mine-8b.json"}]
        rows += [base | {"row_id": "hub", "model": "meta-llama/Llama-3.1-8B-Instruct"}]
        rows += [base | {"row_id": "gone", "model": "../cfg/none.json"}]
        path = write(tmp_path / "runs" / "mine.csv", *rows)
        result = validation.validate(kind, path, "none")
        (unused,) = result["not_used"]
        assert unused["row_id"] == "gone" and "none.json: cannot be read" in unused["reason"]
        runs = pd.DataFrame(result["runs"]).set_index(["row_id", "quantity"])["predicted"]
        for quantity in runs["hub"].index:  # untied as the table's, and of the same shape
            assert runs["own"][quantity] == pytest.approx(runs["hub"][quantity], rel=1e-6)


def test_a_training_row_takes_from_its_model_what_it_does_not_say(tmp_path):
    row = GOOD["training"] | {"layers": "16", "hidden": ""}
    run = run_files.read("training", write(tmp_path / "a.csv", row))
    from trn3.fit import training_fit

    read = training_fit.read(run).iloc[0]
    assert (read["layers"], read["hidden"], read["ffn"]) == ("16", "4096", "14336")


def test_a_count_that_is_not_the_models_is_named(tmp_path):
    # Llama 3.1 70B has 70.55 billion parameters (Grattafiori et al. 2024).
    good = GOOD["training"] | {"model": "llama3_1_70b"}
    rows = [good | {"row_id": text, "params_b": text} for text in ("70.6", "405", "")]
    read = run_files.read("training", write(tmp_path / "mine.csv", *rows)).rows
    said = read.set_index("row_id")[run_files.UNUSED]
    assert said["405"] == "params_b = 405 billion: llama3_1_70b has 70.55 billion"
    assert said.drop("405").eq("").all()


def test_a_log_of_megatron_is_one_run(tmp_path):
    path = tmp_path / "train.log"
    steps = [STEP.format(i, t) for i, t in enumerate((20000.0, 6542.3, 6540.1, 6544.0), 100)]
    path.write_text(MEGATRON + "".join(steps))
    run = run_files.read("training", path, given("model=llama3_70b", "accelerator=h100"))
    one(run, iter_time_s=6.5423, global_batch=1024, tp=8, pp=4, n_accel=1024, precision="bf16")
    assert run.title == "log of Megatron-LM"
    result = validation.validate(
        "training", path, "none", given=given("model=llama3_70b", "accelerator=h100")
    )
    assert [r["measured"] for r in result["runs"]] == [pytest.approx(6.5423)]


def test_a_log_of_nemo_is_one_run(tmp_path):
    path = tmp_path / "log.out"
    path.write_text("".join(NEMO.format(i, t) for i, t in enumerate((30.0, 12.39, 12.41, 12.40))))
    more = given("model=llama3_8b", "accelerator=h100", "n_accel=64", "precision=bf16", "tp=2")
    run = run_files.read("training", path, more | given("seq_len=8192"))
    one(run, iter_time_s=12.4, global_batch=128)
    assert run.title == "log of NeMo"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("model,tp\n", "it has no row"),
        ("model,model\na,b\n", "row 1: column 'model' stands more than once"),
        ("a,b\n1,2,3\n", "row 2: it has 3 fields, the header 2"),
        ('a,b\n"1,2\n', "row"),
        ("{", "no JSON"),
        ("[1]", "record 1: must be a JSON object"),
        ("[" * 10**5, "nested too deeply"),
        ('{"a": ' * 10**5, "nested too deeply"),
        ('{"a": 1}\n{"b"\n', "line 2: no JSON"),
        ("\x00\x01\x02", "it has no row"),
        ("hello world", "it has no row"),
    ],
)
@pytest.mark.parametrize("kind", GOOD)
def test_a_file_that_is_no_file_of_runs_is_refused_with_the_template(tmp_path, kind, text, says):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(data.DataError, match=says) as error:
        run_files.read(kind, path)
    line = str(error.value)
    assert line.startswith("mine.csv") and run_files.template(kind) in line and "\n" not in line


def test_runs_of_the_other_kind_are_named(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(BENCH))
    with pytest.raises(data.DataError, match="these are inference runs; give the file to validate"):
        run_files.read("training", tmp_path / "result.json")
    path = write(tmp_path / "mine.csv", GOOD["training"])
    with pytest.raises(data.DataError, match="these are training runs; give the file to validate"):
        run_files.read("inference", path)


def test_rows_of_one_name_stay_apart(tmp_path):
    rows = [GOOD["training"], GOOD["training"], GOOD["training"] | {"row_id": ""}]
    result = validation.validate("training", write(tmp_path / "a.csv", *rows), "none")
    assert [r["row_id"] for r in result["runs"]] == ["a, row 2", "a, row 3", "row 4"]
    assert result["rows"] == result["scored"] == 3


def test_the_command_says_what_was_used_and_what_was_not(tmp_path, capsys):
    bad = GOOD["inference"] | {"row_id": "typo", "input_tokens": "abc"}
    path = write(tmp_path / "mine.csv", GOOD["inference"], bad)
    assert cli.main(["validate", "inference", str(path), "-p", "note=mine"]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("inference: 1 of 2 rows scored, committed constants")
    assert "not used: row 3 (typo): input_tokens = 'abc': must be a number from 1 to" in out
    assert "taken where empty: beam = 1" in out
    assert cli.main(["validate", "inference", "-p", "note=mine"]) == 2
    assert cli.main(["validate", "inference", str(path), "--folds", "source"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2 and "name the file" in err[0] and "committed constants" in err[1]


def test_every_form_maps_to_columns_that_there_are():
    known = {kind: {"", *evidence.columns(kind)} for kind in ("training", "serving")}
    for row in data.rows("run_columns"):
        assert row["column"] in known["training" if row["kind"] == "training" else "serving"], row
        assert row["name"] or row["words"]
    forms = {(r["kind"], r["form"]) for r in data.rows("run_columns")}
    assert {form for _, form in forms} >= {"bench_serving", "genai_perf", "inferencex", "nemo_log"}
    assert foreign.form("inference", ["anything"]) == (foreign.PLAIN, "a table")


@pytest.mark.parametrize("kind", GOOD)
def test_runs_of_a_model_with_other_layers_are_scored_for_their_owner(tmp_path, kind):
    # No committed run of such layers is fitted or scored; a reader's own is, as it is counted.
    rows = [GOOD[kind] | {"model": "nemotron_3_nano", "row_id": name} for name in "ab"]
    result = validation.validate(kind, write(tmp_path / "mine.csv", *rows), "none")
    assert result["scored"] == 2 and not result["not_used"]
    plain = GOOD[kind] | {"model": "qwen3_30b_a3b", "row_id": "c"}
    other = validation.validate(kind, write(tmp_path / "plain.csv", plain), "none")
    hybrid, full = result["runs"][0]["predicted"], other["runs"][0]["predicted"]
    # Both activate about 3 billion of 31: times of one order, and not the same.
    assert 0.2 < hybrid / full < 5 and hybrid != full
