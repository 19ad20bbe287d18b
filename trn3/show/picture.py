"""A chart's picture with a palette: a sixth of the bytes, as notebooks in a repository should be.

`vl_convert` writes every pixel with four channels and hardly packed. Charts have few colours, so
each pixel becomes a place in a palette of at most 256 (RFC 2083, colour type 3).
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LEFT = 1
"""Filter of a row: each byte is told as its difference from the pixel to the left."""
CHANNELS = 4
PALETTE = 3


def small(picture: bytes) -> bytes:
    """Write a picture anew with a palette.

    Parameters
    ----------
    picture : bytes
        PNG of `vl_convert`, opaque.

    Returns
    -------
    bytes
        PNG of at most 256 colours, rounded where there are more, mostly to 16 steps a channel; the
        same picture where it is written in another way.
    """
    chunks = _chunks(picture)
    width, height, depth, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    if (depth, kind) != (8, 6) or (rows[:, 0] != LEFT).any():
        return picture
    steps = rows[:, 1:].reshape(height, width, CHANNELS)
    pixels = np.cumsum(steps, axis=1, dtype=np.uint8)[:, :, :3]
    colours, places = _palette(pixels.reshape(-1, 3))
    if len(colours) > 256:
        return picture
    lines = np.zeros((height, width + 1), np.uint8)  # a row starts with its filter: none
    lines[:, 1:] = places.reshape(height, width)
    head = struct.pack(">IIBBBBB", width, height, 8, PALETTE, 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 9)
    parts = [(b"IHDR", head), (b"PLTE", colours.tobytes()), (b"IDAT", body), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(*part) for part in parts)


def _palette(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """The colours of a picture, as few as a palette holds, and the place of each pixel's."""
    for bits in (8, 5, 4, 3):
        kept = pixels & np.uint8(256 - 2 ** (8 - bits))
        rounded = kept | kept >> np.uint8(bits)  # so that white stays white
        colours, places = np.unique(rounded, axis=0, return_inverse=True)
        if len(colours) <= 256:
            break
    return colours, places.reshape(-1)


def _chunks(picture: bytes) -> dict[bytes, bytes]:
    """Content of a PNG by the kind of its parts."""
    found: dict[bytes, bytes] = {}
    at = len(SIGNATURE)
    while at < len(picture):
        length, kind = struct.unpack(">I4s", picture[at : at + 8])
        found[kind] = found.get(kind, b"") + picture[at + 8 : at + 8 + length]
        at += length + 12
    return found


def _chunk(kind: bytes, content: bytes) -> bytes:
    """A part of a PNG: length, kind, content, checksum."""
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
