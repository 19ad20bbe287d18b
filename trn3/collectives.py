"""Collectives: latency-bandwidth cost of exchanges between chips, flat and on a network of tiers.

Bandwidth is one way per chip. The bytes are those of the whole tensor that each rank holds before
(all-reduce, reduce-scatter, all-to-all) or after (all-gather) the exchange.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from trn3.units import Array

Tiers = Sequence[tuple[Array, Array, Array]]
"""Inner to outer: chips that a tier reaches, bytes per second one way per chip, latency in
seconds.
"""


FLAT_RING = 512.0
"""Members of the largest flat ring in the published runs; larger groups are taken to exchange in
a hierarchy.
"""


def all_reduce_s(n_bytes: Array, n: Array, bytes_per_s: Array, latency_s: Array = 0.0) -> Array:
    """Ring all-reduce: 2 (n - 1) / n B / beta + 2 (n - 1) alpha.

    Parameters
    ----------
    n_bytes : float or array
        Tensor size [byte].
    n : float or array
        Ranks [-].
    bytes_per_s : float or array
        Link bandwidth, one way per chip [byte/s].
    latency_s : float or array
        Latency of a hop [s].

    Returns
    -------
    float or array
        Time [s].

    Examples
    --------
    The bus-bandwidth identity of nccl-tests: busbw = B / t x 2 (n - 1) / n is the link bandwidth.

    >>> t = all_reduce_s(1e9, 8, 300e9)
    >>> round(1e9 / t * 2 * 7 / 8 / 1e9)
    300

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md. Patarasuk and Yuan 2009, Bandwidth optimal all-reduce
    algorithms.
    """
    return 2.0 * reduce_scatter_s(n_bytes, n, bytes_per_s, latency_s)


def reduce_scatter_s(n_bytes: Array, n: Array, bytes_per_s: Array, latency_s: Array = 0.0) -> Array:
    """Ring reduce-scatter: (n - 1) / n B / beta + (n - 1) alpha.

    Parameters
    ----------
    n_bytes : float or array
        Tensor size before the exchange [byte].
    n : float or array
        Ranks [-].
    bytes_per_s : float or array
        Link bandwidth, one way per chip [byte/s].
    latency_s : float or array
        Latency of a hop [s].

    Returns
    -------
    float or array
        Time [s].

    Examples
    --------
    >>> reduce_scatter_s(8.0, 8, 1.0)
    7.0
    """
    return (n - 1.0) * (n_bytes / (n * bytes_per_s) + latency_s)


def all_gather_s(n_bytes: Array, n: Array, bytes_per_s: Array, latency_s: Array = 0.0) -> Array:
    """Ring all-gather: the same as the reduce-scatter of the gathered tensor.

    Parameters
    ----------
    n_bytes : float or array
        Tensor size after the exchange [byte].
    n : float or array
        Ranks [-].
    bytes_per_s : float or array
        Link bandwidth, one way per chip [byte/s].
    latency_s : float or array
        Latency of a hop [s].

    Returns
    -------
    float or array
        Time [s].

    Examples
    --------
    >>> all_gather_s(8.0, 8, 1.0) == reduce_scatter_s(8.0, 8, 1.0)
    True
    """
    return reduce_scatter_s(n_bytes, n, bytes_per_s, latency_s)


def all_to_all_s(n_bytes: Array, n: Array, bytes_per_s: Array, latency_s: Array = 0.0) -> Array:
    """All-to-all on a fabric where every pair can talk: (n - 1) / n B / beta + alpha.

    Parameters
    ----------
    n_bytes : float or array
        Bytes that a rank holds for all ranks [byte].
    n : float or array
        Ranks [-].
    bytes_per_s : float or array
        Link bandwidth, one way per chip [byte/s].
    latency_s : float or array
        Latency of the exchange [s].

    Returns
    -------
    float or array
        Time [s].

    Examples
    --------
    >>> all_to_all_s(8.0, 8, 1.0)
    7.0
    """
    return (n - 1.0) / n * n_bytes / bytes_per_s + latency_s


def p2p_s(n_bytes: Array, bytes_per_s: Array, latency_s: Array = 0.0) -> Array:
    """Send to one neighbour: B / beta + alpha.

    Parameters
    ----------
    n_bytes : float or array
        Message size [byte].
    bytes_per_s : float or array
        Link bandwidth, one way per chip [byte/s].
    latency_s : float or array
        Latency [s].

    Returns
    -------
    float or array
        Time [s].

    Examples
    --------
    >>> p2p_s(100.0, 50.0, 1.0)
    3.0
    """
    return n_bytes / bytes_per_s + latency_s


def s_per_byte(n: Array, stride: Array, tiers: Tiers) -> Array:
    """Time per byte of a pipelined hierarchical ring over the tiers that a group crosses.

    max over the tiers used of 1 / (beta_i k_i), with k_i the ranks of the group that one unit of
    the tier below holds: they share its way out, each carrying 1/k_i of the bytes.

    Parameters
    ----------
    n : float or array
        Ranks of the group [-].
    stride : float or array
        Chips between two neighbours of the group [-].
    tiers : sequence of tuple
        Inner to outer: chips reached, bytes per second one way per chip, latency [-, byte/s, s].

    Returns
    -------
    float or array
        Reciprocal of the effective bandwidth [s/byte].

    Examples
    --------
    Sixteen neighbours on nodes of eight with 300 and 25 GB/s: eight ways out carry an eighth each.

    >>> nodes = [(8, 300e9, 0.0), (np.inf, 25e9, 0.0)]
    >>> [round(float(1 / s_per_byte(n, 1, nodes)) / 1e9) for n in (8, 16)]
    [300, 200]
    >>> round(float(1 / s_per_byte(16, 8, nodes)) / 1e9)
    25
    """
    worst: Array = 1.0 / tiers[0][1]
    for (below, _, _), (_, bytes_per_s, _) in pairwise(tiers):
        inside = np.clip(np.divide(below, stride), 1.0, n)
        worst = np.maximum(
            worst, np.where(np.multiply(n, stride) > below, 1.0 / (bytes_per_s * inside), 0.0)
        )
    return worst


def ring_latency_s(n: Array, stride: Array, tiers: Tiers) -> Array:
    """Latency of one round of a ring over the tiers that a group crosses: hops of each tier times
    its latency.

    Parameters
    ----------
    n : float or array
        Ranks of the group [-].
    stride : float or array
        Chips between two neighbours of the group [-].
    tiers : sequence of tuple
        Inner to outer: chips reached, bytes per second one way per chip, latency [-, byte/s, s].

    Returns
    -------
    float or array
        Time [s].

    Notes
    -----
    Above `FLAT_RING` units of a tier the hops grow with the logarithm: libraries then
    exchange in a hierarchy.

    Examples
    --------
    Sixteen chips on two nodes of eight: seven hops inside, one outside.

    >>> nodes = [(8, 300e9, 2e-6), (np.inf, 25e9, 20e-6)]
    >>> round(float(ring_latency_s(16, 1, nodes)) * 1e6)
    34
    """
    total: Array = 0.0
    inner: Array = 1.0
    for reach, _, latency_s in tiers:
        held = np.clip(np.divide(reach, stride), 1.0, n)
        units = held / inner
        hops = np.minimum(units, FLAT_RING) + FLAT_RING * np.log(
            np.maximum(units, FLAT_RING) / FLAT_RING
        )
        total = total + (hops - 1.0) * latency_s
        inner = held
    return total


def split_s_per_byte(n: Array, stride: Array, tiers: Tiers) -> Array:
    """Time per byte of an all-to-all whose bytes go evenly to all ranks, inside and outside each
    tier.

    The bytes that leave a tier's unit are the share of the ranks outside it; the tiers work at the
    same time.

    Parameters
    ----------
    n : float or array
        Ranks of the group [-].
    stride : float or array
        Chips between two neighbours of the group [-].
    tiers : sequence of tuple
        Inner to outer: chips reached, bytes per second one way per chip, latency [-, byte/s, s].

    Returns
    -------
    float or array
        Time over the bytes that a rank holds [s/byte].

    Examples
    --------
    >>> nodes = [(8, 300e9, 0.0), (np.inf, 25e9, 0.0)]
    >>> round(float(1 / split_s_per_byte(16, 1, nodes)) / 1e9)
    50
    """
    worst: Array = 0.0
    inner: Array = 1.0
    for reach, bytes_per_s, _ in tiers:
        held = np.clip(np.divide(reach, stride), 1.0, n)
        worst = np.maximum(worst, (held - inner) / n / bytes_per_s)
        inner = held
    return worst
