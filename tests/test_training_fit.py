"""How published training runs are read: what a row leaves unsaid, groups that shard, adapters."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from trn3 import committed
from trn3.fit import calibration, evidence, training_fit
from trn3.layouts import FULL, NONE


@pytest.fixture(scope="module")
def everything():
    return training_fit.problem(part="all")


def values_of(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    return {c.name: np.full(len(rows), c.value) for c in committed.priors("training")}


def one(rows: pd.DataFrame, row_id: str, **texts: str) -> pd.DataFrame:
    return rows[rows["row_id"] == row_id].reset_index(drop=True).assign(**texts)


def test_a_row_that_says_all_is_one_case(everything):
    # Korthikanti et al. 2022, table 5: stages, chunks and recompute are printed
    rows = everything.rows[everything.rows["row_id"].between("R0023", "R0030")]
    cases = training_fit.Cases.of(rows.reset_index(drop=True))
    assert cases.row.tolist() == list(range(len(rows)))
    assert (cases.spread(values_of(rows)) == 0).all()


def test_an_unstated_interleave_is_every_one_that_divides(everything):
    # Llama 3 405B: 126 layers on 16 stages of up to 8, interleaved, so 2, 4 or 8 chunks
    row = one(everything.rows, "R0617")
    cases = training_fit.Cases.of(row)
    assert sorted(cases.layout.interleave.tolist()) == [2, 4, 8]
    values = values_of(row)
    stated = [
        training_fit.predictor(one(everything.rows, "R0617", vpp=v))(values)[0] for v in "248"
    ]
    assert cases.time_s(values)[0] == pytest.approx(np.exp(np.mean(np.log(stated))))
    assert cases.spread(values)[0] == pytest.approx(np.std(np.log(stated)))


def test_without_a_word_stages_have_one_chunk(everything):
    # Narayanan et al. 2021, table 2: 96 layers on 12 stages, nothing said about chunks
    cases = training_fit.Cases.of(one(everything.rows, "R0017"))
    assert cases.layout.interleave.tolist() == [1]


def test_unstated_recompute_is_open_only_where_activations_do_not_fit(everything):
    rows = everything.rows
    silent = rows[rows["recompute"].isin(training_fit.UNSTATED)].reset_index(drop=True)
    cases = training_fit.Cases.of(silent)
    codes = [set(cases.layout.recompute[cases.row == i].tolist()) for i in range(len(silent))]
    assert ((cases.work.redo >= 0) & (cases.work.redo <= 1)).all()
    assert {frozenset(c) for c in codes} == {frozenset({NONE}), frozenset({NONE, FULL})}
    small = silent["model"].eq("Llama3-8B") & silent["source_key"].eq("dgxc_llama")
    assert small.any() and all(codes[i] == {NONE} for i in np.flatnonzero(small))


def test_what_is_open_widens_the_band(everything):
    rows = everything.rows
    spread = training_fit.open_spread(rows)
    band = training_fit.committed_bands(rows)
    assert (spread > 0).any() and (spread == 0).any()
    # the same family of chips and models without anything open
    wide = band[1] - band[0]
    for family in rows["family"].unique():
        mine = (rows["family"] == family).to_numpy()
        if (spread[mine] > 0.02).any() and (spread[mine] == 0).any():
            chip = rows["chip"][mine & (spread > 0.02)].iloc[0]
            same = mine & (rows["chip"] == chip).to_numpy()
            if (spread[same] == 0).any():
                assert wide[same & (spread > 0.02)].min() > wide[same & (spread == 0)].max()


@pytest.mark.parametrize(
    ("text", "replicas"),
    [
        ("3 (FSDP)", 1),
        ("3 (FSDP 8)", 8),
        ("3 (FSDP 64)", 1),
        ("3 (FSDP transpose in slice) + DP 4 slices", 4),
        ("3 (256-way within pod) + 2-pod DP", 2),
        ("1 (distributed optimizer)", 1),
    ],
)
def test_a_group_that_shards_is_read(everything, text, replicas):
    row = one(everything.rows, "R0617", zero_fsdp=text, dp="64", cp="1", tp="1", pp="1", vpp="1")
    assert training_fit.Cases.of(row).layout.replicas.tolist() == [replicas]


def test_runs_of_adapters_are_scored(everything):
    lora = training_fit.frozen(everything.rows) > 0
    assert lora.sum() >= 30
    assert set(everything.rows["model"][lora]) == {"Llama2-70B", "Llama3-70B"}
    assert not any("LoRA" in why for why in everything.skipped.values())


def test_pipelines_that_shard_are_no_longer_three_times_too_slow(everything):
    """MegaScale and Llama 3 reduce and gather once a step; per microbatch: +40 to +270 %."""
    sharded = everything.rows["source_key"].isin(["megascale24", "llama3_meta"]).to_numpy()
    errors = calibration.committed_errors(everything)[sharded]
    assert np.abs(errors).max() < np.log(1.5)


HELD = {"stack", "measured_matmul", "ported_attention"}
OWN = {"fp4", "attention"}
"""What belongs to a format or a chip, not to a rule."""


def test_a_rule_has_three_publishers_or_a_source(everything):
    """A correction that rows of fewer publishers decide says where else its value comes from."""
    rows, values = everything.rows, values_of(everything.rows)
    base = np.log(everything.predict(values))
    priors = [prior for prior in committed.priors("training") if prior.name not in HELD]
    sources = evidence.text_table("priors").query("kind == 'training'").set_index("name")["source"]
    for prior in priors:
        moved = values | {prior.name: 1.2 * values[prior.name]}
        shift = np.abs(np.log(everything.predict(moved)) - base)
        seen = rows["publisher"][shift > 1e-4].nunique()
        own = prior.family_sd > 0 or prior.name in OWN
        assert seen >= 3 or sources[prior.name] or own, (prior.name, seen)


def test_levels_of_stacks_are_taken_out_of_constants():
    """Two stacks of one chip, one twice as slow: a third is predicted between, not at either."""
    tree = committed.tree([committed.Constant("share", 0.5, 0.5)], {"c": "f"})
    stack = np.repeat(["slow", "fast"], [30, 10])
    measured = np.where(stack == "slow", 4.0, 1.0)
    rows = pd.DataFrame({"chip": "c", "measured": measured, "group": stack, "stack": stack})
    plain = calibration.Problem("training", rows, tree, lambda v: 1 / v["share"], scale=1.0)
    levels = dataclasses.replace(plain, stack_sd=0.7)
    one, two = (np.exp(-calibration.fit(p, np.ones(40)).theta[0]) for p in (plain, levels))
    assert one > two > 2 * 0.9


def test_spread_of_stacks_is_what_made_them():
    rng = np.random.default_rng(3)
    level = np.repeat(rng.normal(0, 0.2, 400), 20)
    group = np.repeat(np.arange(1600), 5)
    rows = pd.DataFrame({"stack": np.repeat(np.arange(400), 20), "group": group})
    error = level + np.repeat(rng.normal(0, 0.1, 1600), 5)
    assert training_fit.stack_spread(rows, error) == pytest.approx(0.2, rel=0.1)


def shape_of(rows: pd.DataFrame, row_id: str, notes: str):
    return training_fit.shapes(one(rows, row_id, arch_notes=notes))


def test_texts_that_are_structure_are_read(everything):
    routed = everything.rows.loc[everything.rows["model"] == "Qwen3-235B-A22B", "row_id"].iloc[0]
    plain = shape_of(everything.rows, routed, "")
    second = shape_of(everything.rows, routed, "mixture of experts in every second layer")
    assert plain.n_moe_layers == plain.n_layers and second.n_moe_layers == plain.n_layers / 2
    first = shape_of(everything.rows, routed, "first 3 layers dense with ffn 18432")
    assert first.n_moe_layers == plain.n_layers - 3 and first.d_ff == 18432
    for notes, share in (
        ("5:1 local(1024):global attention", 5 / 6),
        ("alternating sliding-window (128) and full attention", 1 / 2),
        ("sliding-window (4096) attention", 1.0),
    ):
        windows = shape_of(everything.rows, routed, notes)
        assert windows.n_window_layers == pytest.approx(share * plain.n_layers), notes
        assert windows.window > 0


@pytest.mark.parametrize(
    ("notes", "why"),
    [
        ("hybrid Mamba-2 and attention", "state-space layers"),
        ("three of four layers gated DeltaNet", "linear attention"),
        ("sparse attention with an indexer", "sparse attention with an indexer"),
    ],
)
def test_layers_without_a_term_are_refused_by_name(notes, why):
    assert training_fit._unread(notes) == why


def test_shapes_are_looked_up_by_model_field_by_field():
    """Kimi-K2's row only names its latent attention; a row without heads or vocabulary has them."""
    rows = training_fit.read(part="all")
    kimi = rows[rows["model"] == "Kimi-K2"].iloc[:1]
    assert training_fit.shapes(kimi).kv_lora_rank.tolist() == [512]
    known = rows[rows["row_id"] == "R0617"].reset_index(drop=True)
    bare = training_fit._completed(known.assign(heads="", vocab="", layers="30"))
    assert bare[["heads", "vocab"]].equals(known[["heads", "vocab"]])
    assert bare["layers"].tolist() == ["30"]
