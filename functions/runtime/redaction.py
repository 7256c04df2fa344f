"""`***` replaces what nobody may see: secrets by their value, and every value under a secret's name."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from threading import Lock
from urllib.parse import quote_plus

HIDDEN = "***"
SHORTEST = 8  # characters; less is no secret of HubSpot's or ours, and would be found in other words
REMEMBERED = 200  # values; a deployment has some three for each portal
NAMES = (
    *("accessToken", "refreshToken", "clientSecret", "appSecret"),
    *("access_token", "refresh_token", "client_secret", "app_secret", "hapikey", "authorization"),
    *("x-hubspot-signature", "x-hubspot-signature-v3"),
)
LOWERED = {name.lower() for name in NAMES}
_names = "|".join(map(re.escape, NAMES))
# In JSON, also in JSON that is text within JSON; in a form or a query; and in a header.
NAMED = re.compile(rf'(\\?"(?:{_names})\\?"\s*:\s*\\?")[^"\\]*|(\b(?:{_names})=)[^&\s"]+', re.IGNORECASE)
BEARER = re.compile(r"(\bBearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE)

_remembered: tuple[tuple[str, ...], ...] = ()  # replaced as a whole, as other threads read it
_remembering = Lock()


def remember(values: Iterable[str]) -> None:
    """Let `redact` replace these values from now on."""
    global _remembered  # noqa: PLW0603 # one memory for all of a process, as there is one log
    with _remembering:
        known = dict.fromkeys(_remembered)
        known |= dict.fromkeys(_written(value) for value in values if len(value) >= SHORTEST)
        _remembered = tuple(known)[-REMEMBERED:]


def redact(text: str, secrets: Collection[str] = ()) -> str:
    """`text` without these secrets, the remembered ones, and the values under a secret's name."""
    for ways in (*map(_written, filter(None, secrets)), *_remembered):
        for written in ways:
            text = text.replace(written, HIDDEN)
    lowered = text.lower()  # looked through first, as each pattern takes a hundred times as long to find nothing
    if any(name in lowered for name in LOWERED):
        text = NAMED.sub(lambda found: (found[1] or found[2]) + HIDDEN, text)
    if "bearer" in lowered:
        text = BEARER.sub(rf"\g<1>{HIDDEN}", text)
    return text


def _written(secret: str) -> tuple[str, ...]:
    """A secret as it is, in JSON and in a form; the longest first, as another may be a part of it."""
    ways = {secret, json.dumps(secret)[1:-1], quote_plus(secret)}
    return tuple(sorted(ways, key=lambda way: (-len(way), way)))
