"""The order in which what is compared is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def in_turn(contestants: Sequence[T], turn: int) -> Sequence[T]:
    """All of them, backwards in every other turn: who comes first, and after whom, favours nobody."""
    return contestants[::-1] if turn % 2 else contestants
