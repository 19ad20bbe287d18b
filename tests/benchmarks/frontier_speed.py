"""Speed of the serving model: points per second on one core, and the frontier of one model over all
systems.

Run: python tests/benchmarks/frontier_speed.py
"""

import time

import numpy as np

from trn3 import data, hardware, inference, serving_step, workload


def best_of(call, n: int = 5) -> float:
    """Least process time of n calls [s]."""
    times = []
    for _ in range(n):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def points_per_s(n_points: int = 1_000_000) -> float:
    """(Layout, batch) points of DeepSeek-V3 on H200 evaluated per second."""
    model, system = workload.model("deepseek_v3"), hardware.system("hgx_h200")
    device, constants = serving_step.device(system, "fp8"), serving_step.constants(system.chip)
    tp, dp = np.meshgrid(2.0 ** np.arange(5), np.arange(1.0, 41.0), indexing="ij")
    at = serving_step.Layouts(tp.reshape(-1, 1), dp.reshape(-1, 1))
    batch = np.arange(1.0, n_points // at.tp.size + 1)
    work = serving_step.Work(batch, 4096.0, 1024.0, 1.0, 1.0)
    return (
        at.tp.size
        * batch.size
        / best_of(lambda: serving_step.evaluate(model, device, at, constants, work))
    )


def frontier_s() -> tuple[float, int]:
    """Frontiers of gpt-oss-120b on every system that can hold it: time [s] and number of
    systems.
    """
    model, done = workload.model("gpt_oss_120b"), []

    def run() -> None:
        done.clear()
        for system in hardware.systems():
            dtype = serving_step.format_for(system.chip, "mxfp4")
            load = workload.ServingLoad(model, 2048, 512, 3.0, 0.05, dtype, "bf16")
            try:
                done.append(inference.frontier(load, system).frame())
            except data.TrnError:
                continue

    run()
    return best_of(run, 3), len(done)


if __name__ == "__main__":
    print(f"{points_per_s() / 1e6:.2f} million (layout, batch) points/s on one core (bar: 1)")
    seconds, systems = frontier_s()
    print(f"frontier of one model over {systems} systems: {seconds:.2f} s (bar: 2)")
