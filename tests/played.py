"""nbval compares what a kernel gave: in a whole run the kernel behind JupyterLab, which has run
every notebook once already; by itself its own.
"""

from collections import deque
from pathlib import Path
from typing import Any

import nbformat
import small

GIVEN: dict[Path, list[nbformat.NotebookNode]] = {}
"""The code cells of the notebooks that a kernel has run, with what it gave."""


class Player:
    """Stands where nbval has its kernel, and plays what another gave for the same cells."""

    def __init__(self, cells: list[nbformat.NotebookNode]) -> None:
        self.cells = iter(cells)
        self.messages: deque[dict[str, Any]] = deque()

    def execute_cell_input(self, source: str, allow_stdin: bool | None = None) -> str:
        """Take the next cell, which must be the one that was run."""
        cell = next(self.cells)
        assert cell.source == source, "the cell that was run is another one"
        assert cell.execution_count, "the kernel did not come to this cell"
        idle = {"output_type": "status", "execution_state": "idle"}
        self.messages = deque(
            {"msg_type": output["output_type"], "parent_header": {"msg_id": source}}
            | {"content": output}
            for output in [*cell.outputs, idle]
        )
        return source

    def get_message(self, stream: str, timeout: float | None = None) -> dict[str, Any]:
        """The next output, as a message."""
        return self.messages.popleft()

    def await_reply(self, msg_id: str, timeout: float | None = None) -> None:
        """Nothing to wait for."""

    def await_idle(self, parent_id: str, timeout: float) -> None:
        """Nothing to wait for."""

    def is_alive(self) -> bool:
        """Always."""
        return True

    def stop(self) -> None:
        """Nothing to stop."""


def keep(path: Path, cells: list[dict[str, Any]]) -> None:
    """Remember what a kernel gave for the code cells of a notebook."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.from_dict(cell) for cell in cells])
    GIVEN[path] = nbformat.v4.nbjson.rejoin_lines(notebook).cells


def setup(file: Any) -> None:
    """`IPyNbFile.setup` of nbval, with what was kept, else with a kernel that may be slow."""
    if cells := GIVEN.get(file.path):
        file.kernel = Player(cells)
        file.setup_sanitize_files()
        return
    file.config.option.nbval_kernel_startup_timeout = small.LIMIT_S
    for item in file.session.items:
        if item.parent is file:
            item.output_timeout = small.LIMIT_S  # five seconds else, whatever is asked for
    start(file)


def install() -> None:
    """Have nbval ask here first."""
    global start
    from nbval.plugin import IPyNbFile

    start, IPyNbFile.setup = IPyNbFile.setup, setup
