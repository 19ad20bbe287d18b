"""Layouts: what divides, how many there are, and that none is counted twice."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import data, layouts
from trn3.layouts import FIELDS, LayoutError, Layouts
from trn3.workload import model

GPT3 = model("gpt3_175b")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5000))
def test_divisors(n):
    assert layouts.divisors(n) == [d for d in range(1, n + 1) if n % d == 0]


def flat(block):
    """A block's layouts, one per row, without the repeats."""
    *columns, fresh = np.broadcast_arrays(
        *(getattr(block, f) for f in FIELDS), layouts.fresh(block)
    )
    return np.stack([c[fresh] for c in columns], axis=1).astype(int)


def size(block):
    """Layouts of a block, repeats left out."""
    shape = np.broadcast_shapes(*(np.shape(getattr(block, f)) for f in FIELDS))
    fresh = layouts.fresh(block)
    return int(np.sum(fresh)) * (math.prod(shape) // fresh.size)


def splits(shape, seq_len, batch, n_chips, **options):
    rows = layouts.splits(shape, seq_len, batch, **options)
    keep = np.isin(rows.n_chips, n_chips)
    return Layouts(*(getattr(rows, f)[keep] for f in FIELDS[:6]))


# Counted independently by a plain loop over the axes: (N, tp, pp, cp, dp) tuples, distinct layouts
# with and without the overlap switches as axes.
COUNTS = [
    ([4096], 133, 1.14e6, 0.146e6),
    ([512, 1024, 2048, 4096], 526, 5.53e6, 0.72e6),
    (range(512, 4097), 2443, 20.97e6, 2.70e6),
]


@pytest.mark.parametrize(("n_chips", "tuples", "distinct", "without"), COUNTS)
def test_as_many_layouts_as_counted_elsewhere(n_chips, tuples, distinct, without):
    rows = splits(GPT3, 2048, 1536, n_chips)
    assert (
        len(set(zip(rows.tp.tolist(), rows.pp.tolist(), rows.cp.tolist(), rows.dp.tolist())))
        == tuples
    )
    for switches, count in ((True, distinct), (False, without)):
        found = sum(size(block) for _, block in layouts.blocks(rows, GPT3, switches))
        assert found == pytest.approx(count, rel=0.005)


@pytest.mark.parametrize(
    ("name", "n", "batch"), [("gpt3_175b", 24, 12), ("mixtral_8x7b", 16, 8), ("deepseek_v3", 8, 4)]
)
def test_every_layout_once_and_runnable(name, n, batch):
    shape = model(name)
    every = [flat(block) for _, block in layouts.blocks(splits(shape, 4096, batch, [n]), shape)]
    table = np.concatenate(every)
    assert len(np.unique(table, axis=0)) == len(table)
    assert (table[:, :4].prod(axis=1) == n).all()
    for row in table[:: max(1, len(table) // 300)]:
        layout = Layouts(**dict(zip(FIELDS, row.tolist())))
        rounds = batch // layout.dp // layout.micro_batch % layout.pp
        if layout.interleave == 1 or rounds == 0:
            layouts.check(layout, shape, 4096, batch, n)


def test_all_layouts_are_there():
    # By hand for one sequence on two chips: of tp, pp and cp one is 2. Recompute 3 each; tp:
    # sequence parallel 2 and overlap 2; pp: 1 or one of the divisors of 48 layers (10), overlap 2;
    # cp: ZeRO 4 and overlap 2.
    blocks = layouts.blocks(splits(GPT3, 2048, 1, [2]), GPT3)
    assert sum(size(block) for _, block in blocks) == 3 * 2 * 2 + 3 * 10 * 2 + 3 * 4 * 2


@pytest.mark.parametrize("block", [1, 1000, 1 << 22])
def test_the_size_of_a_block_changes_nothing(block):
    rows = splits(GPT3, 2048, 8, [8])
    small = np.concatenate([flat(b) for _, b in layouts.blocks(rows, GPT3, size=block)])
    whole = np.concatenate([flat(b) for _, b in layouts.blocks(rows, GPT3)])
    assert (np.unique(small, axis=0) == np.unique(whole, axis=0)).all()
    parts = np.concatenate([part for part, _ in layouts.blocks(rows, GPT3, size=block)])
    assert sorted(parts) == list(range(len(rows.tp)))


def test_layers_that_do_not_divide_still_have_stages():
    stages = set(layouts.splits(model("llama3_1_405b"), 8192, 64).pp.tolist())
    # 126 layers: every divisor, and 4, 8, 16, 32 stages of up to 32, 16, 8, 4 layers with some left
    # for the last one.
    assert {1, 2, 3, 6, 7, 9, 14, 18, 21, 42, 63, 126} | {4, 8, 16, 32} == stages


BAD = [
    ({"tp": 7}, "tp = 7", "n_heads = 96"),
    ({"tp": 0}, "tp = 0", "1 or more"),
    ({"pp": 2.5}, "pp = 2.5", "whole number"),
    ({"recompute": 3}, "recompute = 3", "0 to 2"),
    ({"dp": 7}, "dp = 7", "global_batch = 1536"),
    ({"dp": 2, "micro_batch": 5}, "micro_batch = 5", "global_batch / dp = 768"),
    ({"cp": 3}, "cp = 3", "seq_len = 2048"),
    ({"pp": 8, "interleave": 5}, "interleave = 5", "layers of a stage = 12"),
    ({"pp": 8, "interleave": 2, "dp": 512}, "pp = 8", "= 3"),
    ({"pp": 97}, "pp = 97", "n_layers = 96"),
    ({"ep": 2}, "ep = 2", "n_experts = 1"),
]


@pytest.mark.parametrize(("fields", "one", "other"), BAD)
def test_what_does_not_divide_is_named_with_both_numbers(fields, one, other):
    with pytest.raises(LayoutError) as error:
        layouts.check(Layouts(**fields), GPT3, 2048, 1536)
    assert one in str(error.value)
    assert other in str(error.value)


def test_more_chips_than_there_are():
    with pytest.raises(
        LayoutError, match=r"8 x 8 x 64 x 1 = 4096 chips, but there are n_chips = 2048"
    ):
        layouts.check(Layouts(tp=8, pp=8, dp=64), GPT3, 2048, 1536, 2048)


def test_experts_need_ranks():
    with pytest.raises(LayoutError, match=r"ep = 8 does not divide dp x cp = 4"):
        layouts.check(Layouts(dp=4, ep=8), model("mixtral_8x7b"), 4096, 64)


def test_published_layouts_pass():
    # Korthikanti et al. 2022, table 3, and Narayanan et al. 2021, table 2.
    for name, pp, batch, dp, v in (
        ("gpt3_175b", 8, 64, 1, 3),
        ("gpt_530b", 35, 280, 1, 3),
        ("gpt3_175b", 12, 1536, 16, 1),
    ):
        layouts.check(
            Layouts(tp=8, pp=pp, dp=dp, interleave=v), model(name), 2048, batch, 8 * pp * dp
        )


def test_rows_are_whole_numbers():
    rows = Layouts(tp=np.array([1, 2]), dp=4).rows()
    assert [r["tp"] for r in rows] == [1, 2]
    assert all(type(v) is int for r in rows for v in r.values())
    assert issubclass(LayoutError, data.TrnError)
