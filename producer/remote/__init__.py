"""The queue for callers that have only a server's URL: ``push-queue serve`` by HTTP."""
