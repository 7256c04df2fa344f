"""`python -m tests.faults.campaign`: thousands of requests through the deployed stack while HubSpot misbehaves and
workers die, and then the ledger against what HubSpot knows. People use `make campaign N= SEED=`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console

from local.deployment import DeploymentFailed
from local.processes import ServerFailed
from model.outcomes import Outcome
from tests.e2e.deployed import LocalStack, deployed
from tests.faults.checks import violations
from tests.faults.evidence import Evidence, calls_of, state_of
from tests.faults.kept import broken_promises, unkept
from tests.faults.killer import Killer
from tests.faults.plan import Plan, Wave, make
from tests.faults.rehearsal import Ledger, backlog, shortened
from tests.faults.report import Report
from tests.faults.senders import Promises, Senders
from tests.faults.swept import sweep
from tests.faults.violation import Violation

MEAN_SECONDS_BETWEEN_KILLS = 3.0
PATIENCE = 20 * 60.0  # seconds for everything to finish once HubSpot is well again; a daily quota may take most of it
NEXT_WAVE_AT = 0.3  # of a wave's requests still to be begun
LONGEST_RETRIES = 120.0  # seconds for the three tries that Lambda gives an event
SWEEPS = 3
BETWEEN_SWEEPS = 5.0  # seconds, for what a sweep has asked for

console = Console(highlight=False, soft_wrap=True)


class Campaign:
    """One plan, carried out against a stack with shortened timeouts."""

    def __init__(self, local: LocalStack, plan: Plan, mean_seconds_between_kills: float) -> None:
        self.local = local
        self.plan = plan
        self.promises = Promises()
        self.killer = Killer(plan.seed, mean_seconds_between_kills)
        self.faults: Counter[str] = Counter()
        self.snapshots: dict[str, Outcome] = {}
        self.swept = 0
        self.verified: set[tuple[str, datetime]] = set()
        self.phases: dict[str, float] = {}
        self.began = datetime.now(UTC).replace(microsecond=0)  # EventBridge tells the time of an event in seconds

    def run(self) -> Report:
        """Carry the plan out, heal HubSpot, wait until all is finished, and compare."""
        self._forget()
        with Senders(self.local, self.promises) as senders:
            with self._phase("waves"), self.killer:
                for number, wave in enumerate(self.plan.waves, 1):
                    self._wave(wave, senders)
                    self._say(f"wave {number} of {len(self.plan.waves)}", senders)
            with self._phase("healing"):
                self._heal()
                self._finish(senders)
        with self._phase("comparing"):
            return self._report()

    def _wave(self, wave: Wave, senders: Senders) -> None:
        self._note_faults()
        self.local.standin("DELETE", "faults")
        self.local.standin("PUT", "settings", wave.switches)
        for order in [self.plan.barrier, *wave.faults]:
            self.local.standin("POST", "faults", order)
        senders.send(wave.asks)
        most = len(wave.asks) * NEXT_WAVE_AT
        self._until(lambda: backlog(self.local)[0] + senders.busy <= most)
        self._snapshot()

    def _heal(self) -> None:
        self._note_faults()
        self.local.standin("DELETE", "faults")
        self.local.standin("POST", "faults", self.plan.barrier)
        self.local.standin("PATCH", "settings", {"tenSecondlyLimit": None, "readLagSeconds": 0})

    def _finish(self, senders: Senders) -> None:
        """Wait for the queues and the callers, and sweep what then still is not over."""
        quiet = self._until(lambda: not any(self.local.queued().values()) and not senders.busy)
        # Lambda tries an event again that failed, and nothing shows that it will.
        self._until(self._all_begun, seconds=LONGEST_RETRIES)
        for _ in range(SWEEPS):
            quiet = quiet and self._until(lambda: not any(self.local.queued().values()))
            outcomes = self._snapshot()
            if not quiet or all(outcome.status.final for outcome in outcomes.values()):
                break
            self.swept += sweep(self.local)
        self._until(self._all_verified)

    def _all_verified(self) -> bool:
        """Whether every pair has been read over whose numbers an older call may have landed late. The sweep, which has
        them read in time, is invoked more often than by its schedule."""
        waiting = Ledger(self.local).to_verify()
        self.verified.update(waiting.items())
        if any(due < datetime.now(UTC) for due in waiting.values()):
            self.local.aws("lambda").invoke(FunctionName=self.local.function("sweep.handler")["FunctionName"])
            time.sleep(BETWEEN_SWEEPS)
        return not waiting and not any(self.local.queued().values())

    def _all_begun(self) -> bool:
        return not unkept(self.promises, self._snapshot())

    def _report(self) -> Report:
        outcomes = Ledger(self.local).outcomes(self.began)
        evidence = Evidence(
            outcomes=outcomes,
            calls=calls_of(self.local.standin("GET", "journal")["entries"]),
            state=state_of(self.local.standin("GET", "state")),
            snapshots=self.snapshots,
        )
        unverified = [Violation("unfinished", "", f"{pair} is not verified") for pair in Ledger(self.local).to_verify()]
        wrong = [*unverified, *broken_promises(self.promises, outcomes), *violations(evidence, self.plan.unreadable)]
        return Report(
            seed=self.plan.seed,
            plan=self.plan.digest(),
            requests=len(self.plan.asks),
            evidence=evidence,
            violations=wrong,
            killed=self.killer.killed,
            faults=self.faults,
            unanswered=len(self.promises.unanswered),
            swept=self.swept,
            verified=len(self.verified),
            phases=self.phases,
        )

    # --------------------------------------------------------------------------------------------------------- helpers
    def _forget(self) -> None:
        for what in ("faults", "state", "journal"):
            self.local.standin("DELETE", what)

    def _note_faults(self) -> None:
        for fault in self.local.standin("GET", "faults")["faults"]:
            effect = fault["effect"]
            detail = effect.get("status") or effect.get("bodyStatus") or effect.get("body") or ""
            name = f"{effect['kind']} {detail}".strip() + (" applied" if effect.get("applied") and detail else "")
            self.faults[name] += fault["struck"]

    def _snapshot(self) -> dict[str, Outcome]:
        """The ledger now. What is final in it for the first time is remembered, to see that it stays."""
        outcomes = Ledger(self.local).outcomes(self.began)
        for outcome in outcomes.values():
            if outcome.status.final:
                self.snapshots.setdefault(outcome.id, outcome)
        return outcomes

    def _until(self, reached: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if reached():
                return True
            time.sleep(1)
        return False

    def _say(self, what: str, senders: Senders) -> None:
        visible, all_messages = backlog(self.local)
        console.print(
            f"campaign: {what}: {len(self.snapshots)} final, {all_messages} messages ({visible} visible),"
            f" {senders.busy} callers, {self.killer.killed.total()} killed"
        )

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.phases[name] = time.monotonic() - started


def campaign(local: LocalStack, seed: int, requests: int, mean: float = MEAN_SECONDS_BETWEEN_KILLS) -> Report:
    """The report of one campaign against a stack that is up."""
    with shortened(local):
        return Campaign(local, make(seed, requests), mean).run()


def main() -> int:
    """Exit status 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--requests", type=int, default=5_000, help="in all (default 5000)")
    parser.add_argument("--seed", type=int, default=1, help="what decides the plan (default 1)")
    options = parser.parse_args()
    try:
        with deployed() as local:
            report = campaign(local, options.seed, options.requests)
    except (ServerFailed, DeploymentFailed) as failure:
        console.print(f"campaign: {failure}", markup=False)
        return 1
    report.show()
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
