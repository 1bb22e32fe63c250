"""Benchmarks of the push engine and the queue against others: ``python -m benchmarks``."""
