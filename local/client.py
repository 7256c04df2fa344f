"""A caller of the API: `python -m local.client`. People use `make client NAME=…`.

It changes the secret with the clients: of the local stack where this checkout has one up, else of the stack in the AWS
account of the environment. The key is printed once, to standard output; the secret holds only its SHA-256.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from api import clients
from api.clients import MAX_KEYS, Client, Clients, parse
from aws.secrets_manager import NO_MEMORY, SecretStore
from local.place import NotDone, Place, find
from local.stack import key_hash
from model.contract import ContractError
from model.errors import HubSpotFailure
from model.records import plain

KEY_BYTES = 32
TRIES = 5  # where others change the secret at the same moment
OUTPUT = "ClientsSecretName"


def new_key() -> str:
    """A key that nobody guesses: 256 bits, safe in a header as it is."""
    return secrets.token_urlsafe(KEY_BYTES)


def added(known: Clients, entry: Client) -> Clients:
    """With one client more. Raises NotDone where its name is taken."""
    if any(each.name == entry.name for each in known.clients):
        raise NotDone(f"there is a client {entry.name} already; ROTATE=1 gives it a second key")
    return Clients((*known.clients, entry))


def rotated(known: Clients, name: str, key_hash: str) -> Clients:
    """With a second key for a client, beside the one in use. Raises NotDone where it has two, or is not there."""
    hashes = _keys(known, name)
    if len(hashes) >= MAX_KEYS:
        raise NotDone(f"{name} has {len(hashes)} keys; RETIRE=1 ends the older one, once nobody uses it any more")
    return _with(known, name, (*hashes, key_hash))


def retired(known: Clients, name: str) -> Clients:
    """With the newest key of a client alone. Raises NotDone where it has no other, or is not there."""
    hashes = _keys(known, name)
    if len(hashes) == 1:
        raise NotDone(f"{name} has one key only; ROTATE=1 gives it a second one first, REMOVE=1 removes the client")
    return _with(known, name, hashes[-1:])


def removed(known: Clients, name: str) -> Clients:
    """Without a client. Raises NotDone where it is not there."""
    _named(known, name)
    return Clients(tuple(each for each in known.clients if each.name != name))


def _named(known: Clients, name: str) -> Client:
    for each in known.clients:
        if each.name == name:
            return each
    raise NotDone(f"there is no client {name}; known are: {', '.join(each.name for each in known.clients) or 'none'}")


def _keys(known: Clients, name: str) -> tuple[str, ...]:
    hashes = _named(known, name).key_sha256
    if not hashes:
        raise NotDone(f"{name} is known by its IAM principals and has no key; REMOVE=1 removes the client")
    return hashes


def _with(known: Clients, name: str, hashes: tuple[str, ...]) -> Clients:
    return Clients(tuple(replace(each, key_sha256=hashes) if each.name == name else each for each in known.clients))


def change(place: Place, how: Callable[[Clients], Clients]) -> None:
    """Replace the clients as they are by what `how` makes of them, and nobody else's change. Raises NotDone."""
    store, secret = SecretStore(place.client, lambda: datetime.now(UTC)), place.output(OUTPUT)
    try:
        for _ in range(TRIES):
            current = store.current(secret, NO_MEMORY)
            wanted = how(parse(current.text, secret))
            if store.replace(secret, current.version, json.dumps(plain(wanted))):
                return
    except HubSpotFailure as failure:
        raise NotDone(failure.message) from None
    except ContractError as error:
        raise NotDone(str(error)) from None
    raise NotDone(f"the secret {secret} was changed by others again and again; try again")


def _entry(options: argparse.Namespace, key_hash: str) -> Client:
    principals = options.principals.split(",") if options.principals else []
    told: dict[str, object] = {
        "name": options.name,
        "keySha256": [] if principals else [key_hash],
        "principals": principals,
        "portals": options.portals.split(","),
        "objectTypes": options.object_types.split(","),
        "expiresAt": options.expires,
        "mayReplay": options.replay,
        "requestsPerMinute": options.rate,
    }
    try:
        return clients.parse_client(told)
    except ContractError as error:
        raise NotDone(str(error)) from None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make client", description="Make, change or remove a caller of the API.")
    parser.add_argument("name")
    parser.add_argument("--portals", default="*", help="that it may use, joined by commas (default: all)")
    parser.add_argument("--object-types", default="*", help="that it may use, as spelt in paths (default: all)")
    parser.add_argument("--expires", help="when its keys end, such as 2027-01-01T00:00:00Z (default: never)")
    parser.add_argument("--replay", action="store_true", help="let it replay outcomes")
    parser.add_argument("--rate", help="requests that it may send in a minute (default: no limit of its own)")
    parser.add_argument("--principals", help="ARNs of IAM roles and users, in place of a key: for authorization `iam`")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--rotate", action="store_true", help="give it a second key")
    instead.add_argument("--retire", action="store_true", help="end the older of its two keys")
    instead.add_argument("--remove", action="store_true", help="end all its keys")
    parser.add_argument("--stack", help="a stack in the AWS account of the environment")
    options = parser.parse_args()
    made = parser.parse_args([options.name])  # as it is made where nothing is said of it
    bounds = ("portals", "object_types", "expires", "replay", "rate", "principals")
    told = any(getattr(options, name) != getattr(made, name) for name in bounds)
    if told and (options.rotate or options.retire or options.remove):
        parser.error("what a client may do is set when it is made; remove it and make it anew")
    return options


def main() -> None:
    """Do as told, and print the key where one was made. Exits 1 with the reason where nothing was changed."""
    options = _options()
    name, key = options.name, new_key()
    try:
        where = find(options.stack)
        if options.remove:
            change(where, lambda known: removed(known, name))
            said = f"removed {name}: warm functions forget it within five minutes"
        elif options.retire:
            change(where, lambda known: retired(known, name))
            said = f"the older key of {name} ends: warm functions forget it within five minutes"
        elif options.rotate:
            change(where, lambda known: rotated(known, name, key_hash(key)))
            said = f"{name} has a second key, shown once and good in ten seconds. RETIRE=1 ends the older one:"
        else:
            entry = _entry(options, key_hash(key))
            change(where, lambda known: added(known, entry))
            said = f"{name} has a key, shown once and good in ten seconds. Send it as `Authorization: Bearer <key>`:"
            if not entry.key_sha256:
                key, said = "", f"{name} is known within ten seconds, by its signature as {options.principals}"
    except NotDone as failure:
        sys.exit(f"client: {failure}")
    print(f"client: in {where.title}, {said}", file=sys.stderr)
    if key and not (options.remove or options.retire):
        print(key)


if __name__ == "__main__":
    main()
