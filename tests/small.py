"""Small notebooks and ways to run commands on them, for the tests of the running side."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat

LIMIT_S = 1800.0
"""When a test gives up on a state that must come [s]. A machine may be slow, and it may be busy:
no test says how fast it has to be."""

LIMIT_MS = 1000 * LIMIT_S
"""The same, for a browser [ms]."""

PARAMETERS = """n: int = 3  # how many rows [-] {1..10}
share: float = 0.5  # share of something [-] {0..1}
chip: str = "trainium3"  # the chip {chip}
rivals: list[str] = ["b200"]  # other chips {chip}
sizes: list[int] = [1, 2]  # sizes [GiB] {1..1e6}
mode: str = "fine"  # what to do {fine|raise|loop|memory|kill|exit|stop|write}
note: str = ""  # free text
flag: bool = True  # whether to"""

WORK = """import os, signal
import pandas as pd
if mode == "raise": raise ValueError(f"no luck with <b>{note}</b>")
if mode == "loop":
    while True: signal.pause()
if mode == "memory": hoard = bytearray(3 << 30)
if mode == "kill": os.kill(os.getpid(), signal.SIGKILL)
if mode == "exit": os._exit(3)
if mode == "stop": os.kill(os.getpid(), signal.SIGSTOP)
if mode == "write": print("x" * 100)"""

RESULTS = """from IPython.display import display
number = {"name": "rows", "value": n, "low": n - 1, "high": n + 1, "unit": "-"}
number |= {"status": "derived", "conditions": ""}
table = {"columns": ["row", "double"], "data": [[i, 2 * i] for i in range(n)]}
results = {"headline": [number], "tables": {"rows": table}}
display({"application/vnd.trn3.results+json": results}, raw=True)"""

ANSWER = """from IPython.display import display, HTML
display(pd.DataFrame({"row": range(n), "note": note, "chip": chip}))"""


def write(folder: Path, name: str, *cells: tuple[str, str]) -> Path:
    """A notebook of (tag, code) cells; the tag ``markdown`` makes a Markdown cell."""
    made = []
    for number, (tag, text) in enumerate(cells):
        kind = nbformat.v4.new_markdown_cell if tag == "markdown" else nbformat.v4.new_code_cell
        made.append(
            kind(
                text,
                id=f"cell-{number:02d}",
                metadata={"tags": [tag]} if tag not in ("", "markdown") else {},
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)
    return path


def report(folder: Path, name: str = "02_small") -> Path:
    """A notebook by the contract that can also fail in every way."""
    title = "# How many rows?\n\nThis page counts. It is small."
    cells = [
        ("markdown", title),
        ("parameters", PARAMETERS),
        ("", WORK),
        ("answer", ANSWER),
        ("results", RESULTS),
    ]
    return write(folder, name, *cells)


def until(state: Callable[[], Any], process: subprocess.Popen | None = None) -> Any:
    """What a state gives as soon as it is true; asked again and again while a process goes on."""
    give_up = time.monotonic() + LIMIT_S
    while not (found := state()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < give_up, f"waited {LIMIT_S:g} s for {state}"
        time.sleep(0.02)
    return found


def environment(notebooks: Path, more: dict[str, str]) -> dict[str, str]:
    """What a command on a folder of notebooks finds around it."""
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    env = os.environ | one_thread | {"TRN3_NOTEBOOKS": str(notebooks)} | more
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


STARTED: list[subprocess.Popen] = []


def start(notebooks: Path, *arguments: object, **options: Any) -> subprocess.Popen:
    """`trn3` in a process of its own on a folder of notebooks; the test need not end it."""
    command = [sys.executable, "-m", "trn3", *map(str, arguments)]
    env = environment(notebooks, options.pop("env", {}))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=env, start_new_session=True, **pipes | options)
    STARTED.append(process)
    return process


def end_all() -> None:
    """Kill whatever `start` started and is still there, with its group."""
    while STARTED:
        with STARTED.pop() as process:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


WARM = multiprocessing.get_context("forkserver")
"""Starts processes that have the packages of others imported already, and nothing of ours."""

OTHERS = """altair IPython ipykernel.zmqshell jinja2 latex2mathml.converter mistune nbclient
nbformat numpy pandas pydantic scipy.optimize scipy.special scipy.stats tqdm"""


def trn3(notebooks: Path, *arguments: object, **options: Any) -> subprocess.CompletedProcess:
    """The same, waited for; in a warm process, since a cold one imports for a second."""
    WARM.set_forkserver_preload(OTHERS.split())
    env = environment(notebooks, options.get("env", {}))
    cwd = options.get("cwd", Path.cwd())
    words = ["trn3", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder, name) for name in ("out", "err")]
        process = WARM.Process(target=_command, args=(words, env, cwd, said))
        process.start()
        try:
            process.join(LIMIT_S)
        finally:
            if process.exitcode is None:
                with suppress(ProcessLookupError):  # it may have no group of its own yet
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()
        out, err = (path.read_text() for path in said)
    return subprocess.CompletedProcess(words, process.exitcode, out, err)


def _command(words: list[str], env: dict[str, str], cwd: Path, said: list[Path]) -> None:
    """`python -m trn3`, in a process that has imported nothing of it."""
    assert not [module for module in sys.modules if module.partition(".")[0] == "trn3"]
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = words
    runpy.run_module("trn3", run_name="__main__", alter_sys=True)
