"""What there is to watch: the parts that AWS has metrics of, and the metrics that the functions count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_cloudwatch as cloudwatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_lambda as lambda_

    from infra.ingress import Ingress
    from infra.queue import RequestQueue
    from infra.storage import Storage

NAMESPACE = "HubSpotAssociationLimits"


@dataclass(frozen=True)
class Watched:
    """The whole service, as alarms and dashboard look at it: `service` as its metrics name it, `functions` by name."""

    service: str
    functions: Mapping[str, lambda_.Function]
    queue: RequestQueue
    ingress: Ingress
    storage: Storage

    def counted(self, name: str, statistic: str = "Sum") -> cloudwatch.Metric:
        """How often the functions counted `name` within five minutes; or the Maximum of what they measured."""
        # Powertools gives every metric the dimension `service`.
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"service": self.service},
            statistic=statistic,
        )
