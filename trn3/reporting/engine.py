"""Papermill engine that runs a notebook in a forked child of a warm parent: no kernel to start, no
imports to repeat.

The child runs the kernel's own IPython shell and hands its messages to nbclient, so that outputs,
display updates, warnings and errors are those of a kernel. Where a fork is not safe (threads,
macOS, Windows, other languages) papermill's ordinary kernel takes over.
"""

import ctypes
import functools
import io
import logging
import multiprocessing
import os
import pickle
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from trn3 import data
from trn3.reporting import here

TIMEOUT_S, MEMORY_BYTES = 600.0, 4 << 30
WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class ForkEngine:
    """Papermill engine ``trn3-fork``.

    Not a subclass of papermill's ``Engine``, and above the imports of papermill, because papermill
    imports this module by its entry point while it is itself being imported.
    """

    nb_kernel_name = classmethod(
        lambda cls, *args, **kwargs: Engine.nb_kernel_name(*args, **kwargs)
    )
    nb_language = classmethod(lambda cls, *args, **kwargs: Engine.nb_language(*args, **kwargs))
    execute_notebook = classmethod(
        lambda cls, *args, **kwargs: Engine.execute_notebook.__func__(cls, *args, **kwargs)
    )

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        execution_timeout: Any = None,
        forked: bool = False,
        **kwargs: Any,
    ) -> None:
        """Run in a forked child; in this very process where it is one already; behind a kernel
        where no fork is safe.

        Parameters
        ----------
        nb_man : papermill.engines.NotebookExecutionManager
            The notebook.
        kernel_name : str
            Kernel for the fallback.
        execution_timeout : float
            Time for the whole notebook [s].
        forked : bool
            Whether this process is a child made for this report.
        kwargs : Any
            What papermill hands to any engine.
        """
        client = InProcess(nb_man, kernel_name=kernel_name, log=logging.getLogger(__name__))
        if forked:
            client.execute()
        elif (
            here.fork_is_safe()
            and nb_man.nb.metadata.get("kernelspec", {}).get("language", "python") == "python"
        ):
            nb_man.nb.update(
                Child(client.execute, execution_timeout or TIMEOUT_S, MEMORY_BYTES).wait()
            )
        else:
            kwargs["execution_timeout"] = execution_timeout
            NBClientEngine.execute_managed_notebook(nb_man, kernel_name, **kwargs)


import papermill.execute  # noqa: E402
from jupyter_client.session import Session  # noqa: E402
from nbclient.exceptions import CellExecutionError  # noqa: E402
from papermill.clientwrap import PapermillNotebookClient  # noqa: E402
from papermill.engines import Engine, NBClientEngine  # noqa: E402


class LostError(RuntimeError):
    """A child that ended without an answer: killed, out of time, or ended by its own code. The
    text says which.
    """


class Child:
    """A forked child that computes one answer: own process group, dies with its parent, bounded
    in time and memory.
    """

    def __init__(self, work: Callable[[], Any], timeout_s: float, memory_bytes: int) -> None:
        self.timeout_s, self.deadline = timeout_s, time.monotonic() + timeout_s
        self.answer = tempfile.TemporaryFile()  # noqa: SIM115
        arguments = (work, self.answer, os.getpid(), memory_bytes)
        self.process = multiprocessing.get_context("fork").Process(target=_live, args=arguments)
        self.process.start()

    def wait(self) -> Any:
        """Block until the child has ended or its time is up; its answer."""
        self.process.join(self.timeout_s)
        return self.end()

    def end(self) -> Any:
        """End the child and all that it started; its answer, or what it raised, or LostError."""
        late = time.monotonic() >= self.deadline
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # type: ignore[arg-type]
        self.process.kill()  # also where it had not yet made its group
        self.process.join()
        with self.answer:
            self.answer.seek(0)
            with suppress(EOFError, pickle.UnpicklingError):
                good, answer = pickle.load(self.answer)
                if good:
                    return answer
                raise answer
        code = self.process.exitcode or 0
        self.process.close()
        reason = (
            f"its process ended with {f'signal {-code}' if code < 0 else f'exit status {code}'}"
        )
        raise LostError(f"took longer than {self.timeout_s:g} s" if late else reason)


def _live(work: Callable[[], Any], answer: Any, parent: int, memory_bytes: int) -> None:
    """What a child does: own group and random state, bounded memory, and an end when the parent
    ends.
    """
    os.setsid()
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    bound(memory_bytes)
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    try:
        result = pickle.dumps((True, work()))
    except Exception as error:
        bound()
        plain = (
            error
            if isinstance(error, data.TrnError)
            else RuntimeError(f"{type(error).__name__}: {error}")
        )
        result = pickle.dumps((False, plain))
    answer.write(result)
    answer.flush()
    os.killpg(0, signal.SIGKILL)  # with whatever the notebook left running


def die_with(parent: int) -> None:
    """Have the system end this process when its parent ends, however that ends."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def bound(memory_bytes: int | None = None) -> None:
    """Limit the data of this process, or lift the limit so that a report that met it can be
    described.
    """
    import resource

    # Data, not the address space: a JavaScript engine reserves far more addresses than it uses.
    most = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes or most, most))


class Stream(io.StringIO):
    """``sys.stdout`` or ``sys.stderr`` of a cell, with what subprocesses write to the same
    descriptor.
    """

    encoding = "UTF-8"

    def __init__(self, name: str, fd: int, send: Callable[..., None]) -> None:
        super().__init__()
        self.name, self.fd, self.send, self.at = name, fd, send, 0
        self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        os.dup2(self.file.fileno(), fd)

    def fileno(self) -> int:
        return self.fd

    def write(self, text: str) -> int:
        """Append, after what was written past Python since the last time."""
        while part := os.pread(self.file.fileno(), 1 << 20, self.at):
            self.at += len(part)
            super().write(part.decode(errors="replace"))
        return super().write(text)

    def flush(self) -> None:
        self.write("")
        if text := self.getvalue():
            self.seek(0)
            self.truncate()
            self.send(None, "stream", {"name": self.name, "text": text})


class InProcess(PapermillNotebookClient):
    """Papermill's client with the shell in this process instead of behind sockets."""

    def execute(self, **_: Any) -> Any:
        """Run all cells up to the first error."""
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        self.reset_execution_trackers()
        self.shell, self.session = shell(), Session(key=b"")
        self.session.send = self.receive  # type: ignore
        for hook in (self.shell.displayhook, self.shell.display_pub):
            hook.session, hook.topic = self.session, b""
        sys.modules["__main__"] = self.shell.user_module
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = (
            Stream("stdout", 1, self.receive),
            Stream("stderr", 2, self.receive),
        )
        self.papermill_execute_cells()
        return self.nb

    def receive(self, _: Any, msg: Any, content: Any = None, *__: Any, **___: Any) -> None:
        """A message on its way to the front end: into the cell."""
        self.process_message(
            self.session.msg(msg, content) if isinstance(msg, str) else msg, self.cell, self.index
        )

    def execute_cell(self, cell: Any, cell_index: int, *_: Any, **__: Any) -> Any:
        """Run one cell as a kernel would."""
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or not cell.source.strip() or self.skip_cells_with_tag in tags:
            return cell
        self.cell, self.index = cell, cell_index
        cell.outputs, self.clear_before_next_output = [], False
        cell.execution_count = self.shell.execution_count
        result = self.shell.run_cell(cell.source, store_history=True)
        sys.stdout.flush()
        sys.stderr.flush()
        error = result.error_before_exec or result.error_in_exec
        if error is not None and "raises-exception" not in tags:
            reply = {"status": "error", "ename": type(error).__name__, "evalue": str(error)}
            raise CellExecutionError.from_cell_and_msg(
                cell, reply | {"traceback": self.shell._last_traceback or []}
            )
        return cell


@functools.lru_cache
def shell() -> Any:
    """The shell of a kernel, unused; made before any fork it costs the children nothing."""
    from ipykernel.compiler import XCachingCompiler
    from ipykernel.zmqshell import ZMQInteractiveShell
    from traitlets.config import Config

    main = sys.modules["__main__"]
    ZMQInteractiveShell.clear_instance()
    config, kernel = Config(HistoryManager={"enabled": False}), SimpleNamespace(eventloop=None)
    made = ZMQInteractiveShell.instance(
        config=config, compiler_class=XCachingCompiler, kernel=kernel
    )
    sys.modules["__main__"] = main
    return made


def run(path: Path, given: Mapping[str, Any], kind: str = "fork", **options: Any) -> Any:
    """Execute a notebook with validated parameters and return it without anything that changes from
    run to run.

    Parameters
    ----------
    path : pathlib.Path
        The notebook.
    given : mapping
        Parameters that differ from the defaults.
    kind : str
        Engine: ``fork`` or ``kernel``.
    options : Any
        For the engine: ``execution_timeout``, ``forked``.

    Returns
    -------
    nbformat.NotebookNode
        The executed notebook.

    Raises
    ------
    papermill.PapermillExecutionError
        When a cell fails.
    """
    logging.getLogger("papermill").setLevel(logging.ERROR)
    options |= {"progress_bar": False, "autosave_cell_every": 0}
    if kind == "kernel":
        options["extra_arguments"] = [
            "--log-level=CRITICAL"
        ]  # kernels warn that they talk without encryption
    name = "trn3-fork" if kind == "fork" else None
    with papermill.utils.chdir(path.parent):
        nb = papermill.iorw.load_notebook_node(str(path))
        if given:
            nb = papermill.parameterize.parameterize_notebook(
                nb, dict(given), kernel_name="python3", language="python"
            )
        nb = papermill.engines.papermill_engines.execute_notebook_with_engine(
            name, nb, "python3", **options
        )
    papermill.execute.raise_for_execution_errors(nb, None)
    return steady(nb)


def steady(nb: Any) -> Any:
    """A notebook without times, random ids and split streams: the same text for the same result."""
    nb.metadata = type(nb.metadata)(METADATA)
    for number, cell in enumerate(nb.cells):
        cell.id, merged = f"cell-{number:02d}", []  # type: ignore[var-annotated]
        cell.metadata = {"tags": cell.metadata.tags} if cell.metadata.get("tags") else {}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
            if output.output_type == "stream" and merged and merged[-1].get("name") == output.name:
                merged[-1]["text"] += output.text
            else:
                merged.append(output)
        cell.update({"outputs": merged} if cell.cell_type == "code" else {})
    return nb
