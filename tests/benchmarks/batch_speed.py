"""How fast reports are made: beside papermill in a process pool, alone, by the thousand.

    python tests/benchmarks/batch_speed.py [--rounds 5] [--thousand]

Prints one JSON line per measurement, each with the bar that it is held against. Rates are
wall-clock on this machine, the ratio to papermill is taken within each round, and `cpu_s` is
processor time per report, which other work on the machine disturbs less.
"""

import argparse
import ast
import contextlib
import io
import itertools
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from concurrent import futures
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from trn3 import hardware  # noqa: E402
from trn3.reporting import batch, engine, parameters, warm  # noqa: E402


def cpu_s() -> float:
    """Processor time of this process and of all children that have ended [s]."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def chip_cases(count: int) -> list[batch.Case]:
    """Reports of `02_chip_on_paper` that all differ."""
    chips = [chip.id for chip in hardware.chips() if not chip.announced]
    found: dict[str, batch.Case] = {}
    for chip, *rivals in itertools.permutations(chips, 3):
        given = {"chip": chip, "rivals": rivals, "dtype": "bf16"}
        with contextlib.suppress(parameters.ParameterError):
            one = batch.case("02", given)
            found[one.stem] = one
        if len(found) == count:
            break
    return list(found.values())


def draw_cases(count: int) -> list[batch.Case]:
    """Reports of `08_customer_savings` at its default number of draws."""
    return [batch.case("08", {"price": 2.0 + i / 50}) for i in range(count)]


def ours(todo: list[batch.Case], jobs: int = 2) -> dict[str, float]:
    """Rate of a batch with pages, index and manifest."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        start, used = time.perf_counter(), cpu_s()
        rows = batch.run(todo, Path(folder), batch.Options(jobs=jobs))
        wall, used = time.perf_counter() - start, cpu_s() - used
    failed = [row["reason"] for row in rows if row["status"] != "done"]
    return {"reports_per_s": len(rows) / wall, "cpu_s": used / len(rows), "failed": len(failed)}


def usual(path: str, given: dict[str, Any]) -> int:
    """What one would write without this package: papermill, then nbconvert's page."""
    import logging

    import papermill
    from nbconvert import HTMLExporter

    logging.disable(logging.CRITICAL)
    made = papermill.execute_notebook(
        path, None, given, kernel_name="python3", cwd=str(Path(path).parent), progress_bar=False
    )
    return len(HTMLExporter().from_notebook_node(made)[0])


def pool(todo: list[batch.Case], jobs: int = 2) -> dict[str, float]:
    """Rate of papermill in a process pool whose imports are done."""
    before = cpu_s()
    with futures.ProcessPoolExecutor(jobs) as executor:
        warm = [executor.submit(usual, str(one.notebook), one.given) for one in todo[:jobs]]
        futures.wait(warm)
        start = time.perf_counter()
        futures.wait([executor.submit(usual, str(one.notebook), one.given) for one in todo])
        wall = time.perf_counter() - start
    used = (cpu_s() - before) / (len(todo) + jobs)  # the pool has ended, and its kernels with it
    return {"reports_per_s": len(todo) / wall, "cpu_s": used}


def compute(one: batch.Case) -> float:
    """Time of the notebook's own code, without shell, papermill or page [s]."""
    space: dict[str, Any] = {}
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.chdir(one.notebook.parent):
        for kind, text, tags in parameters.code(one.notebook):
            if kind == "code":
                for node in ast.parse(text).body:
                    exec(compile(ast.Module([node], []), "cell", "exec"), space)
            if "parameters" in tags:
                space |= one.given
    return time.perf_counter() - start


def single(name: str) -> dict[str, float]:
    """A warm report against its own computation."""
    one, limits, out = batch.case(name, {}), (600.0, engine.MEMORY_BYTES), Path(tempfile.mkdtemp())
    warm.parent([one])
    own = min(engine.Child(lambda: compute(one), *limits).wait() for _ in range(3))
    walls = []
    for _ in range(3):
        start = time.perf_counter()
        batch.write(out, engine.Child(lambda: batch.build(one, batch.Options()), *limits).wait()[1])
        walls.append(time.perf_counter() - start)
    return {"report_s": min(walls), "computation_s": own, "limit_s": 1.2 * own + 0.5}


def index_s(count: int) -> float:
    """Time of the index of many reports [s]."""
    row, _ = engine.Child(
        lambda: batch.build(batch.case("02", {}), batch.Options()), 600, engine.MEMORY_BYTES
    ).wait()
    rows = [row | {"report": f"02_chip_on_paper-{i:08x}"} for i in range(count)]
    start = time.perf_counter()
    batch.index(rows)
    return time.perf_counter() - start


def thousand() -> dict[str, float]:
    """Most memory of the parent after 200 and after 1,000 reports [MB]."""
    todo, peaks = chip_cases(1000), {}
    with tempfile.TemporaryDirectory() as folder:
        for number, row in enumerate(iter_rows(todo, Path(folder)), 1):
            if number in (200, len(todo)):
                peaks[f"peak_mb_{number}"] = (
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                )
            assert row["status"] == "done", row
    return peaks


def iter_rows(todo: list[batch.Case], out: Path) -> Any:
    warm.parent(todo)
    for row, files in batch.forked(todo, batch.Options(shared_js=True)):
        batch.write(out, files)
        batch.note(out, row)
        yield row


def say(what: str, bar: str, **numbers: Any) -> None:
    shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in numbers.items()}
    print(json.dumps({"what": what, "bar": bar} | shown), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--thousand", action="store_true", help="also the memory over 1,000 reports"
    )
    args = parser.parse_args()
    todo, rounds = chip_cases(100), []
    for _ in range(args.rounds):
        mine, theirs = ours(todo), pool(todo[:8])
        more = {
            "times_papermill": mine["reports_per_s"] / theirs["reports_per_s"],
            "times_papermill_by_cpu": theirs["cpu_s"] / mine["cpu_s"],
        }
        rounds.append(mine | more)
    median = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    say("100 reports of 02, two jobs, median", ">= 3 reports/s, >= 3 times papermill", **median)
    if any(path.stem.startswith("08") for path in parameters.notebooks()):
        say("24 reports of 08, default draws, two jobs", ">= 3 reports/s", **ours(draw_cases(24)))
    for name in ("02", "08"):
        say(f"one warm report of {name}", "report_s <= limit_s", **single(name))
    say("index of 1,000 reports", "< 2 s", seconds=index_s(1000))
    if args.thousand:
        say("memory of the parent", "flat", **thousand())
    return 0


if __name__ == "__main__":
    sys.exit(main())
