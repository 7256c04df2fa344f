"""Headers on every answer of the API, ours and API Gateway's own. They carry no CORS: no browser is a caller."""

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
