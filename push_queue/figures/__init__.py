"""What the queue has done and has to do, in figures."""
