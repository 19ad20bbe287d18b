"""Speed of the layout search: layouts per second, where the time goes, and the ratio to one layout
at a time.

Run: python tests/benchmarks/search_speed.py

Process time on one core, best of five, the whole call: enumeration, memory and step time of every
distinct layout, the best ten and the Pareto front. Repeats of a layout are not counted; feasible
and infeasible ones are, apart.
"""

import random
import resource
import time

from trn3 import hardware, layouts, memory, search, training_step, workload
from trn3.layouts import FIELDS, Layouts

CASES = [
    ("gpt3_175b", "hgx_a100", [4096]),
    ("gpt3_175b", "hgx_a100", [512, 1024, 2048, 4096]),
    ("gpt3_175b", "hgx_a100", range(512, 4097)),
    ("gpt3_175b", "trainium3", [4096]),
]
BATCH, SEQ_LEN, BARS = 1536, 2048, {True: 20e6, False: 8e6}


def split_times(monitored: dict[str, float]) -> None:
    """Count the time of the three steps of a block."""

    def timed(function, name):
        def wrapper(*args, **kwargs):
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                monitored[name] = monitored.get(name, 0.0) + time.process_time() - start

        return wrapper

    for name, label in (
        ("held", "memory"),
        ("time", "step time"),
        ("lead", "leaders"),
        ("lead_cells", "front"),
        ("ranked", "ranking"),
    ):
        setattr(search._Search, name, timed(getattr(search._Search, name), label))


def one_by_one(shape: workload.ModelShape, system: hardware.System, n: int = 400) -> float:
    """Layouts per second when memory and time are computed for one layout at a time."""
    rows = layouts.splits(shape, SEQ_LEN, BATCH)
    machine = training_step.machine(hardware.Cluster(system, 4096))
    work, draw = training_step.Work(shape, SEQ_LEN, BATCH), random.Random(1)
    picked = [draw.randrange(len(rows.tp)) for _ in range(n)]
    some = [
        Layouts(
            *(int(getattr(rows, f)[i]) for f in FIELDS[:6]), zero=draw.randrange(4), tp_overlap=1
        )
        for i in picked
    ]
    start = time.process_time()
    for layout in some:
        memory.training_bytes(shape, SEQ_LEN, BATCH, layout)
        training_step.evaluate(work, machine, layout)
    return n / (time.process_time() - start)


def main() -> None:
    """Print every case."""
    parts: dict[str, float] = {}
    split_times(parts)
    for name, system_id, n_chips in CASES:
        shape, system = workload.model(name), hardware.system(system_id)
        single = one_by_one(shape, system)
        span = (
            f"{min(n_chips)}..{max(n_chips)}, {len(n_chips)} chip counts"
            if len(n_chips) > 1
            else f"{n_chips[0]}"
        )
        print(f"\n{name}, batch {BATCH}, {system_id}, {span}")
        for switches in (True, False):
            runs = []
            for _ in range(5):
                parts.clear()
                found = search.search(
                    shape, system, n_chips, BATCH, seq_len=SEQ_LEN, switches=switches
                )
                runs.append((found.process_s, dict(parts)))
            best_s, where = min(runs, key=lambda run: run[0])
            rate = found.distinct / best_s
            bar = f" (bar {BARS[switches] / 1e6:.0f})" if len(n_chips) > 1000 else ""
            where["enumeration and the rest"] = best_s - sum(where.values())
            print(f"  overlap switches {'as axes' if switches else 'all on'}")
            print(
                f"    distinct {found.distinct:,} = feasible {found.feasible:,} "
                f"+ infeasible {found.infeasible:,}"
            )
            print(f"    {best_s:.3f} s process time: {rate / 1e6:.1f} million layouts/s{bar}")
            print(f"    one at a time {single:,.0f} layouts/s: {rate / single:,.0f} times as fast")
            print(
                "    "
                + ", ".join(f"{label} {100 * s / best_s:.0f} %" for label, s in where.items())
            )
        print("    axes: " + "; ".join(f"{axis} {values}" for axis, values in found.axes.items()))
    print(
        "\nlargest memory of the process "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
    )


if __name__ == "__main__":
    main()
