"""What is measured: our library and queue, and the programs that do the same work."""
