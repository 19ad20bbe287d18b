"""What all tests share: no thread of a matrix library, no process that outlives its test, and a
browser without a network.
"""

import functools
import json
import os
import shutil
import signal
from pathlib import Path

import hypothesis
import pytest

# Before NumPy loads: its threads would make forks unsafe, here as in `./run test`.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import played
import small

# A shell that starts the tests in the background makes them deaf to Ctrl-C; their children, to
# which some tests send it, shall hear it as in a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)

played.install()

# The same examples everywhere, however slow the machine; tests/benchmarks/fuzz.py looks for new
# ones.
hypothesis.settings.register_profile(
    "trn3",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("trn3")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), "")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


FIRST = ["notebooks", "tests/test_batch.py", "tests/test_faults.py"]
"""What takes long comes first, so that workers end together; nbval takes over from JupyterLab."""


def together(nodeid: str) -> str:
    """What one worker does in one go: a file, or all notebooks with JupyterLab before."""
    file = nodeid.partition("::")[0]
    return "notebooks" if file == "tests/test_lab.py" or file.endswith(".ipynb") else file


def pytest_configure(config):
    """A test that hangs is ended, with what it started; where pytest-timeout is installed."""
    if config.pluginmanager.hasplugin("timeout") and config.option.timeout is None:
        config.option.timeout = 2 * small.LIMIT_S


def pytest_collection_modifyitems(items):
    order = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(together(item.nodeid), len(FIRST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Files are handed out in that order."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid)

    config.option.loadscopereorder = False
    return Files(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(autouse=True)
def ended():
    """A test that fails leaves nothing running."""
    yield
    small.end_all()


@pytest.fixture(scope="session")
def left_out(pytestconfig):
    """Scores of the committed rows by fits that have not seen a fold, which take seconds: made
    once, and again when the data, the code or the packages have changed.
    """
    from trn3.fit import validation
    from trn3.reporting import batch

    cache, of = getattr(pytestconfig, "cache", None), batch.fingerprint()

    @functools.cache
    def scores(kind: str, folds: str) -> dict:
        key = f"left_out/{kind}-{folds}"
        kept = cache.get(key, {}) if cache else {}
        if kept.get("of") != of:
            result = validation.validate(kind, folds=folds, beside=False)
            kept = json.loads(json.dumps({"of": of, "scores": result}))
            if cache:
                cache.set(key, kept)
        return kept["scores"]

    return scores


@pytest.fixture(scope="module")
def chromium():
    """A browser that finds no host but this machine; in CI a missing one is a failure."""
    if not CHROMIUM and not os.environ.get("CI"):
        pytest.skip("no Chromium: pages were not opened")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS, timeout=small.LIMIT_MS
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(chromium):
    """Open a page that keeps what it asked for and what it complained about."""

    def make(**options):
        context = chromium.new_context(**options)
        context.set_default_timeout(small.LIMIT_MS)
        page = context.new_page()
        page.asked, page.said = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        return page

    return make


@pytest.fixture(scope="module")
def tab(opened):
    """The page in which `visit` opens one after the other: a new one takes the longer the start."""
    return opened(offline=True)


@pytest.fixture
def visit(tab):
    """Open a page with the network off, as wide and as dark as asked for, with all charts drawn."""

    def go(path: Path, width: int = 1280, scheme: str = "light"):
        tab.goto("about:blank")
        tab.mouse.move(0, 0)
        tab.set_viewport_size({"width": width, "height": 900})
        tab.emulate_media(color_scheme=scheme)
        tab.asked, tab.said = [], []
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-drawn]")
        return tab

    return go
