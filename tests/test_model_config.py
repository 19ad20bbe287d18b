"""Configurations of other architectures: read as published, or refused by what they are.

``configs/published.csv`` holds the counts of model cards, and of the sums of a file's own fields
where no card says them: parameters in 1e9, the cache of one sequence of 131,072 tokens at two bytes
a number in 1e9 bytes. Qwen2.5-7B, the language part of InternVL3-8B, has 7.6.
"""

import csv
import importlib.util
import json
from pathlib import Path

import pytest

from trn3 import data, model_config, workload
from trn3.reporting import cli, panel

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


@pytest.mark.parametrize("row", named(row for row in ROWS if not row["refused"]))
def test_a_configuration_has_the_published_counts(row):
    shape = workload.model(path_of(row["name"]))
    counts = {
        "total_b": shape.n_params / 1e9,
        "active_b": shape.n_active_params / 1e9,
        "kv_gb": shape.kv_bytes(131072) / 1e9,
    }
    stated = {name: float(row[name]) for name in counts if row[name]}
    assert stated
    assert {name: counts[name] for name in stated} == pytest.approx(stated, rel=0.03)


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
        ({"params_b": "seven"}, "params_b = seven billion: must be a number above 0"),
        ({"wide_layers": 3}, "wide_layers = 3: an unknown field"),
        ({"is_encoder_decoder": True}, "an encoder with a decoder"),
        ({"moe_layer_freq": [1, 0], **EXPERTS}, "moe_layer_freq: names 2 layers"),
        ({"layer_types": ["full_attention"], "sliding_window": 16}, "layer_types: names 1 layers"),
        ({"attention_types": [1]}, "attention_types = .*: must be a list of kinds"),
        ({"shared_intermediate_size": 33, **EXPERTS}, "must be a multiple of the width"),
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
        ({"quant_method": "mystery"}, ""),
        ([4], ""),
    ],
)
def test_the_format_of_the_file_is_read(stored, expected):
    assert model_config.stored_format({"quantization_config": stored}) == expected


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
    assert found["file"] == "mine.json"
    assert found["stored format"].startswith("int4, arithmetic in 16 bits")
    assert panel.read_from({"model": "llama3_1_8b"}) == {}


def test_what_is_left_out_stamps_name_and_page(own_model, monkeypatch):
    path = own_model({"index_topk": 3})
    with pytest.raises(data.TrnError, match="index_topk = 3: an indexer"):
        workload.model(path)
    monkeypatch.setenv("TRN3_ALLOW_UNKNOWN", "1")
    assert workload.model(path).name == "“mine” (not modelled: index_topk)"
    assert panel.read_from({"model": path})["not modelled"] == "index_topk"
    assert panel.command("04_serving", {}).endswith("--allow-unknown")


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
