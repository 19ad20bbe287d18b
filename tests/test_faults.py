"""Reports that crash, hang, hoard or are killed, folders that fill up: nothing lost or
half-written, no orphan.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import small

from trn3.reporting import batch

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the forked engine is for Linux"
)
FAILS = {
    "raise": "ValueError: no luck",
    "memory": "MemoryError",
    "kill": "ended with signal 9",
    "exit": "ended with exit status 3",
}
HANGS = ["loop", "stop"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("faults")
    small.report(home / "notebooks")
    (home / "good.toml").write_text('report = "02"\n[grid]\nn = [1, 2, 3, 4, 5, 6]\n')
    loops = '[[case]]\nmode = "loop"\n[[case]]\nn = 9\nmode = "loop"\n'
    (home / "hang.toml").write_text(f'report = "02"\n[grid]\nn = [1, 2, 3, 4]\n{loops}')
    return home


def pages(out: Path) -> dict[str, str]:
    return {p.stem: p.read_text() for p in out.glob("02_small*.html")}


def running(home: Path) -> list[str]:
    """Processes that work in this test's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # one that has ended meanwhile, or is not ours
            if os.readlink(process / "cwd").startswith(str(home)):
                found.append((process / "cmdline").read_text())
    return found


def failures(home: Path, modes: list[str], *limits: object) -> dict[str, dict]:
    """A batch of one good report and several that fail, each of which leaves its page: the lines
    of those that failed.
    """
    name, out = modes[0], home / modes[0]
    (home / f"{name}.toml").write_text(
        f'report = "02"\n[grid]\nmode = {["fine", *modes]}\nn = [4]\n'
    )
    arguments = ("batch", home / f"{name}.toml", "--out", out, "--resume", *limits)
    done = small.trn3(home / "notebooks", *arguments, cwd=home)
    rows = {row["parameters"]["mode"]: row for row in batch.remembered(out).values()}
    assert done.returncode == 1 and f"1 of {1 + len(modes)} reports made" in done.stdout
    assert rows.pop("fine")["status"] == "done"
    for mode, row in rows.items():
        page = pages(out)[row["report"]]
        assert "</html>" in page and f"mode={mode}" in page and "./run report 02_small" in page
    assert not running(home) and not [p for p in out.glob(".*") if p.name != ".lock"]
    return rows


def test_every_way_to_fail_leaves_a_page_and_the_others_whole(home):
    rows = failures(home, list(FAILS), "--memory", 1.5, "--jobs", 3)
    assert set(rows) == set(FAILS)
    for mode, row in rows.items():
        assert FAILS[mode] in row["reason"], row


def test_a_report_that_never_ends_is_ended_and_the_others_are_whole(home):
    (home / "fine.toml").write_text('report = "02"\n[grid]\nmode = ["fine"]\nn = [4]\n')
    first = ("batch", home / "fine.toml", "--out", home / HANGS[0])
    assert small.trn3(home / "notebooks", *first, cwd=home).returncode == 0
    rows = failures(home, HANGS, "--timeout", 1)  # neither would ever have ended
    assert {mode: row["reason"] for mode, row in rows.items()} == dict.fromkeys(
        HANGS, "took longer than 1 s"
    )


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name
)
def test_a_batch_that_is_killed_can_be_resumed(home, tmp_path, number):
    out = tmp_path / "out"
    arguments = ("batch", home / "hang.toml", "--out", out)
    process = small.start(home / "notebooks", *arguments, "--jobs", 3, cwd=home)
    small.until(lambda: len(batch.remembered(out)) == 4, process)  # four are made, two loop
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert number != signal.SIGINT or (err.endswith("--resume\n") and "Traceback" not in err)
    small.until(lambda: not running(home))
    made = pages(out)
    assert len(made) == 4 and all(text.endswith("</html>\n") for text in made.values())
    times = {p: p.stat().st_mtime_ns for p in out.glob("02_small*.html")}
    again = small.trn3(home / "notebooks", *arguments, "--resume", "--timeout", 0.1, cwd=home)
    assert again.returncode == 1 and "4 of 6 reports made" in again.stdout
    assert all(p.stat().st_mtime_ns == t for p, t in times.items())


def test_a_second_command_into_the_folder_is_refused_while_the_first_goes_on(home, tmp_path):
    out = tmp_path / "out"
    first = small.start(home / "notebooks", "batch", home / "hang.toml", "--out", out, cwd=home)
    small.until(lambda: batch.remembered(out), first)
    for command in (["batch", home / "good.toml"], ["report", "02"]):
        second = small.trn3(home / "notebooks", *command, "--out", out, cwd=home)
        told = "trn3: another command is writing into "
        assert second.returncode == 2 and second.stderr.startswith(told)
    small.until(lambda: len(pages(out)) == 4, first)
    assert first.poll() is None, "it goes on with the two that loop"


FULL = """
import errno, os, sys
from trn3.reporting import cli, files

victim, kept = sys.argv[1], os.replace

def full(source, target):
    if os.path.basename(target) == victim:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)
    kept(source, target)

files.os.replace = full
sys.exit(cli.main(sys.argv[2:]))
"""
"""The command on a disk that is full when one page takes its place."""


def test_a_full_disk_stops_the_batch_in_one_line_and_leaves_whole_files(home, tmp_path):
    out = tmp_path / "out"
    victim = batch_stems(home)[3]
    arguments = ["batch", str(home / "good.toml"), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", FULL, f"{victim}.html", *arguments],
        env=small.environment(home / "notebooks", {}),
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.endswith("No space left on device\n")
    assert "Traceback" not in done.stderr and victim not in pages(out) and not running(home)
    assert all(text.endswith("</html>\n") for text in pages(out).values())
    assert not [p for p in out.glob(".*") if p.name != ".lock"], "no part is left"
    again = small.trn3(home / "notebooks", *arguments, "--resume")
    assert again.returncode == 0 and len(pages(out)) == 6


def test_nothing_is_written_through_a_link_that_somebody_laid(home, tmp_path):
    out, precious = tmp_path / "out", tmp_path / "precious"
    out.mkdir()
    precious.write_text("mine")
    (out / "02_small.html").symlink_to(precious)
    done = small.trn3(home / "notebooks", "report", "02", "--out", out, cwd=home)
    assert done.returncode == 0 and precious.read_text() == "mine"
    assert not (out / "02_small.html").is_symlink()
    (out / ".lock").unlink()
    (out / ".lock").symlink_to(precious)
    refused = small.trn3(home / "notebooks", "report", "02", "--out", out, cwd=home)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert precious.read_text() == "mine"


def batch_stems(home: Path) -> list[str]:
    from trn3.reporting import parameters

    kept, parameters.NOTEBOOKS = parameters.NOTEBOOKS, home / "notebooks"
    try:
        return [one.stem for one in batch.cases(home / "good.toml")]
    finally:
        parameters.NOTEBOOKS = kept


def test_a_manifest_that_cannot_grow_spoils_no_line(tmp_path):
    (tmp_path / batch.MANIFEST).write_text(
        '{"report": "a", "status": "done"}\n{"report": "b", "sta'
    )
    batch.note(tmp_path, {"report": "c", "status": "done"})
    assert set(batch.remembered(tmp_path)) == {"a", "c"}


@pytest.mark.parametrize("command", ["report", "batch"])
def test_a_folder_that_cannot_be_written_is_said_before_anything_runs(home, tmp_path, command):
    (tmp_path / "file").write_text("")
    what = "02" if command == "report" else home / "good.toml"
    for out in (tmp_path / "file" / "out", Path("/proc/trn3")):
        done = small.trn3(home / "notebooks", command, what, "--out", out)
        assert (
            done.returncode == 2
            and done.stderr.startswith("trn3: cannot write ")
            and done.stderr.count("\n") == 1
        )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_said(home, tmp_path):
    tmp_path.chmod(0o555)
    done = small.trn3(home / "notebooks", "report", "02", "--out", tmp_path)
    assert done.returncode == 2 and "Permission denied" in done.stderr
