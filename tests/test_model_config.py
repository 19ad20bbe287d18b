"""Configurations of other architectures: read as published, or refused by what they are.

``configs/published.csv`` holds the counts of model cards, and of the sums of a file's own fields
where no card says them in three digits: parameters in 1e9 as they are written, how many embeddings
the maker leaves out of the active ones, the cache of one sequence of 131,072 tokens at two bytes a
number in 1e9 bytes. Of Qwen3.5-27B llama.cpp logs 16 GiB at 262,144 tokens; DeepSeek-V4 is launched
with 9.62 GiB at 1,048,576.
"""

import csv
import importlib.util
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import config_fields, data, hardware, inference, model_config, serving_step, workload
from trn3.fit import serving_fit
from trn3.reporting import batch, cli, panel, parameters

CONFIGS = Path(__file__).parent / "configs"
ROWS = list(csv.DictReader((CONFIGS / "published.csv").open(encoding="utf-8")))
SMALL = {
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 100,
}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def path_of(name: str) -> str:
    return str(CONFIGS / f"{name}.json")


def named(rows):
    return [pytest.param(row, id=row["name"]) for row in rows]


def test_every_file_has_a_row():
    assert {row["name"] for row in ROWS} == {path.stem for path in CONFIGS.glob("*.json")}


def slack(text):
    """A unit of the last digit that is written, for cards round or cut, and no less than 3 %."""
    digits = len(text.partition(".")[2])
    return max(0.03 * float(text), 10**-digits)


@pytest.mark.parametrize("row", named(row for row in ROWS if not row["refused"]))
def test_a_configuration_has_the_published_counts(row):
    shape = workload.model(path_of(row["name"]))
    left_out = int(row["left_out"] or 0) * shape.n_head_params
    counts = {
        "total_b": shape.n_params / 1e9,
        "active_b": (shape.n_active_params - left_out) / 1e9,
        "kv_gb": shape.kv_bytes(131072) / 1e9,
    }
    stated = {name: row[name] for name in counts if row[name]}
    assert stated and row["source"]
    for name, text in stated.items():
        assert counts[name] == pytest.approx(float(text), abs=slack(text)), name


def test_a_cache_of_a_million_tokens():
    deepseek = workload.model(path_of("deepseek_v4_pro"))
    assert deepseek.kv_bytes(2**20) / 2**30 == pytest.approx(9.62, abs=0.005)
    qwen = workload.model(path_of("qwen3_5_27b"))
    assert qwen.kv_bytes(262144) / 2**30 == 16
    # The letters of the pattern: 40 M, 40 E and 8 of attention.
    kinds = workload.by_kind(workload.model(path_of("nemotron3_super")))
    assert kinds == {
        "full attention": 8,
        "state-space layers": 40,
        "feed-forward blocks alone": 40,
    }


def test_an_indexer_picks_2048_tokens():
    shape = workload.model(path_of("deepseek_v32"))
    # 61 layers: 2,048 latents of 512 + 64 numbers, and 131,072 keys of the indexer of 128.
    assert shape.read_bytes(131072, 1) == 61 * (2048 * 576 + 131072 * 128)
    # Scores and values of 128 heads of 192 and 128, and 64 indexer heads of 128 over all tokens.
    flops = 61 * 2 * (128 * (192 + 128) * 2048 + 64 * 128 * 131072)
    assert shape.attention_flops_per_token(131072, causal=False) == flops


def test_states_do_not_grow():
    shape = workload.model(path_of("falcon_h1_34b"))
    # 72 layers of 32 heads of 128 x 256 at 4 bytes; a convolution looks back to 3 of 5,120 numbers.
    assert shape.state_bytes == 72 * (4 * 32 * 128 * 256 + 2 * 3 * 5120)
    at = serving_step.Layouts(8.0)
    h200 = hardware.system("h200")
    device, constants = serving_step.device(h200), serving_step.constants(h200.chip)
    long, short = (serving_step.Work(16, tokens, 1) for tokens in (8192, 4096))
    one, other = (
        serving_step.cache_bytes_per_chip(shape, device, at, work) for work in (long, short)
    )
    # 72 layers, keys and values of 4 heads of 128 at 2 bytes; 8 chips hold 4 copies of 2 heads.
    assert one - other == 4096 * 72 * 2 * 4 * 128 * 2 / 4
    assert other == 4097 * 72 * 2 * 4 * 128 * 2 / 4 + shape.state_bytes / 8
    # Read and written once a step.
    rate = device.hbm_bytes_per_s * serving_step.cache_share(constants)
    seconds = serving_step.state_s(shape, device, at, constants, long)
    assert seconds * rate == pytest.approx(2 * 16 * shape.state_bytes / 8)


@pytest.mark.parametrize("row", named(row for row in ROWS if row["refused"]))
def test_another_architecture_is_refused_by_what_it_is(row):
    with pytest.raises(data.TrnError) as error:
        workload.model(path_of(row["name"]))
    line = str(error.value)
    assert row["refused"] in line
    assert "\n" not in line and len(line) < 600


def test_the_window_of_min_window_all_covers_the_marked_layers_alone():
    # Nine zeros among the 48 marks: those layers see all tokens.
    shape = workload.model(path_of("min_window_all"))
    assert shape.n_layers - shape.n_window_layers == 9


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"num_experts": 8}, "n_experts = 8: no field says how many experts a token uses"),
        ({"sliding_window": 16}, "sliding_window = 16: no field says which layers"),
        ({"params_b": 7}, "params_b = 7 billion: the other fields give"),
        ({"params_b": "seven"}, "params_b = 'seven': must be a number from"),
        ({"wide_layers": 3}, "wide_layers = 3: an unknown field"),
        ({"is_encoder_decoder": True}, "an encoder with a decoder"),
        ({"moe_layer_freq": [1, 0], **EXPERTS}, "moe_layer_freq: names 2 layers"),
        ({"layer_types": ["full_attention"], "sliding_window": 16}, "layer_types: names 1 layers"),
        ({"attention_types": [1]}, "attention_types = .*: must be a list of kinds"),
        ({"index_topk": 3}, "needs one of index_n_heads"),
        ({"layer_types": ["mamba"] * 4}, "needs one of ssm_state_size, mamba_d_state"),
        ({"mamba_d_state": 16}, "mamba_d_state = 16: layers of a state-space model"),
        ({"linear_num_value_heads": 16}, "linear_num_value_heads = 16: linear attention"),
        ({"hybrid_override_pattern": "MX"}, "hybrid_override_pattern = 'MX': each letter must be"),
        ({"linear_attn_config": {"mystery": 1}}, "linear_attn_config = .*: linear attention"),
        ({"attn_type_list": [0, 0, 1, 1]}, "of 4 layers 2 are linear_attention"),
        ({"word_embed_proj_dim": 32}, "an embedding of another width"),
    ],
)
def test_what_is_said_in_half_is_refused(more, says):
    with pytest.raises(data.TrnError, match=says):
        workload.from_config(SMALL | more)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"sliding_window": 16, "sliding_window_pattern": "LLLG"}, {"n_window_layers": 3}),
        ({"sliding_window": 16, "hybrid_layer_pattern": [0, 1, 1, 0]}, {"n_window_layers": 2}),
        ({"sliding_window": 16, "model_type": "mistral"}, {"n_window_layers": 4}),
        ({"sliding_window": 16, "model_type": "qwen2"}, {"n_window_layers": 0}),
        (
            {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 3},
            {"n_window_layers": 1},
        ),
        ({**EXPERTS, "moe_layer_freq": [0, 1, 1, 1]}, {"n_dense_layers": 1}),
        ({**EXPERTS, "moe_layer_freq": 1, "first_k_dense_replace": 2}, {"n_dense_layers": 2}),
        ({**EXPERTS, "mlp_layer_types": ["dense"] + ["sparse"] * 3}, {"n_dense_layers": 1}),
        ({**EXPERTS, "moe_layer_end_index": 1}, {"n_dense_layers": 2}),
        ({**EXPERTS, "num_experts_per_tok": [2] * 4}, {"top_k": 2}),
        ({**EXPERTS, "shared_intermediate_size": 64}, {"n_shared_experts": 2}),
        ({**EXPERTS, "shared_intermediate_size": 33}, {"n_shared_experts": 0, "d_ff_beside": 33}),
        ({**EXPERTS, "expert_layer_period": 2, "expert_layer_offset": 1}, {"n_dense_layers": 2}),
        ({**EXPERTS, "residual_moe": True}, {"d_ff_beside": 128}),
        ({"hidden_act": "relu2"}, {"gated": 0}),
        ({"attn_type_list": [1] * 4, "use_mtp": True}, {"n_layers": 4, "n_window_layers": 0}),
        ({"swa_head_dim": 16}, {"head_dim": 16}),
        ({"mtp_num_hidden_layers": 1, "torch_dtype": "bfloat16"}, {"n_layers": 4}),
    ],
)
def test_what_needs_no_new_term_is_read(more, expected):
    shape, unplaced = workload.from_config(SMALL | more)
    assert {field: getattr(shape, field) for field in expected} == expected
    assert unplaced == []


AWQ = {"quantization_config": {"quant_method": "awq", "bits": 4}}


@pytest.mark.parametrize(
    ("notebook", "given", "expected"),
    [
        ("04", {}, "int4"),
        ("04", {"dtype": "bf16"}, "bf16"),
        ("04", {"dtype": "int4"}, "int4"),
        ("07", {}, "int4"),
        ("03", {}, "bf16"),
    ],
)
def test_the_format_of_the_file_is_the_default_of_serving(own_model, notebook, given, expected):
    path = parameters.find(notebook)
    values = parameters.validate(path, {"model": own_model(AWQ)} | given)
    assert values["dtype"] == expected
    assert parameters.validate(path, values)["dtype"] == expected  # as the notebook's own check
    plain = parameters.validate(path, {"model": own_model({})} | given)
    assert plain["dtype"] == given.get("dtype", parameters.validate(path, {})["dtype"])


@pytest.mark.parametrize("number", ["00", "02", "04", "05", "07"])
def test_pages_are_made_of_a_file_in_four_bits(own_model, number):
    wide = {"hidden_size": 2048, "num_attention_heads": 16, "intermediate_size": 8192}
    many = {"num_hidden_layers": 16, "vocab_size": 32000, "max_position_embeddings": 8192}
    one = batch.case(number, {"model": own_model(AWQ | wide | many)})
    made, _ = next(iter(batch.made([one], batch.Options())))
    assert made["status"] == "done", made.get("reason")


def test_a_cell_is_told_of_the_format_of_the_file(own_model, capsys):
    cell = {"model": own_model(AWQ), "dtype": "fp8"}
    parameters.check(cell, "04_serving")
    assert "the file of the model stores int4" in capsys.readouterr().out


def test_a_page_whose_formats_lack_that_of_the_file_refuses_others(own_model):
    with pytest.raises(data.TrnError, match="dtype: 'int4' is not one of bf16, fp8"):
        parameters.validate(parameters.find("07"), {"model": own_model({}), "dtype": "int4"})


def test_four_bit_weights_take_a_quarter_and_the_cache_no_less_than_eight_bits():
    llama = workload.model("llama3_3_70b")
    load = workload.ServingLoad(llama, 1024, 256, weights_dtype="int4", kv_dtype="int4")
    work = inference.work_of(load, 1.0)
    assert work.weight_bytes == 0.5 + 2 / 32
    assert work.kv_bytes == 1
    # Engines of GPUs unpack them and compute in 16 bits.
    h100 = hardware.system("hgx_h100")
    assert serving_step.format_for(h100.chip, "int4") == "int4"
    assert serving_step.device(h100, "int4").peak_flops_per_s == h100.chip.peak("bf16")


def test_published_runs_of_ones_own_copy_of_a_known_model_are_found(tmp_path):
    # As published, and the same from a file: what was measured stands beside both.
    path = tmp_path / "mine.json"
    config = json.loads((CONFIGS / "gptq_llama3_70b_awq.json").read_text())
    path.write_text(json.dumps(config))
    given = 1024, 1024, "fp8"
    known = serving_fit.published("llama3_3_70b", *given)
    own = serving_fit.published(workload.model(str(path)), *given)
    assert len(known) and list(own["row_id"]) == list(known["row_id"])


ODD = [None, True, 0, -1, 3, 10**9, 1.5, float("nan"), "", "x", "auto", [], [1], [0, 1]]
ODD += [["mamba"], ["moe"] * 5, {}, {"a": 1}, [[1]], "ME*-", "M" * 900]
READ = [row["name"] for row in ROWS if not row["refused"]]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(READ), st.data())
def test_a_file_in_which_fields_are_wrong_is_read_or_refused_in_a_line(name, draws):
    config = json.loads(Path(path_of(name)).read_text(encoding="utf-8-sig"))
    inner = config.get("text_config", config)
    fields = st.sampled_from(sorted({*config_fields.known(), *inner, "linear_attn_config"}))
    inner |= draws.draw(st.dictionaries(fields, st.sampled_from(ODD), max_size=3))
    try:
        shape, _ = workload.from_config(config, allow_unknown=draws.draw(st.booleans()))
    except data.TrnError as error:
        assert "\n" not in str(error) and len(str(error)) < 800
        return
    assert 0 < shape.n_active_params <= shape.n_params
    assert shape.n_plain_layers >= 0
    assert shape.read_bytes(1000) <= shape.kv_bytes(1000) * (1 + 1e-9)
    assert sum(workload.by_kind(shape).values()) >= shape.n_layers


def test_a_list_of_values_that_differ_is_no_value():
    with pytest.raises(data.TrnError, match=r"num_experts_per_tok = .*must be a whole number"):
        workload.from_config(SMALL | EXPERTS | {"num_experts_per_tok": [2, 2, 2, 1]})


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"quant_method": "gptq", "bits": 4}, "int4"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "pack-quantized",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int"}}},
            },
            "int4",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "float-quantized",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}},
            },
            "fp8",
        ),
        ({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}, "nvfp4"),
        ({"quant_method": "mystery"}, ""),
        ([4], ""),
    ],
)
def test_the_format_of_the_file_is_read(stored, expected):
    assert model_config.stored_format({"quantization_config": stored}) == expected
    nested = {"model_type": "some_vl", "text_config": {"quantization_config": stored}}
    assert model_config.stored_format(nested) == expected


def test_the_format_of_an_mlx_file_is_read():
    assert model_config.stored_format({"quantization": {"group_size": 64, "bits": 4}}) == "int4"


@pytest.fixture
def own_model(tmp_path):
    def write(more):
        path = tmp_path / "mine.json"
        path.write_text(json.dumps(SMALL | more))
        return str(path)

    return write


def test_a_page_says_what_was_read(own_model):
    stored = {"quantization_config": {"quant_method": "awq", "bits": 4}}
    found = panel.read_from({"model": own_model(stored)})
    # Four layers of 4 heads of 16, keys and values, 2 bytes each: 4 x 2 x 64 x 2 = 1,024.
    assert found["cache per token"].startswith("1,024 bytes")
    assert found["layers"] == "4 full attention"
    assert found["file"].count("/") == 1 and found["file"].endswith("/mine.json")
    assert found["stored format"] == "int4, arithmetic in 16 bits"
    other = {"model": own_model(stored), "output_tokens": 1, "dtype": "fp8"}
    assert panel.read_from(other)["stored format"].endswith("; this page serves it in fp8")
    assert panel.read_from({"model": "llama3_1_8b"}) == {}
    assert panel.read_from({"model": "glm_5"}) == {
        "layers": "78 sparse attention with an indexer",
        "counted, not fitted": "sparse attention with an indexer",
    }
    own = panel.read_from({"model": path_of("nemotron3_super")})
    assert own["counted, not fitted"] == "state-space layers"
    assert own["state per sequence"].startswith("170.2 MB")


def test_what_is_left_out_stamps_name_and_page(own_model, monkeypatch):
    path = own_model({"moba_topk": 3})
    with pytest.raises(data.TrnError, match="moba_topk = 3: sparse attention"):
        workload.model(path)
    monkeypatch.setenv("TRN3_ALLOW_UNKNOWN", "1")
    assert workload.model(path).name == "“mine” (not modelled: moba_topk)"
    assert panel.read_from({"model": path})["not modelled"] == "moba_topk"
    assert panel.command("04_serving", {}).endswith("--allow-unknown")


def test_what_is_left_out_is_in_a_batch_its_resumption_and_on_workers(own_model, monkeypatch):
    monkeypatch.setenv("TRN3_ALLOW_UNKNOWN", "1")
    assert "not_modelled" not in batch.case("02", {"model": own_model({})}).row
    one = batch.case("02", {"model": own_model({"moba_topk": 3})})
    assert one.row["not_modelled"] == "moba_topk"
    row = one.row | {"status": "done", "headline": []}
    assert b"moba_topk" in batch.index([row])["index.csv"]
    options = batch.Options()
    # A worker is started without the switch; it travels with the options.
    monkeypatch.delenv("TRN3_ALLOW_UNKNOWN")
    made, files = batch.remote([one], options)[0]
    assert made["status"] == "done", made
    page = next(text for name, text in files.items() if name.endswith(".html"))
    assert b"not modelled" in page and b"moba_topk" in page
    results = json.loads(files[f"{one.stem}.json"])
    assert results["model_read"]["not modelled"] == "moba_topk"


def test_a_search_says_what_is_left_out(own_model, monkeypatch, capsys):
    monkeypatch.setenv("TRN3_ALLOW_UNKNOWN", "1")
    given = ["--model", own_model({"moba_topk": 3}), "--system", "hgx_h100", "--chips", "8"]
    assert cli.main(["search", *given, "--json"]) == 0
    assert "moba_topk" in json.loads(capsys.readouterr().out)["model"]
    assert cli.main(["search", *given]) == 0
    assert "(not modelled: moba_topk)" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["mine.json", "mine/config.json"])
@pytest.mark.parametrize("inside", [True, False])
def test_two_files_of_one_name_are_told_apart(tmp_path, monkeypatch, file, inside):
    here = tmp_path if inside else tmp_path / "elsewhere"
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    paths = [tmp_path / "around" / folder / file for folder in "ab"]
    for n_layers, path in enumerate(paths, 1):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(SMALL | {"num_hidden_layers": n_layers}))
    grid = here / "grid.toml"
    grid.write_text(f'report = "02"\n[grid]\nmodel = {json.dumps([str(p) for p in paths])}\n')
    rows = [one.row for one in batch.cases(grid)]
    start = "around/" if inside else ""
    names = [f"{start}{folder}/{file}" for folder in "ab"]
    assert [row["parameters"]["model"] for row in rows] == names
    assert [one.about(batch.Options()).model_read["file"] for one in batch.cases(grid)] == names
    index = batch.index([row | {"status": "done", "headline": []} for row in rows])
    assert all(name.encode() in index["index.html"] for name in names)
    assert str(tmp_path).encode() not in index["index.html"] + index["index.csv"]


@pytest.mark.parametrize("command", ["report 04", "batch grid.toml", "search"])
def test_commands_take_the_switch(command):
    needed = ["--model", "a", "--system", "b", "--chips", "1"] if command == "search" else []
    args = cli.parser().parse_args([*command.split(), "--allow-unknown", *needed])
    assert args.allow_unknown


def test_the_table_of_the_documentation_is_what_is_computed():
    place = CONFIGS.parent.parent / "docs" / "configurations.py"
    spec = importlib.util.spec_from_file_location("configurations", place)
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    text = writer.PAGE.read_text(encoding="utf-8")
    assert writer.render() == text, "python docs/configurations.py writes it"
