"""The HTTP entry point: HubSpot's own path and body in, its status and body out, and the ledger to read."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: none of it is garbage, and looking for some takes a tenth of a cold start

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from api import response
from api.clients import Client
from api.query import page_token, permitted_filter, wants_all
from api.request import batch_request, prefers_async, require_known
from aws.sqs import Carried
from batch_create.handler import run
from ledger.claim import Claim, ClaimStatus
from ledger.replay import NotReplayable, replay
from model.contract import DEFAULT_PORTAL
from model.outcomes import ID, Outcome, Request
from production import authentication, history, ledger, now, object_types, portals, production, queue, settings
from runtime.telemetry import logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

gc.freeze()
gc.enable()

BATCH_CREATE = "/crm/associations/<version>/definitions/configurations/<from_type>/<to_type>/batch/create"
RESERVE = 3.0  # seconds of the invocation kept for settling, handing over and answering
QUEUEABLE = (ClaimStatus.CLAIMED, ClaimStatus.QUEUED)  # to send what already waits once more does no harm
LONGEST_RUN = 22.0  # seconds; API Gateway answers 504 after 29, and a cold start comes before our clock begins

app = APIGatewayRestResolver()
app.exception_handler(Exception)(lambda failure: response.refusal(failure, _correlation_id()))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway's REST proxy integration."""
    return app.resolve(event, context)


@app.post(BATCH_CREATE)
@app.post(f"/portals/<portal>{BATCH_CREATE}")
def batch_create(version: str, from_type: str, to_type: str, portal: str = DEFAULT_PORTAL) -> Response[str]:
    """Run a request now. Queue it if the caller prefers that, or if HubSpot cannot take it in time."""
    event, began = app.current_event, now()
    client = authentication().sender(event, portal, began)
    path = {"portal": portal, "from_object_type": from_type, "to_object_type": to_type}
    versions = settings().hubspot_api_versions
    request = batch_request(event, client, object_types(), portals(), versions, began, version, **path)
    if client.signed_as or prefers_async(event):  # some of HubSpot's own requests wait for five seconds only
        return _accept(request)
    left = LONGEST_RUN - (now() - began).total_seconds()  # HubSpot may have been asked for an object type
    seconds = min(left, app.lambda_context.get_remaining_time_in_millis() / 1000 - RESERVE)
    (claim,) = run([request], seconds, production())
    if claim.claim_status is ClaimStatus.CLAIMED and not claim.outcome.status.final:
        _hand_over(request, claim)
        return response.accepted(claim.outcome, now())
    return response.concluded(claim, now(), _correlation_id())


@app.get("/outcomes/<outcome_id>")
def read_outcome(outcome_id: str) -> Response[str]:
    """One outcome."""
    return response.reply(200, response.readable(_outcome(outcome_id, _client())))


@app.post("/outcomes/<outcome_id>/replay")
def replay_outcome(outcome_id: str) -> Response[str]:
    """Run an outcome's request again as a new outcome: what was not applied, or with `?all=true` all of it."""
    client = _client()
    client.require_replay()
    everything = wants_all(app.current_event.resolved_query_string_parameters)
    outcome = _outcome(outcome_id, client)
    request = replay(outcome, client.name, now(), everything=everything)
    claim = ledger().accept(request, now())
    if claim.claim_status is ClaimStatus.KEY_REUSED:
        raise NotReplayable(f"it was replayed before, for other inputs: replay outcome {request.id} instead")
    ledger().link(outcome, request.id)
    if claim.claim_status in QUEUEABLE:
        _hand_over(request, claim)
    return response.accepted(claim.outcome, now(), replayed=claim.claim_status is not ClaimStatus.CLAIMED)


@app.get("/outcomes")
def list_outcomes() -> Response[str]:
    """A page of a portal's outcomes, newest first."""
    client, known = _client(), object_types().known
    wanted = permitted_filter(app.current_event.resolved_query_string_parameters, client, known)
    page = history().page(wanted)
    if not page.outcomes and not portals().was_used(wanted.portal):  # one that has ended keeps its outcomes
        require_known(wanted.portal, portals())
    following = {"paging": {"next": {"after": page_token(page.after)}}} if page.after else {}
    shown = [response.readable(outcome) for outcome in client.readable(page.outcomes, known)]
    return response.reply(200, {"results": shown, **following})


def _client() -> Client:
    return authentication().client(app.current_event, now())


def _outcome(outcome_id: str, client: Client) -> Outcome:
    """The outcome. One that the client may not see counts as unknown, so that ids tell nothing about other portals."""
    outcome = ledger().get(outcome_id) if ID.fullmatch(outcome_id) else None
    if outcome is None or not client.may_read(outcome, object_types().known):
        raise NotFoundError(f"there is no outcome {outcome_id}")
    return outcome


def _accept(request: Request) -> Response[str]:
    if (claim := ledger().accept(request, now())).claim_status not in QUEUEABLE:
        return response.concluded(claim, now(), _correlation_id())
    _hand_over(request, claim)
    return response.accepted(claim.outcome, now(), preferred=True)


def _hand_over(request: Request, claim: Claim) -> None:
    if not claim.outcome.parked:
        queue().hand_over([Carried(request, claim.outcome.retry_at or now(), claim.claims)], now())


def _correlation_id() -> str:
    return app.current_event.request_context.request_id or app.lambda_context.aws_request_id
