"""``GET /metrics``: the figures of the queue for Prometheus."""
