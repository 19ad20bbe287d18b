"""Collectives: bus-bandwidth identities of nccl-tests, tiers, limits and monotonicity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import collectives

NODES = [(8.0, 300e9, 2e-6), (np.inf, 25e9, 20e-6)]
BUS = {
    # nccl-tests, doc/PERFORMANCE.md: busbw = S / t x factor is the bandwidth of a link, whatever
    # the ranks
    collectives.all_reduce_s: lambda n: 2 * (n - 1) / n,
    collectives.all_gather_s: lambda n: (n - 1) / n,
    collectives.reduce_scatter_s: lambda n: (n - 1) / n,
    collectives.all_to_all_s: lambda n: (n - 1) / n,
}


@pytest.mark.parametrize("operation", BUS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [2, 8, 1024])
def test_bus_bandwidth(operation, n) -> None:
    assert 1e9 / operation(1e9, n, 450e9) * BUS[operation](n) == pytest.approx(450e9)


@pytest.mark.parametrize("operation", BUS, ids=lambda f: f.__name__)
def test_one_rank_exchanges_nothing(operation) -> None:
    assert operation(1e9, 1, 450e9) == 0.0


def test_all_reduce_is_reduce_scatter_and_all_gather() -> None:
    both = collectives.reduce_scatter_s(3e8, 16, 1e11, 1e-6) + collectives.all_gather_s(
        3e8, 16, 1e11, 1e-6
    )
    assert collectives.all_reduce_s(3e8, 16, 1e11, 1e-6) == pytest.approx(both)


def test_latency_of_small_messages() -> None:
    # Patarasuk and Yuan 2009: a ring all-reduce takes 2 (n - 1) steps
    assert collectives.all_reduce_s(0.0, 8, 1e11, 2e-6) == pytest.approx(14 * 2e-6)
    assert collectives.p2p_s(0.0, 1e11, 2e-6) == 2e-6


def test_groups_inside_a_node_see_its_links_only() -> None:
    assert 1 / collectives.s_per_byte(8, 1, NODES) == pytest.approx(300e9)
    assert collectives.ring_latency_s(8, 1, NODES) == pytest.approx(7 * 2e-6)


def test_ranks_of_a_node_share_its_ways_out() -> None:
    # eight neighbours on a node carry an eighth each; one rank per node has its own way out alone
    assert 1 / collectives.s_per_byte(64, 1, NODES) == pytest.approx(200e9)
    assert 1 / collectives.s_per_byte(8, 8, NODES) == pytest.approx(25e9)
    assert 1 / collectives.s_per_byte(8, 4, NODES) == pytest.approx(50e9)


def test_all_to_all_pays_for_what_leaves_the_node() -> None:
    # of 32 ranks, 8 on a node: 24/32 of the bytes leave at 25 GB/s
    assert collectives.split_s_per_byte(32, 1, NODES) == pytest.approx(24 / 32 / 25e9)
    assert collectives.split_s_per_byte(8, 1, NODES) == pytest.approx(7 / 8 / 300e9)
    assert collectives.split_s_per_byte(1, 1, NODES) == 0.0


def test_latency_of_very_large_rings_grows_slowly() -> None:
    rounds = [
        float(collectives.ring_latency_s(8.0 * n, 1, NODES))
        for n in (collectives.FLAT_RING, 1e5, 2e5)
    ]
    assert rounds[0] < rounds[1] < rounds[2] < 1.2 * rounds[1]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4096), st.sampled_from([1, 2, 4, 8]), st.floats(1e10, 1e12), st.floats(1e9, 1e11)
)
def test_more_bandwidth_is_never_slower(n, stride, inside, outside) -> None:
    def at(near, far):
        tiers = [(8.0, near, 1e-6), (np.inf, far, 1e-5)]
        return np.array(
            [f(n, stride, tiers) for f in (collectives.s_per_byte, collectives.split_s_per_byte)]
        )

    assert (at(2 * inside, outside) <= at(inside, outside)).all()
    assert (at(inside, 2 * outside) <= at(inside, outside)).all()


def test_scalar_equals_array() -> None:
    n = np.array([1.0, 8.0, 9.0, 64.0, 5000.0])
    for f in (collectives.s_per_byte, collectives.split_s_per_byte, collectives.ring_latency_s):
        assert np.broadcast_to(f(n, 1, NODES), n.shape).tolist() == [
            float(f(x, 1, NODES)) for x in n
        ]
