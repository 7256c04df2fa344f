"""The grammar of EventBridge Scheduler's expressions, so that a slip is explained here and not by a failed deployment.

Source: docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import re
from datetime import datetime

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
# (field, smallest, largest, names that stand for smallest, smallest + 1, …, extra forms of that field alone)
_CRON_FIELDS: list[tuple[str, int, int, list[str], str | None]] = [
    ("minutes", 0, 59, [], None),
    ("hours", 0, 23, [], None),
    ("day-of-month", 1, 31, [], r"\?|L|LW|\d{1,2}W"),
    ("month", 1, 12, _MONTHS, None),
    ("day-of-week", 1, 7, _DAYS, r"\?|L|[1-7]L|[1-7]#[1-5]"),
    ("year", 1970, 2199, [], None),
]


def explained_expression(expression: str) -> str:
    """The expression unchanged, if EventBridge Scheduler takes it. Raises ValueError with what to write instead."""
    kind, _, rest = expression.partition("(")
    body = rest.removesuffix(")")
    if kind not in {"rate", "cron", "at"} or not rest.endswith(")"):
        raise ValueError("must be rate(…), cron(…) or at(…), such as rate(1 day) or cron(0 3 * * ? *)")
    {"rate": _check_rate, "cron": _check_cron, "at": _check_at}[kind](body)
    return expression


def _check_rate(body: str) -> None:
    match = re.fullmatch(r"([1-9]\d*) (minute|hour|day)(s?)", body)
    if not match or (match[1] == "1") == bool(match[3]):
        raise ValueError("must be such as rate(1 day), rate(12 hours) or rate(30 minutes)")


def _check_at(body: str) -> None:
    try:
        if not re.fullmatch(r"[\d-]+T[\d:]+", body):
            raise ValueError("an offset, or no time")
        datetime.fromisoformat(body)
    except ValueError:
        raise ValueError(
            "must be such as at(2027-01-31T03:00:00), without an offset; use `timezone` for that"
        ) from None


def _check_cron(body: str) -> None:
    fields = body.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError(
            f"has {len(fields)} cron fields; must be six: minutes hours day-of-month month day-of-week year, "
            "such as cron(0 3 * * ? *)"
        )
    for value, (name, low, high, names, special) in zip(fields, _CRON_FIELDS, strict=True):
        if not (special and re.fullmatch(special, value)):
            for part in value.split(","):
                _check_part(part, name, low, high, names)
    if (fields[2] == "?") == (fields[4] == "?"):
        raise ValueError("must have ? in exactly one of day-of-month and day-of-week, such as cron(0 3 * * ? *)")


def _check_part(part: str, name: str, low: int, high: int, names: list[str]) -> None:
    values, slash, step = part.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        raise ValueError(f'cannot read "{part}" in the cron field {name}; a step is a number above 0, such as 0/15')
    if values == "*":
        return
    numbers = [_number(value, low, names) for value in values.split("-")]
    if len(numbers) > 2 or any(number is None or not low <= number <= high for number in numbers):
        words = f" or {names[0]}-{names[-1]}" if names else ""
        raise ValueError(f'cannot read "{part}" in the cron field {name}; must be * or within {low}-{high}{words}')


def _number(value: str, low: int, names: list[str]) -> int | None:
    if value.upper() in names:
        return low + names.index(value.upper())
    return int(value) if value.isdecimal() else None
