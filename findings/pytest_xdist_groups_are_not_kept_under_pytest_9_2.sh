#!/bin/sh
# pytest-xdist 3.8.0 under pytest 9.2.0: --dist loadgroup does not keep tests with one mark xdist_group on one worker. There
# is no error and no warning; the tests are spread as if they had no mark, and what shares a server or a file breaks now
# and then. pytest-xdist's documentation promises one worker for a group. Under pytest 8.4.2 the same tests do run on one.
# pytest-xdist writes the group's name into an item's private attribute _nodeid, which pytest 9.2.0 reads no more: the
# names of the tests, which -v shows, end in @one under the older pytest only.
# Seen on 2026-11-27, Python 3.13.0:
#   pytest 9.2.0: 2 workers for one group
#   pytest 8.4.2: 1 workers for one group
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/test_shared.py" <<'TESTS'
import os
import time

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(20))
def test_shares_something(number):
    time.sleep(0.05)
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
TESTS
for version in 9.2.0 8.4.2; do
	python3 -m venv "$folder/$version"
	"$folder/$version/bin/pip" --quiet --disable-pip-version-check install pytest=="$version" pytest-xdist==3.8.0
	(cd "$folder" && SEEN="$folder/$version.seen" "$folder/$version/bin/python" -m pytest -q -n 2 --dist loadgroup test_shared.py) > "$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
	echo "pytest $version: $(sort -u "$folder/$version.seen" | wc -l | tr -d ' ') workers for one group"
done | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
pytest 9.2.0: 2 workers for one group
pytest 8.4.2: 1 workers for one group
EXPECTED
