"""nbval sees in what is played to it whatever it would see in what a kernel gives."""

import nbformat
import played
import pytest
from nbval.plugin import IPyNbFile, NbCellError

STORED = [
    nbformat.v4.new_output("stream", name="stdout", text="1\n"),
    nbformat.v4.new_output("execute_result", data={"text/plain": "2"}, execution_count=1),
]
ERROR = nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=["no"])


def cell(outputs: list, source: str = "print(1); 2", count: int | None = 1):
    return nbformat.v4.new_code_cell(source, outputs=outputs, execution_count=count)


def text(words: str):
    return nbformat.v4.new_output("stream", name="stdout", text=words)


@pytest.fixture
def compare(request, tmp_path, monkeypatch):
    """Have nbval compare a stored cell with what a kernel gave for it."""
    monkeypatch.setattr(played, "GIVEN", {})

    def run(given) -> None:
        path = tmp_path / "one.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[cell(STORED)]), path)
        played.keep(path, [given])
        file = IPyNbFile.from_parent(request.session, path=path)
        (item,) = file.collect()
        file.setup()
        item.runtest()
        file.teardown()

    return run


def test_the_same_passes_however_its_streams_were_split(compare):
    compare(cell(STORED))
    compare(cell([text(""), text("1\n"), STORED[1]]))


@pytest.mark.parametrize(
    "outputs",
    [
        [text("2\n"), STORED[1]],
        STORED[:1],
        [*STORED, STORED[1]],
        [STORED[0], nbformat.v4.new_output("display_data", data={"text/html": "2"})],
    ],
    ids=["changed", "missing", "more", "of another kind"],
)
def test_other_outputs_are_seen(compare, outputs):
    with pytest.raises(NbCellError, match="Cell outputs differ"):
        compare(cell(outputs))


def test_an_error_is_seen(compare):
    with pytest.raises(NbCellError, match="exception"):
        compare(cell([STORED[0], ERROR]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (cell(STORED, source="print(1); 3"), "another one"),
        (cell(STORED, count=None), "did not come to"),
    ],
)
def test_what_is_played_must_have_been_run_from_the_same_source(compare, given, words):
    with pytest.raises(AssertionError, match=words):
        compare(given)
