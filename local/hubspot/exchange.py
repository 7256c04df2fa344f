"""What comes of a call, as numbers of seconds and functions: who waits, and in which time, is not the stand-in's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.hubspot.answers import Answer


class Landing(NamedTuple):
    """When a call is carried out that is not yet: so many seconds after it was received, call `land`, once."""

    seconds: float
    land: Callable[[], None]


@dataclass(frozen=True)
class Exchange:
    """What comes of a call: wait so many seconds, then call `finish`, once, for the answer.

    With a `landing` the call is carried out apart from that, before the answer or after it.
    """

    wait_seconds: float
    finish: Callable[[], Answer]
    landing: Landing | None = None
