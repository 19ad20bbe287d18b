"""Failure events simulated per second of process time on one core, best of five.

Run: python tests/benchmarks/events_speed.py
"""

import time

from trn3 import reliability

N_EVENTS = 5_000_000


def measure(shape: float) -> float:
    """Events per second of process time, best of five runs."""
    best = float("inf")
    for seed in range(5):
        start = time.process_time()
        reliability.simulate(500.0, 20.0, 120.0, 3600.0, N_EVENTS, seed, shape)
        best = min(best, time.process_time() - start)
    return N_EVENTS / best


if __name__ == "__main__":
    for label, shape in (("exponential", 1.0), ("Weibull 0.8", 0.8)):
        print(f"{label}: {measure(shape) / 1e6:.1f} million events/s")
    run = reliability.simulate(500.0, 20.0, 120.0, 180.0, 50_000, seed=0)
    print(f"50,000 failures cover {run.wall_s / 86400:.0f} days of a job that is interrupted every three minutes")
