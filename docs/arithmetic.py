"""Run the blocks of docs/arithmetic.md and write below each what it said: python
docs/arithmetic.py.
"""

import re
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".md")
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n<!-- said -->\n.*?<!-- end -->\n)?", re.DOTALL)
"""A block of Python and, where it says something, the lines below it."""


def run(text: str) -> list[str]:
    """What every block of a document says, empty where it says nothing; a block sees the names of
    those before it.
    """
    names: dict[str, Any] = {}
    said = []
    for match in BLOCK.finditer(text):
        names["said"] = ""
        exec(compile(match[1], FILE.name, "exec"), names)
        said.append(names["said"])
    return said


def render(text: str) -> str:
    """The document with today's figures."""
    said = iter(run(text))

    def written(match: re.Match[str]) -> str:
        told = next(said)
        block = f"```python\n{match[1]}```\n"
        return f"{block}\n<!-- said -->\n{told}\n<!-- end -->\n" if told else block

    return BLOCK.sub(written, text)


if __name__ == "__main__":
    FILE.write_text(render(FILE.read_text()))
