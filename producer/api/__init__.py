"""The HTTP API of the queue: ``push-queue serve``.

``routes`` is the table of its paths; ``docs/reference/http-api.md`` says how it is used.
"""
