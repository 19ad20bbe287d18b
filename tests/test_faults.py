"""Reports that crash, hang, hoard or are killed, folders that fill up: nothing lost or
half-written, no orphan.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small

from trn3.reporting import batch

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the forked engine is for Linux"
)
REASONS = {
    "raise": "ValueError: no luck",
    "loop": "took longer than 4 s",
    "memory": "MemoryError",
    "kill": "ended with signal 9",
    "exit": "ended with exit status 3",
    "stop": "took longer than 4 s",
}


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
    """Processes that belong to this test's folder."""
    lines = subprocess.run(
        ["ps", "-eo", "pid,stat,args"], capture_output=True, text=True
    ).stdout.splitlines()
    return [line for line in lines if str(home) in line and " Z" not in line]


def wait_for(what, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_way_to_fail_leaves_a_page_and_the_others_whole(home):
    modes = ["fine", *REASONS]
    (home / "all.toml").write_text(f'report = "02"\n[grid]\nmode = {modes}\nn = [4]\n')
    limits = ("--timeout", 4, "--memory", 1.5, "--jobs", 7)
    done = small.trn3(
        home / "notebooks", "batch", home / "all.toml", "--out", home / "all", *limits
    )
    rows = {row["parameters"]["mode"]: row for row in batch.remembered(home / "all").values()}
    assert done.returncode == 1 and "1 of 7 reports made" in done.stdout
    assert rows.pop("fine")["status"] == "done"
    for mode, row in rows.items():
        assert REASONS[mode] in row["reason"], row
        page = pages(home / "all")[row["report"]]
        assert "</html>" in page and f"mode={mode}" in page and "./run report 02_small" in page
    assert not running(home) and not list((home / "all").glob("*.part"))


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name
)
def test_a_batch_that_is_killed_can_be_resumed(home, tmp_path, number):
    out = tmp_path / "out"
    process = small.start(
        home / "notebooks", "batch", home / "hang.toml", "--out", out, "--jobs", 3
    )
    wait_for(lambda: len(batch.remembered(out)) == 4)  # four are made, two loop
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert number != signal.SIGINT or (err.endswith("--resume\n") and "Traceback" not in err)
    wait_for(lambda: not running(home))
    made = pages(out)
    assert len(made) == 4 and all(text.endswith("</html>\n") for text in made.values())
    times = {p: p.stat().st_mtime_ns for p in out.glob("02_small*.html")}
    again = small.trn3(
        home / "notebooks", "batch", home / "hang.toml", "--out", out, "--resume", "--timeout", 0.5
    )
    assert again.returncode == 1 and "4 of 6 reports made" in again.stdout
    assert all(p.stat().st_mtime_ns == t for p, t in times.items())


def test_a_second_batch_into_the_folder_is_refused_while_the_first_goes_on(home, tmp_path):
    out = tmp_path / "out"
    first = small.start(
        home / "notebooks", "batch", home / "hang.toml", "--out", out, "--timeout", 5
    )
    wait_for(lambda: (out / ".lock").exists() and batch.remembered(out))
    second = small.trn3(home / "notebooks", "batch", home / "good.toml", "--out", out)
    assert second.returncode == 2 and second.stderr.startswith(
        "trn3: another batch is writing into "
    )
    first.communicate(timeout=40)
    assert first.returncode == 1 and len(pages(out)) == 6


def test_a_full_disk_stops_the_batch_in_one_line_and_leaves_whole_files(home, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    victim = batch_stems(home)[3]
    os.symlink(
        "/dev/full", out / f".{victim}.html.part"
    )  # the kernel answers ENOSPC to whoever writes there
    done = small.trn3(home / "notebooks", "batch", home / "good.toml", "--out", out)
    assert done.returncode == 2 and done.stderr.endswith("No space left on device\n")
    assert "Traceback" not in done.stderr and victim not in pages(out) and not running(home)
    assert all(text.endswith("</html>\n") for text in pages(out).values())
    again = small.trn3(home / "notebooks", "batch", home / "good.toml", "--out", out, "--resume")
    assert again.returncode == 0 and len(pages(out)) == 6


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
