"""The queue as those see it who have only a server's URL: ``push-queue serve`` by HTTP."""
