"""`python -m local.hubspot`: serve the stand-in."""

from local.hubspot.server import main

main()
