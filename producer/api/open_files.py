"""How many files the server may have open. Connections are files, too."""

import resource

WANTED = 4096
"""Two for each connection, as it may bring or take a tar, and as many again for all the rest."""


def allow_open_files() -> None:
    """Raise the limit of this process to what the server needs, as far as the system lets it.

    Shells and macOS start programs with a few hundred. Beyond the limit, new connections are closed
    without a word.
    """
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if most == resource.RLIM_INFINITY else min(WANTED, most)
    if limit != resource.RLIM_INFINITY and limit < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
