"""Counts of model shapes against published ones."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import data, workload

MODELS = [pytest.param(r, id=r["id"]) for r in data.table("models").to_dict("records")]


def rounding(text: str) -> float:
    """Half a unit of the last printed digit, in units of the number."""
    return 0.5 * 10.0 ** -len(text.removesuffix(".0").partition(".")[2])


@pytest.mark.parametrize("row", MODELS)
def test_parameters_are_as_published(row):
    # Published counts of params_source_id, in billions; vision towers are left out of ours, which
    # costs Scout 1.1 %.
    published = str(row["published_params_b"])
    ours = workload.model(row["id"]).n_params / 1e9
    assert abs(ours - float(published)) <= max(rounding(published), 0.014 * float(published))


@pytest.mark.parametrize("row", [r for r in MODELS if r.values[0]["published_active_b"] > 0])
def test_active_parameters_are_as_published(row):
    # Publishers differ in whether the two embeddings count as active, so theirs lies between both
    # readings.
    shape, published = workload.model(row["id"]), float(row["published_active_b"])
    most = shape.n_active_params / 1e9
    assert most - shape.n_embedding_params / 1e9 <= published * 1.02
    assert published <= most * 1.02


@pytest.mark.parametrize("row", [r for r in MODELS if r.values[0]["config"]])
def test_a_row_with_a_file_holds_its_numbers(row):
    file = data.DATA / "models" / f"{row['config']}.json"
    read, unplaced = workload.from_config(json.loads(file.read_text()))
    listed = workload.model(row["id"])
    assert not unplaced and read.others and read.others == listed.others
    assert [getattr(read, f) for f in workload.NUMBERS] == [row[f] for f in workload.NUMBERS]
    assert listed.n_params == read.n_params


@pytest.mark.parametrize("name", ["gpt3_175b", "gpt_530b", "gpt_1t", "gpt_18_4b"])
def test_training_flops_are_those_of_narayanan(name):
    # Narayanan et al. 2021, eq. 3: 96 B s l h^2 (1 + s / 6h + V / 16 l h), with the forward pass
    # done twice.
    m, s = workload.model(name), 2048
    n, h, v = m.n_layers, m.d_model, m.vocab
    per_token = 96 * n * h**2 * (1 + s / (6 * h) + v / (16 * n * h))
    once = m.train_flops_per_token(s, causal=False)
    assert once + (once - 6 * h * v) / 3 == pytest.approx(per_token, rel=1e-9), (
        "the head is not redone"
    )


@pytest.mark.parametrize(
    ("name", "gflops"), [("deepseek_v3", 250), ("deepseek_v2", 155), ("llama3_1_405b", 2448)]
)
def test_training_flops_are_those_of_deepseek(name, gflops):
    # Insights into DeepSeek-V3 (arXiv:2505.09343), table 2: training GFLOP per token at sequence
    # 4096, causal.
    assert workload.model(name).train_flops_per_token(4096) / 1e9 == pytest.approx(
        gflops, rel=0.012
    )


@pytest.mark.parametrize(
    ("name", "kb"), [("deepseek_v3", 70.272), ("qwen2_5_72b", 327.680), ("llama3_1_405b", 516.096)]
)
def test_cache_is_that_of_deepseek(name, kb):
    # Insights into DeepSeek-V3 (arXiv:2505.09343), table 1: KV cache per token in BF16.
    assert workload.model(name).kv_bytes_per_token(2) / 1e3 == pytest.approx(kb, rel=1e-9)


def test_palm_spends_as_its_appendix_says():
    # PaLM, appendix B: 6 N + 12 L H Q T per token; ours leaves the input embedding and the norms
    # out of N only in part.
    m = workload.model("palm_540b")
    formula = 6 * m.n_params + 12 * m.n_layers * m.n_heads * m.head_dim * 2048
    assert m.train_flops_per_token(2048, causal=False) == pytest.approx(formula, rel=1e-4)


def test_a_window_caps_attention_and_cache():
    m = workload.model("gpt_oss_120b")
    whole = dataclasses.replace(m, window=0, n_window_layers=0)
    assert m.kv_bytes(100) == whole.kv_bytes(100), "shorter than the window"
    # Half of the layers keep 128 tokens.
    assert m.kv_bytes(131072) == whole.kv_bytes(131072) / 2 + whole.kv_bytes(128) / 2
    wide = dataclasses.replace(m, window=10**9)
    for causal in (True, False):
        assert wide.forward_flops_per_token(4096, causal) == whole.forward_flops_per_token(
            4096, causal
        )
        assert m.forward_flops_per_token(4096, causal) < whole.forward_flops_per_token(4096, causal)
    # Token i of a causal window of w attends min(i, w): the mean over 256 tokens with w = 128 is 96
    # and a half token.
    seen = np.minimum(np.arange(256) + 0.5, 128).mean()
    one = dataclasses.replace(m, n_layers=1, n_window_layers=1, n_heads=1, head_dim=1)
    assert one.attention_flops_per_token(256) == pytest.approx(4 * seen, rel=1e-3)


COUNTS = [n for n, v in vars(workload.ModelShape).items() if isinstance(v, property)]


@pytest.mark.parametrize("count", COUNTS)
def test_a_stack_is_its_models(count):
    shapes = list(workload.models().values())
    assert getattr(workload.stack(shapes), count) == pytest.approx(
        [getattr(s, count) for s in shapes], rel=1e-12
    )


def test_a_stack_counts_flops_and_cache_too():
    shapes = list(workload.models().values())
    both = workload.stack(shapes)
    assert both.train_flops_per_token(4096) == pytest.approx(
        [s.train_flops_per_token(4096) for s in shapes]
    )
    assert both.kv_bytes(9000, 1) == pytest.approx([s.kv_bytes(9000, 1) for s in shapes])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 16),
    st.integers(1, 64),
    st.sampled_from([1, 2]),
    st.integers(0, 8),
    st.integers(0, 2),
)
def test_counts_hold_together(n_layers, n_heads, head_dim, group, n_experts, shared):
    kv = max(1, n_heads // group)
    m = workload.ModelShape(
        n_layers,
        n_heads * head_dim,
        n_heads,
        kv,
        head_dim,
        100,
        1000,
        n_experts=n_experts,
        top_k=min(n_experts, 2),
        n_shared_experts=shared,
        d_ff_expert=10,
    )
    assert 0 < m.n_active_params <= m.n_params
    assert m.n_params == m.n_layer_params + m.n_embedding_params + (2 * n_layers + 1) * m.d_model
    assert (
        m.forward_flops_per_token(10)
        < m.forward_flops_per_token(10, causal=False)
        < m.train_flops_per_token(10, False)
    )
    assert dataclasses.replace(m, tied=1).n_params == m.n_params - m.n_head_params


# Dimensions as in the config.json of each Hugging Face repository; fields without effect are
# represented by a few.
CONFIGS = {
    "llama3_1_8b": {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "rope_theta": 500000.0,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    },
    "deepseek_v3": {
        "model_type": "deepseek_v3",
        "hidden_size": 7168,
        "intermediate_size": 18432,
        "num_hidden_layers": 61,
        "num_attention_heads": 128,
        "num_key_value_heads": 128,
        "vocab_size": 129280,
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "n_routed_experts": 256,
        "n_shared_experts": 1,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 2048,
        "first_k_dense_replace": 3,
        "tie_word_embeddings": False,
        "max_position_embeddings": 163840,
    },
    "gpt_oss_20b": {
        "model_type": "gpt_oss",
        "hidden_size": 2880,
        "intermediate_size": 2880,
        "num_hidden_layers": 24,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 201088,
        "num_local_experts": 32,
        "num_experts_per_tok": 4,
        "sliding_window": 128,
        "swiglu_limit": 7.0,
        "layer_types": ["sliding_attention", "full_attention"] * 12,
        "max_position_embeddings": 131072,
    },
    "qwen3_30b_a3b": {
        "model_type": "qwen3_moe",
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 48,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "vocab_size": 151936,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 768,
        "mlp_only_layers": [],
        "decoder_sparse_step": 1,
        "sliding_window": None,
        "use_sliding_window": False,
        "max_position_embeddings": 40960,
        "tie_word_embeddings": False,
    },
    "mixtral_8x7b": {
        "model_type": "mixtral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32000,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "sliding_window": None,
        "max_position_embeddings": 32768,
    },
    "bloom_176b": {
        "model_type": "bloom",
        "n_embed": 14336,
        "hidden_size": 14336,
        "n_layer": 70,
        "num_attention_heads": 112,
        "vocab_size": 250880,
        "seq_length": 2048,
    },
    "mpt_7b": {
        "model_type": "mpt",
        "d_model": 4096,
        "n_layers": 32,
        "n_heads": 32,
        "expansion_ratio": 4,
        "max_seq_len": 2048,
        "vocab_size": 50368,
        "no_bias": True,
    },
    "llama4_maverick": {
        "model_type": "llama4",
        "vision_config": {"hidden_size": 1408},
        "text_config": {
            "model_type": "llama4_text",
            "hidden_size": 5120,
            "intermediate_size": 8192,
            "intermediate_size_mlp": 16384,
            "num_hidden_layers": 48,
            "num_attention_heads": 40,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 202048,
            "num_local_experts": 128,
            "num_experts_per_tok": 1,
            "interleave_moe_layer_step": 2,
            "attention_chunk_size": 8192,
            "max_position_embeddings": 1048576,
        },
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_gives_the_shape_of_the_table(name, tmp_path):
    path = tmp_path / "my-model" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(CONFIGS[name]))
    read, known = workload.model(str(path)), workload.model(name)
    for field in workload.NUMBERS:
        # A dense block's width means nothing in a model whose layers are all routed.
        if not (field == "d_ff" and known.n_moe_layers == known.n_layers):
            assert getattr(read, field) == getattr(known, field), field
    assert read.id == "my-model"
    assert read.attention == known.attention


def test_fields_without_a_place_are_named():
    config = CONFIGS["llama3_1_8b"] | {
        "num_nextn_predict_layers": 1,
        "layer_types": ["linear_attention"] * 32,
        "mystery": 3,
    }
    assert workload.from_config(config, allow_unknown=True)[1] == ["layer_types", "mystery"]
    assert all(workload.from_config(each)[1] == [] for each in CONFIGS.values())


def test_every_other_layer_has_a_window_by_default():
    # The first releases of gpt-oss and Gemma 2 leave the pattern to their code: every other layer
    # is local.
    config = {k: v for k, v in CONFIGS["gpt_oss_20b"].items() if k != "layer_types"}
    assert workload.from_config(config)[0].n_window_layers == 12


SMALL = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 100,
}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "needs one of num_hidden_layers"),
        ("[1, 2]", "must be a JSON object, not a list"),
        ("3", "must be a JSON object, not a int"),
        ("{", "cannot be read as JSON"),
        ("[" * 10**5, r"cannot be read \(nested too deeply"),
        ('{"a": ' * 10**5, r"cannot be read \(nested too deeply"),
        (f'{{"hidden_size": {"9" * 5000}}}', "cannot be read as JSON"),
        ('{"hidden_size": 64, "hidden_size": 65}', "'hidden_size' is given twice"),
        ('{"text_config": {"vocab_size": 1, "vocab_size": 1}}', "'vocab_size' is given twice"),
        ('{"text_config": [1]}', r"text_config = \[1\]: must be a JSON object"),
        (" " * (5 * 2**20), "larger than 4 MiB"),
    ],
)
def test_a_bad_config_is_one_clear_line(text, says, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(data.TrnError, match=says) as error:
        workload.model(str(path))
    line = str(error.value)
    assert "\n" not in line and line.startswith(f"model config {path}: ") and len(line) < 500


@pytest.mark.parametrize("content", [b"\xff\xfe{\x00}\x00", b"\x00" * 10, b"\xff{}"])
def test_a_config_that_is_no_text_is_refused(content, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(data.TrnError, match="cannot be read"):
        workload.model(str(path))


def test_a_config_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(SMALL), encoding="utf-8-sig")
    assert workload.model(str(path)).n_layers == 2


@pytest.mark.parametrize(
    "value",
    [
        "1e20",
        "1e300",
        "1e400",
        "-3",
        "0.5",
        "NaN",
        "Infinity",
        "-Infinity",
        '"32"',
        '"many"',
        "true",
        "[32]",
        "[]",
        "{}",
        '{"a": 1}',
        "100000000000000000000000",
    ],
)
@pytest.mark.parametrize("field", [*SMALL, "num_key_value_heads", "sliding_window"])
def test_a_dimension_that_is_no_number_within_its_bounds_is_named(field, value, tmp_path):
    path = tmp_path / "config.json"
    others = json.dumps({k: v for k, v in SMALL.items() if k != field})
    path.write_text(f'{others[:-1]}, "{field}": {value}}}')
    with pytest.raises(data.TrnError, match=rf" {field} = .*: must be a whole number from ") as e:
        workload.model(str(path))
    assert "\n" not in str(e.value) and len(str(e.value)) < 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("layer_types", "full_attention"),
        ("layer_types", [1]),
        ("layer_types", ["full\nattention"]),
        ("mlp_only_layers", 3),
        ("mlp_only_layers", [-1]),
        ("use_sliding_window", "maybe"),
        ("multi_query", 3),
        ("tie_word_embeddings", 2),
        ("model_type", ["llama"]),
        ("expansion_ratio", 0),
    ],
)
def test_other_fields_are_typed_too(field, value):
    with pytest.raises(data.TrnError, match=f"{field} = .*: must be "):
        workload.from_config(SMALL | {field: value})


def test_dimensions_that_follow_from_others_stay_within_bounds():
    with pytest.raises(data.TrnError, match="head_dim = 0: must be a whole number from 1"):
        workload.from_config(SMALL | {"num_attention_heads": 128})


@pytest.mark.parametrize("row", MODELS)
def test_every_known_model_lies_within_the_bounds(row):
    from trn3.bounds import bounds

    shape = workload.model(row["id"])
    for field in workload.NUMBERS:
        assert bounds("config")[field].read(getattr(shape, field)) == getattr(shape, field)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 200),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*CONFIGS]), st.data())
def test_any_config_is_read_or_refused_in_one_line(name, draws):
    fields = sorted(
        {r["name"] for r in data.table("config_fields").to_dict("records")} | {"text_config"}
    )
    config = dict(CONFIGS[name]) | draws.draw(
        st.dictionaries(st.sampled_from(fields), VALUES, max_size=4)
    )
    try:
        shape, unplaced = workload.from_config(config, allow_unknown=True)
    except data.TrnError as error:
        assert "\n" not in str(error)
    else:
        assert shape.n_params > 0
        assert unplaced == sorted(unplaced)


@pytest.mark.parametrize(
    ("name", "field", "value", "says"),
    [
        ("llama3_1_8b", "num_key_value_heads", 7, "n_kv_heads = 7: must divide n_heads = 32"),
        ("gpt_oss_20b", "num_experts_per_tok", 33, "top_k = 33: must be at most n_experts = 32"),
        (
            "gpt_oss_20b",
            "first_k_dense_replace",
            25,
            "n_dense_layers = 25: must be at most n_layers = 24",
        ),
    ],
)
def test_a_shape_that_cannot_be_is_refused(name, field, value, says):
    with pytest.raises(data.TrnError, match=says):
        workload.from_config(CONFIGS[name] | {field: value})


def test_gemma_3_as_published_leaves_fields_to_its_class():
    # The config.json of the 27B names neither vocabulary nor pattern: 262,208 and five local layers
    # to a global one.
    text = {
        "head_dim": 128,
        "hidden_size": 5376,
        "intermediate_size": 21504,
        "model_type": "gemma3_text",
    }
    text |= {
        "num_attention_heads": 32,
        "num_hidden_layers": 62,
        "num_key_value_heads": 16,
        "sliding_window": 1024,
    }
    read, known = (
        workload.from_config({"model_type": "gemma3", "text_config": text})[0],
        workload.model("gemma3_27b"),
    )
    assert all(getattr(read, field) == getattr(known, field) for field in workload.NUMBERS)


def test_a_missing_config_is_named():
    with pytest.raises(
        data.TrnError, match=r"nowhere/config\.json: cannot be read \(No such file or directory\)"
    ):
        workload.model("nowhere/config.json")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Llama-3.3-70B", "llama3_3_70b"),
        ("GPT3-175B", "gpt3_175b"),
        ("MT-NLG-530B", "gpt_530b"),
        ("deepseek-r1", "deepseek_v3"),
        ("qwen2.5-7b", "qwen2_5_7b"),
        ("llama-3-70b", "llama3_1_70b"),
        ("GPT_OSS 120B", "gpt_oss_120b"),
        ("Qwen/Qwen3-32B", "qwen3_32b"),
        ("Qwen/Qwen3-32B-FP8", "qwen3_32b"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "qwen3_235b_a22b"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama3_3_70b"),
        ("meta-llama/Meta-Llama-3.1-405B-Instruct-FP8", "llama3_1_405b"),
        ("meta-llama/Llama-2-7b-chat-hf", "llama2_7b"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama4_scout"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral_8x7b"),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek_v3"),
        ("nvidia/DeepSeek-R1-0528-NVFP4-v2", "deepseek_v3"),
        ("moonshotai/Kimi-K2-Instruct", "kimi_k2"),
        ("google/gemma-3-27b-it", "gemma3_27b"),
        ("openai/gpt-oss-120b", "gpt_oss_120b"),
        ("hf:Qwen/Qwen3-32B", "qwen3_32b"),
    ],
)
def test_names_are_forgiving(text, found):
    assert workload.model(text).id == found


@pytest.mark.parametrize(
    "text",
    [
        "deepseek-ai/DeepSeek-R1-Distill-Llama-70B",
        "Qwen/Qwen3-32B-Reranker",
        "instruct",
        "/",
        "",
        "a" * 5000,
        "x/" * 3000,
        "\0",
    ],
)
def test_a_hub_id_of_another_model_is_no_known_one(text):
    with pytest.raises(data.UnknownId) as error:
        workload.model(text)
    assert len(str(error.value)) < 1500


def test_configurations_are_called_apart(tmp_path):
    (tmp_path / "mine").mkdir()
    for name in ("config", "small", "large"):
        (tmp_path / "mine" / f"{name}.json").write_text(json.dumps(SMALL))
    ids = [workload.model(str(p)).id for p in sorted((tmp_path / "mine").iterdir())]
    assert ids == ["mine", "large", "small"]


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(data.UnknownId, match=r"nearest: .*llama3_1_70b"):
        workload.model("llama3_70x")


@pytest.mark.parametrize("field", ["tokens", "seq_len", "global_batch"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), "many"])
def test_a_job_refuses_what_is_not_positive(field, value):
    good = {"tokens": 1e9, "seq_len": 2048, "global_batch": 8}
    with pytest.raises(data.TrnError, match=f"{field} = {value}"):
        workload.TrainingJob(workload.model("llama2_7b"), **(good | {field: value}))


@pytest.mark.parametrize("field", ["input_tokens", "output_tokens", "ttft_s", "tpot_s"])
def test_a_load_refuses_what_is_not_positive(field):
    good = {"input_tokens": 1000, "output_tokens": 100, "ttft_s": 1.0, "tpot_s": 0.1}
    with pytest.raises(data.TrnError, match=field):
        workload.ServingLoad(workload.model("llama2_7b"), **(good | {field: 0}))
