"""Small notebooks and a way to run commands on them, for the tests of the running side."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat

PARAMETERS = """n: int = 3  # how many rows [-] {1..10}
share: float = 0.5  # share of something [-] {0..1}
chip: str = "trainium3"  # the chip {chip}
rivals: list[str] = ["b200"]  # other chips {chip}
sizes: list[int] = [1, 2]  # sizes [GiB] {1..1e6}
mode: str = "fine"  # what to do {fine|raise|loop|memory|kill|exit|stop|write}
note: str = ""  # free text
flag: bool = True  # whether to"""

WORK = """import os, signal, sys, time
import pandas as pd
if mode == "raise": raise ValueError(f"no luck with <b>{note}</b>")
if mode == "loop":
    while True: time.sleep(0.01)
if mode == "memory": hoard = [bytearray(1 << 26) for _ in range(1 << 12)]
if mode == "kill": os.kill(os.getpid(), signal.SIGKILL)
if mode == "exit": os._exit(3)
if mode == "stop": os.kill(os.getpid(), signal.SIGSTOP)
if mode == "write": print("x" * 100)"""

RESULTS = """from IPython.display import display
number = {"name": "rows", "value": n, "low": n - 1, "high": n + 1, "unit": "-", "status": "derived", "conditions": ""}
table = {"columns": ["row", "double"], "data": [[i, 2 * i] for i in range(n)]}
display({"application/vnd.trn3.results+json": {"headline": [number], "tables": {"rows": table}}}, raw=True)"""

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


def start(notebooks: Path, *arguments: object, **options: object) -> subprocess.Popen:
    """`trn3` in a process of its own on a folder of notebooks."""
    env = os.environ | {
        "TRN3_NOTEBOOKS": str(notebooks),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "trn3", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A shell that starts the tests in the background makes its children deaf to Ctrl-C; a terminal
    # does not.
    hears = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    return subprocess.Popen(command, env=env | options.pop("env", {}), **pipes | hears | options)


def trn3(notebooks: Path, *arguments: object, **options: object) -> subprocess.CompletedProcess:
    """The same, waited for."""
    with start(notebooks, *arguments, **options) as process:
        out, err = process.communicate(timeout=100)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
