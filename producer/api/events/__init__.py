"""Server-sent events: one reader at Redis for all who follow."""
