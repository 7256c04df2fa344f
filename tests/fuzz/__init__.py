"""Hostile input at the four doors: the webhook, the queue, the schedule, and HubSpot's answers."""
