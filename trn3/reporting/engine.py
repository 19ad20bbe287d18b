"""Papermill engine that runs a notebook in a forked child of a warm parent: no kernel to start, no imports to repeat.

The child runs the kernel's own IPython shell and hands its messages to nbclient, so outputs, display updates, warnings,
errors and widget state are those of a kernel. Where a fork is not safe (threads, macOS, Windows, other languages)
papermill's ordinary kernel takes over.
"""

import builtins
import getpass
import io
import logging
import os
import pickle
import random
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from trn3 import data

TIMEOUT_S, MEMORY_BYTES = 600.0, 4 << 30
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class ForkEngine:
    """Papermill engine ``trn3-fork``.

    Not a subclass of papermill's ``Engine``, and above the imports of papermill, because papermill imports this
    module by its entry point while it is itself being imported.
    """

    @classmethod
    def execute_notebook(cls, *args: Any, **kwargs: Any) -> Any:
        """What papermill calls: its own bookkeeping around `execute_managed_notebook`."""
        return Engine.execute_notebook.__func__(cls, *args, **kwargs)  # type: ignore[attr-defined]

    nb_kernel_name = classmethod(lambda cls, nb, name=None: Engine.nb_kernel_name(nb, name))
    nb_language = classmethod(lambda cls, nb, language=None: Engine.nb_language(nb, language))

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        execution_timeout: float | None = None,
        memory_bytes: int = MEMORY_BYTES,
        forked: bool = False,
        **kwargs: Any,
    ) -> None:
        """Run in a forked child; in this very process where it is one already; behind a kernel where no fork is safe.

        Parameters
        ----------
        nb_man : papermill.engines.NotebookExecutionManager
            The notebook.
        kernel_name : str
            Kernel for the fallback.
        execution_timeout : float
            Time for the whole notebook [s].
        memory_bytes : int
            Data memory of the child [byte].
        forked : bool
            Whether this process is a child made for this report.
        kwargs : Any
            What papermill hands to any engine.
        """
        if forked:
            InProcess(nb_man, kernel_name=kernel_name, log=logging.getLogger(__name__)).execute()
        elif fork_is_safe() and nb_man.nb.metadata.get("kernelspec", {}).get("language", "python") == "python":

            def work() -> Any:
                InProcess(nb_man, kernel_name=kernel_name, log=logging.getLogger(__name__)).execute()
                return nb_man.nb

            nb_man.nb.update(Child(work, execution_timeout or TIMEOUT_S, memory_bytes).wait())
        else:
            kwargs |= {"execution_timeout": execution_timeout}
            NBClientEngine.execute_managed_notebook(nb_man, kernel_name, **kwargs)


import comm  # noqa: E402
import papermill  # noqa: E402
from jupyter_client.session import Session  # noqa: E402
from nbclient.exceptions import CellExecutionError  # noqa: E402
from papermill.clientwrap import PapermillNotebookClient  # noqa: E402
from papermill.engines import Engine, NBClientEngine  # noqa: E402


class LostError(RuntimeError):
    """A child that ended without an answer: killed, out of time, or ended by its own code. The text says which."""


def fork_is_safe() -> bool:
    """Whether this process may fork: Linux, one Python thread, and no native threads but those of the BLAS."""
    if not sys.platform.startswith("linux") or threading.active_count() > 1:
        return False
    return len({Path(f"/proc/self/task/{task}/comm").read_text() for task in os.listdir("/proc/self/task")}) == 1


class Child:
    """A forked child that computes one answer: own process group, dies with its parent, bounded in time and memory."""

    def __init__(self, work: Callable[[], Any], timeout_s: float, memory_bytes: int) -> None:
        self.timeout_s, self.deadline = timeout_s, time.monotonic() + timeout_s
        self.received = bytearray()
        self.fd, answer = os.pipe()
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _live(work, answer, parent, memory_bytes)
        os.close(answer)

    def read(self) -> bool:
        """Take what has arrived; true when the child has nothing more to say."""
        part = os.read(self.fd, 1 << 20)
        self.received += part
        return not part

    def end(self) -> Any:
        """The answer; raises what the child raised, or LostError."""
        late = time.monotonic() >= self.deadline
        for kill in (os.killpg, os.kill):
            with suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        try:
            good, answer = pickle.loads(self.received)
        except (EOFError, pickle.UnpicklingError):
            ended = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
            reason = f"took longer than {self.timeout_s:g} s" if late else f"its process was ended by {ended}"
            raise LostError(reason) from None
        if good:
            return answer
        raise answer

    def wait(self) -> Any:
        """Block until the child answers or its time is up."""
        try:
            while (left := self.deadline - time.monotonic()) > 0:
                if select.select([self.fd], [], [], left)[0] and self.read():
                    break
        except BaseException:
            with suppress(LostError):
                self.end()
            raise
        return self.end()


def _live(work: Callable[[], Any], answer: int, parent: int, memory_bytes: int) -> None:
    """All that a child does; never returns."""
    status = 1
    try:
        _restrain(parent, memory_bytes)
        try:
            result = pickle.dumps((True, work()))
        except Exception as error:
            unbound()
            plain = error if isinstance(error, data.TrnError) else RuntimeError(f"{type(error).__name__}: {error}")
            result = pickle.dumps((False, plain))
        with open(answer, "wb") as pipe:
            pipe.write(result)
        status = 0
        os.killpg(0, signal.SIGKILL)  # whatever the notebook left running
    finally:
        os._exit(status)


def _restrain(parent: int, memory_bytes: int) -> None:
    """Own group and random state, bounded memory, and an end when the parent ends."""
    import ctypes
    import resource

    os.setsid()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1: the signal to get when the parent dies
        if os.getppid() != parent:
            os._exit(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # The data limit, not the address space: a JavaScript engine reserves far more addresses than it uses.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def unbound() -> None:
    """Lift the memory limit again, so that a report that ran into it can still be described."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (resource.getrlimit(resource.RLIMIT_DATA)[1],) * 2)


class Stream(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` of a cell, with what subprocesses write to the same descriptor."""

    encoding = "UTF-8"

    def __init__(self, name: str, fd: int, send: Callable[..., None]) -> None:
        self.name, self.send, self.text, self.at = name, send, "", 0
        self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - lives as long as the child
        os.dup2(self.file.fileno(), fd)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return {"stdout": 1, "stderr": 2}[self.name]

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        self.drain()
        self.text += text
        return len(text)

    def drain(self) -> None:
        """Append what was written past Python, in its place among what was printed."""
        while part := os.pread(self.file.fileno(), 1 << 20, self.at):
            self.at += len(part)
            self.text += part.decode(errors="replace")

    def flush(self) -> None:
        self.drain()
        if self.text:
            text, self.text = self.text, ""
            self.send(None, "stream", {"name": self.name, "text": text})


class Comm(comm.base_comm.BaseComm):
    """What a widget sends to the page: its state, for the notebook's metadata."""

    def __init__(self, send: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        self.send_message = send
        super().__init__(*args, **kwargs)

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        """Hand one message to the client."""
        self.send_message(None, msg_type, {"data": data or {}, "comm_id": self.comm_id, **keys}, buffers=buffers)


class InProcess(PapermillNotebookClient):
    """Papermill's client with the shell in this process instead of behind sockets."""

    def execute(self, **_: Any) -> Any:
        """Run all cells up to the first error."""
        from ipykernel.compiler import XCachingCompiler
        from ipykernel.zmqshell import ZMQInteractiveShell
        from traitlets.config import Config

        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        self.reset_execution_trackers()
        config = Config(HistoryManager={"enabled": False}, IPKernelApp={})
        kernel = SimpleNamespace(eventloop=None, io_loop=None)
        ZMQInteractiveShell.clear_instance()
        self.shell = ZMQInteractiveShell.instance(config=config, compiler_class=XCachingCompiler, kernel=kernel)
        self.session = session = Session(key=b"")
        session.send = self.receive
        for hook in (self.shell.displayhook, self.shell.display_pub):
            hook.session, hook.topic = session, b""
        comm.create_comm = partial(Comm, self.receive)
        builtins.input = getpass.getpass = no_input
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = Stream("stdout", 1, self.receive), Stream("stderr", 2, self.receive)
        self.papermill_execute_cells()
        self.set_widgets_metadata()
        return self.nb

    def receive(self, _: Any, msg: Any, content: Any = None, *__: Any, buffers: Any = None, **___: Any) -> None:
        """A message on its way to the front end: into the cell."""
        msg = self.session.msg(msg, content) if isinstance(msg, str) else msg
        msg["buffers"] = buffers or []
        self.process_message(msg, self.cell, self.index)

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
        self.shell.payload_manager.clear_payload()
        error = result.error_before_exec or result.error_in_exec
        if error is not None and "raises-exception" not in tags:
            reply = {"status": "error", "ename": type(error).__name__, "evalue": str(error)}
            raise CellExecutionError.from_cell_and_msg(cell, reply | {"traceback": self.shell._last_traceback or []})
        return cell


def no_input(*_: Any, **__: Any) -> str:
    """What ``input()`` does in a report."""
    from IPython.core.error import StdinNotImplementedError

    raise StdinNotImplementedError("raw_input was called, but this frontend does not support input requests.")


def run(path: Path, given: Mapping[str, Any], engine: str = "fork", **options: Any) -> Any:
    """Execute a notebook with validated parameters and return it without anything that changes from run to run.

    Parameters
    ----------
    path : pathlib.Path
        The notebook.
    given : mapping
        Parameters that differ from the defaults.
    engine : str
        ``fork`` or ``kernel``.
    options : Any
        For the engine: ``execution_timeout``, ``memory_bytes``, ``forked``.

    Returns
    -------
    nbformat.NotebookNode
        The executed notebook; after a failure up to and with the failing cell.
    """
    logging.getLogger("papermill").setLevel(logging.ERROR)
    quiet = {"progress_bar": False, "request_save_on_cell_execute": False, "autosave_cell_every": 0}
    name = "trn3-fork" if engine == "fork" else None
    nb = papermill.execute_notebook(
        path,
        None,
        dict(given),
        engine_name=name,
        kernel_name="python3",
        language="python",
        cwd=path.parent,
        **quiet,
        **options,
    )
    return steady(nb)


def steady(nb: Any) -> Any:
    """A notebook without times, random ids and split streams: the same text for the same result."""
    widgets = {k: v for k, v in nb.metadata.items() if k == "widgets"}
    nb.metadata = type(nb.metadata)(METADATA | widgets)
    for number, cell in enumerate(nb.cells):
        cell.id = f"cell-{number:02d}"
        for stale in ("papermill", "execution", "collapsed"):
            cell.metadata.pop(stale, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        merged: list[Any] = []
        for output in cell.get("outputs", []):
            last = merged[-1] if merged else {}
            if output.output_type == "stream" and last.get("name") == output.name:
                last["text"] += output.text
            else:
                merged.append(output)
        if cell.cell_type == "code":
            cell.outputs = merged
    return nb
