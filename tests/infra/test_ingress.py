"""The HTTP interface as API Gateway is told of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.headers import SECURITY_HEADERS, answer_headers
from tests.infra.template import Synthesised

BATCH_CREATE = "crm/associations/{version}/definitions/configurations/{from}/{to}/batch/create"
ROUTES = {
    ("POST", BATCH_CREATE),
    ("POST", f"portals/{{portal}}/{BATCH_CREATE}"),
    ("GET", "outcomes"),
    ("GET", "outcomes/{id}"),
    ("POST", "outcomes/{id}/replay"),
}


def stage(stack: Synthesised) -> dict[str, Any]:
    return stack.properties("AWS::ApiGateway::Stage", "Ingress/Api/DeploymentStage.v1")


def test_the_routes_are_these_and_no_greedy_one(stack: Synthesised) -> None:
    methods = {
        tuple(path.removeprefix("Ingress/Api/Default/").rpartition("/")[::-2])
        for path in stack.of_type("AWS::ApiGateway::Method")
    }

    assert methods == ROUTES


def test_every_route_is_handed_to_the_webhook_whole(stack: Synthesised) -> None:
    for path in stack.of_type("AWS::ApiGateway::Method"):
        integration = stack.properties("AWS::ApiGateway::Method", path)["Integration"]
        assert integration["Type"] == "AWS_PROXY"
        assert "Webhook/Function" in integration["Uri"]


def test_api_gateway_may_invoke_the_webhook_for_these_routes_and_nothing_else(stack: Synthesised) -> None:
    permissions = [
        stack.properties("AWS::Lambda::Permission", path) for path in stack.of_type("AWS::Lambda::Permission")
    ]

    assert {permission["FunctionName"] for permission in permissions} == {"Webhook/Function"}
    assert {permission["Principal"] for permission in permissions} == {"apigateway.amazonaws.com"}
    granted = {permission["SourceArn"].partition("Ingress/Api/")[2] for permission in permissions}
    assert granted == {
        f"Ingress/Api/DeploymentStage.v1/{method}/" + "/".join("*" if "{" in part else part for part in path.split("/"))
        for method, path in ROUTES
    }


def test_the_api_is_regional_and_refuses_tls_below_1_2(stack: Synthesised) -> None:
    api = stack.properties("AWS::ApiGateway::RestApi", "Ingress/Api")

    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert api["SecurityPolicy"] == "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
    assert api["EndpointAccessMode"] == "STRICT"


def test_the_stage_throttles_as_the_settings_say(stack: Synthesised, other: Synthesised) -> None:
    def throttle(of: Synthesised) -> tuple[float, int]:
        (everything,) = stage(of)["MethodSettings"]
        assert (everything["HttpMethod"], everything["ResourcePath"]) == ("*", "/*")
        return everything["ThrottlingRateLimit"], everything["ThrottlingBurstLimit"]

    assert throttle(stack) == (20, 40)
    assert throttle(other) == (2.5, 7)


def test_the_stage_is_traced_and_logged_but_never_with_bodies_or_headers(stack: Synthesised) -> None:
    (everything,) = stage(stack)["MethodSettings"]

    assert stage(stack)["TracingEnabled"] is True
    assert everything["LoggingLevel"] == "ERROR"
    assert everything["DataTraceEnabled"] is False


def test_the_access_log_is_json_and_holds_no_credentials(stack: Synthesised) -> None:
    setting = stage(stack)["AccessLogSetting"]

    assert setting["DestinationArn"].endswith(":log-group:Ingress/AccessLog")
    fields = json.loads(setting["Format"])
    assert {"requestId", "status", "resourcePath", "sourceIp", "tlsVersion"} <= set(fields)
    assert not [value for value in fields.values() if "authorizer" in value or "header" in value.lower()]


def test_the_execution_log_is_made_before_api_gateway_makes_one_for_ever(stack: Synthesised) -> None:
    log = stack.properties("AWS::Logs::LogGroup", "Ingress/ExecutionLog")
    whole_stage = stack.of_type("AWS::ApiGateway::Stage")["Ingress/Api/DeploymentStage.v1"]

    assert log["LogGroupName"] == "API-Gateway-Execution-Logs_Ingress/Api/v1"
    assert "Ingress/ExecutionLog" in [stack.readable({"Ref": name}) for name in whole_stage["DependsOn"]]


def test_the_role_that_api_gateway_logs_with_outlives_the_stack(stack: Synthesised) -> None:
    (account,) = stack.of_type("AWS::ApiGateway::Account").values()
    role = stack.of_type("AWS::IAM::Role")["Ingress/Api/CloudWatchRole"]

    assert account["DeletionPolicy"] == role["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize(
    ("kind", "status", "category"),
    [
        ("DEFAULT_4XX", None, "VALIDATION_ERROR"),
        ("DEFAULT_5XX", None, "INTERNAL_ERROR"),
        ("MISSING_AUTHENTICATION_TOKEN", "404", "OBJECT_NOT_FOUND"),
        ("REQUEST_TOO_LARGE", "413", "VALIDATION_ERROR"),
        ("THROTTLED", "429", "RATE_LIMITS"),
        ("INTEGRATION_TIMEOUT", "504", "INTERNAL_ERROR"),
    ],
)
def test_what_api_gateway_refuses_itself_has_hubspots_error_shape(
    stack: Synthesised, kind: str, status: str | None, category: str
) -> None:
    responses = {
        response["Properties"]["ResponseType"]: response["Properties"]
        for response in stack.of_type("AWS::ApiGateway::GatewayResponse").values()
    }
    template = responses[kind]["ResponseTemplates"]["application/json"]

    # API Gateway puts its own message in as JSON text, with the quotes.
    body = json.loads(template.replace("$context.error.messageString", '"Bad request"'))

    assert responses[kind].get("StatusCode") == status
    assert responses[kind]["ResponseParameters"] == {
        f"gatewayresponse.header.{header}": f"'{value}'" for header, value in SECURITY_HEADERS.items()
    }
    assert body.pop("message")
    assert body == {"status": "error", "correlationId": "$context.requestId", "category": category}


def test_a_web_acl_is_there_where_the_settings_want_one(stack: Synthesised, other: Synthesised) -> None:
    assert not stack.of_type("AWS::WAFv2::WebACL")
    acl = other.properties("AWS::WAFv2::WebACL", "Ingress/WebAcl/Acl")
    association = other.properties("AWS::WAFv2::WebACLAssociation", "Ingress/WebAcl/Association")

    groups = [rule["Statement"]["ManagedRuleGroupStatement"] for rule in acl["Rules"]]
    assert {group["Name"]: [rule["Name"] for rule in group["RuleActionOverrides"]] for group in groups} == {
        "AWSManagedRulesAmazonIpReputationList": [],
        "AWSManagedRulesCommonRuleSet": ["SizeRestrictions_BODY"],
        "AWSManagedRulesKnownBadInputsRuleSet": [],
    }
    assert not acl["VisibilityConfig"]["SampledRequestsEnabled"]
    assert association["WebACLArn"] == "Ingress/WebAcl/Acl"
    assert "/stages/" in association["ResourceArn"]


ORIGIN = "https://admin.example.com"


def methods(stack: Synthesised, *, preflights: bool) -> dict[str, dict[str, Any]]:
    kind = "AWS::ApiGateway::Method"
    return {
        path: stack.properties(kind, path) for path in stack.of_type(kind) if path.endswith("/OPTIONS") == preflights
    }


def test_api_gateway_checks_signatures_only_where_the_settings_say_so(stack: Synthesised, other: Synthesised) -> None:
    def types(of: Synthesised) -> set[str]:
        return {method["AuthorizationType"] for method in methods(of, preflights=False).values()}

    assert types(stack) == {"NONE"}
    assert types(other) == {"AWS_IAM"}
    assert len(methods(other, preflights=False)) == len(ROUTES)


def test_with_vpc_endpoints_the_api_is_private_and_takes_requests_through_these_only(other: Synthesised) -> None:
    api = other.properties("AWS::ApiGateway::RestApi", "Ingress/Api")

    assert api["EndpointConfiguration"] == {"Types": ["PRIVATE"], "VpcEndpointIds": ["vpce-0a1b2c3d4e5f60718"]}
    (statement,) = api["Policy"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
    assert statement["Condition"] == {"StringEquals": {"aws:SourceVpce": ["vpce-0a1b2c3d4e5f60718"]}}
    assert api["SecurityPolicy"] == "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"


def test_without_an_origin_there_is_no_cors(stack: Synthesised) -> None:
    assert methods(stack, preflights=True) == {}
    assert "Access-Control" not in json.dumps(stack.template)


def test_with_an_origin_each_route_has_a_preflight_that_reaches_no_function(other: Synthesised) -> None:
    found = methods(other, preflights=True)

    assert {path.removesuffix("/OPTIONS") for path in found} == {f"Ingress/Api/Default/{path}" for _, path in ROUTES}
    for path, method in found.items():
        (route_method,) = [verb for verb, route in ROUTES if path == f"Ingress/Api/Default/{route}/OPTIONS"]
        (answer,) = method["Integration"]["IntegrationResponses"]
        assert (method["AuthorizationType"], method["Integration"]["Type"]) == ("NONE", "MOCK")
        assert answer["StatusCode"] == "204"
        assert answer["ResponseParameters"] == {
            f"method.response.header.{name}": f"'{value}'"
            for name, value in {
                **answer_headers(ORIGIN),
                "Access-Control-Allow-Methods": route_method,
                "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Prefer",
                "Access-Control-Max-Age": "3600",
            }.items()
        }
        assert set(method["MethodResponses"][0]["ResponseParameters"]) == set(answer["ResponseParameters"])


def test_what_api_gateway_refuses_itself_names_the_origin_too(other: Synthesised) -> None:
    for response in other.of_type("AWS::ApiGateway::GatewayResponse").values():
        headers = response["Properties"]["ResponseParameters"]
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == f"'{ORIGIN}'"


def test_what_is_not_signed_is_told_so_where_signatures_are_checked(other: Synthesised) -> None:
    (response,) = [
        each["Properties"]
        for each in other.of_type("AWS::ApiGateway::GatewayResponse").values()
        if each["Properties"]["ResponseType"] == "MISSING_AUTHENTICATION_TOKEN"
    ]

    body = json.loads(response["ResponseTemplates"]["application/json"])
    assert (response["StatusCode"], body["category"]) == ("403", "FORBIDDEN")
    assert "not signed" in body["message"]
