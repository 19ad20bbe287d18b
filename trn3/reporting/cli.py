"""The `trn3` command. It imports what a command needs only when the command runs, so that help
comes at once.
"""

import argparse
import contextlib
import difflib
import io
import json
import os
import sys
import textwrap
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from trn3 import __version__

EXAMPLE = (
    "examples: ./run report 02 -p model=llama3_3_70b; ./run params 02; "
    "./run batch grid.toml --resume"
)


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line with the nearest word."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with status 2."""
        what, _, choices = message.partition(" (choose from ")
        known = choices.rstrip(")").replace("'", "").split(", ") if choices else []
        near = difflib.get_close_matches(what.split("'")[1] if known else "", known, 1, 0.5)
        hint = (
            f"; did you mean {near[0]}?"
            if near
            else f"; there are: {', '.join(known)}"
            if known
            else ""
        )
        complain(f"{self.prog}: {what}{hint}")
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    root = Parser(
        prog="trn3",
        description="The open lab for AWS Trainium3.",
        epilog=EXAMPLE,
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"trn3 {__version__}")
    root.add_argument(
        "--debug",
        action="store_true",
        default=bool(os.environ.get("TRN3_DEBUG")),
        help="show where in the code an error arose (also with TRN3_DEBUG=1)",
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, about: str, *names: Any, **options: Any) -> Any:
        sub = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        for label, kwargs in names:
            sub.add_argument(label, **kwargs)
        for flag, kwargs in options.items():
            sub.add_argument("--" + flag, **kwargs)
        return sub

    path, flag, kinds = {"type": Path}, {"action": "store_true"}, ["training", "inference"]
    outcomes = ["energy", "goodput", "money"]
    outcomes = ["energy", "goodput", "money"]
    unknown = {"allow-unknown": flag | {"help": "leave out fields of a config.json not modelled"}}
    making = {
        "jobs": {"type": int, "default": os.cpu_count() or 1, "help": "reports at a time"},
        "engine": {
            "choices": ["fork", "kernel"],
            "default": "fork",
            "help": "kernel is slower and works anywhere",
        },
        "timeout": {"type": float, "default": 600.0, "help": "longest time of one report [s]"},
        "memory": {"type": float, "default": 4.0, "help": "most memory of one report [GiB]"},
    }
    several = (
        "names",
        {"nargs": "*", "metavar": "NAME", "help": "report or its number; all where none is named"},
    )
    out = {
        "type": Path,
        "help": "folder to write into (default: reports; of a batch, reports/GRID)",
    }
    customer = {"metavar": "FILE", "help": "a customer file, for reports that take one"}
    report = add(
        "report",
        "make offline HTML reports",
        several,
        customer=customer,
        out=out,
        **making,
        **unknown,
    )
    report.add_argument(
        "--notebook", action="store_true", help="keep the executed notebook beside its page"
    )
    report.add_argument(
        "-p", dest="given", action="append", default=[], metavar="KEY=VALUE", help="a parameter"
    )
    add(
        "batch",
        "make many reports from a grid of parameters",
        ("grid", path),
        out=out,
        **making,
        **unknown,
        resume=flag | {"help": "leave whole and fresh reports as they are"},
        scheduler={"default": "", "metavar": "tcp://HOST:PORT", "help": "run on a Dask cluster"},
    )
    add("params", "show what a report takes", ("name", {"metavar": "NAME"}), json=flag)
    need, counts = {"required": True}, {"required": True, "help": "N or A..B"}
    search = {
        "model": need,
        "system": need,
        "chips": counts,
        "json": flag,
        "dtype": {"default": "bf16"},
    }
    search |= {"batch": {"type": int, "default": 1024, "help": "sequences of a step"}}
    search |= {
        "seq": {"type": int, "help": "tokens of a sequence"},
        "top": {"type": int, "default": 10},
    }
    axes = {
        "choices": ["all", "layout"],
        "default": "all",
        "help": "layout: without the overlap switches",
    }
    add("search", "find the fastest parallel layouts", **search, axes=axes, **unknown)
    add(
        "calibrate",
        "refit the constants to the committed runs",
        ("kind", {"choices": kinds}),
        check=flag,
    )
    folds = {
        "choices": [
            "none",
            "source",
            "publisher",
            "generation",
            "model",
            "harness",
            "origin",
            "prospective",
            "pool",
        ],
        "help": "what is left out in turn, or rows that no fit has seen",
    }
    kind, csv = (
        ("kind", {"choices": [*kinds, *outcomes]}),
        ("file", path | {"nargs": "?", "help": "your own runs as CSV"}),
    )
    add(
        "validate",
        "score predictions against published runs, power, useful time and costs",
        kind,
        csv,
        folds=folds,
        json=path | {"metavar": "OUT"},
    ).add_argument(
        "-p",
        dest="given",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="what the file does not say, for all its rows, such as accelerator=h100",
    )
    add("refresh", "run notebooks and store their outputs, if a second run agrees", several)
    two = [
        (name, {"metavar": name.upper(), "help": "a chip, a system or a results file"})
        for name in ("a", "b")
    ]
    add("compare", "two chips, systems or results files side by side", *two)
    add("doctor", "check environment, data and browser")
    add(
        "lab",
        "open the notebooks in JupyterLab; its options, such as --no-browser, may follow",
    )
    return root


# ----------------------------------------------------------------------------------------- reports
def report(args: argparse.Namespace) -> int:
    """`trn3 report`."""
    from trn3.reporting import batch, parameters

    names = (
        args.names
        if args.names not in ([], ["all"])
        else [path.stem for path in parameters.notebooks()]
    )
    given = pairs(args.given, {"customer": args.customer} if args.customer else {})
    takes = {name: {p.name for p in parameters.read(parameters.find(name))} for name in names}
    elsewhere = (
        set().union(*takes.values()) if len(names) > 1 else set()
    )  # of several reports, each takes its own
    todo = [
        batch.case(n, {k: v for k, v in given.items() if k in takes[n] or k not in elsewhere})
        for n in names
    ]
    out = args.out or Path("reports")
    rows = batch.run(todo, out, options(args, keep=False, reference=True, notebook=args.notebook))
    return finish(rows, out)


def pairs(texts: Sequence[str], known: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Values by name, each given once after ``-p``."""
    from trn3.bounds import shown
    from trn3.units import InputError

    given = dict(known)
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name.strip() in given:
            why = "is given twice" if equals else "write KEY=VALUE"
            raise InputError(f"-p {shown(text)}: {why}")
        given[name.strip()] = value
    return given


def batch(args: argparse.Namespace) -> int:
    """`trn3 batch`."""
    from trn3.reporting import batch

    chosen, out = (
        options(args, resume=args.resume, scheduler=args.scheduler),
        args.out or Path("reports", args.grid.stem),
    )
    return finish(batch.run(batch.cases(args.grid), out, chosen), out)


def options(args: argparse.Namespace, **more: Any) -> Any:
    """How to make reports, checked."""
    from trn3.reporting import batch

    for name in ("jobs", "timeout", "memory"):
        if not 0 < getattr(args, name) < 1e6:
            raise batch.BatchError(f"--{name} must be more than 0 and less than a million")
    return batch.Options(args.timeout, int(args.memory * 2**30), args.engine, args.jobs, **more)


def finish(rows: list[dict[str, Any]], out: Path) -> int:
    """Say what was made; 1 when a report failed, or the mistake itself where the only one was
    asked what cannot be.
    """
    from trn3 import data
    from trn3.study import customers, footprint  # noqa: F401  with them all errors in what is asked are known

    bad = [row for row in rows if row["status"] != "done"]
    mistakes, told = (
        {*data.TrnError.__subclasses__(), data.TrnError},
        bad[0]["reason"].partition(": ") if bad else "",
    )
    if len(rows) == 1 and told and told[0] in {kind.__name__ for kind in mistakes}:
        raise data.TrnError(told[2])
    for row in bad[:10]:
        complain(f"failed: {out / row['report']}.html: {row['reason']}")
    page = "index.html" if len(rows) > 1 else f"{rows[0]['report']}.html"
    say(f"{len(rows) - len(bad)} of {len(rows)} reports made: {out / page}")
    return 1 if bad else 0


def params(args: argparse.Namespace) -> int:
    """`trn3 params`."""
    from trn3.reporting import parameters

    path = parameters.find(args.name)
    if args.json:
        print(json.dumps(parameters.schema(path), indent=1))
        return 0
    declared = parameters.read(path)
    print(*(f"{p.name} = {p.shown}\n    {p.meaning}: {p.wants}" for p in declared), sep="\n")
    for kind in sorted({p.allowed for p in declared} & parameters.KINDS):
        print(
            textwrap.fill(
                f"{kind} ids: {', '.join(parameters.ids(kind))}", 120, subsequent_indent="    "
            )
        )
    return 0


def refresh(args: argparse.Namespace) -> int:
    """`trn3 refresh`."""

    import base64

    import nbformat
    import papermill
    from tqdm import tqdm

    from trn3.reporting import batch, engine, parameters
    from trn3.show import charts

    tqdm.monitor_interval = (
        0  # its thread would make the forks unsafe, as those of a kernel's client do
    )
    paths = [parameters.find(name) for name in args.names] or parameters.notebooks()
    todo, made = [(path, kind) for kind in ("fork", "kernel") for path in paths], {}
    for path, kind in tqdm(todo, unit="run"):
        try:
            made[path, kind] = engine.run(path, {}, kind)
        except (RuntimeError, papermill.PapermillExecutionError) as error:
            raise parameters.ParameterError(
                f"{path.name}: not stored: {batch.describe(error)['message']}"
            ) from None
    for path in paths:
        cells = zip(made[path, "fork"].cells, made[path, "kernel"].cells)
        for odd in (one.id for one, two in cells if one != two):
            raise parameters.ParameterError(
                f"{path.name}: not stored, as a second run of {odd} gave other output"
            )
        for cell in (
            c for c in made[path, "kernel"].cells if "headline" in c.metadata.get("tags", [])
        ):
            for output in (o["data"] for o in cell.outputs if charts.MIME in o.get("data", {})):
                output["image/png"] = base64.b64encode(charts.png(output[charts.MIME])).decode()
        batch.write(
            path.parent, {path.name: (nbformat.writes(made[path, "kernel"]) + "\n").encode()}
        )
    return 0


# ------------------------------------------------------------------------------------------ models
def search(args: argparse.Namespace) -> int:
    """`trn3 search`."""
    from trn3 import data, workload
    from trn3 import search as layouts
    from trn3.bounds import shown

    low, _, high = args.chips.partition("..")
    if not all(end.isascii() and end.isdigit() and len(end) < 16 for end in (low, high or low)):
        raise data.TrnError(
            f"--chips {shown(args.chips)}: write a number of chips, or a range such as 512..4096"
        )
    chips = range(int(low), int(high or low) + 1)
    settings = {"seq_len": args.seq, "dtype": args.dtype, "switches": args.axes == "all"}
    settings |= {"progress": sys.stderr.isatty()}
    shape = workload.model(args.model)
    left_out = shape.name if "(not modelled: " in shape.name else ""
    if left_out:
        complain(f"note: {left_out}")
    found = layouts.search(args.model, args.system, chips, args.batch, args.top, **settings)
    if args.json:
        about = {"model": left_out} if left_out else {}
        print(json.dumps(about | found.json(), indent=1, default=float))
        return 0
    if left_out:
        say(f"{left_out}\n")
    frame = found.frame().replace({"recompute": dict(enumerate(("none", "selective", "full")))})
    print(frame.to_string(index=False, float_format="{:.4g}".format))
    print(f"{found.distinct:,} layouts, {found.feasible:,} fit the memory; {found.seconds:.2f} s")
    return 0


def calibrate(args: argparse.Namespace) -> int:
    """`trn3 calibrate`."""
    from trn3.fit import refit

    with working("fitting"):
        frame = refit.calibrate(args.kind, args.check)
    print(frame.to_string(index=False))
    return 0


def validate(args: argparse.Namespace) -> int:
    """`trn3 validate`."""
    from trn3 import data
    from trn3.fit import validation
    from trn3.study import outcomes

    if args.kind in outcomes.KINDS:
        if args.file or args.folds or args.given:
            raise data.TrnError(f"validate {args.kind} takes no file, no --folds and no -p")
        with working("predicting"):
            result = {name: of(args.kind).to_dict("records") for name, of in outcomes.TABLES}
        say(outcomes.text(args.kind))
        if args.json:
            write_json(args.json, result)
        return 0
    with working("refitting with each fold left out" if not args.file else "scoring"):
        folds = args.folds or ("none" if args.file else "source")
        given = pairs(args.given)
        if given and not args.file:
            raise data.TrnError("-p says what a file of runs does not say; name the file")
        result = validation.validate(args.kind, args.file, folds, given=given)
    say(validation.text(result))
    if args.file:
        print(f"\n{'row':24}{'quantity':>14}{'measured':>11}{'predicted':>11}{'80% range':>19}")
        for r in result["runs"][:100]:
            ends = "-".join("" if r[end] is None else f"{r[end]:.4g}" for end in ("low", "high"))
            say(
                f"{r['row_id']:24}{r['quantity']:>14}{r['measured']:11.4g}{r['predicted']:11.4g}{ends:>19}"
            )
        print(
            "Times in s, throughput in tokens/s per chip. The committed constants are as they were."
        )
    if args.json:
        write_json(args.json, result)
    return 0


def write_json(path: Path, result: Any) -> None:
    """Write a result as JSON, which has no NaN."""
    from trn3.reporting import batch

    plain = json.loads(json.dumps(result), parse_constant=lambda _: None)
    try:
        batch.write(path.parent, {path.name: json.dumps(plain, indent=1).encode()})
    except OSError as error:
        raise batch.BatchError(f"--json {path}: cannot be written ({error.strerror})") from None


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show the time on standard error while something long runs."""
    from tqdm import tqdm

    done = threading.Event()
    with tqdm(desc=what, bar_format="{desc}: {elapsed}", delay=1.0, leave=False) as bar:
        clock = threading.Thread(
            target=lambda: [bar.update() for _ in iter(lambda: done.wait(0.5), True)], daemon=True
        )
        clock.start()
        try:
            yield
        finally:
            done.set()
            clock.join()


def compare(args: argparse.Namespace) -> int:
    """`trn3 compare`."""
    from trn3.reporting.comparison import beside

    table = beside(args.a, args.b)
    names = table[""]
    aligned = table.assign(**{"": names.str.ljust(names.str.len().max())})
    say(aligned.to_string(index=False))
    return 0


# ------------------------------------------------------------------------------------------- house
def doctor(args: argparse.Namespace) -> int:
    """`trn3 doctor`."""
    from trn3.reporting import here

    for finding in here.findings():
        say(f"{'ok  ' if finding.good else 'note'}  {finding.what:12} {finding.text}")
    return 0


def lab_command(home: Path, python: str = sys.executable, extra: Sequence[str] = ()) -> list[str]:
    """The command that opens JupyterLab on the first notebook, in reading order, with settings
    that ask nothing.
    """
    first = min((path.name for path in (home / "notebooks").glob("*.ipynb")), default="")
    options = [
        f"--LabApp.app_settings_dir={Path(__file__).parent}",  # its overrides.json is read
        f"--ServerApp.root_dir={home}",
        f"--LabApp.default_url=/lab/tree/notebooks/{first}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    return [python, "-P", "-m", "jupyterlab", *options, *extra]


def lab(args: argparse.Namespace) -> int:
    """`trn3 lab`: this process becomes JupyterLab, so that a signal to it reaches the server."""
    import importlib.util

    from trn3 import data

    if importlib.util.find_spec("jupyterlab") is None:
        print(
            "trn3: JupyterLab is not installed here; use ./run lab, or: pip install 'trn3[lab]'",
            file=sys.stderr,
        )
        return 2
    os.execv(sys.executable, lab_command(data.home(), extra=args.more))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    The status is 0 where it is done, 1 where a report or a bar failed, 2 where the input is wrong,
    130 where it was interrupted.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # before NumPy loads: threads would make forks unsafe
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know fewer characters
    command = parser()
    args, more = command.parse_known_args(argv)
    args.more = more
    if getattr(args, "allow_unknown", False):
        os.environ["TRN3_ALLOW_UNKNOWN"] = "1"  # here, before anything slow is imported
    if more and args.command != "lab":
        command.error(f"{args.command} takes no {' '.join(more)} (see trn3 {args.command} --help)")
    try:
        status = int(globals()[args.command](args))
        sys.stdout.flush()
        return status
    except BaseException as error:  # the one place that says in a line what ended a command
        if args.debug:
            traceback.print_exc()
        status, lines = ended(error)
        for line in lines:
            complain(f"trn3: {line}")
        return status


def ended(error: BaseException) -> tuple[int, list[str]]:
    """Status of a command that an exception ended, and the line that says why.

    Only a file with several problems has several lines, one for each.
    """
    from trn3.units import TrnError

    kind = type(error).__name__
    told = f"{error}".partition("\n")[0] or "no message"
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, KeyboardInterrupt):
        return 130, ["interrupted; a batch goes on where it was with --resume"]
    if isinstance(error, BrokenPipeError):  # the reader of a pipe, such as head, has seen enough
        silence()
        return 0, []
    if isinstance(error, TrnError):
        return 2, getattr(error, "lines", [str(error)])
    if isinstance(error, UnicodeError):
        return 2, [f"a text is not UTF-8, or cannot be written ({told})"]
    if isinstance(error, OSError):
        silence()
        where = f"{error.filename}: " if error.filename else ""
        return 2, [f"{where}{error.strerror or str(error) or kind}"]
    if isinstance(error, MemoryError):
        return 2, ["not enough memory for what was asked"]
    if isinstance(error, RecursionError):
        return 2, ["what was given is nested too deeply"]
    if isinstance(error, ImportError):
        return 1, [f"a package cannot be loaded ({told}); ./run sets it up"]
    return 1, [f"a fault of trn3, not of yours: {kind}: {told} (--debug shows where)"]


def say(text: str) -> None:
    """Text on standard output, safe for a terminal."""
    from trn3.bounds import printable

    print(printable(text, keep="\n"))


def complain(text: str) -> None:
    """One line on standard error, safe for a terminal."""
    from trn3.bounds import printable

    with contextlib.suppress(OSError):
        print(printable(text), file=sys.stderr)


def silence() -> None:
    """Give up a standard output that takes no more, so that nothing is said of it at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
