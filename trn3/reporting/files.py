"""Files that appear whole or not at all."""

import os
import tempfile
from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Write a file so that nobody ever sees half of it.

    The text is put into a new file with a name that nobody can guess, which follows no link, and
    takes its place at once.

    Parameters
    ----------
    path : pathlib.Path
        Where.
    content : str or bytes
        What.
    """
    raw = content.encode("utf-8") if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
