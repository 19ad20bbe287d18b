"""Generated command lines and files give a result, or one line and status 2."""

from collections import Counter

import pytest
from benchmarks import fuzz

from trn3.reporting import cli


def test_500_generated_command_lines_give_a_result_or_one_line():
    tally = {kind: Counter() for kind in fuzz.KINDS}
    for kind, argv, status, fault, _ in fuzz.lines(500, seed=0):
        assert not fault, (argv, fault)
        tally[kind][status] += 1
    assert sum(sum(counts.values()) for counts in tally.values()) == 500
    assert all(counts[0] and counts[2] for counts in tally.values()), "every kind has both ends"


def test_the_lines_are_the_same_every_time(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        for number, kind in enumerate(fuzz.KINDS):
            argv = fuzz.line(kind, number, 0, folder)
            (folder / f"line{number}").write_text(ascii([a.replace(str(folder), "") for a in argv]))
    names = sorted(p.name for p in first.iterdir())
    assert names == sorted(p.name for p in second.iterdir())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    ("does", "fault"),
    [
        (lambda _: 1 / 0, "status 1"),
        (lambda _: print("\x1b[31m") or 0, "a control character"),
        (lambda _: 0, "no result"),
        (lambda _: cli.complain("x") or 2, "no line of trn3"),
        (lambda _: cli.complain("trn3: x") or cli.complain("trn3: y") or 2, "2 lines"),
        (lambda _: print("x") or cli.complain("trn3: x") or 2, "output and an error"),
    ],
)
def test_the_fuzzer_sees_what_is_broken(monkeypatch, does, fault):
    monkeypatch.setattr(cli, "doctor", does)
    assert fuzz.broken(["doctor"], *fuzz.run(["doctor"])) == fault


def test_the_fuzzer_stops_what_hangs(monkeypatch):
    def hangs(_):
        while True:
            pass

    monkeypatch.setattr(cli, "doctor", hangs)
    monkeypatch.setattr(fuzz, "LIMIT_S", 1)
    status, _, err = fuzz.run(["doctor"])
    assert status == 1 and "not done after 1 s" in err
