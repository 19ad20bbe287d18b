"""Roofline: worked values of the scaling book, limits and monotonicity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import roofline

V5E_FLOPS_PER_S, V5E_BYTES_PER_S = (
    1.97e14,
    8.2e11,
)  # TPU v5e in the scaling book (Austin et al. 2025), part 1
SIZES = st.integers(1, 1 << 16)
RATES = st.floats(1e12, 1e16)


def test_dot_product_is_memory_bound() -> None:
    # scaling book, part 1: a bf16 dot product does half an operation per byte
    n = 1e9
    lower, _ = roofline.time_bounds(2 * n, 4 * n, V5E_FLOPS_PER_S, V5E_BYTES_PER_S)
    assert lower == pytest.approx(4 * n / V5E_BYTES_PER_S)


def test_ridge_of_v5e() -> None:
    assert roofline.ridge(V5E_FLOPS_PER_S, V5E_BYTES_PER_S) == pytest.approx(
        240, rel=0.002
    )  # scaling book, part 1


def test_attainable_rate_meets_the_roof_at_the_ridge() -> None:
    at = roofline.ridge(V5E_FLOPS_PER_S, V5E_BYTES_PER_S)
    intensity = np.array([at / 2, at, 2 * at])
    got = roofline.attainable_flops_per_s(intensity, V5E_FLOPS_PER_S, V5E_BYTES_PER_S)
    np.testing.assert_allclose(got / V5E_FLOPS_PER_S, [0.5, 1.0, 1.0])


def test_matmul_is_compute_bound_from_240_tokens() -> None:
    # scaling book, part 1: bf16 matmul with a large weight needs a batch of 240 tokens on TPU v5e
    large = 1e8
    batch = np.array([24.0, 240.0, 2400.0])
    time_s = roofline.matmul_time_s(batch, large, large, V5E_FLOPS_PER_S, V5E_BYTES_PER_S)
    np.testing.assert_allclose(time_s / time_s[0], [1, 1, 10], rtol=0.01)


def test_large_matmul_reaches_the_rate() -> None:
    assert roofline.matmul_time_s(1e7, 1e7, 1e7, 1e15, 1e13, 300.0) == pytest.approx(
        2e21 / 1e15, rel=1e-3
    )


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, SIZES, RATES, st.floats(1e11, 1e13), st.floats(0, 1000))
def test_matmul_never_beats_the_bounds_and_more_is_never_slower(
    m, n, k, rate, bandwidth, half
) -> None:
    time_s = roofline.matmul_time_s(float(m), float(n), float(k), rate, bandwidth, half, 4096.0)
    lower, _ = roofline.time_bounds(2.0 * m * n * k, 2.0 * (m * n + m * k + n * k), rate, bandwidth)
    assert time_s >= lower * (1 - 1e-12)
    assert (
        roofline.matmul_time_s(float(m), float(n), float(k), 2 * rate, bandwidth, half, 4096.0)
        <= time_s
    )
    assert (
        roofline.matmul_time_s(float(m), float(n), float(k), rate, 2 * bandwidth, half, 4096.0)
        <= time_s
    )


def test_scalar_equals_array() -> None:
    m = np.array([1.0, 100.0, 10000.0])
    array = roofline.matmul_time_s(m, 4096.0, 4096.0, 1e15, 3e12, 500.0)
    assert array.tolist() == [
        float(roofline.matmul_time_s(x, 4096.0, 4096.0, 1e15, 3e12, 500.0)) for x in m
    ]
