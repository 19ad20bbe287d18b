"""Every notebook runs top to bottom in a real JupyterLab in Chromium, with its charts drawn and
no request leaving.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlparse

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb"))
HAS_LAB = importlib.util.find_spec("jupyterlab") is not None
CHROMIUM = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not os.environ.get("CI") and not (CHROMIUM and HAS_LAB),
        reason="needs Chromium and JupyterLab (./run lab)",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab server on a copy of the notebooks, as `trn3 lab` starts it."""
    from trn3.reporting import cli

    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", home / "notebooks", ignore=shutil.ignore_patterns(".*"))
    extra = ["--no-browser", "--LabApp.expose_app_in_browser=True"]
    command = cli.lab_command(home, extra=extra)
    env = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
    }
    server = subprocess.Popen(
        command,
        cwd=home,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log, url, deadline = "", None, time.monotonic() + 60
    while url is None and time.monotonic() < deadline and server.poll() is None:
        log += server.stderr.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+/\S*\?token=\w+", log)
    assert url, log
    # The log must be drained, or a full pipe stops the server.
    drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
    yield urlparse(url.group(0))
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(timeout=20)
    drain.wait(timeout=5)


@pytest.fixture(scope="module")
def page(lab):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.outside = []
        page.on("request", lambda r: None if is_local(r.url) else page.outside.append(r.url))
        yield page
        browser.close()


def is_local(url: str) -> bool:
    parts = urlparse(url)
    return parts.scheme in {"data", "blob", "about"} or parts.hostname in {"127.0.0.1", "localhost"}


@pytest.mark.timeout(120)
def test_opens_on_the_first_page_in_reading_order_and_asks_nothing(lab, page):
    page.goto(f"http://{lab.netloc}/?token={lab.query.split('token=')[1]}")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_function(
        "document.querySelectorAll('.jp-DirListing-itemText').length", timeout=60_000
    )
    page.wait_for_timeout(2_000)  # a prompt comes after the page
    assert page.url.endswith(NOTEBOOKS[0])
    assert page.locator(".jp-DirListing-itemText").all_inner_texts() == NOTEBOOKS
    assert not page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts()
    assert not page.outside, page.outside


@pytest.mark.timeout(120)
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_runs_in_jupyterlab(lab, page, notebook):
    token = lab.query.split("token=")[1]
    page.goto(
        f"http://{lab.netloc}/lab/workspaces/w{notebook[:2]}/tree/notebooks/{notebook}?token={token}&reset"
    )
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_function(
        "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=60_000,
    )
    page.evaluate("jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(
        "jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'",
        timeout=90_000,
    )
    outputs = page.evaluate(
        """() => jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map(c => c.toJSON())
              .filter(c => c.cell_type === 'code').map(c => ({ran: c.execution_count, outputs: c.outputs}))"""
    )
    assert all(c["ran"] for c in outputs), "a cell did not run"
    assert not [o for c in outputs for o in c["outputs"] if o["output_type"] == "error"]
    charts = sum("vegalite" in m for c in outputs for o in c["outputs"] for m in o.get("data", {}))
    # JupyterLab renders lazily: every chart must be scrolled into view once.
    drawn = page.evaluate(
        """async () => {
             const nb = jupyterapp.shell.currentWidget.content;
             for (const cell of nb.widgets) { cell.node.scrollIntoView(); await new Promise(r => setTimeout(r, 120)); }
             await new Promise(r => setTimeout(r, 500));
             return [...nb.node.querySelectorAll(".vega-embed")]
                 .filter(e => e.querySelector("canvas, svg")).length; }"""
    )
    assert drawn >= charts, "live controls may draw more than the stored outputs hold"
    assert not page.outside, page.outside
