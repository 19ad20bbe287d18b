"""Failure events simulated per second, and a scaling curve from one chip to a million, in process
time on one core.

Run: python tests/benchmarks/events_speed.py
"""

import time
from collections.abc import Callable

from trn3 import hardware, reliability, workload
from trn3.study import scaling

N_EVENTS = 5_000_000


def process_s(work: Callable[[int], object]) -> float:
    """Process time, best of five runs; the run's number is given to the work."""
    best = float("inf")
    for run in range(5):
        start = time.process_time()
        work(run)
        best = min(best, time.process_time() - start)
    return best


if __name__ == "__main__":
    for label, shape in (("exponential", 1.0), ("Weibull 0.8", 0.8)):
        seconds = process_s(
            lambda seed: reliability.simulate(500.0, 20.0, 120.0, 3600.0, N_EVENTS, seed, shape)  # noqa: B023
        )
        print(f"{label}: {N_EVENTS / seconds / 1e6:.1f} million events/s")
    long = reliability.simulate(500.0, 20.0, 120.0, 180.0, 50_000, seed=0)
    print(
        f"50,000 failures cover {long.wall_s / 86400:.0f} days of a job "
        "that is interrupted every three minutes"
    )
    job = workload.TrainingJob(workload.model("llama3_1_405b"), 15.6e12, 8192, 2048, "bf16")
    sizes = [2**i for i in range(20)] + [1_000_000]
    for way in scaling.RECOVERY:
        seconds = process_s(lambda _: scaling.curve(job, hardware.system("trn3_gen2"), sizes, way))  # noqa: B023
        print(
            f"{len(sizes)} sizes from 1 to 1,000,000 chips, layout searched at each, "
            f"recovery by {way}: {seconds:.2f} s"
        )
