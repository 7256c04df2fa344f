"""HubSpot's signature of the requests that it sends itself, version 3. Pure.

developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation: the method, the whole
address with some characters decoded, the body as it came and the time in milliseconds, with HMAC-SHA256 under the app's
secret, in Base64.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

SIGNATURE = "X-HubSpot-Signature-v3"
TIME = "X-HubSpot-Request-Timestamp"
TOLERANCE = 300_000  # milliseconds, HubSpot's; to either side, as a request from the future would be valid for longer
DECODED = ":/?@!$'()*,;"
ESCAPES = re.compile("|".join(f"%{ord(character):02X}" for character in DECODED), re.IGNORECASE)
PLAIN = "-_.~"  # beside letters and digits: what RFC 3986 never escapes


def signature(secret: str, method: str, address: str, body: bytes, time: str) -> str:
    """The signature of a request: `address` is the whole URL as it was called, `time` the text of TIME's header."""
    address = ESCAPES.sub(lambda escape: chr(int(escape[0][1:], 16)), address)
    text = method.encode() + address.encode() + body + time.encode()
    return b64encode(hmac.digest(secret.encode(), text, hashlib.sha256)).decode()


def is_signed(secret: str, method: str, addresses: Sequence[str], body: bytes, time: str, presented: str) -> bool:
    """Whether `presented` is the signature of the request at one of the addresses to which it may have been sent."""
    expected = [signature(secret, method, address, body, time).encode() for address in addresses]
    return any(hmac.compare_digest(presented.encode(errors="replace"), each) for each in expected)


def is_timely(time: str, now: datetime) -> bool:
    """Whether a request's time, a number of milliseconds, is within TOLERANCE of now."""
    is_number = time.isascii() and time.isdecimal() and len(time) <= 15
    return is_number and abs(int(time) - round(now.timestamp() * 1000)) <= TOLERANCE


def queries(parameters: Mapping[str, Sequence[str]] | None) -> Iterator[str]:
    """The query strings, with their `?`, that API Gateway may have decoded to these parameters."""
    if not parameters:
        yield ""
        return
    pairs = [(name, value) for name, values in parameters.items() for value in values]
    for blank in ("%20", "+"):
        yield "?" + "&".join(f"{_escaped(name, blank)}={_escaped(value, blank)}" for name, value in pairs)


def _escaped(text: str, blank: str) -> str:
    return quote(text, safe=PLAIN + DECODED).replace("%20", blank)
