"""Reports, one or hundreds: run, write whole or not at all, remember what was made of what, and go
on after a crash.

A child process makes each report and hands it over whole; only the parent writes. The manifest, a
line of JSON for each finished report, says by hashes from which notebook, parameters, data, code
and packages it was made, so that ``--resume`` redoes exactly what is missing or stale.
"""

import functools
import hashlib
import itertools
import json
import os
import pickle
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from pathlib import Path
from typing import Annotated, Any

import nbformat
import pandas as pd
import pydantic

from trn3 import data, model_config
from trn3.bounds import shown, text_of
from trn3.reporting import (
    engine,
    exporter,
    failure,
    here,
    links,
    panel,
    parameters,
    results,
    site,
    warm,
)
from trn3.reporting.files import csv
from trn3.reporting.files import write as whole_file
from trn3.reporting.frame import shared_script

MANIFEST, MOST_CASES, CHUNK = "manifest.jsonl", 100_000, 20
Row = dict[str, Any]
Made = tuple[Row, dict[str, bytes]]


class BatchError(data.TrnError):
    """A batch that cannot start or go on: one line that says why."""


@dataclass(frozen=True)
class Case:
    """One report to make.

    Attributes
    ----------
    notebook : pathlib.Path
        What to run.
    values, given : dict
        All parameters; those that differ from the default.
    stem : str
        File name without ending.
    key : str
        Hash of all that the report is made of.
    question : str
        Title of the notebook.
    names : dict
        What pages call the reader's files, by their paths.
    """

    notebook: Path
    values: dict[str, Any]
    given: dict[str, Any]
    stem: str
    key: str
    question: str
    names: dict[str, str] = field(default_factory=dict)

    @property
    def told(self) -> dict[str, Any]:
        """All parameters as a page may show them."""
        return parameters.told(self.values, self.names)

    @property
    def model_read(self) -> dict[str, str]:
        """What was read from the reader's own model."""
        found = panel.read_from(self.values)
        file = self.names.get(str(self.values.get("model")))
        return found | ({"file": file} if file and "file" in found else {})

    def about(self, options: "Options") -> exporter.About:
        """What its page says of it."""
        return exporter.About(
            report=self.notebook.stem,
            stem=self.stem,
            parameters=self.told,
            defaults=parameters.validate(self.notebook, {}),
            command=self.command,
            data_date=str(data.data_date()),
            beside=options.shared_js,
            collection=options.collection,
            model_read=self.model_read,
        )

    @property
    def row(self) -> Row:
        """The start of its manifest line."""
        about = {"report": self.stem, "notebook": self.notebook.stem, "question": self.question}
        if left_out := self.model_read.get("not modelled"):
            about["not_modelled"] = left_out
        return about | {"parameters": self.told, "key": self.key}

    @property
    def command(self) -> str:
        """What a person types to make this report alone."""
        return panel.command(self.notebook.stem, parameters.told(self.given, self.names))


@dataclass(frozen=True)
class Options:
    """How to make reports.

    Attributes
    ----------
    timeout_s : float
        Longest time of one report [s].
    memory_bytes : int
        Most memory of one report [byte].
    kind : str
        Engine: ``fork`` or ``kernel``.
    jobs : int
        How many at a time [-].
    scheduler : str
        Address of a Dask scheduler to make them on.
    resume : bool
        Whether to leave whole and fresh reports as they are.
    keep : bool
        Whether to keep a manifest.
    shared_js : bool
        Whether pages share one script file beside them.
    notebook : bool
        Whether the executed notebook is kept beside its page.
    reference : bool
        Whether several reports get reference pages and lead to each other.
    collection : links.Collection, optional
        The reports that do.
    allow_unknown : bool
        Whether fields of a reader's model that are not understood are left out, and named.
    """

    timeout_s: float = engine.TIMEOUT_S
    memory_bytes: int = engine.MEMORY_BYTES
    kind: str = "fork"
    jobs: int = 2
    scheduler: str = ""
    resume: bool = False
    keep: bool = True
    shared_js: bool = False
    notebook: bool = False
    reference: bool = False
    collection: links.Collection | None = None
    allow_unknown: bool = field(default_factory=model_config.unknown_allowed)


EXAMPLE = 'report = "04" and [grid] with model = ["llama3_3_70b", "gpt_oss_120b"]'
"""What a grid file looks like, for a message."""
Several = Annotated[
    list[Any],
    pydantic.Field(min_length=1),
    pydantic.BeforeValidator(lambda value: value if isinstance(value, list) else [value]),
]
"""A list, also where one value stands alone."""


class Grid(pydantic.BaseModel, extra="forbid"):
    """A grid file: values of all cases, lists that are crossed, and cases as they are."""

    report: str = ""
    common: dict[str, Any] = {}
    grid: dict[str, Several] = {}
    case: list[dict[str, Any]] = []


def digest(*contents: bytes) -> str:
    """A short hash of some bytes."""
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:32]


@functools.lru_cache
def fingerprint() -> str:
    """Hash of data, code and package versions: what makes every report stale when it changes."""
    root = Path(__file__).parents[2]
    files = [
        *data.DATA.rglob("*.*"),
        *(root / "trn3").rglob("*.*"),
        root / "requirements" / "run.lock",
    ]
    kept = sorted(p for p in files if p.is_file() and p.suffix != ".pyc")
    return digest(*(part for p in kept for part in (p.name.encode(), p.read_bytes())))


def case(name: str, given: Mapping[str, Any]) -> Case:
    """A report to make, from a name and parameters as typed, all checked."""
    notebook = parameters.find(name)
    values, plain = parameters.validate(notebook, given), parameters.validate(notebook, {})
    different = {k: v for k, v in values.items() if v != plain[k]}
    what, code = parameters.key(values), parameters.code(notebook)
    if left_out := panel.read_from(values).get("not modelled"):
        what = digest(what.encode(), left_out.encode())
    key = digest(notebook.stem.encode(), repr(code).encode(), what.encode(), fingerprint().encode())
    stem = f"{notebook.stem}-{what[:8]}" if different else notebook.stem
    question = code[0][1].strip("# ").partition("\n")[0]
    return Case(notebook, values, different, stem, key, question, parameters.short(values.values()))


def _grid(grid: Path) -> Grid:
    """A grid file, read and typed."""
    try:
        text = text_of(grid)
    except data.TrnError as error:
        raise BatchError(f"{grid}: {error}") from None
    kind = {".yaml": "YAML", ".yml": "YAML", ".json": "JSON"}.get(grid.suffix.lower(), "")
    kind = kind or ("JSON" if text.lstrip().startswith("{") else "")
    if kind:
        raise BatchError(f"{grid}: this is {kind}; write TOML, such as {EXAMPLE}")
    try:
        return Grid.model_validate(tomllib.loads(text))
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(p if str(p).isprintable() else shown(p) for p in map(str, fault["loc"]))
        raise BatchError(
            f"{grid}: {where}: {fault['msg']}; a grid has report, [common], [grid] lists and "
            f"[[case]], such as {EXAMPLE}"
        ) from None
    except RecursionError:
        raise BatchError(f"{grid}: nested too deeply") from None
    except ValueError as error:
        yaml = re.match(r"\s*[\w-]+:(\s|$)", text)
        why = "this looks like YAML; write TOML" if yaml else f"no TOML: {error}"
        raise BatchError(f"{grid}: {why}, such as {EXAMPLE}") from None


def cases(grid: Path) -> list[Case]:
    """All reports of a grid file, each once; every case is checked before any is run.

    Parameters
    ----------
    grid : pathlib.Path
        TOML: ``report``, ``[common]`` values, ``[grid]`` lists that are crossed, ``[[case]]``
        tables as they are.

    Returns
    -------
    list of Case
        In the order of the file.

    Raises
    ------
    BatchError
        Names the first case that is wrong, and how many are.
    """
    text = _grid(grid)
    product = itertools.product(*text.grid.values()) if text.grid else []
    rows = [dict(zip(text.grid, values)) for values in itertools.islice(product, MOST_CASES + 1)]
    if len(rows) + len(text.case) > MOST_CASES:
        raise BatchError(f"{grid}: more than {MOST_CASES:,} combinations, too many for one batch")
    found, wrong = {}, []
    for number, row in enumerate(rows + text.case, 1):
        try:
            given = {"report": text.report} | text.common | row
            one = case(str(given.pop("report")), given)
            found[one.stem] = one
        except data.TrnError as error:
            wrong.append(f"case {number}: " + str(error).partition("\n")[0])
    if wrong or not found:
        more = f" ({len(wrong) - 1} more cases are wrong)" if len(wrong) > 1 else ""
        raise BatchError(f"{grid}: {wrong[0] if wrong else 'names no case'}{more}")
    names = parameters.short(value for one in found.values() for value in one.values.values())
    return [replace(one, names=names) for one in found.values()]


# -------------------------------------------------------------------------------------- one report
def build(one: Case, options: Options) -> Made:
    """Run one report in this process: its line for the manifest, and its files by name."""
    limits: Row = (
        {"forked": True} if options.kind == "fork" else {"execution_timeout": options.timeout_s}
    )
    try:
        notebook = engine.run(one.notebook, one.given, options.kind, **limits)
    except Exception as error:
        engine.bound()
        return failed(one, error, options)
    page, files = exporter.report(notebook, one.about(options))
    files = {f"{one.stem}.html": page.encode()} | files
    if options.notebook:
        files[f"{one.stem}.ipynb"] = f"{nbformat.writes(notebook)}\n".encode()
    row = one.row | results.summary(notebook) | {"status": "done"}
    return row | {"files": digests(files)}, files


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Hashes of files by name."""
    return {name: digest(content) for name, content in files.items()}


def describe(error: Exception) -> Row:
    """Where and how a report failed, in plain text."""
    name = "" if isinstance(error, engine.LostError) else type(error).__name__
    message = f"{getattr(error, 'ename', name)}: {getattr(error, 'evalue', error)}".strip(": ")
    trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(getattr(error, "traceback", [])))
    where = {"cell": getattr(error, "cell_index", None), "source": getattr(error, "source", "")}
    return where | {"message": message, "traceback": trace}


def failed(one: Case, error: Exception, options: Options) -> Made:
    """The manifest line and the error page of a report that failed or whose process was lost."""
    told = describe(error)
    page = failure.page(
        report=one.notebook.stem,
        parameters=one.told,
        command=one.command,
        declared=parameters.read(one.notebook),
        beside=options.shared_js,
        **told,
        **links.neighbours(options.collection, one.stem),
    )
    reason = told["message"].partition("\n")[0]
    row = one.row | {"status": "failed", "reason": reason, "headline": []}
    files = {f"{one.stem}.html": page.encode()}
    return row | {"files": digests(files)}, files


# ------------------------------------------------------------------------------------ many reports
def forked(todo: list[Case], options: Options) -> Iterator[Made]:
    """Make reports in forked children of this warm process; yields each as it ends."""
    waiting, running = list(reversed(todo)), {}  # type: ignore[var-annotated]
    try:
        while waiting or running:
            while waiting and len(running) < options.jobs:
                one = waiting.pop()
                child = engine.Child(
                    functools.partial(build, one, options), options.timeout_s, options.memory_bytes
                )
                running[child.process.sentinel] = (child, one)
            left = min(child.deadline for child, _ in running.values()) - time.monotonic()
            over = set(connection.wait(list(running), max(left, 0.0)))
            for key in over | {
                k for k, (child, _) in running.items() if child.deadline <= time.monotonic()
            }:
                child, one = running.pop(key)  # type: ignore[arg-type]
                try:
                    yield child.end()
                except RuntimeError as error:
                    yield failed(one, error, options)
    finally:
        for child, _ in running.values():
            with suppress(RuntimeError):
                child.end()


def remote(some: list[Case], options: Options) -> list[Made]:
    """Make reports in a fresh process: on Dask workers, whose threads forbid a fork, and for
    kernels.
    """
    command = [sys.executable, "-c", "from trn3.reporting import batch; batch.serve()"]
    limit_s = (options.timeout_s + 30) * len(some)
    done = subprocess.run(
        command, input=pickle.dumps((some, options)), capture_output=True, timeout=limit_s
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise engine.LostError(
            f"the process that made it ended with {done.returncode} {last}".strip()
        )
    return list(pickle.loads(done.stdout))


def serve() -> None:
    """The other end of `remote`: cases on standard input, reports on standard output."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    engine.die_with(os.getppid())
    some, options = pickle.load(sys.stdin.buffer)
    model_config.allow_unknown(options.allow_unknown)  # a worker has not heard the command
    if options.kind == "fork" and here.fork_is_safe():
        warm.parent(some)
        made = list(forked(some, replace(options, jobs=1)))
    else:
        engine.bound(options.memory_bytes)
        made = [build(one, replace(options, kind="kernel")) for one in some]
    pickle.dump(made, answer)
    answer.close()


def elsewhere(todo: list[Case], options: Options, executor: Any, chunk: int) -> Iterator[Made]:
    """Make reports through an executor: threads that start processes, or a Dask cluster."""
    chunks = [todo[i : i + chunk] for i in range(0, len(todo), chunk)]
    running = {executor.submit(remote, some, options): some for some in chunks}
    try:
        for future in futures.as_completed(running):
            try:
                yield from future.result()
            except Exception as error:
                yield from (failed(one, error, options) for one in running[future])
    finally:
        for future in running:
            future.cancel()


def made(todo: list[Case], options: Options) -> Iterator[Made]:
    """Make reports where it is best: on a Dask cluster if there is one, in forked children, else
    behind kernels.
    """
    if options.scheduler:
        with cluster(options.scheduler) as client:
            chunk = min(CHUNK, len(todo) // (2 * len(client.nthreads())) + 1)
            yield from elsewhere(todo, options, client.get_executor(retries=2), chunk)
    elif options.kind == "fork" and here.fork_is_safe():
        warm.parent(todo)
        yield from forked(todo, options)
    else:
        with futures.ThreadPoolExecutor(options.jobs) as threads:
            yield from elsewhere(todo, replace(options, kind="kernel"), threads, 1)


def cluster(address: str) -> Any:
    """A client of a Dask cluster whose workers hold the same packages, data and code as this
    process.
    """
    if not re.fullmatch(r"(tcp|tls)://.+:\d+|(inproc|ucx|wss?)://.+", address):
        raise BatchError(f"scheduler {address!r}: write its address, such as tcp://host:8786")
    try:
        from distributed import Client

        client = Client(address, set_as_default=False)  # waits as long as Dask is told to
        client.get_versions(check=True)
        theirs = set(client.run(fingerprint).values())
    except ImportError:
        raise BatchError("--scheduler needs Dask: pip install 'trn3[dask]'") from None
    except Exception as error:
        raise BatchError(
            f"scheduler {address}: {str(error).partition(chr(10))[0] or type(error).__name__}"
        ) from None
    if theirs != {fingerprint()}:
        raise BatchError(
            f"scheduler {address}: {'a worker has other data or code' if theirs else 'no worker'}"
        )
    return client


# -------------------------------------------------------------------------------------- the folder
def run(todo: list[Case], out: Path, options: Options) -> list[Row]:
    """Make reports into a folder, with an index beside several.

    Parameters
    ----------
    todo : list of Case
        What to make.
    out : pathlib.Path
        Folder for pages, results files, tables, index and manifest.
    options : Options
        How to make them.
    Returns
    -------
    list of dict
        Manifest line of each report, in the order asked for.

    Raises
    ------
    BatchError
        When the folder cannot be written or another command is writing into it.
    """
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # its thread would make forks unsafe
    several = len(todo) > 1
    joined = site.collection(todo) if several and options.reference else None
    options = replace(options, shared_js=several, collection=joined)
    with locked(out):
        known = remembered(out) if options.resume else {}
        rows = {one.stem: known[one.stem] for one in todo if whole(out, one, known.get(one.stem))}
        left = [one for one in todo if one.stem not in rows]
        with tqdm(total=len(todo), initial=len(rows), unit="report", delay=1.0) as bar:
            for row, files in made(left, options):
                write(out, files)
                if options.keep:
                    note(out, row)
                rows[row["report"]] = row
                bar.update()
        ordered = [rows[one.stem] for one in todo]
        if several:
            write(out, index(ordered, linked=joined is not None))
        if joined:
            site.write(ordered, out)
    return ordered


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """A folder that can be written; nobody else gets in, and the lock goes with the process,
    however it ends.

    The lock is never opened through a link, and what it holds is left alone.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        no_link = getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(out / ".lock", os.O_RDWR | os.O_CREAT | no_link, 0o644)) as handle:
            if os.name == "posix":
                import fcntl

                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise BatchError(
                        f"another command is writing into {out}; wait, or choose another --out"
                    ) from None
            yield
    except OSError as error:
        raise BatchError(f"cannot write {error.filename or out}: {error.strerror}") from None


def write(out: Path, files: Mapping[str, bytes]) -> None:
    """Put files into a folder, each whole or not at all."""
    for name, content in files.items():
        whole_file(out / name, content)


def note(out: Path, row: Row) -> None:
    """Add a line to the manifest; it starts with a line break, so that one cut short by a crash
    spoils no other.
    """
    with open(out / MANIFEST, "ab") as manifest:
        manifest.write(b"\n" + json.dumps(row).encode())


def remembered(out: Path) -> dict[str, Row]:
    """The last manifest line of each report; a line that a crash cut short is no line."""
    rows, path = {}, out / MANIFEST
    for line in (
        path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    ):
        with suppress(ValueError, KeyError, TypeError):
            row = json.loads(line)
            rows[row["report"]] = row
    return rows


def whole(out: Path, one: Case, row: Row | None) -> bool:
    """Whether a report is there as it was made, and would be made the same again."""
    if row is None or row.get("status") != "done" or row.get("key") != one.key:
        return False
    paths = {out / name: value for name, value in row["files"].items()}
    return all(
        path.is_file() and digest(path.read_bytes()) == value for path, value in paths.items()
    )


def index(rows: list[Row], linked: bool = False) -> dict[str, bytes]:
    """What stands beside several reports: index page, table of their headline numbers, the
    script that they share.
    """
    lines = []
    for row in rows:
        about = {"report": row["report"], "state": row["status"]} | row["parameters"]
        if "not_modelled" in row:
            about["not_modelled"] = row["not_modelled"]
        lines += [about | number for number in row["headline"] or [{}]]
    table = csv(pd.DataFrame(lines, dtype=object))
    page = site.index(rows, linked=linked)
    return {"index.html": page.encode(), "index.csv": table, "vega.js": shared_script().encode()}
