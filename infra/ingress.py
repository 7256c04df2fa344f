"""The HTTP interface: a regional REST API that hands every route to one function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from api.headers import answer_headers
from infra.cors import add_preflight
from infra.logs import log_group
from infra.nag import acknowledge
from infra.web_acl import WebAcl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_lambda as lambda_

    from infra.config import Settings
    from infra.encryption import Encryption

STAGE = "v1"
BATCH_CREATE = "crm/associations/{version}/definitions/configurations/{from}/{to}/batch/create"
ROUTES = [
    ("POST", BATCH_CREATE),
    ("POST", f"portals/{{portal}}/{BATCH_CREATE}"),
    ("GET", "outcomes"),
    ("GET", "outcomes/{id}"),
    ("POST", "outcomes/{id}/replay"),
]
# What API Gateway refuses itself, in HubSpot's words. THROTTLED's category is that of HubSpot's own 429.
REFUSALS = {
    "DEFAULT_4XX": (None, "VALIDATION_ERROR", "$context.error.messageString"),
    "DEFAULT_5XX": (
        None,
        "INTERNAL_ERROR",
        '"The request could not be run now; its outcome, if any, is in the ledger."',
    ),
    "MISSING_AUTHENTICATION_TOKEN": ("404", "OBJECT_NOT_FOUND", '"There is no such route."'),
    "REQUEST_TOO_LARGE": ("413", "VALIDATION_ERROR", '"The body is larger than API Gateway takes (10 MB)."'),
    "WAF_FILTERED": ("403", "FORBIDDEN", '"The web ACL of this service refuses this request."'),
    "THROTTLED": ("429", "RATE_LIMITS", '"Too many requests to this service; try again in a second."'),
    "INTEGRATION_TIMEOUT": (
        "504",
        "INTERNAL_ERROR",
        '"No answer in time; ask for the outcome before sending it again."',
    ),
}
# Where API Gateway checks signatures, it answers so where there is none, too.
UNSIGNED = {
    "MISSING_AUTHENTICATION_TOKEN": (
        "403",
        "FORBIDDEN",
        '"There is no such route, or the request is not signed (AWS Signature Version 4)."',
    ),
}
OWN_CHECK = "The function checks who calls, and for which portals, itself: a refusal has HubSpot's error shape."
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    "httpMethod": "$context.httpMethod",
    "resourcePath": "$context.resourcePath",
    "path": "$context.path",
    "status": "$context.status",
    "responseType": "$context.error.responseType",
    "responseLength": "$context.responseLength",
    "responseLatency": "$context.responseLatency",
    "integrationLatency": "$context.integrationLatency",
    "integrationStatus": "$context.integration.integrationStatus",
    "sourceIp": "$context.identity.sourceIp",
    "userAgent": "$context.identity.userAgent",
    "tlsVersion": "$context.tlsVersion",
    "xrayTraceId": "$context.xrayTraceId",
}


class Ingress(Construct):
    """`api`, deployed as stage `v1`."""

    def __init__(
        self, scope: Construct, id: str, settings: Settings, encryption: Encryption, function: lambda_.IFunction
    ) -> None:
        super().__init__(scope, id)
        access_log = log_group(self, "AccessLog", settings, encryption)
        self.api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=settings.stack_name,
            description="HubSpot's batch create of association limits, and the outcomes",
            **_endpoint(self, settings),
            # API Gateway writes access logs with one role for the account and region. A fresh account has none, and
            # without it the stage cannot be deployed. It outlives the stack, because other APIs come to depend on it.
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=RemovalPolicy.RETAIN,
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                access_log_destination=apigateway.LogGroupLogDestination(access_log),
                access_log_format=apigateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG)),
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,  # it would write bodies and headers into the log
                metrics_enabled=True,
                tracing_enabled=True,
                throttling_rate_limit=settings.throttle.rate_per_second,
                throttling_burst_limit=settings.throttle.burst,
            ),
        )
        self.api.node.try_remove_child("Endpoint")  # an output of its own, under a name nobody can guess
        self._refuse_old_tls()
        self._keep_execution_log(settings, encryption)
        headers = {header: f"'{value}'" for header, value in answer_headers(settings.cors_origin).items()}
        self._refuse_in_hubspots_words(settings, headers)
        self._route_to(function, settings, headers)
        if settings.web_acl:
            WebAcl(self, "WebAcl", self.api.deployment_stage)
        self._acknowledge_rest(settings)

    def _refuse_old_tls(self) -> None:
        # A regional API without a domain name of its own takes TLS 1.0 unless told otherwise. This policy takes 1.3
        # and the forward-secret ciphers of 1.2: docs.aws.amazon.com/apigateway/latest/developerguide/
        # apigateway-security-policies-list.html. The L2 construct has no property for it yet.
        resource = self.api.node.default_child
        assert isinstance(resource, apigateway.CfnRestApi)
        resource.security_policy = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
        resource.endpoint_access_mode = "STRICT"

    def _keep_execution_log(self, settings: Settings, encryption: Encryption) -> None:
        # API Gateway would make this group itself, kept for ever, at the first error it logs.
        name = f"API-Gateway-Execution-Logs_{self.api.rest_api_id}/{STAGE}"
        log = log_group(self, "ExecutionLog", settings, encryption, name)
        self.api.deployment_stage.node.add_dependency(log)

    def _refuse_in_hubspots_words(self, settings: Settings, headers: Mapping[str, str]) -> None:
        for name, (status, category, message) in (REFUSALS | (UNSIGNED if settings.by_iam else {})).items():
            self.api.add_gateway_response(
                name,
                type=apigateway.ResponseType.of(name),
                status_code=status,
                templates={"application/json": _hubspot_error(category, message)},
                response_headers=headers,
            )

    def _route_to(self, function: lambda_.IFunction, settings: Settings, headers: Mapping[str, str]) -> None:
        integration = apigateway.LambdaIntegration(function, allow_test_invoke=False)
        authorization = apigateway.AuthorizationType.IAM if settings.by_iam else apigateway.AuthorizationType.NONE
        for http_method, path in ROUTES:
            resource = self.api.root.resource_for_path(path)
            method = resource.add_method(http_method, integration, authorization_type=authorization)
            acknowledge(method, "AwsSolutions-COG4", f"Callers are programs, not users of a pool. {OWN_CHECK}")
            if not settings.by_iam:
                for rule in ("AwsSolutions-APIG4", "CKV_AWS_59"):
                    acknowledge(method, rule, OWN_CHECK)
            if settings.cors_origin:
                add_preflight(resource, http_method, headers)

    def _acknowledge_rest(self, settings: Settings) -> None:
        acknowledge(
            self.api,
            "AwsSolutions-APIG2",
            "The function validates bodies and names every bad field; the gateway's validator would answer first, "
            "with one sentence in another shape.",
        )
        if not settings.web_acl:
            acknowledge(
                self.api.deployment_stage,
                "AwsSolutions-APIG3",
                "A web ACL has a monthly price, so its owner decides by the setting webAcl. Without it the stage "
                "throttles, and every route needs a key or a signature.",
            )
        acknowledge(
            self.api.deployment_stage,
            "CKV_AWS_120",
            "An answer is one caller's own, and an outcome changes: there is nothing to keep in a cache for others.",
        )
        role = self.api.node.find_child("CloudWatchRole")
        acknowledge(
            role,
            "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
            "AmazonAPIGatewayPushToCloudWatchLogs]",
            "The role belongs to API Gateway in the whole account, and this managed policy is the one it documents.",
        )


def _endpoint(scope: Construct, settings: Settings) -> dict[str, Any]:
    """Regional; or private, and then for requests through these VPC endpoints only."""
    if not settings.vpc_endpoints:
        return {"endpoint_types": [apigateway.EndpointType.REGIONAL]}
    through = [
        ec2.InterfaceVpcEndpoint.from_interface_vpc_endpoint_attributes(scope, name, vpc_endpoint_id=name, port=443)
        for name in settings.vpc_endpoints
    ]
    invoke = iam.PolicyStatement(
        principals=[iam.AnyPrincipal()],
        actions=["execute-api:Invoke"],
        resources=["execute-api:/*"],
        conditions={"StringEquals": {"aws:SourceVpce": list(settings.vpc_endpoints)}},
    )
    return {
        "endpoint_configuration": apigateway.EndpointConfiguration(
            types=[apigateway.EndpointType.PRIVATE], vpc_endpoints=through
        ),
        "policy": iam.PolicyDocument(statements=[invoke]),
    }


def _hubspot_error(category: str, message: str) -> str:
    # `message` is JSON already: API Gateway's own messageString comes with its quotes.
    return (
        f'{{"status": "error", "message": {message}, "correlationId": "$context.requestId", "category": "{category}"}}'
    )
