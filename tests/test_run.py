"""The entry script and the set-up: standard library only, plain words when something is missing,
and an environment that is whole or made again, whatever stopped the call before.

The tests work on a small tree of their own with a stand-in for uv, so nothing is downloaded.
"""

import ast
import contextlib
import fnmatch
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import venv
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
import small

from trn3 import data

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 600
"""How long a test polls for a state before it gives up."""

MAIN = """
import json, os, signal, sys, trn3
print(json.dumps({"pid": os.getpid(), "given": sys.argv[1:], "code": trn3.__file__}), flush=True)
if "wait" in sys.argv:
    signal.pause()
"""

UV = """#!/bin/sh
# Stands in for uv: notes its arguments, waits while told to, and installs the checkout by a path.
printf '%s\\n' "$*" >> "$NOTES"
if [ -p "$HOLD" ]; then : > "$HOLD.here"; read -r _ < "$HOLD"; fi
case "$*" in *"-e ."*) for d in "$PWD"/.venv/lib/python*/site-packages; do
    echo "$PWD" > "$d/checkout.pth"; done;; esac
exit "${STATUS:-0}"
"""

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "trn3"
version = "1"
[tool.setuptools]
packages = ["trn3"]
package-dir = {"" = "."}
"""


def load(path: Path = ROOT / "run"):
    loader = SourceFileLoader("run_script", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_script", loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def run():
    return load()


class Tree:
    """A checkout in small: `run`, locks, a package that says where it lies, and a stand-in for
    uv.
    """

    def __init__(self, home: Path, tools: Path):
        self.home, self.tools = home, tools
        self.notes, self.hold = tools / "notes", tools / "hold"
        self.children: list[subprocess.Popen] = []

    def write(self) -> None:
        (self.home / "requirements").mkdir(parents=True)
        (self.home / "trn3").mkdir()
        shutil.copy(ROOT / "run", self.home / "run")
        for name in ("run", "test", "lab", "tool"):
            (self.home / "requirements" / f"{name}.lock").write_text(f"# {name}\n")
        (self.home / "pyproject.toml").write_text(PROJECT)
        (self.home / "trn3" / "__init__.py").touch()
        (self.home / "trn3" / "__main__.py").write_text(MAIN)
        self.tools.mkdir()
        (self.tools / "uv").write_text(UV)
        (self.tools / "uv").chmod(0o755)

    def start(self, *arguments: str, cwd: Path | None = None, **variables: str):
        env = {"PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}", "HOME": str(self.tools)}
        env |= {"NOTES": str(self.notes), "HOLD": str(self.hold), **variables}
        command = [sys.executable, str(self.home / "run"), *arguments]
        options = {"cwd": cwd or self.home, "env": env, "text": True, "start_new_session": True}
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.children.append(subprocess.Popen(command, **options))
        return self.children[-1]

    def call(self, *arguments: str, cwd: Path | None = None, **variables: str) -> dict:
        """What the package says of itself; the call must succeed."""
        child = self.start(*arguments, cwd=cwd, **variables)
        out, errors = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == 0, errors
        return {**json.loads(out), "errors": errors}

    def hold_uv(self) -> None:
        os.mkfifo(self.hold)

    def wait_until_held(self) -> None:
        small.until(Path(f"{self.hold}.here").exists)

    def release(self) -> None:
        """Let a waiting uv go on, and the next ones pass."""
        with open(self.hold, "w") as fifo:
            self.hold.unlink()
            fifo.write("go on\n")

    def installs(self) -> list[str]:
        """The locks that uv was asked to install, in order."""
        return re.findall(r"requirements/(\w+)\.lock", self.notes.read_text())


@pytest.fixture
def tree(tmp_path):
    made = Tree(tmp_path / "trn3", tmp_path / "tools")
    made.write()
    yield made
    for child in made.children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


# ------------------------------------------------------------------------------------- the script
def test_needs_only_the_standard_library():
    nodes = list(ast.walk(ast.parse((ROOT / "run").read_text())))
    names = {a.name.split(".")[0] for n in nodes if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module.split(".")[0] for n in nodes if isinstance(n, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


def test_an_old_python_can_read_it():
    """Else it shows a traceback where it should say which Python it needs."""
    tree = ast.parse((ROOT / "run").read_text(), feature_version=(3, 6))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    hints = [hint for f in functions for hint in (f.returns, *(a.annotation for a in f.args.args))]
    assert not [hint for hint in hints if isinstance(hint, ast.Subscript | ast.BinOp)]


def test_an_old_python_gives_way_to_a_newer_one_or_is_named(run, monkeypatch):
    monkeypatch.setattr(run.sys, "version_info", (3, 9, 0))
    monkeypatch.setattr(run.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"3\.11 or newer"):
        run.main()
    started = []
    monkeypatch.setattr(run.shutil, "which", lambda name: {"python3.12": "/opt/p312"}.get(name))
    monkeypatch.setattr(run.os, "execv", lambda python, words: started.append((python, words)))
    with pytest.raises(SystemExit):
        run.main()
    assert started == [("/opt/p312", ["/opt/p312", *sys.argv])]


def test_explains_itself_without_arguments():
    done = subprocess.run([sys.executable, ROOT / "run"], capture_output=True, text=True)
    assert done.returncode == 0 and "./run report" in done.stdout and "./run test" in done.stdout


# ------------------------------------------------------------------------------------- the set-up
def test_the_first_call_makes_the_environment_and_later_ones_use_it(tree):
    first = tree.call("hello", "two words")
    assert first["given"] == ["hello", "two words"]
    assert first["code"] == str(tree.home / "trn3" / "__init__.py")
    assert tree.installs() == ["run"] and "run: ready after" in first["errors"]
    assert tree.call("hello")["errors"] == "" and tree.installs() == ["run"]


def test_one_environment_serves_reports_and_jupyterlab(tree):
    tree.call("lab")
    assert tree.installs() == ["run", "lab"]
    tree.call("report")
    assert tree.installs() == ["run", "lab"]
    assert not list(tree.home.glob(".venv-*"))


def test_a_changed_lock_is_installed_on_top_and_keeps_what_the_user_added(tree):
    tree.call("hello")
    added = tree.home / ".venv" / "lib" / "added.txt"
    added.touch()
    (tree.home / "requirements" / "run.lock").write_text("# changed\n")
    tree.call("hello")
    assert tree.installs() == ["run", "run"] and added.exists()


def test_a_copied_checkout_runs_its_own_code(tree, tmp_path):
    tree.call("hello")
    copy = Tree(tmp_path / "copy", tree.tools)
    shutil.copytree(tree.home, copy.home, symlinks=True)
    try:
        assert copy.call("hello")["code"] == str(copy.home / "trn3" / "__init__.py")
    finally:
        for child in copy.children:
            child.communicate()


def test_an_environment_whose_python_was_replaced_is_made_again(tree):
    tree.call("hello")
    record = tree.home / ".venv" / "made_by_run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "python": "/gone/python3"}))
    assert "making .venv" in tree.call("hello")["errors"]


def test_two_calls_at_once_both_work_and_install_once(tree):
    tree.hold_uv()
    first = tree.start("one")
    tree.wait_until_held()
    second = tree.start("two")
    assert "waiting for it" in second.stderr.readline()
    tree.release()
    told = [json.loads(child.communicate(timeout=PATIENCE_S)[0]) for child in (first, second)]
    assert [t["given"] for t in told] == [["one"], ["two"]]
    assert tree.installs() == ["run"]


@pytest.mark.parametrize("call_of_uv", [1, 2], ids=["packages", "checkout"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_set_up_that_was_stopped_is_mended_by_the_next_call(tree, call_of_uv, how):
    tree.hold_uv()
    child = tree.start("hello")
    tree.wait_until_held()
    if call_of_uv == 2:
        Path(f"{tree.hold}.here").unlink()
        with open(tree.hold, "w") as fifo:
            fifo.write("go on\n")
        tree.wait_until_held()
    os.killpg(child.pid, how)
    _, errors = child.communicate(timeout=PATIENCE_S)
    assert child.returncode != 0 and "Traceback" not in errors
    tree.hold.unlink()
    assert "making .venv" in tree.call("hello")["errors"]
    assert tree.call("hello")["errors"] == ""


@pytest.mark.parametrize("left", ["nothing", "a folder", "no python", "no packages", "all"])
def test_whatever_a_killed_set_up_left_is_mended(tree, left):
    venv = tree.home / ".venv"
    if left == "a folder":
        venv.mkdir()
    elif left != "nothing":
        tree.call("hello")
    if left in ("no python", "no packages"):
        shutil.rmtree(venv / ("bin" if left == "no python" else "lib"))
    (tree.home / ".venv.lock").write_text("a set-up is under way")
    assert "making .venv" in tree.call("hello")["errors"]
    assert tree.call("hello")["errors"] == ""


@pytest.mark.parametrize("text", ["", '{"root": "', '{"root": 1}', "[]"])
def test_a_torn_record_is_no_record(tree, text):
    tree.call("hello")
    (tree.home / ".venv" / "made_by_run.json").write_text(text)
    assert "making .venv" in tree.call("hello")["errors"]


def test_an_environment_that_cannot_be_brought_up_to_date_is_kept(tree, monkeypatch):
    tree.call("hello")
    changed, kept = tree.home / "requirements" / "run.lock", tree.home / ".venv" / "kept.txt"
    changed.write_text("# changed\n")
    kept.touch()
    script = load(tree.home / "run")
    monkeypatch.setattr(script, "install", lambda locks, lock: False)
    with pytest.raises(SystemExit, match="is a package registry within reach"):
        script.set_up(["run"])
    assert "making .venv" not in tree.call("hello")["errors"] and kept.exists()


def test_a_new_environment_that_could_not_be_filled_is_made_again(tree, monkeypatch):
    script = load(tree.home / "run")
    monkeypatch.setattr(script, "install", lambda locks, lock: False)
    with pytest.raises(SystemExit, match="is a package registry within reach"):
        script.set_up(["run"])
    assert "making .venv" in tree.call("hello")["errors"]


def test_a_child_that_outlives_a_killed_set_up_is_waited_for(tree):
    tree.hold_uv()
    first = tree.start("one")
    tree.wait_until_held()
    os.kill(first.pid, signal.SIGKILL)
    first.wait(timeout=PATIENCE_S)
    second = tree.start("two")
    assert "waiting for it" in second.stderr.readline()
    tree.release()
    out, errors = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 0 and json.loads(out)["given"] == ["two"], errors


def test_an_environment_of_version_0_1_is_made_again(tree):
    (tree.home / ".venv").mkdir()
    (tree.home / ".venv" / ".run.stamp").touch()
    assert "making .venv" in tree.call("hello")["errors"]


@pytest.mark.parametrize("made_before", [False, True])
def test_a_foreign_environment_is_left_alone(tree, made_before):
    if made_before:
        tree.call("hello")
        shutil.rmtree(tree.home / ".venv")
    (tree.home / ".venv").mkdir()
    (tree.home / ".venv" / "precious").touch()
    child = tree.start("hello")
    _, errors = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 1 and errors.count("\n") == 1 and "move it away" in errors
    assert (tree.home / ".venv" / "precious").exists()


def test_what_follows_takes_the_place_of_the_script(tree):
    """A signal that is sent to `./run` reaches the work itself."""
    tree.call("hello")
    child = tree.start("wait")
    assert json.loads(child.stdout.readline())["pid"] == child.pid
    child.terminate()
    assert child.wait(timeout=PATIENCE_S) == -signal.SIGTERM


def test_a_file_of_the_current_folder_hides_no_module(tree, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong module')")
    assert tree.call("hello", cwd=tmp_path)["given"] == ["hello"]


def test_a_checkout_that_cannot_be_written_is_one_line(run, tmp_path, monkeypatch):
    def refuse(name, mode):
        raise OSError(30, "Read-only file system", str(name))

    monkeypatch.setattr(run, "LOCK", tmp_path / ".venv.lock")
    monkeypatch.setattr(run, "RECORD", tmp_path / ".venv" / "made_by_run.json")
    monkeypatch.setattr(run, "open", refuse, raising=False)
    with pytest.raises(SystemExit, match=r"lock: Read-only file system; \./run needs a checkout"):
        run.set_up(["run"])


def test_a_user_without_a_home_gets_one(run, tmp_path, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(run, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(run.Path, "home", nowhere)
    assert Path(run.clean_env()["HOME"]).is_dir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(run, "VENV", tmp_path / "file")  # as if nothing could be made there
    other = Path(run.clean_env()["HOME"])
    assert other.is_dir() and tmp_path not in other.parents
    other.rmdir()


def test_bytecode_is_written_and_other_environments_do_not_leak_in(run, monkeypatch):
    names = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV", "PIP_TARGET"}
    for name in names:
        monkeypatch.setenv(name, "1")
    assert not names & set(run.clean_env())


# ----------------------------------------------------------------------------- ways to install
@pytest.fixture
def steps(run, monkeypatch, tmp_path):
    """What the set-up would do, with a machine that has uv and pip; `failing` steps do not work."""

    class Steps(list):
        failing: tuple[str, ...] = ()

        def take(self, what, command, env, lock):
            self.append(what)
            return not any(word in what for word in self.failing)

    made = Steps()
    monkeypatch.setattr(run, "step", made.take)
    monkeypatch.setattr(run, "VENV", tmp_path)
    monkeypatch.setattr(run, "find_pip", lambda lock: ["pip"])
    monkeypatch.setattr(run, "uv_settings", lambda pip: {})
    return made


FETCHING = "fetching uv, which installs the rest quickly"


def test_uv_is_fetched_where_there_is_none(run, steps, monkeypatch):
    monkeypatch.setattr(run.shutil, "which", lambda name: None)
    assert run.install(["run"], None)
    assert steps == [
        FETCHING,
        "installing requirements/run.lock with uv",
        "installing trn3 itself with uv",
    ]


def test_pip_installs_where_uv_cannot_be_had(run, steps, monkeypatch):
    monkeypatch.setattr(run.shutil, "which", lambda name: None)
    steps.failing = ("fetching",)
    assert run.install(["run"], None)
    assert steps[1:] == [
        "installing requirements/run.lock with pip",
        "installing trn3 itself with pip",
    ]


def test_each_way_is_tried_until_one_works(run, steps, monkeypatch):
    monkeypatch.setattr(run.shutil, "which", lambda name: "/usr/bin/uv")
    steps.failing = ("with",)
    assert not run.install(["run"], None)
    first = "installing requirements/run.lock with"
    assert steps == [f"{first} uv", FETCHING, f"{first} uv", f"{first} pip"]


def test_uv_asks_the_registry_that_pip_is_set_to(run, monkeypatch):
    lines = [
        "global.index-url='https://global.invalid/simple'",
        "install.index-url='https://install.invalid/simple'",
        "global.cert='/etc/ca.pem'",
        ":env:.cert='/mine/ca.pem'",
        "global.timeout='60'",
    ]
    pip = [sys.executable, "-c", f"print({chr(10).join(lines)!r})"]
    for name in ("UV_DEFAULT_INDEX", "SSL_CERT_FILE", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    settings = run.uv_settings(pip)
    assert settings["SSL_CERT_FILE"] == "/mine/ca.pem"
    assert settings["UV_DEFAULT_INDEX"] == "https://install.invalid/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "chosen by the user")
    assert set(run.uv_settings(pip)) == {"SSL_CERT_FILE"}


def test_a_python_without_pip_is_told_what_to_install(run, monkeypatch):
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="python3-venv"):
        run.find_pip(None)
    monkeypatch.setattr(run, "step", lambda what, command, env, lock: True)
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: name == "ensurepip" or None)
    assert run.find_pip(None) == [run.PYTHON, "-m", "pip"]
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: name)
    assert run.find_pip(None) == [sys.executable, "-m", "pip", "--python", run.PYTHON]


def test_a_failed_step_shows_its_last_lines(run, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(run, "ROOT", tmp_path)
    script = "import sys; print(*range(100), sep='\\n'); sys.exit(3)"
    with open(tmp_path / "lock", "w") as lock:
        assert not run.step("counting", [sys.executable, "-c", script], dict(os.environ), lock)
    shown = capfd.readouterr().err.splitlines()
    assert shown[0] == "run: counting" and shown[1:] == [str(n) for n in range(92, 100)]


# ------------------------------------------------------------------------------------- the checks
def test_every_check_runs_and_one_table_tells_all(run, tmp_path, monkeypatch, capfd):
    slow = "\n".join(f"def test_{n}(): assert {n} != 7" for n in range(12))
    (tmp_path / "test_small.py").write_text(slow)
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "PYTHON", sys.executable)
    monkeypatch.setattr(run, "set_up", lambda locks: None)
    checks = {"broken": ["json.tool", "missing.json"], "sound": ["json.tool", "--help"]}
    checks["pytest"] = ["pytest", "-q", "-p", "no:cacheprovider", "test_small.py"]
    monkeypatch.setattr(run, "CHECKS", checks)
    assert run.test([]) == 1
    table = capfd.readouterr().out.partition("seconds  ")[2].splitlines()[1:]
    cells = [line.split(maxsplit=2) for line in table]
    assert [tuple(c[1:]) for c in cells[:4]] == [
        ("done", "set-up"),
        ("FAILED", "broken"),
        ("passed", "sound"),
        ("FAILED", "pytest"),
    ]
    assert len(cells[4:]) == 10 and all(float(c[0]) >= 0 for c in cells)
    del checks["broken"], checks["pytest"]
    assert run.test([]) == 0


def test_the_slowest_tests_come_first_with_their_outcome(run, tmp_path):
    report = tmp_path / "tests.xml"
    report.write_text(
        "<testsuites><testsuite><testcase classname='a' name='quick' time='0.1'/>"
        "<testcase classname='a' name='slow' time='9'><failure/></testcase>"
        "<testcase classname='b' name='left' time='2'><skipped/></testcase>"
        "</testsuite></testsuites>"
    )
    assert run.slowest(report, 2) == [("a::slow", 9.0, "failure"), ("b::left", 2.0, "skipped")]
    report.write_text("<testsuites><tests")
    assert run.slowest(report) == [] and run.slowest(tmp_path / "none") == []


def test_a_check_that_is_told_to_end_ends_its_children(run, tmp_path, monkeypatch):
    """SIGTERM to `./run test` interrupts pytest, which tidies up."""
    monkeypatch.setattr(run, "ROOT", tmp_path)
    script = (
        "import os, signal, pathlib\n"
        "try: os.kill(os.getppid(), signal.SIGTERM), signal.pause()\n"
        "except KeyboardInterrupt: pathlib.Path('tidy').touch()\n"
    )
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with pytest.raises(SystemExit, match="143"):
            run.call([sys.executable, "-c", script], dict(os.environ))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (tmp_path / "tidy").exists()


# ---------------------------------------------------------------------------- other ways to install
def pip(*arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    """Run pip; `install` needs a place of its own, or it takes away the trn3 of this Python."""
    assert "install" not in arguments or {"--target", "--python", "--dry-run"} & set(arguments)
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("line", ["the file's own", "--no-deps -e ."])
def test_pip_accepts_the_pip_section_of_environment_yml(tree, line):
    """conda hands the section to `pip install -r`, where an option such as --no-deps is an
    error.
    """
    listing = (ROOT / "environment.yml").read_text().partition("- pip:\n")[2]
    lines = re.findall(r"^ +- (.+)$", listing, re.M) if line[0] != "-" else [line]
    assert lines
    (tree.home / "pip.txt").write_text("\n".join(lines))
    offline = ("--no-index", "--no-build-isolation")
    done = pip("install", "--dry-run", "--no-deps", *offline, "-r", "pip.txt", cwd=tree.home)
    assert (done.returncode == 0) == (line[0] != "-"), done.stderr


def test_the_package_is_found_from_the_folder_above_a_clone_called_trn3(tree, tmp_path):
    """Without the path in a .pth file, the clone itself would be taken for the package."""
    place = tmp_path / "site"
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--target", place)
    done = pip("install", *options, "-e", ".", cwd=tree.home)
    assert done.returncode == 0, done.stderr
    script = f"import site; site.addsitedir({str(place)!r}); import trn3; print(trn3.__file__)"
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    found = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=tree.home.parent,
        env=clean,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == str(tree.home / "trn3" / "__init__.py"), found.stderr
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert ours["package-dir"] == {"": "."}


def test_a_wheel_carries_all_numbers_and_notebooks():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    shipped = {
        path.relative_to(ROOT)
        for patterns in setuptools["data-files"].values()
        for pattern in patterns
        for path in ROOT.glob(pattern)
    }
    folders = ["data", "notebooks"]
    listing = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tracked = {Path(name) for name in listing.stdout.splitlines() if (ROOT / name).exists()}
    assert len(tracked) > 40 and tracked <= shipped
    for target, patterns in setuptools["data-files"].items():
        for pattern in patterns:
            assert fnmatch.fnmatch(pattern, f"{target.removeprefix('share/trn3/')}/*")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the project that has one table and one notebook."""
    copy = tmp_path_factory.mktemp("wheel") / "copy"
    for name in ("data/datapackage.json", "data/units.csv", "notebooks/02_chip_on_paper.ipynb"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    shutil.copytree(ROOT / "trn3", copy / "trn3", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "docs").mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "docs/glossary.md"):
        shutil.copy(ROOT / name, copy / name)
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist")
    done = pip("wheel", *options, ".", cwd=copy)
    assert done.returncode == 0, done.stderr
    return next((copy / "dist").glob("*.whl"))


@pytest.mark.parametrize("kind", ["environment", "folder"])
def test_an_installed_wheel_finds_its_numbers(tmp_path, wheel, kind):
    """Installed into an environment of its own, or with `pip install --target`."""
    there = tmp_path / "there"
    if kind == "environment":
        venv.create(there, symlinks=True)
        into = ["--python", there / "bin" / "python", "install"]
    else:
        into = ["install", "--target", there]
    done = pip(*into, "--no-index", "--no-deps", wheel, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    place = next(there.rglob("trn3/data.py")).parent.parent
    script = "from trn3 import data; print(data.home())"
    env = os.environ | {"PYTHONPATH": str(place)}
    found = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    home = Path(found.stdout.strip())
    assert home.name == "trn3" and there in home.parents, found.stderr
    assert (home / "data" / "units.csv").exists()
    assert (home / "notebooks" / "02_chip_on_paper.ipynb").exists()


def test_a_missing_data_folder_is_one_line_that_names_the_variable(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "DATA", tmp_path / "none")
    with pytest.raises(data.DataError, match=r"no folder .*none: TRN3_DATA must name"):
        data.table("specs")
    with pytest.raises(data.DataError, match="TRN3_DATA"):
        data.names()


def test_the_lock_of_uv_is_one_pin_that_the_others_hold_too():
    pins = re.findall(r"^(\S+==\S+)", (ROOT / "requirements" / "tool.lock").read_text(), re.M)
    assert len(pins) == 1 and pins[0].startswith("uv==")
    for name in ("run", "test", "lab"):
        assert pins[0] in (ROOT / "requirements" / f"{name}.lock").read_text()


def test_what_slows_every_start_is_left_out_of_the_locks():
    for path in (ROOT / "requirements").glob("*.lock"):
        assert "rfc3987-syntax" not in path.read_text()
