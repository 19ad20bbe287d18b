"""The charts' script: kept between reports, and never taken from a file that does not check."""

import gzip
import os

import pytest

from trn3.reporting import chart_script, files

WHOLE = "(()=>{draw()})();\n" * 50


@pytest.fixture
def made(monkeypatch):
    """How often the script was bundled, which costs nothing here."""
    made = []
    monkeypatch.setattr(chart_script, "bundled", lambda: made.append(1) or WHOLE)
    return made


@pytest.fixture
def cache(tmp_path, monkeypatch, made):
    """Where the script is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = chart_script.cache_path()
    path.parent.mkdir()
    return path


def asked() -> str:
    """What a fresh process would get."""
    return gzip.decompress(chart_script.compressed.__wrapped__()).decode()


def test_it_is_made_once_and_kept(cache, made):
    assert asked() == asked() == WHOLE
    assert len(made) == 1
    assert [p.name for p in cache.parent.iterdir()] == [cache.name]


def flipped(content: bytes) -> bytes:
    """The content with a bit of its middle changed."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda whole: flipped(whole),
        lambda whole: whole + b"more",
        lambda whole: gzip.decompress(whole),
        lambda whole: gzip.compress(b""),
        lambda whole: b"not found",
    ],
    ids=["empty", "half", "short", "flipped", "longer", "plain", "nothing", "text"],
)
def test_a_file_that_does_not_check_is_made_anew_and_mended(cache, made, spoil):
    asked()
    whole = cache.read_bytes()
    cache.write_bytes(spoil(whole))
    assert asked() == WHOLE
    assert cache.read_bytes() == whole
    assert len(made) == 2


def test_a_link_is_neither_read_nor_written_through(cache, tmp_path):
    other = tmp_path / "other.gz"
    other.write_bytes(gzip.compress(b"alert(1)"))
    before = other.read_bytes()
    cache.symlink_to(other)
    assert asked() == WHOLE
    assert other.read_bytes() == before
    assert not cache.is_symlink()


def test_a_folder_in_its_place_costs_only_time(cache, made):
    cache.mkdir()
    assert asked() == asked() == WHOLE
    assert len(made) == 2
    assert [p.name for p in cache.parent.iterdir()] == [cache.name]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system knows no owners")
def test_a_file_of_somebody_else_is_not_used(cache, monkeypatch):
    asked()
    monkeypatch.setattr(os, "getuid", lambda: cache.stat().st_uid + 1)
    assert chart_script.checked(cache) == b""


def test_a_user_without_a_home_gets_it_all_the_same(made, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(chart_script.Path, "home", nowhere)
    assert asked() == WHOLE


def test_the_real_one_draws_and_ends_no_element():
    text = chart_script.script()
    assert "vegaEmbed" in text
    assert "</script" not in text
    assert "\r" not in text


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.html"
    files.write(path, "old")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]
