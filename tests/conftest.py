"""What all tests share: no thread of a matrix library, and no process that outlives its test."""

import os

import pytest

# Before NumPy loads: its threads would make forks unsafe, here as in `./run test`.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import small


@pytest.fixture(autouse=True)
def ended():
    """A test that fails leaves nothing running."""
    yield
    small.end_all()
