"""The pool: jobs that are done side by side, and what only one of them may do at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

# HubSpot answers in some 150 ms, so that 4 calls at once can use up the quota of any account, 250 in ten seconds; and
# more threads than that cost more of the processor in waiting for each other than they save in waiting for DynamoDB.
AT_ONCE = 4

LOOK = 0.02  # seconds between two looks whether it is one's turn


@contextmanager
def one_at_a_time(lock: Lock, sleep: Callable[[float], None]) -> Iterator[None]:
    """Wait for a lock by the clock that one was given, instead of blocking."""
    while not lock.acquire(blocking=False):
        sleep(LOOK)
    try:
        yield
    finally:
        lock.release()


def side_by_side(jobs: Sequence[Callable[[], None]]) -> None:
    """Do all jobs, in threads where there are several. What a job raises is raised when all have come to their end."""
    if len(jobs) < 2:
        for job in jobs:
            job()
        return
    # Not before it is needed: most runs have one job, and a cold start pays for every import.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(AT_ONCE, len(jobs)), thread_name_prefix="pool") as pool:
        ends = [pool.submit(job) for job in jobs]
    for end in ends:
        end.result()
