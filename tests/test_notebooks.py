"""Every notebook gives its stored outputs through the forked engine too: on this processor, and
on what is left of it without the units that another may not have.

What is stored came from a kernel, and nbval checks that it still does; so the engines agree.
"""

import os
import pickle
import platform
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the forked engine is for Linux"
)
NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))

RUN = """
import pickle, sys
from trn3.reporting import batch, engine, here, parameters, warm
assert here.fork_is_safe()
cases = [batch.case(path.stem, {}) for path in parameters.notebooks()]
warm.parent(cases)
made = {}
for case in cases:
    try:
        made[case.stem] = engine.run(case.notebook, {}).cells
    except Exception as error:
        made[case.stem] = error.args
with open(sys.argv[1], "wb") as file:
    pickle.dump(made, file)
"""

PROVE = """
import ctypes
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
on = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
assert not on, f"NumPy still uses {on}"
import numpy, scipy.linalg
for path in {line.split()[-1] for line in open("/proc/self/maps") if "openblas" in line}:
    library = ctypes.CDLL(path)
    for name in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename"):
        if hasattr(library, name):
            core = getattr(library, name)
            core.restype = ctypes.c_char_p
            assert core() in OLDEST, f"OpenBLAS still uses {core()}"
"""

OLDEST = {"x86_64": ("Prescott", [b"Katmai", b"Prescott"]), "aarch64": ("ARMV8", [b"armv8"])}
"""By kind of machine, the processor that OpenBLAS shall take this one for, and what it calls it."""

LIBM = "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F"
"""The C library has an exponential of its own for processors that multiply and add at once."""


def plain() -> tuple[str, dict[str, str]]:
    """What to run, and the variables that take from a processor what NumPy found in it."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    found = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    env = {"NPY_DISABLE_CPU_FEATURES": " ".join(found)} if found else {}
    core, names = OLDEST.get(platform.machine(), ("", []))
    if core:
        env |= {"OPENBLAS_CORETYPE": core, "GLIBC_TUNABLES": LIBM}
    return PROVE.replace("OLDEST", repr(names)) + RUN, env


@pytest.fixture(scope="module", params=["this processor", "without vector units"])
def made(request, tmp_path_factory):
    """The cells of every notebook after a run in forks of a process of its own."""
    code, env = (RUN, {}) if request.param == "this processor" else plain()
    path = tmp_path_factory.mktemp("made") / "cells"
    command = [sys.executable, "-c", code, path]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pickle.loads(path.read_bytes())


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_forked_engine_gives_what_is_stored(made, notebook):
    stored = nbformat.read(notebook, 4).cells
    cells = made[notebook.stem]
    assert isinstance(cells, list), cells
    for cell, wanted in zip(cells, stored, strict=True):
        for output in wanted.get("outputs", []):
            output.get("data", {}).pop("image/png", None)  # stored for pages that draw no Vega
        assert cell.get("outputs") == wanted.get("outputs"), wanted.id
