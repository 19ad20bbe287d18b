"""The forked engine gives what a kernel gives, keeps reports apart, and leaves nothing running."""

import json
import os
import re
import subprocess
import sys
import textwrap

import nbformat
import pytest
import small

from trn3.reporting import engine

# Everything that can reach a cell: prints, raw descriptors, subprocesses, displays, updates,
# warnings, tracebacks.
CELLS = [
    'print("a"); import sys, os, subprocess; print("b", file=sys.stderr); print("c")',
    'print("1"); subprocess.run(["echo", "2"]); print("3"); '
    'os.system("echo 4; echo five >&2"); os.write(1, b"6\\n")',
    "!echo from the shell",
    "%%bash\necho from bash; echo err >&2",
    'import warnings; warnings.warn("careful"); import logging; logging.warning("log")',
    "import pandas as pd\npd.DataFrame({'x': [1, 2]})",
    "from IPython.display import HTML, Markdown, clear_output, display, update_display\n"
    'display(HTML("<b>1</b>"), display_id="k")',
    'update_display(HTML("<b>2</b>"), display_id="k"); display(Markdown("*m*")); print("z")',
    'print("gone"); clear_output(); print("stays")',
    'print("gone"); clear_output(wait=True); print("stays")',
    "import asyncio\nawait asyncio.sleep(0)\n5",
    "_, __, In[1][:5], list(Out), get_ipython().__class__.__name__, __name__",
    'import threading\nt = threading.Thread(target=lambda: print("thread")); t.start(); t.join()',
    "%who str\nprint?",
    "x = 3;",
    "from trn3 import units\nunits.GIB",
    "try:\n    import no_such_module\nexcept ImportError:\n    get_ipython().showtraceback()",
    "display({'application/json': {'a': [1]}}, raw=True, metadata={'m': 1})",
    "sys.stdout.isatty(), sys.stdout.encoding, bool(sys.flags.interactive)",
    'class Odd:\n    def __repr__(self): return "é\\u2028\\x00"\nOdd()',
    "def f():\n    return 1 / 0\nf()",
]

SCRIPT = """
import json, sys
from pathlib import Path
import papermill.execute
from trn3.reporting import engine, here
# the outputs of a failing cell are compared too
papermill.execute.raise_for_execution_errors = lambda nb, path: None
assert here.fork_is_safe()
runs = [engine.run(Path(sys.argv[1]), {}, kind).cells for kind in ("fork", "fork", "kernel")]
Path(sys.argv[2]).write_text(json.dumps(runs))
"""


def python(code: str, *arguments: object, **env: str) -> str:
    """Run code in a process of its own, where a fork is safe."""
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"} | env
    env.pop(
        "PYTEST_CURRENT_TEST", None
    )  # ipykernel reads it, and then does not capture what subprocesses write
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    path = small.write(
        tmp_path_factory.mktemp("engine"), "01_cells", *(("", cell) for cell in CELLS)
    )
    python(SCRIPT, path, path.with_suffix(".json"))
    text = path.with_suffix(".json").read_text()
    return json.loads(
        re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", re.sub(r"ipykernel_\d+", "KERNEL", text))
    )


def ordered(outputs: list[dict]) -> list[str]:
    """Outputs in order, and what a cell wrote to either stream as one sorted text.

    A kernel reads what a subprocess wrote when it gets to it: before or after a print, or in a
    message of its own.
    """
    lines: dict[str, list[str]] = {}
    kept = []
    for output in outputs:
        if output["output_type"] == "stream":
            lines.setdefault(output["name"], []).extend(output["text"].splitlines())
        else:
            kept.append(json.dumps(output, sort_keys=True))
    return kept + [f"{name}: {sorted(texts)}" for name, texts in sorted(lines.items())]


@pytest.mark.parametrize(
    "number", range(len(CELLS)), ids=lambda n: re.sub(r"\W+", " ", CELLS[n])[:30].strip()
)
def test_a_cell_gives_what_it_gives_in_a_kernel(runs, number):
    forked, again, kernel = (cells[number] for cells in runs)
    assert ordered(forked["outputs"]) == ordered(kernel["outputs"])
    assert number in (1, 2, 3) or forked["outputs"] == kernel["outputs"]
    assert forked == again and forked["execution_count"] == kernel["execution_count"] == number + 1


def test_the_comparison_would_see_a_difference(runs):
    texts = [json.dumps(cell["outputs"]) for cell in runs[0]]
    assert "1\\n2\\n3\\n4\\n6\\n" in texts[1] and "five" in texts[1]
    assert "<b>2</b>" in texts[6] and "<b>1</b>" not in texts[6]
    assert (
        "gone" not in texts[8] + texts[9]
        and "ZeroDivisionError" in texts[20]
        and "careful" in texts[4]
    )


def test_children_share_no_random_state():
    code = """
    import random
    import numpy as np
    from trn3.reporting import engine, here
    random.seed(0); np.random.seed(0)
    draw = lambda: (random.random(), float(np.random.rand()))
    drawn = [engine.Child(draw, engine.TIMEOUT_S, 4 << 30).wait() for _ in range(3)]
    assert len({x for pair in drawn for x in pair}) == 6, drawn
    """
    python(code)


def test_a_child_is_lost_with_its_reason_and_leaves_nothing_running(tmp_path):
    code = """
    import os, signal, subprocess, sys
    from trn3.reporting import engine
    def lost(work, seconds=engine.TIMEOUT_S):
        try:
            engine.Child(work, seconds, 1 << 30).wait()
        except engine.LostError as error:
            return str(error)
    assert lost(lambda: os._exit(7)) == "its process ended with exit status 7"
    assert lost(lambda: os.kill(os.getpid(), signal.SIGSEGV)) == "its process ended with signal 11"
    # The limit is the program's own; what it ends is stopped for good.
    assert lost(lambda: os.kill(os.getpid(), signal.SIGSTOP), 0.1) == "took longer than 0.1 s"
    read, write = os.pipe()
    def leaves():
        return subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=write).pid
    grandchild = engine.Child(leaves, engine.TIMEOUT_S, 1 << 30).wait()
    os.close(write)
    assert grandchild > 0 and os.read(read, 1) == b""  # the pipe ends when nobody holds it open
    try:
        engine.Child(lambda: bytearray(3 << 30), engine.TIMEOUT_S, 1 << 30).wait()
    except RuntimeError as error:
        assert "MemoryError" in str(error)
    else:
        raise SystemExit("no limit")
    """
    python(code)


def test_papermill_finds_the_engine_and_a_thread_sends_it_to_a_kernel(tmp_path):
    path = small.write(
        tmp_path,
        "01_x",
        ("parameters", "n: int = 1  # n [-] {1..9}"),
        ("", "import os; print(n, os.getppid())"),
    )
    code = """
    import logging, os, sys, threading
    import papermill
    logging.disable(logging.CRITICAL)
    options = dict(engine_name="trn3-fork", kernel_name="python3")
    options |= dict(language="python", progress_bar=False)
    done = lambda: papermill.execute_notebook(sys.argv[1], None, {"n": 4}, **options)
    run = lambda: done().cells[-1].outputs[0].text
    assert run() == f"4 {os.getpid()}\\n", run()  # a child of this process, not of a kernel manager
    stop = threading.Event()
    threading.Thread(target=stop.wait).start()
    from trn3.reporting import engine, here
    assert not here.fork_is_safe()
    assert run().startswith("4 ")
    stop.set()
    """
    python(code, path)


def test_steady_notebooks_hold_nothing_that_changes(tmp_path):
    cell = nbformat.v4.new_code_cell(
        "1", metadata={"papermill": {"start_time": "x"}, "execution": {}, "tags": ["a"]}
    )
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=t) for t in ("a", "b")]
    nb = engine.steady(
        nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"start_time": "x"}})
    )
    assert nb.metadata.language_info == {"name": "python"} and "papermill" not in nb.metadata
    assert nb.cells[0].metadata == {"tags": ["a"]} and nb.cells[0].id == "cell-00"
    assert [o.text for o in nb.cells[0].outputs] == ["ab"]
