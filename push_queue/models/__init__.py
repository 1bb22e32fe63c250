"""What producers and workers tell each other: jobs, workers, pauses. Nothing here knows Redis."""
