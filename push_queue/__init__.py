"""What producers and workers of the push queue share: jobs, their states in Redis, settings."""

import logging

# The application that imports this decides what is logged; by default, nothing is.
logging.getLogger(__name__).addHandler(logging.NullHandler())
