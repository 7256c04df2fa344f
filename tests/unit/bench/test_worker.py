"""What the benchmark's workers tell of themselves."""

from __future__ import annotations

import subprocess
import sys

from local.processes import ROOT

MANY = 300 * 2**20  # bytes, several times what a process needs that has only started


def test_a_workers_peak_memory_is_its_own_and_not_its_parents() -> None:
    held = bytearray(MANY)
    held[:: 2**12] = b"x" * len(held[:: 2**12])  # each page of it

    said = subprocess.check_output(
        [sys.executable, "-c", "from bench.worker import peak_kib; print(peak_kib())"], cwd=ROOT, text=True
    )

    assert 1_000 < int(said) < MANY / 2**10 / 2
