"""The `trn3` command. It imports what a command needs only when the command runs, so that help comes at once."""

import argparse
import difflib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from trn3 import __version__

ROOT = Path(__file__).parents[2]


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line with the nearest word."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with status 2."""
        word, _, choices = message.partition("(choose from ")
        known = [c.strip(" '\"") for c in choices.rstrip(")").split(",")] if choices else []
        near = difflib.get_close_matches(word.split("'")[1] if "'" in word else "", known, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else f" (there are: {', '.join(known)})" if known else ""
        print(f"{self.prog}: {word.strip()}{hint}", file=sys.stderr)
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    root = Parser(prog="trn3", description="The open lab for AWS Trainium3.", allow_abbrev=False)
    root.add_argument("--version", action="version", version=f"trn3 {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, allow_abbrev=False)

    report = add("report", "make reports: offline HTML pages with their numbers beside them")
    report.add_argument("names", nargs="*", metavar="NAME", help="report or its number; all when none is named")
    report.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="KEY=VALUE", help="see trn3 params NAME"
    )
    report.add_argument("--customer", metavar="FILE", help="a customer file, for reports that take one")
    batch = add("batch", "make many reports from a grid of parameters")
    batch.add_argument("grid", type=Path, metavar="GRID.toml")
    batch.add_argument("--resume", action="store_true", help="leave whole and fresh reports as they are")
    batch.add_argument("--scheduler", default="", metavar="tcp://HOST:PORT", help="run on a Dask cluster")
    for sub, out in ((report, "reports"), (batch, "reports/batch")):
        sub.add_argument("--out", type=Path, default=Path(out), metavar="DIR", help=f"where to write (default {out})")
        sub.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="reports at a time")
        sub.add_argument("--engine", choices=["fork", "kernel"], default="fork", help="kernel: slower, works anywhere")
        sub.add_argument("--timeout", type=float, default=600.0, metavar="S", help="longest time of one report [s]")
        sub.add_argument("--memory", type=float, default=4.0, metavar="GIB", help="most memory of one report [GiB]")
    params = add("params", "show what a report takes")
    params.add_argument("name", metavar="NAME")
    params.add_argument("--json", action="store_true", help="as a JSON schema")
    refresh = add("refresh", "run notebooks and store their outputs, if a second run gives the same")
    refresh.add_argument("names", nargs="*", metavar="NAME")
    lab = add("lab", "open the notebooks in JupyterLab")
    lab.add_argument("rest", nargs=argparse.REMAINDER, help="options for jupyter lab")
    return root


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """`key=value` texts as a dict; nothing is evaluated."""
    from trn3.reporting.parameters import ParameterError

    given = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ParameterError(f"-p {text}: write key=value")
        if key.strip() in given:
            raise ParameterError(f"-p {key.strip()} is given twice")
        given[key.strip()] = value
    return given


def report(args: argparse.Namespace) -> int:
    """`trn3 report`."""
    from trn3.reporting import batch, parameters

    names = args.names if args.names not in ([], ["all"]) else [p.stem for p in parameters.notebooks()]
    given = pairs(args.parameter) | ({"customer": args.customer} if args.customer else {})
    return finish(batch.run([batch.case(name, given) for name in names], args.out, options(args), args.jobs), args.out)


def options(args: argparse.Namespace) -> Any:
    from trn3.reporting import batch

    return batch.Options(args.timeout, int(args.memory * 2**30), args.engine)


def finish(rows: list[dict[str, Any]], out: Path) -> int:
    """Say what was made; 1 when a report failed."""
    bad = [row for row in rows if row["status"] == "failed"]
    for row in bad[:10]:
        print(f"failed: {out / row['report']}.html: {row['reason']}", file=sys.stderr)
    print(f"{len(rows) - len(bad)} of {len(rows)} reports in {out}")
    return 1 if bad else 0


def batch(args: argparse.Namespace) -> int:
    """`trn3 batch`."""
    from trn3.reporting import batch as reports

    todo = reports.cases(args.grid)
    rows = reports.run(todo, args.out, options(args), args.jobs, args.resume, args.scheduler)
    return finish(rows, args.out)


def params(args: argparse.Namespace) -> int:
    """`trn3 params`."""
    from trn3.reporting import parameters

    path = parameters.find(args.name)
    if args.json:
        print(json.dumps(parameters.schema(path), indent=1))
        return 0
    for p in parameters.read(path):
        default = ",".join(map(str, p.default)) if isinstance(p.default, list) else p.default
        print(f"{p.name} = {default!s}\n    {p.meaning}: {p.wants}")
    return 0


def refresh(args: argparse.Namespace) -> int:
    """`trn3 refresh`."""
    import nbformat
    from tqdm import tqdm

    from trn3.reporting import engine, parameters

    tqdm.monitor_interval = 0
    names = args.names or [p.stem for p in parameters.notebooks()]
    for path in tqdm([parameters.find(name) for name in names], unit="notebook"):
        first, second = (engine.run(path, {}, kind) for kind in ("kernel", "fork"))
        for one, two in zip(first.cells, second.cells):
            if one != two:
                raise parameters.ParameterError(
                    f"{path.name}: a second run of {one.id} gave another output; not stored"
                )
        part = path.with_suffix(".part")
        part.write_text(nbformat.writes(first) + "\n", encoding="utf-8")
        part.replace(path)
    return 0


def lab_command(home: Path, python: str = sys.executable, extra: Sequence[str] = ()) -> list[str]:
    """The command that opens JupyterLab on a folder of notebooks, in reading order and without a news prompt."""
    return [python, "-m", "jupyterlab", f"--notebook-dir={home}", *extra]


def lab(args: argparse.Namespace) -> int:
    """`trn3 lab`."""
    import subprocess

    return subprocess.call(lab_command(ROOT, extra=args.rest))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 done, 1 a report or a bar failed, 2 wrong input."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads: forks and two jobs on two cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    args = parser().parse_args(argv)
    try:
        return int(globals()[args.command](args))
    except KeyboardInterrupt:
        print("\ntrn3: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        from trn3.data import TrnError

        if not isinstance(error, TrnError | OSError):
            raise
        print(f"trn3: {error}", file=sys.stderr)
        return 2
