"""Jobs that are done side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# HubSpot answers in some 150 ms, so that 4 calls at once can use up the quota of any account, 250 in ten seconds; and
# more threads than that cost more of the processor in waiting for each other than they save in waiting for DynamoDB.
MAX_THREADS = 4
SideBySide = Callable[[Sequence[Callable[[], None]]], None]


def side_by_side(jobs: Sequence[Callable[[], None]]) -> None:
    """Do all jobs, in threads where there are several. What a job raises is raised when all have come to their end."""
    if len(jobs) < 2:
        for job in jobs:
            job()
        return
    # Not before it is needed: most runs have one job, and a cold start pays for every import.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(MAX_THREADS, len(jobs)), thread_name_prefix="worker") as pool:
        ends = [pool.submit(job) for job in jobs]
    for end in ends:
        end.result()
