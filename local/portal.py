"""A portal of the service: `python -m local.portal`. People use `make portal NAME=…`.

A portal is a secret, of the local stack where this checkout has one up, else of the stack in the AWS account of the
environment. Its token, or JSON with it, comes from a file.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from voluptuous import Invalid

from aws.secrets_manager import NO_MEMORY, SecretStore
from local.hubspot.server import DEFAULT_TOKEN
from local.place import NotDone, Place, find
from model.errors import HubSpotFailure, SecretMissing
from model.validation import portal_name
from tokens.credentials import Unusable, parse

TRIES = 5  # where the service refreshes the token at the same moment


def begun(text: str | None, token: str) -> str:
    """What the secret of a portal is to hold: its new token, or JSON with it, and of what it held all else. Without a
    new one it goes on with the one it has. Raises NotDone."""
    document = _document(token)
    if document is None:
        document = _held(text)
        if token:
            document["accessToken"] = token
    document.pop("ended", None)
    holds = document.get("accessToken", "") if set(document) == {"accessToken"} else json.dumps(document)
    try:
        parse(holds, "new")
    except Unusable as unusable:
        raise NotDone(f"there is no usable token in what was given (TOKEN=file): {unusable}") from None
    return str(holds)


def ended(text: str | None) -> str:
    """What the secret of a portal is to hold that has ended. Raises NotDone."""
    if text is None:
        raise NotDone("there is no such portal")
    return json.dumps({**_held(text), "ended": True})


def change(place: Place, name: str, how: Callable[[str | None], str]) -> None:
    """Replace what a portal's secret holds by what `how` makes of it, or make the secret. Raises NotDone."""
    store = SecretStore(place.client, lambda: datetime.now(UTC))
    secret = f"{place.output('SecretPrefix')}/{name}"
    try:
        for _ in range(TRIES):
            try:
                current = store.current(secret, NO_MEMORY)
            except SecretMissing:
                _make(place, secret, name, how(None))
                return
            if store.replace(secret, current.version, how(current.text)):
                return
    except HubSpotFailure as failure:
        raise NotDone(
            f"{failure.message}. If it is marked for deletion, `aws secretsmanager restore-secret` brings it back"
        ) from None
    except (ClientError, BotoCoreError) as error:
        raise NotDone(f"the secret {secret} could not be made: {error}") from None
    raise NotDone(f"the secret {secret} was changed by others again and again; try again")


def _make(place: Place, secret: str, name: str, text: str) -> None:
    # Under the key of the stack's own secrets, which is the only one that its functions may use.
    key = place.client.describe_secret(SecretId=place.output("ClientsSecretName")).get("KmsKeyId")
    encrypted: dict[str, Any] = {"KmsKeyId": key} if key else {}
    place.client.create_secret(
        Name=secret, SecretString=text, Description=f"HubSpot token of portal {name}", **encrypted
    )


def _document(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise NotDone(f"what was given is no JSON: {error}") from None
    return document


def _held(text: str | None) -> dict[str, Any]:
    text = (text or "").strip()
    if not text.startswith("{"):
        return {"accessToken": text} if text else {}
    document: dict[str, Any] = json.loads(text)
    document.pop("placeholder", None)  # which the deployment has left
    return document


def _token(place: Place, name: str, file: str | None, *, known: bool) -> str:
    """The token that is given for a portal, or "" for one that goes on with its own. Raises NotDone."""
    if file == "-":
        return sys.stdin.read().strip()
    if file:
        try:
            return Path(file).read_text(encoding="utf-8-sig").strip()
        except (OSError, ValueError) as error:
            raise NotDone(f"the file {file} could not be read: {error}") from None
    if place.local and not known:
        return os.environ.get("HUBSPOT_TOKEN", DEFAULT_TOKEN)
    if known or not sys.stdin.isatty():
        return ""
    return getpass.getpass(f"Token of portal {name}, or JSON with it (it is not shown): ").strip()


def _valid(name: str) -> str:
    try:
        return str(portal_name(name))
    except Invalid as error:
        raise NotDone(f"the name {name!r} {error.msg}") from None


def main() -> None:
    """Do as told. Exits 1 with the reason where nothing was changed."""
    parser = argparse.ArgumentParser(prog="make portal", description="Add a portal, give it another token, or end it.")
    parser.add_argument("name")
    parser.add_argument("--token", help="a file with its token, or JSON with it; - is standard input")
    parser.add_argument("--end", action="store_true", help="let it take nothing more, and end what waits for it")
    parser.add_argument("--stack", help="a stack in the AWS account of the environment")
    options = parser.parse_args()
    try:
        name, place = _valid(options.name), find(options.stack)
        if options.end:
            change(place, name, ended)
            said = f"{name} has ended: warm functions know it within five minutes, and what waits for it is FAILED"
        else:
            change(place, name, lambda text: begun(text, _token(place, name, options.token, known=text is not None)))
            said = f"{name} takes requests within 30 seconds"
    except NotDone as failure:
        sys.exit(f"portal: {failure}")
    print(f"portal: in {place.title}, {said}")


if __name__ == "__main__":
    main()
