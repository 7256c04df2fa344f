"""The HTTP entry point: HubSpot's own path and body in, its status and body out, and the ledger to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

import replies
from batch_create.again import NotReplayable, replay
from batch_create.claims import Standing
from batch_create.contract import DEFAULT_PORTAL
from batch_create.errors import QueueUnavailable
from batch_create.handler import Ran, run
from batch_create.items import readable
from batch_create.outcomes import ID, Outcome, Request
from batch_create.ports import history, ledger, now, production, queue
from batch_create.telemetry import logger, metrics
from callers import client_of, sender_of
from clients import Client
from incoming import batch_request, prefers_async
from queries import given_once, page_token, parse_filter, wants_all

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

BATCH_CREATE = "/crm/associations/<version>/definitions/configurations/<from_type>/<to_type>/batch/create"
RESERVE = 3.0  # seconds of the invocation kept for settling, handing over and answering
QUEUEABLE = (Standing.OURS, Standing.WAITING)  # sending what waits once more does no harm
LONGEST_RUN = 22.0  # seconds; API Gateway answers 504 after 29, and a cold start comes before our clock begins

app = APIGatewayRestResolver()
app.exception_handler(Exception)(lambda failure: replies.refusal(failure, _correlation_id()))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway's REST proxy integration."""
    return app.resolve(event, context)


@app.post(BATCH_CREATE)
@app.post(f"/portals/<portal>{BATCH_CREATE}")
def batch_create(version: str, from_type: str, to_type: str, portal: str = DEFAULT_PORTAL) -> Response[str]:
    """Run a request now; queue it where the caller prefers that, or where HubSpot cannot take it in time."""
    event = app.current_event
    client = sender_of(event, portal)
    request = batch_request(event, client, version, portal=portal, from_object_type=from_type, to_object_type=to_type)
    if client.signed_as or prefers_async(event):  # some of HubSpot's own requests wait for five seconds only
        return _accept(request)
    seconds = min(LONGEST_RUN, app.lambda_context.get_remaining_time_in_millis() / 1000 - RESERVE)
    (ran,) = run([request], seconds, production())
    if ran.standing is Standing.OURS and not ran.outcome.status.final:
        queue().send(request, now(), ran.outcome.retry_at)
        return replies.accepted(ran.outcome, now())
    return replies.concluded(ran, now(), _correlation_id())


@app.get("/outcomes/<outcome_id>")
def read_outcome(outcome_id: str) -> Response[str]:
    """One outcome."""
    return replies.reply(200, readable(_outcome(outcome_id, client_of(app.current_event))))


@app.post("/outcomes/<outcome_id>/replay")
def replay_outcome(outcome_id: str) -> Response[str]:
    """Run an outcome's request again as a new outcome: what was not applied, or with `?all=true` all of it."""
    client = client_of(app.current_event)
    client.require_replay()
    everything = wants_all(_query())
    outcome = _outcome(outcome_id, client)
    request = replay(outcome, client.name, now(), everything=everything)
    claim = ledger().accept(request, now())
    if claim.standing is Standing.ANOTHER_REQUEST:
        raise NotReplayable(f"it was replayed before, for other inputs: replay outcome {request.id} instead")
    ledger().link(outcome, request.id)
    if claim.standing in QUEUEABLE:
        # Where that fails it stays QUEUED: whoever asks again sends it then, and so does the sweep.
        queue().send(request, now())
    return replies.accepted(claim.outcome, now(), replayed=claim.standing is not Standing.OURS)


@app.get("/outcomes")
def list_outcomes() -> Response[str]:
    """A page of a portal's outcomes, newest first."""
    client, wanted = client_of(app.current_event), parse_filter(_query())
    client.require(wanted.portal, *(wanted.pair or ()))
    page = history().page(wanted)
    following = {"paging": {"next": {"after": page_token(page.after)}}} if page.after else {}
    shown = [readable(outcome) for outcome in page.outcomes if _may_see(client, outcome)]
    return replies.reply(200, {"results": shown, **following})


def _query() -> dict[str, str]:
    return given_once(app.current_event.resolved_query_string_parameters)


def _outcome(outcome_id: str, client: Client) -> Outcome:
    """An outcome that the client may not see is answered like none, so that ids tell nothing about other portals."""
    outcome = ledger().get(outcome_id) if ID.fullmatch(outcome_id) else None
    if outcome is None or not _may_see(client, outcome):
        raise NotFoundError(f"there is no outcome {outcome_id}")
    return outcome


def _may_see(client: Client, outcome: Outcome) -> bool:
    return client.may_see(outcome.portal, outcome.from_object_type, outcome.to_object_type)


def _accept(request: Request) -> Response[str]:
    claim = ledger().accept(request, now())
    if claim.standing not in QUEUEABLE:
        return replies.concluded(Ran(claim.standing, claim.outcome, claim.lease_until), now(), _correlation_id())
    try:
        queue().send(request, now())
    except QueueUnavailable as error:
        if claim.standing is Standing.OURS and request.envelope.idempotency_key is None:
            # Nobody can ask for it again, and it must not take effect later. With a key it waits to be asked for.
            ledger().give_up(claim.outcome, str(error), now())
        raise
    return replies.accepted(claim.outcome, now(), preferred=True)


def _correlation_id() -> str:
    return app.current_event.request_context.request_id or app.lambda_context.aws_request_id
