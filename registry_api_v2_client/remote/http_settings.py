"""How tars are read over HTTP."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..http.proxy import Proxies
from ..http.tls import DOCKER_CERTS_DIR
from ..parameter_names import NameOf
from .places import Places


@dataclass(frozen=True)
class HttpSettings:
    """How tars are read over HTTP.

    ``authorizations`` are values of that header by origin, ``https://host[:port]`` in lower case.
    """

    places: Places
    authorizations: Mapping[str, str] = field(default_factory=dict)
    stores: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Options of obstore, such as credentials, by ``s3://bucket``. The environment has the rest."""
    timeout: float = 60.0
    certs_dir: Path = DOCKER_CERTS_DIR
    insecure_hosts: Collection[str] = ()
    """As for registries, see ``RegistryClient``."""
    proxies: Proxies = field(default_factory=Proxies)
    name_of: NameOf = str
    """How errors call a parameter that they advise to change, given its name here."""
