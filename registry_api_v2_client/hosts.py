"""Which hosts are this machine."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether ``host[:port]`` is ``localhost``, a name below it, or a loopback address."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
