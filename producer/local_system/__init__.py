"""The whole system on one machine: a Valkey of its own, workers and the HTTP API."""
