"""Fuzzing of everything that reads untrusted input: ``make fuzz``.

Each target runs in a process of its own for FUZZ_SECONDS (60), with Hypothesis making up input that
is nearly right. What it finds becomes an ordinary test in ``test_corpus.py``.
"""
