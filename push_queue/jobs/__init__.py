"""The jobs in Redis, as producers and as workers see them."""
