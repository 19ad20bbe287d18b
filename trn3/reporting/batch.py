"""Reports, one or hundreds: run, write whole or not at all, remember what was made of what, and go on after a crash.

A child process makes one report and writes nothing but whole files. The manifest, a line of JSON for each finished
report, says by hashes from which notebook, parameters, data, code and packages it was made; ``--resume`` redoes what is
missing or stale.
"""

import csv
import functools
import hashlib
import io
import itertools
import json
import math
import os
import pickle
import re
import select
import shlex
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trn3 import data
from trn3.reporting import engine, parameters

try:
    from trn3.reporting import html
except ImportError:

    class html:  # noqa: N801 - until the exporter is there
        @staticmethod
        def export(notebook: Any, path: Path, **_: Any) -> None:
            from nbconvert import HTMLExporter

            path.write_text(HTMLExporter(template_name="basic").from_notebook_node(notebook)[0])

        @staticmethod
        def error_page(path: Path, **about: Any) -> None:
            path.write_text(repr(about))


ROOT = Path(__file__).parents[2]
RESULTS = "application/vnd.trn3.results+json"
MANIFEST, MOST_CASES = "manifest.jsonl", 100_000
Row = dict[str, Any]


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
    """

    notebook: Path
    values: dict[str, Any]
    given: dict[str, Any]
    stem: str
    key: str

    @property
    def command(self) -> str:
        """What a person types to make this report alone."""
        text = {k: ",".join(map(str, v)) if isinstance(v, list) else str(v) for k, v in self.given.items()}
        return " ".join(["trn3 report", self.notebook.stem, *(f"-p {k}={shlex.quote(v)}" for k, v in text.items())])


@dataclass(frozen=True)
class Options:
    """How to make reports.

    Attributes
    ----------
    timeout_s : float
        Longest time of one report [s].
    memory_bytes : int
        Most memory of one report [byte].
    engine : str
        ``fork`` or ``kernel``.
    shared_js : bool
        Whether pages share one script file beside them.
    """

    timeout_s: float = engine.TIMEOUT_S
    memory_bytes: int = engine.MEMORY_BYTES
    engine: str = "fork"
    shared_js: bool = False


@functools.lru_cache
def fingerprint() -> str:
    """Hash of data, code and package versions: what makes a report stale when it changes."""
    digest = hashlib.sha256()
    files = [*data.DATA.rglob("*"), *(ROOT / "trn3").rglob("*.[pcj][ys]*"), ROOT / "requirements" / "run.lock"]
    for path in sorted(p for p in files if p.is_file() and "__pycache__" not in p.parts):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def case(name: str, given: Mapping[str, Any]) -> Case:
    """A report to make, from a name and parameters as typed, all checked."""
    notebook = parameters.find(name)
    values, plain = parameters.validate(notebook, given), parameters.validate(notebook, {})
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = json.dumps([(c["cell_type"], c["source"], c["metadata"].get("tags")) for c in cells])
    what = parameters.key(values)
    key = hashlib.sha256("\0".join((notebook.stem, sources, what, fingerprint())).encode()).hexdigest()
    different = {k: v for k, v in values.items() if v != plain[k]}
    return Case(notebook, values, different, f"{notebook.stem}-{what[:8]}" if different else notebook.stem, key)


def cases(grid: Path) -> list[Case]:
    """All reports of a grid file, each once; every case is checked before any is run.

    Parameters
    ----------
    grid : pathlib.Path
        TOML: ``report``, ``[common]`` values, ``[grid]`` lists that are crossed, ``[[case]]`` tables as they are.

    Returns
    -------
    list of Case
        In the order of the file.

    Raises
    ------
    BatchError
        Names the first case that is wrong, and how many are.
    """
    try:
        text = tomllib.loads(grid.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BatchError(f"{grid}: {getattr(error, 'strerror', None) or error}") from None
    if odd := set(text) - {"report", "common", "grid", "case"}:
        raise BatchError(f"{grid}: no key {sorted(odd)[0]!r}; there are: report, common, grid, case")
    crossed, common = text.get("grid", {}), {"report": text.get("report")} | text.get("common", {})
    lists = [v if isinstance(v, list) and v else None for v in crossed.values()]
    if None in lists:
        raise BatchError(f"{grid}: grid.{list(crossed)[lists.index(None)]} must be a list of values")
    if (count := math.prod(map(len, lists))) > MOST_CASES:
        raise BatchError(f"{grid}: {count:,} combinations are more than the {MOST_CASES:,} of one batch")
    wanted = [dict(zip(crossed, values)) for values in itertools.product(*lists)] if crossed else []
    wanted = [common | given for given in [*wanted, *text.get("case", [])]]
    found, wrong = {}, []
    for number, given in enumerate(wanted, 1):
        try:
            one = case(str(given.pop("report") or ""), given)
            found[one.stem] = one
        except data.TrnError as error:
            wrong.append(f"case {number}: {error}")
    if wrong or not found:
        count_text = f" ({len(wrong)} of {len(wanted)} cases are wrong)" if len(wrong) > 1 else ""
        raise BatchError(f"{grid}: {wrong[0] if wrong else 'names no case'}{count_text}")
    return list(found.values())


# ------------------------------------------------------------------------------------------------- one report
def row_of(one: Case) -> Row:
    return {"report": one.stem, "notebook": one.notebook.stem, "parameters": one.values, "key": one.key}


def build(one: Case, options: Options, forked: bool = False) -> tuple[Row, dict[str, bytes]]:
    """Run one report: its line for the manifest, and its files by name."""
    start, page = time.monotonic(), f"{one.stem}.html"
    row = row_of(one)
    limits = {"execution_timeout": options.timeout_s}
    limits |= {"memory_bytes": options.memory_bytes, "forked": forked} if options.engine == "fork" else {}
    try:
        notebook = engine.run(one.notebook, one.given, options.engine, **limits)
    except Exception as error:
        engine.unbound()
        return failed(row, one, describe(error))
    files = results(notebook, one, row)
    with tempfile.TemporaryDirectory() as folder:
        html.export(
            notebook,
            Path(folder) / page,
            report=one.notebook.stem,
            parameters=one.values,
            defaults=parameters.validate(one.notebook, {}),
            command=one.command,
            data_date=str(data.data_date()),
            shared_js=options.shared_js,
        )
        files[page] = (Path(folder) / page).read_bytes()
    row |= {"status": "done", "seconds": round(time.monotonic() - start, 3)}
    return row | {"files": {name: digest(content) for name, content in files.items()}}, files


def results(notebook: Any, one: Case, row: Row) -> dict[str, bytes]:
    """The results file and the tables that a notebook hands out."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    handed = next((o["data"][RESULTS] for o in outputs if RESULTS in o.get("data", {})), {})
    files, tables = {}, {}
    for name, table in handed.get("tables", {}).items():
        tables[name] = f"{one.stem}-{re.sub('[^a-z0-9_]+', '_', name.lower())}.csv"
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([table["columns"], *table["data"]])
        files[tables[name]] = text.getvalue().encode()
    row["headline"] = handed.get("headline", [])
    head = {"report": one.notebook.stem, "parameters": one.values, "data_date": str(data.data_date())}
    text = json.dumps(head | {"headline": row["headline"], "tables": tables}, indent=1, ensure_ascii=False)
    return {f"{one.stem}.json": text.encode()} | files


def describe(error: BaseException) -> Row:
    """Where and how a report failed, in plain text."""
    cell, source = getattr(error, "cell_index", None), getattr(error, "source", "")
    name, text = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
    trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(getattr(error, "traceback", [])))
    return {"cell": cell, "source": source, "message": f"{name}: {text}".strip(": "), "traceback": trace}


def failed(row: Row, one: Case, fault: Row) -> tuple[Row, dict[str, bytes]]:
    """The manifest line and the error page of a report that failed."""
    page = f"{one.stem}.html"
    with tempfile.TemporaryDirectory() as folder:
        html.error_page(
            Path(folder) / page, report=one.notebook.stem, parameters=one.values, command=one.command, **fault
        )
        content = (Path(folder) / page).read_bytes()
    row |= {"status": "failed", "reason": fault["message"].splitlines()[0], "headline": []}
    return row | {"files": {page: digest(content)}}, {page: content}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def write(out: Path, files: Mapping[str, bytes]) -> None:
    """Put whole files into a folder, or none of the one that fails."""
    for name, content in files.items():
        part = out / f".{name}.{os.getpid()}.part"
        try:
            part.write_bytes(content)
            os.replace(part, out / name)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise BatchError(f"cannot write {out / name}: {error.strerror}") from None


# ------------------------------------------------------------------------------------------------- many reports
def forked(todo: Iterable[Case], options: Options, out: Path, jobs: int) -> Iterator[Row]:
    """Make reports in forked children, `jobs` at a time; yields the manifest line of each as it ends."""
    waiting, running = deque(todo), {}  # type: ignore[var-annotated]

    def work(one: Case) -> Row:
        row, files = build(one, options, forked=True)
        write(out, files)
        return row

    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                one = waiting.popleft()
                child = engine.Child(functools.partial(work, one), options.timeout_s, options.memory_bytes)
                running[child.fd] = (child, one)
            left = min(child.deadline for child, _ in running.values()) - time.monotonic()
            ready = select.select(list(running), [], [], max(left, 0.0))[0]
            late = [fd for fd, (child, _) in running.items() if child.deadline <= time.monotonic()]
            for fd in {*(fd for fd in ready if running[fd][0].read()), *late}:
                child, one = running.pop(fd)
                yield ended(child, one, out)
    finally:
        for child, _ in running.values():
            with suppress(Exception):
                child.end()


def ended(child: engine.Child, one: Case, out: Path) -> Row:
    """The manifest line of a child; where it was lost, an error page stands for its report."""
    try:
        return child.end()
    except RuntimeError as error:
        for part in out.glob(f".*.{child.pid}.part"):
            part.unlink()
        row, files = lost(one, error)
        write(out, files)
        return row


def lost(one: Case, error: Exception) -> tuple[Row, dict[str, bytes]]:
    """What stands for a report whose process was killed, ran out of time or broke outside the notebook."""
    return failed(row_of(one), one, describe(error) | {"message": f"The report {error}"})


_SERVERS: dict[int, subprocess.Popen[bytes]] = {}


def remote(one: Case, options: Options) -> tuple[Row, dict[str, bytes]]:
    """Make a report in a process of its own that this thread keeps: for Dask workers and for kernels."""
    server = _SERVERS.get(threading.get_ident())
    if server is None or server.poll() is not None:
        code = "from trn3.reporting import batch; batch.serve()"
        server = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        _SERVERS[threading.get_ident()] = server
    try:
        pickle.dump((one, options), server.stdin)  # type: ignore[arg-type]
        server.stdin.flush()  # type: ignore[union-attr]
        good, answer = pickle.load(server.stdout)  # type: ignore[arg-type]
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        raise engine.LostError(f"{one.stem}: its process was killed") from None
    if good:
        return answer
    raise answer


def serve() -> None:
    """Answer `remote` over standard input and output until the other side goes away."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warm([])
    while True:
        try:
            one, options = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            if options.engine == "fork" and engine.fork_is_safe():
                work = functools.partial(build, one, options, forked=True)
                try:
                    result = engine.Child(work, options.timeout_s, options.memory_bytes).wait()
                except engine.LostError as error:
                    result = lost(one, error)
            else:
                result = build(one, replace(options, engine="kernel"))
            answer = (True, result)
        except Exception as error:
            answer = (False, error)
        pickle.dump(answer, answers)
        answers.flush()


def elsewhere(todo: list[Case], options: Options, out: Path, executor: Any) -> Iterator[Row]:
    """Make reports through an executor (threads that keep processes, or Dask); results are written here."""
    retries = {} if isinstance(executor, futures.Executor) and hasattr(executor, "_threads") else {"retries": 2}
    running = {executor.submit(remote, one, options, **retries): one for one in todo}
    try:
        for future in futures.as_completed(running):
            try:
                row, files = future.result()
            except RuntimeError as error:
                row, files = lost(running[future], error)
            write(out, files)
            yield row
    finally:
        for future in running:
            future.cancel()
        for server in _SERVERS.values():
            server.kill()
        _SERVERS.clear()


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep a second batch out of a folder; the lock goes with the process, however it ends."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = open(out / ".lock", "w")  # noqa: SIM115
    except OSError as error:
        raise BatchError(f"cannot write into {out}: {error.strerror}") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BatchError(f"another batch is writing into {out}; wait for it or choose another --out") from None
        yield


def remembered(out: Path) -> dict[str, Row]:
    """The last manifest line of each report; a line that a crash cut short is no line."""
    rows = {}
    with suppress(FileNotFoundError):
        for line in (out / MANIFEST).read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError):
                row = json.loads(line)
                rows[row["report"]] = row
    return rows


def whole(out: Path, one: Case, row: Row | None) -> bool:
    """Whether a report is there as it was made, and would be made the same again."""
    if row is None or row["status"] != "done" or row["key"] != one.key:
        return False
    paths = {out / name: value for name, value in row["files"].items()}
    return all(path.is_file() and digest(path.read_bytes()) == value for path, value in paths.items())


def run(
    todo: list[Case], out: Path, options: Options, jobs: int = 2, resume: bool = False, scheduler: str = ""
) -> list[Row]:
    """Make reports, remember each, and put an index beside them.

    Parameters
    ----------
    todo : list of Case
        What to make.
    out : pathlib.Path
        Folder for pages, results files, tables, index and manifest.
    options : Options
        How to make them.
    jobs : int
        How many at a time [-].
    resume : bool
        Whether to leave whole and fresh reports as they are.
    scheduler : str
        Address of a Dask scheduler to make them on.

    Returns
    -------
    list of dict
        Manifest line of each report, in the order asked for.

    Raises
    ------
    BatchError
        When the folder cannot be written or another batch is writing into it.
    """
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # its thread would make forks unsafe
    with locked(out):
        rows = {one.stem: row for one in todo if resume and whole(out, one, row := remembered(out).get(one.stem))}
        left = [one for one in todo if one.stem not in rows]
        with open(out / MANIFEST, "ab") as manifest, tqdm(total=len(todo), unit="report", delay=1.0) as bar:
            bar.update(len(rows))
            for row in made(left, options, out, jobs, scheduler):
                note(manifest, row)
                rows[row["report"]] = row
                bar.update()
        ordered = [rows[one.stem] for one in todo]
        index(ordered, out, options)
    return ordered


def note(manifest: Any, row: Row) -> None:
    """Add a line to the manifest, whole or not at all."""
    at = manifest.tell()
    try:
        manifest.write(json.dumps(row).encode() + b"\n")
        manifest.flush()
    except OSError as error:
        with suppress(OSError):
            os.ftruncate(manifest.fileno(), at)
        raise BatchError(f"cannot write {manifest.name}: {error.strerror}") from None


def made(todo: list[Case], options: Options, out: Path, jobs: int, scheduler: str) -> Iterator[Row]:
    """Make reports where it is best: forked children, else kernels behind threads, or a Dask cluster."""
    if scheduler:
        yield from elsewhere(todo, options, out, cluster(scheduler))
    elif options.engine == "fork" and engine.fork_is_safe():
        warm(todo)
        yield from forked(todo, options, out, jobs)
    else:
        with futures.ThreadPoolExecutor(jobs) as threads:
            yield from elsewhere(todo, replace(options, engine="kernel"), out, threads)


def cluster(address: str) -> Any:
    """An executor on a Dask cluster whose workers hold the same packages, data and code as this process."""
    try:
        from distributed import Client
    except ImportError:
        raise BatchError("--scheduler needs Dask: pip install 'trn3[dask]'") from None
    try:
        client = Client(address, timeout="10s", set_as_default=False)
        client.get_versions(check=True)
        theirs = client.run(fingerprint)
    except Exception as error:
        raise BatchError(f"scheduler {address}: {str(error).splitlines()[0]}") from None
    odd = [worker for worker, value in theirs.items() if value != fingerprint()]
    if odd or not theirs:
        raise BatchError(f"scheduler {address}: {f'{odd[0]} has other data or code' if odd else 'there is no worker'}")
    return client.get_executor()


def warm(todo: list[Case]) -> None:
    """Import once, before any fork, what the reports will need."""
    import importlib

    import ipykernel.zmqshell  # noqa: F401

    for notebook in {one.notebook for one in todo}:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                for name in re.findall(r"^(?:import|from) ([\w.]+)", "".join(cell["source"]), re.M):
                    with suppress(Exception):
                        importlib.import_module(name)


def index(rows: list[Row], out: Path, options: Options) -> None:
    """The index page of a collection and a table of its headline numbers."""
    columns = sorted({name for row in rows for name in row["parameters"]})
    names = ("name", "value", "low", "high", "unit", "status", "conditions")
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["report", "state", *columns, *names])
    for row in rows:
        given = [row["parameters"].get(column, "") for column in columns]
        for number in row["headline"] or [{}]:
            table.writerow([row["report"], row["status"], *given, *(number.get(name, "") for name in names)])
    files = {"index.csv": text.getvalue().encode()}
    write(out, files)
