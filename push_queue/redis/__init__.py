"""Redis: how it is reached, its keys, and what may go wrong with it."""
