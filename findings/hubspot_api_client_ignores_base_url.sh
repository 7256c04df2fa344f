#!/bin/sh
# hubspot-api-client 12.0.0 (`from hubspot import HubSpot`) and hubspot-sdk 0.1.0a9 (`from hubspot_sdk import HubSpot`)
# have a class of the same name. The newer takes base_url and calls it. The older takes base_url too, without an error
# or a warning, and goes on calling api.hubapi.com, with the access token: what moves a program to a proxy or a
# rehearsal with the one sends its credential to HubSpot with the other. Its own word for it is `host`, in the
# configuration of each API's client.
# Seen on 2026-11-27, Python 3.13.0:
#   hubspot-sdk calls 127.0.0.1
#   hubspot-api-client calls api.hubapi.com
# Nothing is sent: each look-up of a name ends in an error before it is made.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install hubspot-api-client==12.0.0 hubspot-sdk==0.1.0a9
"$folder/venv/bin/python" - <<'PROGRAM' | tee "$folder/seen"
import sys


class LookedUp(Exception):
    pass


def look(event, arguments):
    if event == "socket.getaddrinfo":
        raise LookedUp(str(arguments[0]))


sys.addaudithook(look)


def called(call):
    try:
        call()
    except Exception as error:
        while error is not None:
            if isinstance(error, LookedUp):
                return str(error)
            error = error.__cause__ or error.__context__
    return "nobody"


from hubspot_sdk import HubSpot as New

new = New(access_token="an-example", base_url="http://127.0.0.1:9", max_retries=0)
print("hubspot-sdk calls", called(lambda: new.get("/account-info/v3/details", cast_to=object)))

from hubspot import HubSpot as Old

old = Old(access_token="an-example", base_url="http://127.0.0.1:9")
print("hubspot-api-client calls", called(lambda: old.crm.contacts.basic_api.get_page(limit=1)))
PROGRAM
printf 'hubspot-sdk calls 127.0.0.1\nhubspot-api-client calls api.hubapi.com\n' | diff - "$folder/seen" || {
	echo 'they behave otherwise now' >&2
	exit 1
}
