"""Every notebook runs top to bottom in a real JupyterLab in Chromium, with its charts drawn and
no request leaving. What its kernels give is what nbval compares in a whole run.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlparse

import nbformat
import played
import pytest
import small

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not os.environ.get("CI") and importlib.util.find_spec("jupyterlab") is None,
        reason="needs JupyterLab (./run lab)",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab server on a copy of the notebooks, as `trn3 lab` starts it."""
    from trn3.reporting import cli

    home = tmp_path_factory.mktemp("lab")
    (home / "notebooks").mkdir()
    first, *others = NOTEBOOKS
    shutil.copy(first, home / "notebooks")
    for path in others:  # they are run here, so that what is stored need not be drawn before
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            cell.update({"outputs": []} if cell.cell_type == "code" else {})
        nbformat.write(notebook, home / "notebooks" / path.name)
    extra = ["--no-browser", "--LabApp.expose_app_in_browser=True"]
    command = cli.lab_command(home, extra=extra)
    env = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
    }
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=home,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield urlparse(small.until(lambda: address(home / "log"), server))
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # it shuts its kernels down
        server.wait()


def address(log: Path) -> str:
    """Where a server says that it listens, once it says so."""
    found = re.search(r"http://127\.0\.0\.1:\d+/\S*\?token=\w+", log.read_text())
    return found.group(0) if found else ""


@pytest.fixture(scope="module")
def page(lab, opened):
    """One JupyterLab for all notebooks."""
    page = opened(viewport={"width": 1400, "height": 1000})
    page.goto(f"http://{lab.netloc}/?token={lab.query.split('token=')[1]}")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector(".jp-DirListing-itemText")
    page.evaluate("jupyterapp.restored.then(() => null)")
    page.wait_for_function(IDLE, polling=100)
    page.add_style_tag(content="* { animation: none !important; transition: none !important; }")
    return page


IDLE = "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
OPEN = """async path => {
    const widget = await jupyterapp.commands.execute("docmanager:open", {path});
    await widget.context.ready;
    await widget.revealed;
    await widget.sessionContext.ready;
}"""
GIVEN = """() => jupyterapp.shell.currentWidget.content.model.sharedModel.cells
    .map(cell => cell.toJSON()).filter(cell => cell.cell_type === "code")"""
# JupyterLab draws lazily: a cell must be in view once.
DRAWN = """([number, count]) => {
    const cells = jupyterapp.shell.currentWidget.content.widgets;
    const node = cells.filter(cell => cell.model.type === "code")[number].node;
    node.scrollIntoView();
    const charts = [...node.querySelectorAll(".vega-embed")];
    return charts.filter(chart => chart.querySelector("canvas, svg")).length >= count;
}"""


def is_local(url: str) -> bool:
    parts = urlparse(url)
    return parts.scheme in {"data", "blob", "about"} or parts.hostname in {"127.0.0.1", "localhost"}


def test_opens_on_the_first_page_in_reading_order(page):
    names = [path.name for path in NOTEBOOKS]
    assert page.url.endswith(names[0])
    assert page.locator(".jp-DirListing-itemText").all_inner_texts() == names


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_in_jupyterlab(page, notebook):
    page.evaluate(OPEN, f"notebooks/{notebook.name}")
    page.wait_for_function(IDLE, polling=100)
    page.evaluate("jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells').then(() => null)")
    page.wait_for_function(IDLE, polling=100)
    cells = page.evaluate(GIVEN)
    outputs = [output for cell in cells for output in cell["outputs"]]
    if not any("widget-view" in mime for o in outputs for mime in o.get("data", {})):
        played.keep(notebook, cells)  # live controls are shown in JupyterLab alone
    assert all(cell["execution_count"] for cell in cells), "a cell did not run"
    assert not [output for output in outputs if output["output_type"] == "error"]
    for number, cell in enumerate(cells):
        charts = sum("vegalite" in mime for o in cell["outputs"] for mime in o.get("data", {}))
        if charts:  # live controls may draw more than the stored outputs hold
            page.wait_for_function(DRAWN, arg=[number, charts], polling=100)
    assert not page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts(), "it asks nothing"
    assert not [url for url in page.asked if not is_local(url)]
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown().then(() => null)")
    page.evaluate("jupyterapp.shell.currentWidget.dispose()")
