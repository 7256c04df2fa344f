"""What a browser asks before a page of another site may call the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_apigateway as apigateway

from infra.nag import acknowledge

if TYPE_CHECKING:
    from collections.abc import Mapping

SENT = "Authorization, Content-Type, Idempotency-Key, Prefer"  # headers that a page may send
REMEMBERED = 3600  # seconds, by the browser


def add_preflight(resource: apigateway.IResource, http_method: str, headers: Mapping[str, str]) -> None:
    """Let API Gateway itself answer the preflights of a route, with the `headers` that all answers have."""
    # Not CDK's own, which cannot give its answers the headers that all others have.
    answered = {
        **headers,
        "Access-Control-Allow-Methods": f"'{http_method}'",
        "Access-Control-Allow-Headers": f"'{SENT}'",
        "Access-Control-Max-Age": f"'{REMEMBERED}'",
    }
    method = resource.add_method(
        "OPTIONS",
        apigateway.MockIntegration(
            passthrough_behavior=apigateway.PassthroughBehavior.NEVER,
            request_templates={"application/json": '{"statusCode": 204}'},
            integration_responses=[
                apigateway.IntegrationResponse(
                    status_code="204",
                    response_parameters={f"method.response.header.{name}": value for name, value in answered.items()},
                )
            ],
        ),
        authorization_type=apigateway.AuthorizationType.NONE,
        method_responses=[
            apigateway.MethodResponse(
                status_code="204", response_parameters={f"method.response.header.{name}": True for name in answered}
            )
        ],
    )
    for rule in ("AwsSolutions-APIG4", "AwsSolutions-COG4"):
        acknowledge(method, rule, "A browser's preflight never has credentials, and its answer is the same for all.")
