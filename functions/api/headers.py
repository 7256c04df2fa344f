"""Headers on every answer of the API, ours and API Gateway's own."""

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
# What a page may read of an answer, beside its body.
EXPOSED = "Location, Outcome-Id, Outcome-Status, Preference-Applied, Idempotency-Replayed, Retry-After"


def answer_headers(origin: str) -> dict[str, str]:
    """The headers of an answer; those of CORS only with an origin, a web site whose pages may call the API."""
    if not origin:
        return SECURITY_HEADERS
    return {**SECURITY_HEADERS, "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}
