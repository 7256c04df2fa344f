#!/bin/sh
# voluptuous 0.16.0: a Schema gathers what is wrong with an object's fields and raises it together (MultipleInvalid). Of
# a list of objects it reports the first bad one only: the others' errors are not raised, although the list is walked
# like an object elsewhere. Expected from memory: one error for each bad object.
# Seen on 2026-11-27, Python 3.13.0:
#   fields of one object: a, b
#   objects of a list: [0].a
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install voluptuous==0.16.0
"$folder/venv/bin/python" - <<'PROGRAM' | tee "$folder/seen"
from voluptuous import MultipleInvalid, Required, Schema


def wrong(schema, value):
    try:
        schema(value)
    except MultipleInvalid as error:
        return error.errors
    return []


both = wrong(Schema({Required("a"): int, Required("b"): int}), {"a": "x", "b": "y"})
print("fields of one object:", ", ".join(sorted(str(each.path[0]) for each in both)))
listed = wrong(Schema([{Required("a"): int}]), [{"a": "x"}, {"a": "y"}, {"a": "z"}])
print("objects of a list:", ", ".join(f"[{each.path[0]}].{each.path[1]}" for each in listed))
PROGRAM
printf 'fields of one object: a, b\nobjects of a list: [0].a\n' | diff - "$folder/seen" || {
	echo 'it behaves otherwise now' >&2
	exit 1
}
