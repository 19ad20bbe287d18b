"""Throw generated command lines and files at the command: each must give a result, or one line and
status 2.

    python tests/benchmarks/fuzz.py [LINES] [--seed N] [--only KIND] [--reports N]

A line is one of: a file of measured runs for `validate`; files, chips and systems for `compare`; a
`search`; a customer file, a config.json or parameters for `report`; a grid for `batch`; words in no
order. The commands run in this process with captured output; of reports all checks are made, and
the pages are left out, but for ``--reports`` of them at the end. The last lines count what came of
each kind; whatever is broken is printed with its command line and kept.
"""

import argparse
import contextlib
import io
import json
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import samples

from trn3 import data, hardware, workload
from trn3.fit import evidence
from trn3.reporting import batch, cli, parameters
from trn3.study import customers

ODD: list[Any] = [
    "",
    " ",
    "0",
    "-0",
    "-1",
    "1e20",
    "1e300",
    "1e308",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "None",
    "null",
    "true",
    "1,2",
    ",",
    ";",
    "..",
    "[]",
    "{}",
    "[[[[",
    "0x10",
    "1_0",
    "01",
    "١",
    "1e",
    "--",
    "a=b",
    "=1+1",
    "'",
    '"',
    "\\",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\x1b[31m",
    "\u2028",
    "\u202e",
    "\ufeff",
    "\ud800",
    "💥" * 50,
    "x" * 5000,
    "9" * 5000,
    "[" * 5000,
    "../../etc/passwd",
    "/",
    "/dev/zero",
    "~",
    "*",
    "(a+)+$",
    "Acme (EU",
    "%s{}",
    "__import__('os')",
    "lambda: 0",
    "<script>",
    "trainium3 ",
]
TYPED: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    10**30,
    1.5,
    -0.0,
    1e-320,
    1e300,
    float("nan"),
    float("inf"),
    [],
    [[]],
    [None],
    {},
    {"a": 1},
]
WORDS = [*ODD[:40], "h100", "trainium3", "trn3_gen2", "--json", "--help", "-p", "model=x", "04"]
IDS = {
    "model": [*workload.models(), "Qwen/Qwen3-32B", "meta-llama/Llama-3.3-70B-Instruct"],
    "system": [*data.ids("system"), "H200", "trainium3"],
    "customer": [c for c in customers.customers() if c != "template"],
    "runs": ["", *(str(path) for path in sorted((data.DATA / "templates").glob("*.csv")))],
}
LIMIT_S = 600
"""Time after which a command counts as hanging; none needs a hundredth of it."""


# ---------------------------------------------------------------------------------- values of pages
def allowed(p: parameters.Parameter, rng: random.Random) -> Any:
    """One value inside what is allowed, often at its edge."""
    if ".." in p.allowed:
        low, high = map(float, p.allowed.split(".."))
        spread = low + (high - low) * rng.random()
        if low > 0:
            spread = low * (high / low) ** rng.random()
        value = rng.choice([low, high, spread, spread, float(p.default) if not p.many else spread])
        return round(value) if p.item == "int" else value
    if p.allowed in parameters.KINDS:
        return rng.choice(IDS.get(p.allowed) or data.ids(p.allowed))
    if p.allowed:
        return rng.choice(p.allowed.split("|"))
    if p.item == "bool":
        return rng.choice([True, False])
    return "".join(rng.choices("aé<&' 9", k=rng.randrange(20)))


def sets(notebook: Path, count: int, seed: int, odd: float = 0.25) -> Iterator[dict[str, Any]]:
    """Sets of values for a notebook: a few parameters each, a share of them odd or misspelt."""
    rng, declared = random.Random(f"{notebook.stem}{seed}"), parameters.read(notebook)
    for _ in range(count):
        given = {}
        for p in rng.sample(declared, rng.randint(0, min(4, len(declared)))):
            value = allowed(p, rng)
            if p.many:
                value = [allowed(p, rng) for _ in range(rng.randint(1, 3))]
            if rng.random() < odd:
                value = rng.choice([*ODD, *TYPED, ODD, str(value)[:-1], str(value) + "x"])
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
    same = parameters.validate(notebook, values) == values
    whole = set(values) == {p.name for p in parameters.read(notebook)}
    return ("accepted" if same and whole else "broken"), values


# ----------------------------------------------------------------------------------- spoiling files
def spoiled(text: str, rng: random.Random) -> bytes:
    """The text of a file with one to three things wrong, or none."""
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        text = rng.choice(SPOIL)(text, rng)
    encoding = rng.choice(["utf-8"] * 24 + ["utf-8-sig", "utf-16", "latin-1"])
    content = text.encode(encoding, errors="surrogatepass" if encoding == "utf-8" else "replace")
    if rng.random() < 0.02:
        content = rng.randbytes(200) + content
    return content


def _token(pattern: str) -> Callable[[str, random.Random], str]:
    """Put something odd in the place of one piece of the text."""

    def spoil(text: str, rng: random.Random) -> str:
        found = list(re.finditer(pattern, text))
        if not found:
            return text
        at = rng.choice(found)
        odd = rng.choice([*map(str, ODD), str(rng.choice(TYPED))])
        return text[: at.start()] + odd + text[at.end() :]

    return spoil


def _cut(text: str, rng: random.Random) -> str:
    """Leave out a piece."""
    first, last = sorted(rng.choices(range(len(text) + 1), k=2))
    return text[:first] + text[last:] if rng.random() < 0.5 else text[:last]


def _again(text: str, rng: random.Random) -> str:
    """A line twice."""
    lines = text.splitlines(keepends=True)
    return "".join([*lines, rng.choice(lines or [""])])


def _mixed(text: str, rng: random.Random) -> str:
    """Lines in another order."""
    lines = text.splitlines(keepends=True)
    rng.shuffle(lines)
    return "".join(lines)


def _put(text: str, rng: random.Random) -> str:
    """Something odd anywhere."""
    at = rng.randrange(len(text) + 1)
    return text[:at] + str(rng.choice(ODD)) + text[at:]


def _replaced(text: str, rng: random.Random) -> str:
    """Another delimiter, quote, bracket or line end everywhere."""
    old, new = rng.choice([",;", ",\t", "\"'", "{[", "\n\r", "=:", "._", "  "])
    return text.replace(old, new)


SPOIL = [
    _token(r"\d+(\.\d+)?"),
    _token(r"\d+(\.\d+)?"),
    _token(r"[A-Za-z]\w+"),
    _token(r'"[^"\n]*"'),
    _token(r"(?<=,)[^,\n]*(?=,)"),
    _token(r"(?<== ).*"),
    _cut,
    _again,
    _mixed,
    _put,
    _replaced,
]


def config(rng: random.Random) -> str:
    """A config.json, some of its fields given odd values."""
    fields = [r["name"] for r in data.rows("config_fields") if r["kind"] == "field"]
    values = dict(samples.CONFIG)
    for name in rng.choices([*values, *fields], k=rng.randrange(3)):
        values[name] = rng.choice([*ODD, *TYPED, rng.randrange(10**6)])
    for name in rng.sample(sorted(values), rng.choice([0, 0, 1])):
        del values[name]
    whole = {"model_type": "x", "text_config": values} if rng.random() < 0.1 else values
    return json.dumps(whole)


def table(kind: str, rng: random.Random) -> str:
    """A table of runs, some cells and names of columns odd."""
    columns = evidence.columns("training" if kind == "training" else "serving")
    rows = [dict(samples.GOOD[kind]) for _ in range(rng.randint(1, 3))]
    for row in rows:
        for name in rng.sample(sorted(row), rng.choice([0, 0, 1, 1, 2])):
            row[name] = str(rng.choice([*ODD, *TYPED]))
    names = {name: name for name in rows[0]}
    for name in rng.sample(sorted(names), rng.choice([0, 0, 0, 1])):
        names[name] = rng.choice([name[:-1], name + "s", rng.choice(columns), rng.choice(ODD)])
    lines = [list(names.values()), *([str(cell) for cell in row.values()] for row in rows)]
    return "\n".join(",".join(_quoted(cell) for cell in line) for line in lines) + "\n"


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\n\r') else cell


RUNS = {
    "training": [
        samples.MEGATRON + "".join(samples.STEP.format(i, 6500.5) for i in range(3)),
        "".join(samples.NEMO.format(i, 12.4) for i in range(3)),
    ],
    "inference": [
        json.dumps(samples.BENCH),
        json.dumps(samples.SGLANG) + "\n" + json.dumps(samples.SGLANG),
        json.dumps(samples.AIPERF),
        samples.GENAI,
        samples.INFERENCEX,
    ],
}


# ------------------------------------------------------------------------------------ command lines
@dataclass
class Lines:
    """Makes command lines and their files.

    Attributes
    ----------
    folder : pathlib.Path
        Where the files go.
    rng : random.Random
        Of this line alone.
    """

    folder: Path
    rng: random.Random

    def file(self, name: str, text: str) -> str:
        """A file that may be spoiled; sometimes none, a folder or a device."""
        path = self.folder / name
        if self.rng.random() < 0.02:
            return self.rng.choice([str(self.folder), "/dev/null", "/dev/zero", "none.json", name])
        path.write_bytes(spoiled(text, self.rng))
        return str(path)

    def word(self, *good: str) -> str:
        """A word that is good, or an odd one."""
        return self.rng.choice(good) if self.rng.random() < 0.9 else str(self.rng.choice(ODD))

    def validate(self) -> list[str]:
        """Runs of a reader."""
        kind = self.rng.choice(["training", "inference"])
        text = table(kind, self.rng) if self.rng.random() < 0.6 else self.rng.choice(RUNS[kind])
        line = [
            "validate",
            kind,
            self.file(f"runs.{self.rng.choice(['csv', 'json', 'log'])}", text),
        ]
        good = samples.GOOD[kind]
        for name in self.rng.sample(sorted(good), self.rng.choice([0, 0, len(good), len(good)])):
            line += ["-p", f"{name}={self.word(good[name])}"]
        return line

    def compare(self) -> list[str]:
        """Chips, systems and results files."""
        several = [*data.ids("chip"), *data.ids("system")]
        results = self.file("results.json", json.dumps(samples.RESULTS))
        return ["compare", self.word(*several, results), self.word(*several, *[results] * 20)]

    def search(self) -> list[str]:
        """Layouts of a model, which may be the reader's."""
        path = self.file("config.json", config(self.rng))
        chips = self.word("8", "16", "64", "32..64", "8..8")
        line = ["search", "--model", self.word("llama2_7b", "mixtral_8x7b", path, path)]
        line += ["--system", self.word("trainium3", "hgx_h100", "trn2_48xl"), "--chips", chips]
        for name, good in (("batch", "64"), ("seq", "2048"), ("top", "3"), ("dtype", "fp8")):
            if self.rng.random() < 0.4:
                line += [f"--{name}", self.word(good)]
        return [*line, *["--json"] * self.rng.randrange(2)]

    def customer(self) -> list[str]:
        """A customer file."""
        name = self.rng.choice(customers.customers())
        text = (data.DATA / "customers" / f"{name}.toml").read_text(encoding="utf-8")
        return ["report", "08", "--customer", self.file("mine.toml", text)]

    def config(self) -> list[str]:
        """A page for the reader's model."""
        path = self.file("config.json", config(self.rng))
        return ["report", self.rng.choice(["03", "04", "05", "07"]), "-p", f"model={path}"]

    def grid(self) -> list[str]:
        """A grid of reports."""
        return [
            "batch",
            self.file(f"grid.{self.rng.choice(['toml'] * 9 + ['yaml'])}", samples.GRID),
        ]

    def parameters(self) -> list[str]:
        """Parameters of a page."""
        notebook = self.rng.choice(parameters.notebooks())
        (given,) = sets(notebook, 1, self.rng.randrange(10**9))
        line = ["report", self.word(notebook.stem, notebook.stem[:2], notebook.name)]
        for name, value in given.items():
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            line += ["-p", f"{name}={text}"]
        return line

    def words(self) -> list[str]:
        """Words in no order."""
        command = self.rng.choice(["report", "params", "search", "compare", "validate", "batch"])
        return [command, *(str(self.rng.choice(WORDS)) for _ in range(self.rng.randrange(4)))]


KINDS = ("validate", "compare", "search", "customer", "config", "grid", "parameters", "words")


def line(kind: str, number: int, seed: int, folder: Path) -> list[str]:
    """A command line, the same for the same kind, number and seed."""
    made = Lines(folder, random.Random(f"{kind}{number}{seed}"))
    return list(getattr(made, kind)())


# ---------------------------------------------------------------------------------------- running
def unmade(todo: list[batch.Case], *_: Any) -> list[dict[str, Any]]:
    """Reports whose every check was made, and whose page was not."""
    return [one.row | {"status": "done", "files": {}, "headline": []} for one in todo]


class OverdueError(Exception):
    """A command took too long."""


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Stop what hangs."""

    def stop(*_: Any) -> None:
        raise OverdueError(f"not done after {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(argv: list[str]) -> tuple[int, str, str]:
    """Status, output and complaints of a command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(batch, "run", unmade),
        limited(),
    ):
        try:
            status = cli.main(argv)
        except SystemExit as error:
            status = int(error.code or 0)
        except BaseException as error:
            return -1, out.getvalue(), f"{type(error).__name__}: {error}"
    told = "\n".join(part.rpartition("\r")[2] for part in err.getvalue().split("\n"))
    return status, out.getvalue(), told


def broken(argv: list[str], status: int, out: str, err: str) -> str:
    """What is wrong with the outcome of a command; empty where nothing is."""
    lines = [text for text in err.split("\n") if text.strip()]
    customer = argv[:1] == ["report"] and "--customer" in argv
    if status not in (0, 2):
        return f"status {status}"
    if not all(text.isprintable() for text in [*lines, *out.split("\n")]):
        return "a control character"
    if "Warning" in err or "Traceback" in err:
        return "a warning or a traceback"
    if status == 0:
        return (
            "" if out.strip() and all(text.startswith("note: ") for text in lines) else "no result"
        )
    if out.strip():
        return "output and an error"
    if len(lines) != 1 and not (customer and lines):
        return f"{len(lines)} lines"
    return "" if all(text.startswith("trn3") for text in lines) else "no line of trn3"


def kept(argv: list[str], folder: Path, number: int) -> list[str]:
    """A broken line with its files in a folder of their own."""
    place = Path(tempfile.gettempdir()) / f"trn3_fuzz_{number}"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)
    return [text.replace(str(folder), str(place)) for text in argv]


def lines(
    count: int, seed: int, only: str = ""
) -> Iterator[tuple[str, list[str], int, str, float]]:
    """Run command lines; of each its kind, itself, its status, what is broken, and its time."""
    kinds = [only] if only else KINDS
    for number in range(count):
        kind = kinds[number % len(kinds)]
        with tempfile.TemporaryDirectory() as folder:
            argv = line(kind, number, seed, Path(folder))
            start = time.process_time()
            status, out, err = run(argv)
            fault = broken(argv, status, out, err)
            if fault:
                argv = kept(argv, Path(folder), number)
                fault = f"{fault}: {err.strip()[-300:]}"
            yield kind, argv, status, fault, time.process_time() - start


def made(count: int, seed: int) -> Counter[str]:
    """Whole reports of accepted parameters; one that fails with anything but an error of this
    package is broken.
    """
    todo, kinds = {}, Counter[str]()
    notebooks = parameters.notebooks()
    for notebook in notebooks:
        for given in sets(notebook, -(-count // len(notebooks)), seed, odd=0.0):
            if check(notebook, given)[0] == "accepted":
                one = batch.case(notebook.stem, given)
                todo[one.stem] = one
    known = {cls.__name__ for cls in subclasses(data.TrnError)}
    with tempfile.TemporaryDirectory() as folder:
        for row in batch.run(list(todo.values()), Path(folder), batch.Options(timeout_s=120)):
            kind = row["status"] if row["status"] == "done" else row["reason"].partition(":")[0]
            clean = "clean error" if kind in known else "broken"
            kinds["done" if kind == "done" else clean] += 1
            if kind not in known | {"done"}:
                print(todo[row["report"]].command, "->", row["reason"])
    return kinds


def subclasses(cls: type) -> Iterator[type]:
    """A class and all that derive from it."""
    yield cls
    for below in cls.__subclasses__():
        yield from subclasses(below)


def main() -> int:
    """Run the lines and count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lines", nargs="?", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=KINDS, default="")
    parser.add_argument("--reports", type=int, default=0)
    args = parser.parse_args()
    hardware.systems()
    tally: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    slowest = (0.0, [""])
    for kind, argv, status, fault, seconds in lines(args.lines, args.seed, args.only):
        tally[kind]["broken" if fault else {0: "result", 2: "refused"}[status]] += 1
        slowest = max(slowest, (seconds, argv))
        if fault:
            print(f"{kind}: {ascii(argv)[:400]}\n    {fault}")
    for kind, counts in tally.items():
        print(f"{kind:12}", *(f"{name} {n:5d} " for name, n in sorted(counts.items())))
    total = sum(tally.values(), Counter[str]())
    print(f"{sum(total.values()):,} command lines: {dict(total)}; slowest {slowest[0]:.1f} s")
    reports = made(args.reports, args.seed + 1) if args.reports else Counter[str]()
    print(f"reports: {dict(reports)}")
    return 1 if total["broken"] or reports["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
