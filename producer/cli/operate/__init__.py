"""Commands for whoever runs the queue: see ``docs/operating.md``."""
