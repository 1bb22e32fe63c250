"""What the workers know of registries, and how much they send to each."""
