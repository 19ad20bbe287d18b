"""Vega, Vega-Lite and their embedding as one script, for inside a page or beside many.

Bundling takes seconds, so the script is kept in the user's cache folder as gzip, whose checksum and
length tell a whole file from one that was cut short, emptied or altered by accident. Whatever is
not a plain file of the user's own, or does not check, is made anew.
"""

import functools
import gzip
import os
import stat
import zlib
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import vl_convert

from trn3.reporting import files

VEGA_LITE = "6.4"


def cache_path() -> Path | None:
    """Where the script is kept.

    Returns
    -------
    pathlib.Path or None
        The file's name changes with what it is made from; nowhere for a user without a home.
    """
    version = metadata.version("vl-convert-python")
    try:
        folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(folder) / "trn3" / f"vega-{version}-{VEGA_LITE}.js.gz"


@functools.lru_cache
def script() -> str:
    """Give the script as text.

    Returns
    -------
    str
        JavaScript without anything that would end a script element.
    """
    return gzip.decompress(compressed()).decode("utf-8")


@functools.lru_cache
def compressed() -> bytes:
    """Give the script as gzip, from the cache where that holds.

    Returns
    -------
    bytes
        The same for the same version of its parts.
    """
    path = cache_path()
    if path and (kept := checked(path)):
        return kept
    made = gzip.compress(bundled().encode("utf-8"), mtime=0)
    if path:
        with suppress(OSError):  # a read-only home costs seconds, not the report
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write(path, made)
    return made


def checked(path: Path) -> bytes:
    """Read a kept script if it is a plain file of this user's and whole.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    bytes
        Its content; nothing where it cannot be used.
    """
    try:
        about = path.lstat()
        user = os.getuid() if hasattr(os, "getuid") else about.st_uid
        if not stat.S_ISREG(about.st_mode) or about.st_uid != user:
            return b""
        content = path.read_bytes()
        return content if gzip.decompress(content) else b""
    except (OSError, EOFError, zlib.error):
        return b""


def bundled() -> str:
    """Bundle the script anew.

    Returns
    -------
    str
        JavaScript in a scope of its own.
    """
    bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE)  # type: ignore[call-arg]
    text = bundle.replace("</script", "<\\/script").replace("\r", "")
    return f"(()=>{{{text}}})();\n"
