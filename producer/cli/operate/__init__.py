"""Commands for whoever runs the queue: see ``docs/how-to/operating.md``."""
