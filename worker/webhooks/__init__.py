"""Tells the receivers of webhooks about jobs that have ended: see ``docs/how-to/webhooks.md``."""
