"""Many workers at the end of one token: one refreshes it, and all others use what it brings."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws.secrets_manager import SecretStore
from model.access_token import AccessToken, RefreshedToken
from model.errors import LedgerUnavailable, Misconfigured, Unavailable
from tests.support.fakes import START, Clock, FakeQuota, FakeRegistry
from tests.support.tokens import APP, DAY, PORTAL, FakeOAuth, Lines, Scene, expiring
from tokens.access_tokens import AccessTokens
from tokens.credentials import parse
from tokens.portals import Portals
from tokens.provider import TokenProvider

GRANT = parse(json.dumps(expiring(-1)), "v1").grant
THEIRS = AccessToken("shh-theirs", START + timedelta(minutes=30), 1_800, (GRANT,))


def hold(scene: Scene) -> AccessTokens:
    """Another worker has the lock."""
    others = AccessTokens(scene.table, scene.clock)
    assert others.lock(scene.secret, "another", scene.clock() + timedelta(seconds=20))
    return others


def test_who_loses_the_race_uses_what_the_winner_stores(scene: Scene) -> None:
    scene.put(expiring(-1))
    others = hold(scene)
    scene.meanwhile = [lambda: None, lambda: None, lambda: others.keep(scene.secret, "another", THEIRS)]

    assert scene.bearer() == "shh-theirs"
    assert scene.oauth.asked == []
    assert scene.pauses == [0.2, 0.4, 0.8]


def test_who_loses_the_race_to_one_that_fails_refreshes_itself(scene: Scene) -> None:
    scene.put(expiring(-1))
    others = hold(scene)
    scene.meanwhile = [lambda: others.unlock(scene.secret, "another")]

    assert scene.bearer() == "shh-new-1"


def test_while_another_refreshes_a_token_that_still_lasts_is_used_without_waiting(scene: Scene) -> None:
    scene.put(expiring(60))
    hold(scene)

    assert scene.bearer() == "shh-old"
    assert not scene.pauses
    assert not scene.oauth.asked


def test_a_refused_token_is_not_used_while_another_refreshes(scene: Scene) -> None:
    scene.put(expiring(1_000))
    scene.bearer()
    hold(scene)

    scene.fails(Unavailable, fresh=True)


@pytest.mark.parametrize(("seconds", "waited"), [(30, 10), (4, 4), (0, 0)])
def test_nobody_waits_longer_than_ten_seconds_or_the_time_that_is_left(
    scene: Scene, seconds: float, waited: float
) -> None:
    scene.put(expiring(-1))
    hold(scene)

    failure = scene.fails(Unavailable, seconds=seconds)

    assert f"portal {PORTAL}" in failure.message
    assert waited - 1 <= sum(scene.pauses) <= waited
    assert all(0.2 <= pause <= 1 for pause in scene.pauses)


def test_a_dead_refresher_stops_nobody_for_longer_than_its_lease(scene: Scene) -> None:
    scene.put(expiring(-1))

    class Died(BaseException):
        """Not an Exception: nothing handles it, as nothing handles a kill."""

    class Dead(AccessTokens):
        def unlock(self, *_: object) -> None:
            raise Died

    def killed() -> RefreshedToken:
        raise Died

    dies = scene.worker(tokens=Dead(scene.table, scene.clock))
    scene.oauth.script = [killed]
    with pytest.raises(Died):
        dies.bearer(PORTAL, 30)

    scene.fails(Unavailable)
    scene.clock.advance(10.1)
    assert scene.bearer() == "shh-new-2"


def test_each_portal_has_its_own_lock(scene: Scene) -> None:
    scene.put(APP, "acme")
    hold(scene)

    assert scene.tokens.bearer("acme", 30) == "shh-new-1"


def test_a_refresh_frees_the_lock(scene: Scene) -> None:
    scene.put(APP)
    scene.bearer()

    hold(scene)


class Broken(AccessTokens):
    """In a table that cannot be reached."""

    def lock(self, *_: object) -> bool:
        raise LedgerUnavailable


def test_without_a_lock_nothing_is_refreshed_and_a_token_that_lasts_is_used(scene: Scene) -> None:
    scene.tokens = scene.worker(tokens=Broken(scene.table, scene.clock))
    scene.put(expiring(60))
    assert scene.bearer() == "shh-old"

    scene.clock.advance(60)
    assert "could not be locked" in scene.fails(Unavailable).message
    assert scene.oauth.asked == []


def test_a_lock_that_cannot_be_released_costs_nothing_but_a_log_line(scene: Scene, logged: Lines) -> None:
    scene.put(APP)

    class Half(AccessTokens):
        def unlock(self, *_: object) -> None:
            raise LedgerUnavailable

    scene.tokens = scene.worker(tokens=Half(scene.table, scene.clock))

    assert scene.bearer() == "shh-new-1"
    assert logged == [("a lock could not be released, and ends by itself", {"portal": PORTAL})]


WORKERS = 40


class MemoryClient:
    """Secrets Manager with one secret, for threads."""

    def __init__(self, text: str) -> None:
        self.versions = {"v0": text}
        self.current = "v0"
        self.lock = threading.Lock()

    def get_secret_value(self, **_: str) -> dict[str, str]:
        with self.lock:
            return {"SecretString": self.versions[self.current], "VersionId": self.current}

    def put_secret_value(self, *, SecretString: str, ClientRequestToken: str, **_: object) -> None:  # noqa: N803
        with self.lock:
            self.versions[ClientRequestToken] = SecretString

    def update_secret_version_stage(self, *, MoveToVersionId: str, RemoveFromVersionId: str, **_: str) -> None:  # noqa: N803
        with self.lock:
            if self.current != RemoveFromVersionId:
                raise ClientError({"Error": {"Code": "InvalidParameterException"}}, "UpdateSecretVersionStage")
            self.current = MoveToVersionId


class MemoryTokens:
    """One lock and its token, for threads."""

    def __init__(self) -> None:
        self.holder: str | None = None
        self.token: AccessToken | None = None
        self._lock = threading.Lock()

    def current(self, name: str, memory: timedelta) -> AccessToken | None:
        return self.token

    def lock(self, name: str, holder: str, until: object) -> bool:
        with self._lock:
            self.holder = self.holder or holder
            return self.holder == holder

    def unlock(self, name: str, holder: str) -> None:
        with self._lock:
            assert self.holder == holder
            self.holder = None

    def keep(self, name: str, holder: str, token: AccessToken) -> None:
        assert self.holder == holder
        self.token = token


@pytest.mark.parametrize("refused", [False, True], ids=["expired", "refused"])
@pytest.mark.parametrize("shared", [False, True], ids=["40 functions", "40 threads of one"])
def test_forty_workers_who_meet_a_token_at_its_end_refresh_it_once(clock: Clock, shared: bool, refused: bool) -> None:
    client: Any = MemoryClient(json.dumps(expiring(1_000 if refused else -1)))
    kept: Any = MemoryTokens()
    oauth = FakeOAuth()
    # HubSpot answers when all others have found the lock taken and wait: the worst order there is.
    everybody = threading.Barrier(WORKERS, timeout=30)
    refreshed = threading.Event()
    waiting = threading.local()

    def granted() -> RefreshedToken:
        everybody.wait()
        refreshed.set()
        return RefreshedToken("shh-new", 1_800, "shh-rotated")

    def sleep(seconds: float) -> None:
        if not ended.is_set():
            return  # for its turn to read the token while that is still good
        if not hasattr(waiting, "once"):
            waiting.once = True
            everybody.wait()
        assert refreshed.wait(30)

    oauth.script = [granted]

    class TellingLock:
        """Between the threads of one function: whoever finds it taken waits as the others do."""

        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __enter__(self) -> None:
            if not self.lock.acquire(blocking=False):
                sleep(0)
                self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            self.lock.release()

    def made() -> TokenProvider:
        store = SecretStore(client, clock)
        portals = Portals(store, "p", FakeRegistry(), clock, DAY)
        quota = FakeQuota()
        return TokenProvider(store, portals, oauth, kept, quota, quota, clock, sleep, "2026-03", new_lock=TellingLock)

    one = made()
    ended = threading.Event()
    together = threading.Barrier(WORKERS, action=ended.set, timeout=30)

    def work(_: int) -> str:
        tokens = one if shared else made()
        if refused:
            assert tokens.bearer(PORTAL, 30) == "shh-old"
        together.wait()
        return tokens.bearer(PORTAL, 30, fresh=refused)

    with ThreadPoolExecutor(WORKERS) as pool:
        given = list(pool.map(work, range(WORKERS)))

    assert given == ["shh-new"] * WORKERS
    assert len(oauth.asked) == 1
    assert json.loads(client.versions[client.current])["refreshToken"] == "shh-rotated"
    assert kept.holder is None


def test_forty_threads_of_one_function_ask_once_for_a_refresh_that_hubspot_refuses(clock: Clock) -> None:
    client: Any = MemoryClient(json.dumps(expiring(-1)))
    oauth = FakeOAuth(script=[Misconfigured("BAD_HUB", http_status=400)])
    store = SecretStore(client, clock)
    portals = Portals(store, "p", FakeRegistry(), clock, DAY)
    kept: Any = MemoryTokens()
    quota = FakeQuota()
    one = TokenProvider(store, portals, oauth, kept, quota, quota, clock, lambda _: None, "2026-03")

    def work(_: int) -> str:
        with pytest.raises(Misconfigured) as refused:
            one.bearer(PORTAL, 30)
        return str(refused.value)

    with ThreadPoolExecutor(WORKERS) as pool:
        told = set(pool.map(work, range(WORKERS)))

    assert all("BAD_HUB" in text for text in told)
    assert len(oauth.asked) == 1
