"""What producers and workers of the push queue share: jobs, their states in Redis, settings."""

import logging

# Who uses the library decides what is logged; a command line that does not, shows nothing.
logging.getLogger(__name__).addHandler(logging.NullHandler())
