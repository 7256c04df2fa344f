"""Whatever HubSpot's moods are, nothing is sent blindly, and success is never claimed without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from batch_create.read_back import PAUSE, SENT_IN_VAIN
from hubspot_api.client import Answer
from model.contract import LimitInput, LimitKey
from model.outcomes import Status
from model.pair import Address
from tests.support.fakes import START, FakeHubSpot, Limits, Service, answer, echo, failed, key
from tests.support.one_limit import ASKED, SHORT

UNCLEAR = ("503", "PROCESSING", "COMPLETE without an echo")
Seen = tuple[str, datetime]


@dataclass
class MoodyHubSpot(FakeHubSpot):
    """Goes through moods, and is well when they are over; what it keeps is shown by reads after a lag."""

    service: Service | None = None
    moods: list[tuple[str, bool]] = field(default_factory=list)  # of creates, and whether it applies what is unclear
    read_moods: list[str] = field(default_factory=list)
    lag: float = 0
    seen: list[Seen] = field(default_factory=list)
    kept: list[tuple[datetime, Limits]] = field(default_factory=list)

    def batch_create(self, token: str, pair: Address, inputs: Sequence[LimitInput], seconds: float) -> Answer:
        assert self.service is not None
        now = self.service.clock()
        mood, applies = self.moods.pop(0) if self.moods else ("well", True)
        self.seen.append(("unclear" if mood in UNCLEAR else "create", now))
        if mood == "well" or (applies and mood in UNCLEAR):
            self.kept.append((now, {item.key: item.max_to_object_ids for item in inputs}))
        match mood:
            case "well":
                return answer([echo(item) for item in inputs])
            case "PROCESSING":
                return answer([], status="PROCESSING")
            case "COMPLETE without an echo":
                return answer([])
        raise failed(int(mood))

    def read_pair(self, token: str, pair: Address, seconds: float) -> dict[LimitKey, int | None]:
        assert self.service is not None
        now = self.service.clock()
        if self.read_moods and (mood := self.read_moods.pop(0)) != "well":
            self.seen.append(("read in vain", now))
            raise failed(int(mood))
        shown = {k: v for at, limits in self.kept if at <= now - timedelta(seconds=self.lag) for k, v in limits.items()}
        self.seen.append(("there" if shown else "not there", now))
        return shown


@given(
    st.lists(st.tuples(st.sampled_from([*UNCLEAR, "522", "429", "423"]), st.booleans()), max_size=6).filter(
        lambda moods: sum(mood == UNCLEAR[-1] for mood, _ in moods) < SENT_IN_VAIN  # else it counts as rejected
    ),
    st.lists(st.sampled_from(["well", "503", "429", "403"]), max_size=8),
    st.sampled_from([0, 1, 3, 40]),
    st.sampled_from([SHORT - 2, SHORT, 30]),
)
def test_whatever_happens_nothing_is_sent_blindly_or_after_it_was_seen_and_success_is_never_claimed_without_it(
    moods: list[tuple[str, bool]], read_moods: list[str], lag: float, seconds: float
) -> None:
    hubspot = MoodyHubSpot(moods=moods, read_moods=read_moods, lag=lag)
    hubspot.service = service = Service(hubspot)
    for _ in range(60):
        (outcome,) = service.run(ASKED, seconds=seconds)
        if outcome.status.final:
            break
        service.clock.time = max(service.clock(), outcome.retry_at or START)

    assert outcome.status is Status.COMPLETE
    assert hubspot.kept[-1][1] == {key(3): 5}
    doubtful: list[datetime] | None = None  # the readings since an unclear send that did not show it
    for what, at in hubspot.seen:
        if what == "not there" and doubtful is not None:
            doubtful.append(at)
        if what in ("create", "unclear"):
            if doubtful is not None:
                assert len(doubtful) >= 2
                assert doubtful[-1] - doubtful[0] >= timedelta(seconds=PAUSE)
            doubtful = [] if what == "unclear" else None
    assert "there" not in [what for what, _ in hubspot.seen[:-1]]
