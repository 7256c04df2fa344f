"""AWS list prices in US dollars: us-east-1, on demand, without free tiers, as of 2026-11-25.

AWS's own pricing pages load their numbers by script, and stored copies of them mostly lack them. So each price names
AWS's page, which has the last word, and where the number was read.
"""

from __future__ import annotations

from dataclasses import dataclass

MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """Dollars for one unit. `page` is AWS's, `read` where the number was found."""

    dollars: float
    unit: str
    page: str
    read: str


LAMBDA_SECOND = Price(0.0000133334, "GB-second, arm64", "AWS Lambda Pricing", "cloudchipr.com, 2024")
LAMBDA_REQUEST = Price(0.20 / MILLION, "invocation", "AWS Lambda Pricing", "remembered; cloudchipr.com agrees")
REST_REQUEST = Price(
    3.50 / MILLION, "REST request", "Amazon API Gateway Pricing", "AWS whitepaper on private API Gateway APIs"
)
SQS_REQUEST = Price(0.40 / MILLION, "request of up to 64 KB", "Amazon SQS pricing", "cloudburn.io, 2026-03")
SQS_FAIR = Price(
    0.10 / MILLION, "request with a MessageGroupId, besides", "Amazon SQS pricing", "cloudburn.io, 2026-03"
)
WRITE_UNIT = Price(0.625 / MILLION, "write request unit", "Amazon DynamoDB pricing", "airbyte.com, 2025-07")
READ_UNIT = Price(0.125 / MILLION, "read request unit", "Amazon DynamoDB pricing", "airbyte.com, 2025-07")
STORED = Price(0.25, "GB-month of table and indexes", "Amazon DynamoDB pricing", "AWS's page, stored copy")
RECOVERY = Price(0.20, "GB-month of point-in-time recovery", "Amazon DynamoDB pricing", "remembered")
SECRET = Price(0.40, "secret and month", "AWS Secrets Manager Pricing", "hivebook.wiki")
SECRET_READ = Price(0.05 / 10_000, "call", "AWS Secrets Manager Pricing", "hivebook.wiki")
LOG = Price(0.50, "GB of logs taken in", "Amazon CloudWatch Pricing", "factualminds.com, 2026-06")
LOG_STORED = Price(0.03, "GB-month of logs kept", "Amazon CloudWatch Pricing", "remembered")
METRIC = Price(0.30, "custom metric and month", "Amazon CloudWatch Pricing", "signoz.io, 2026-02")
ALARM = Price(0.10, "alarm and month", "Amazon CloudWatch Pricing", "remembered")
DASHBOARD = Price(3.00, "dashboard and month", "Amazon CloudWatch Pricing", "factualminds.com, 2026-06")
KEY = Price(1.00, "customer key and month", "AWS Key Management Service pricing", "remembered")
TRACE = Price(5.00 / MILLION, "trace", "AWS X-Ray pricing", "AWS's page, stored copy")
SCHEDULE = Price(1.00 / MILLION, "invocation of Scheduler", "Amazon EventBridge pricing", "cloudburn.io, 2026-03")
EVENT = Price(1.00 / MILLION, "custom event of up to 64 KB", "Amazon EventBridge pricing", "cloudburn.io, 2026-03")
DESTINATION = Price(0.20 / MILLION, "call to an API destination", "Amazon EventBridge pricing", "cloudburn.io, 2026-03")
TRANSITION = Price(25.00 / MILLION, "state transition", "AWS Step Functions Pricing", "AWS's page, stored copy")
EXPRESS_REQUEST = Price(1.00 / MILLION, "express execution", "AWS Step Functions Pricing", "wring.co, 2026-03")
EXPRESS_SECOND = Price(0.00001667, "GB-second of express", "AWS Step Functions Pricing", "wring.co, 2026-03")


def listed() -> str:
    """Every price with its source, in Markdown."""
    lines = ["| dollars | for | AWS's page | read at |", "|---:|---|---|---|"]
    for price in (value for value in globals().values() if isinstance(value, Price)):
        few = price.dollars < 0.001
        amount = f"{price.dollars * MILLION:.4g} a million" if few else f"{price.dollars:.2f}"
        lines.append(f"| {amount} | {price.unit} | {price.page} | {price.read} |")
    return "\n".join(lines)
