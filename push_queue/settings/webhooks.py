"""The receivers of webhooks: where they are, what they hear of, how they know the sender."""

import binascii
import re
from base64 import b64decode
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    StringConstraints,
    field_validator,
)

from push_queue.models.job import Label
from push_queue.models.job_status import FINAL_STATES, JobState, JobStatus
from push_queue.settings.target_patterns import TargetPattern, fits

_PRINTABLE = re.compile(r"[!-~]+")
_SECRET_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)
_SECRET_ADVICE = 'make one with: echo "whsec_$(openssl rand -base64 32)"'


def _origin(text: str) -> str:
    """``https://host[:port]``.

    Raises:
        ValueError: nothing can be sent there; the message does not show the URL.
    """
    try:
        url = urlsplit(text)
        valid = url.port != 0 and url.scheme in ("https", "http") and url.hostname
    except ValueError:
        valid = None
    if not valid or not _PRINTABLE.fullmatch(text):
        raise ValueError("must be a URL that begins with https:// or http://")
    if url.username is not None or url.fragment:
        raise ValueError("must have no user and no fragment; events are signed instead")
    return f"{url.scheme}://{url.netloc}"


def _check_url(url: SecretStr) -> SecretStr:
    _origin(url.get_secret_value())
    return url


def _check_secret(secret: SecretStr) -> SecretStr:
    """Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    text = secret.get_secret_value()
    try:
        key = b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith(_SECRET_PREFIX) or len(key) not in _SECRET_BYTES:
        raise ValueError(f"must be {_SECRET_PREFIX} and 24 to 64 bytes in base64; {_SECRET_ADVICE}")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]


class Webhook(BaseModel):
    """One receiver. It gets the events that fit all of its filters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[SecretStr, AfterValidator(_check_url)]
    """``https://`` or ``http://``, on any host. Only its scheme and host are ever shown, since the
    rest may be a secret."""
    secret: Annotated[tuple[Secret, ...], Field(min_length=1)]
    """The key that signs the events: ``echo "whsec_$(openssl rand -base64 32)"`` makes one. To
    replace it, give a list of the new and the old one until the receiver knows the new one."""
    states: Annotated[tuple[JobState, ...], Field(min_length=1)] = FINAL_STATES
    """The final states that it is told of."""
    labels: dict[Label, Annotated[str, StringConstraints(max_length=1024)]] = {}
    """Patterns by the name of the label, as ``{"team": "web-*"}``; the job has to have all of these
    labels."""
    targets: tuple[TargetPattern, ...] = ()
    """Patterns of ``registry/repository``; one target of the job has to fit one of them."""
    timeout: Annotated[int, Field(ge=1, le=60)] = 15
    """How many seconds it may take to answer."""
    backlog: PositiveInt = 50_000
    """How many events are kept for it while it is away."""

    @field_validator("secret", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("states")
    @classmethod
    def _check_states(cls, value: tuple[JobState, ...]) -> tuple[JobState, ...]:
        if not all(state.final for state in value):
            raise ValueError(f"must be of {', '.join(FINAL_STATES)}")
        return value

    @property
    def origin(self) -> str:
        """``https://host[:port]``, for people."""
        return _origin(self.url.get_secret_value())

    @property
    def fingerprint(self) -> str:
        """Tells whether the URL has changed, without showing it."""
        return sha256(self.url.get_secret_value().encode()).hexdigest()[:16]

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys that sign, as bytes."""
        texts = (secret.get_secret_value() for secret in self.secret)
        return tuple(b64decode(text.removeprefix(_SECRET_PREFIX)) for text in texts)

    def wants(self, job: JobStatus) -> bool:
        """Whether the filters let through what happened to the job."""
        return (
            job.state in self.states
            and all(
                label in job.labels and fnmatchcase(job.labels[label], pattern)
                for label, pattern in self.labels.items()
            )
            and (not self.targets or any(fits(_name(one), self.targets) for one in job.targets))
        )


WebhookName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Webhooks = dict[WebhookName, Webhook]


def _name(target: str) -> str:
    """``registry/repository`` of a target."""
    repository, colon, tag = target.rpartition(":")
    return (repository if colon and "/" not in tag else target).lower()
