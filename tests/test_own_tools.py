"""The user's own tools on the collection, from any folder: papermill, nbval, and what `report
--notebook` keeps.
"""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = next((ROOT / "notebooks").glob("02_*.ipynb"))


def python(folder: Path, *arguments: object) -> subprocess.CompletedProcess:
    """A module run in another folder; the checkout is found as an installed package is."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Path:
    """What plain papermill writes into a folder far from the checkout."""
    folder = tmp_path_factory.mktemp("elsewhere")
    done = python(folder, "papermill", NOTEBOOK, "out.ipynb", "-p", "chip", "trainium2")
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "out.ipynb"


def text_of(path: Path) -> str:
    cells = nbformat.read(path, 4).cells
    outputs = [o for cell in cells for o in cell.get("outputs", [])]
    return "\n".join(str(o.get("data", {}).get("text/plain", "")) for o in outputs)


def test_plain_papermill_runs_a_notebook_from_any_folder(executed):
    assert "Trainium2" in text_of(executed)
    tags = [cell.metadata.get("tags", []) for cell in nbformat.read(executed, 4).cells]
    assert ["injected-parameters"] in tags


def nbval(path: Path) -> subprocess.CompletedProcess:
    rules = ROOT / "tests" / "nbval.cfg"
    options = (
        "--nbval",
        "--nbval-current-env",
        "--nbval-sanitize-with",
        rules,
        "-p",
        "no:randomly",
    )
    return python(path.parent, "pytest", "-q", *options, path.name)


def test_nbval_holds_on_what_papermill_wrote(executed):
    done = nbval(executed)
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_report_keeps_its_notebook_where_asked_and_nbval_holds_on_it(tmp_path):
    done = python(tmp_path, "trn3", "report", "02", "-p", "chip=trainium2", "--notebook")
    assert done.returncode == 0, done.stderr[-2000:]
    kept = list((tmp_path / "reports").glob("*.ipynb"))
    assert [path.with_suffix(".html").exists() for path in kept] == [True]
    assert "Trainium2" in text_of(kept[0])
    done = nbval(kept[0])
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_report_leaves_no_notebook_unasked(tmp_path):
    done = python(tmp_path, "trn3", "report", "02")
    assert done.returncode == 0 and not list((tmp_path / "reports").glob("*.ipynb"))
