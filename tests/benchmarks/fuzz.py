"""Throw generated parameter sets at every notebook: each must give a report's parameters or one
clean line.

    python tests/benchmarks/fuzz.py [SETS] [--run REPORTS]

With ``--run`` some of the accepted sets are made into reports too, extremes first; one that fails
with anything but an error of this package is listed. The last line tells how many sets were
accepted, refused and broken.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trn3 import data, workload
from trn3.reporting import batch, parameters
from trn3.study import customers

ODD: list[Any] = [
    "",
    " ",
    "0",
    "-0",
    "-1",
    "1e308",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "None",
    "true",
    "1,2",
    ",",
    "[]",
    "{}",
    "0x10",
    "1_0",
    "01",
    "١",
    "1e",
    "--",
    "a=b",
    "'",
    '"',
    "\\",
    "\n",
    "\0",
    "\u2028",
    "\ud800",
    "💥" * 50,
    "x" * 5000,
    "9" * 5000,
    "../../etc/passwd",
    "/",
    "~",
    "*",
    "%s{}",
    "__import__('os')",
    "lambda: 0",
    "<script>",
    "trainium3 ",
    None,
    True,
    False,
    0,
    -1,
    10**30,
    1.5,
    -0.0,
    1e-320,
    float("nan"),
    float("inf"),
    [],
    [[]],
    [None],
    {},
    {"a": 1},
]
IDS = {
    "model": list(workload.models()),
    "customer": [c for c in customers.customers() if c != "template"],
}


def allowed(p: parameters.Parameter, rng: random.Random) -> Any:
    """One value inside what is allowed, often at its edge."""
    if ".." in p.allowed:
        low, high = map(float, p.allowed.split(".."))
        spread = (
            low * (high / low) ** rng.random() if low > 0 else low + (high - low) * rng.random()
        )
        value = rng.choice([low, high, spread, spread, float(p.default) if not p.many else spread])
        return round(value) if p.item == "int" else value
    if p.allowed in parameters.KINDS:
        return rng.choice(
            IDS.setdefault(p.allowed, data.ids(p.allowed))
            if p.allowed not in IDS
            else IDS[p.allowed]
        )
    if p.allowed:
        return rng.choice(p.allowed.split("|"))
    return (
        rng.choice([True, False])
        if p.item == "bool"
        else "".join(rng.choices("aé<&' 9", k=rng.randrange(20)))
    )


def sets(notebook: Path, count: int, seed: int, odd: float = 0.25) -> Iterator[dict[str, Any]]:
    """Sets of values for a notebook: a few parameters each, a share of them odd or misspelt."""
    rng, declared = random.Random(f"{notebook.stem}{seed}"), parameters.read(notebook)
    for _ in range(count):
        given = {}
        for p in rng.sample(declared, rng.randint(0, min(4, len(declared)))):
            value = (
                [allowed(p, rng) for _ in range(rng.randint(1, 3))] if p.many else allowed(p, rng)
            )
            if rng.random() < odd:
                value = rng.choice([*ODD, ODD, str(value)[:-1], str(value) + "x"])
            elif rng.random() < 0.5:
                value = ",".join(map(str, value)) if p.many else str(value)
            name = p.name + "s" if rng.random() < odd / 8 else p.name
            given[name] = value
        yield given


def check(notebook: Path, given: dict[str, Any]) -> tuple[str, Any]:
    """``accepted`` with the values, ``refused`` with the line, or ``broken`` with what is wrong."""
    try:
        values = parameters.validate(notebook, given)
    except data.TrnError as error:
        return ("broken" if "\n" in str(error) else "refused"), str(error)
    except Exception as error:
        return "broken", f"{type(error).__name__}: {error}"
    same = parameters.validate(notebook, values) == values and set(values) == {
        p.name for p in parameters.read(notebook)
    }
    return ("accepted" if same else "broken"), values


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="?", type=int, default=10_000)
    parser.add_argument("--run", type=int, default=0, metavar="REPORTS")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    notebooks, tally, todo = parameters.notebooks(), Counter(), {}
    for notebook in notebooks:
        for given in sets(notebook, args.sets // len(notebooks), args.seed):
            state, what = check(notebook, given)
            tally[state] += 1
            if state == "broken":
                print(notebook.stem, ascii(given), what)
        for given in sets(notebook, -(-args.run // len(notebooks)), args.seed + 1, odd=0.0):
            if check(notebook, given)[0] == "accepted":
                one = batch.case(notebook.stem, given)
                todo[one.stem] = one
    kinds: Counter[str] = Counter()
    if todo:
        known = {cls.__name__ for cls in subclasses(data.TrnError)}
        with tempfile.TemporaryDirectory() as folder:
            for row in batch.run(list(todo.values()), Path(folder), batch.Options(timeout_s=120)):
                kind = row["status"] if row["status"] == "done" else row["reason"].partition(":")[0]
                kinds[
                    "done" if kind == "done" else "clean error" if kind in known else "broken"
                ] += 1
                if kind not in known | {"done"}:
                    print(todo[row["report"]].command, "->", row["reason"])
    print(
        f"{sum(tally.values())} sets over {len(notebooks)} notebooks: {dict(tally)}; reports: {dict(kinds)}"
    )
    return 1 if tally["broken"] or kinds["broken"] else 0


def subclasses(cls: type) -> Iterator[type]:
    """A class and all that derive from it."""
    yield cls
    for below in cls.__subclasses__():
        yield from subclasses(below)


if __name__ == "__main__":
    sys.exit(main())
