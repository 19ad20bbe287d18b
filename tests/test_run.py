"""The entry script: standard library only, and plain words when something is missing."""

import ast
import importlib.util
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def run():
    loader = SourceFileLoader("run_script", str(ROOT / "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_script", loader))
    loader.exec_module(module)
    return module


def test_needs_only_the_standard_library():
    tree = ast.walk(ast.parse((ROOT / "run").read_text()))
    names = {a.name.split(".")[0] for n in tree if isinstance(n, ast.Import) for a in n.names}
    names |= {
        n.module.split(".")[0]
        for n in ast.walk(ast.parse((ROOT / "run").read_text()))
        if isinstance(n, ast.ImportFrom)
    }
    assert names <= sys.stdlib_module_names


def test_explains_itself_without_arguments():
    done = subprocess.run([sys.executable, ROOT / "run"], capture_output=True, text=True)
    assert done.returncode == 0 and "./run report" in done.stdout and "./run test" in done.stdout


def test_an_environment_made_from_the_same_lock_is_used_at_once(run, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "ROOT", tmp_path)
    (tmp_path / "requirements").mkdir()
    for name in ("run", "test"):
        (tmp_path / "requirements" / f"{name}.lock").write_text(name)
    (tmp_path / "pyproject.toml").write_text("")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / ".venv" / ".test.stamp").write_text(run.stamp_of("test"))
    assert run.environment(".venv", "run") == python, "the test environment serves reports too"
    (tmp_path / "requirements" / "test.lock").write_text("changed")
    monkeypatch.setattr(run.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 1))
    with pytest.raises(SystemExit, match="registry within reach"):
        run.environment(".venv", "run")


def test_a_python_without_venv_is_told_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "ROOT", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "run.lock").write_text("")
    (tmp_path / "requirements" / "test.lock").write_text("")
    (tmp_path / "pyproject.toml").write_text("")

    def broken(*_args, **_options):
        raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(run.venv, "create", broken)
    with pytest.raises(SystemExit, match="python3-venv"):
        run.environment(".venv", "run")
    assert not (tmp_path / ".venv").exists(), "nothing half-made is left"


def test_an_old_python_is_named(run, monkeypatch):
    monkeypatch.setattr(run.sys, "version_info", (3, 9, 0))
    with pytest.raises(SystemExit, match=r"3\.11 or newer"):
        run.main()


def test_bytecode_is_written_and_other_environments_do_not_leak_in(run, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"} & set(run.clean_env())
