"""The settings: every one with its default, and what follows from several of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AliasChoices,
    ByteSize,
    Field,
    PositiveInt,
    SecretStr,
    StringConstraints,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from push_queue.models.job import MostAttempts, PatienceSeconds
from push_queue.models.source_urls import Bucket, Origin, SourceUrlEntry, SourceUrls
from push_queue.settings.api_tokens import ApiTokens
from push_queue.settings.defaults import (
    DAY_SECONDS,
    LEASE_SECONDS,
    REGISTRY_MAX_UPLOADS,
    REGISTRY_TIMEOUT_SECONDS,
    WEEK_SECONDS,
    tag_watch_seconds,
)
from push_queue.settings.logins import RegistryAuth, SourceLogin
from push_queue.settings.oidc_issuers import OidcIssuers
from push_queue.settings.redis_routes import RedisRoutes, RedisUrl
from push_queue.settings.redis_url import RedisAddress, parse_redis_url
from push_queue.settings.server_url import ServerToken, ServerUrl
from push_queue.settings.sources import (
    ENV_FILE,
    ENV_FILE_ENCODING,
    ENV_PREFIX,
    REDIS_URL_VARIABLES,
    SECRETS_FOLDER,
    variable_of,
)
from push_queue.settings.target_patterns import TargetPattern, fits
from push_queue.settings.teams import FAIR_SHARE_BY, TeamSources
from push_queue.settings.user_folders import user_folder
from push_queue.settings.values import LISTED, LOWER, AbsolutePath, Names, Paths, Port
from push_queue.settings.webhooks import Webhooks

GB = 10**9

Login = TypeVar("Login")
Rate = Annotated[ByteSize, Field(gt=0)]
Namespace = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class Settings(BaseSettings):
    """Every setting with its default. In the environment it is ``PUSH_QUEUE_<NAME>``.

    Sources in order of precedence: arguments, environment, ``.env``, files in ``/run/secrets``. Use
    :func:`load_settings`, whose errors are readable. The docstring of each setting begins with who
    reads it: commands, servers of the HTTP API, workers, or all of them.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=ENV_FILE,
        env_file_encoding=ENV_FILE_ENCODING,
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
    )

    redis_url: RedisUrl = Field(
        default=SecretStr("redis://localhost:6379/0"),
        validation_alias=AliasChoices(*REDIS_URL_VARIABLES),
    )
    """All: where Redis or Valkey is: ``redis://``, ``rediss://`` (TLS), ``unix://`` or
    ``redis+sentinel://host,host/mymaster``. Plain ``REDIS_URL`` works, too."""
    redis_routes: RedisRoutes = {}
    """Commands, servers: other Redis servers by target, ``{"reg.example.com/*": "redis://…"}``.
    The first pattern that fits decides; jobs for all other targets are in
    ``PUSH_QUEUE_REDIS_URL``. Commands go by it; a server does not, and warns."""
    namespace: Namespace = "push"
    """All: the prefix of all keys in Redis. Queues with different ones share nothing."""
    allow_eviction: bool = False
    """Workers: start workers even on a Redis that evicts keys when it is full, and so loses
    jobs."""

    max_jobs: PositiveInt = 10
    """Workers: how many jobs one worker runs at once."""
    max_uploads: PositiveInt = 8
    """Workers: how many blobs one worker sends to one registry at once."""
    registry_max_uploads: PositiveInt = REGISTRY_MAX_UPLOADS
    """All: how many blobs all workers together send to one registry at once."""
    registry_max_rate: Rate | None = None
    """Workers: how many bytes a second all workers together send to one registry. If not set, the
    rate is not limited."""
    registry_max_rates: dict[str, Rate] = {}
    """Workers: the rates of single registries, ``{"reg.example.com": "20MB"}``, in place of the one
    for all."""
    job_uploads: PositiveInt = 3
    """Commands, workers: how many blobs of one job are sent at once."""
    fair_share_by: TeamSources = FAIR_SHARE_BY
    """All: what tells a job's team, since teams get equal shares of the workers. The first of these
    that a job has counts: a label (``label:NAME``), or the caller of the HTTP API (``caller``).
    With ``none`` there are no teams: first come, first served."""
    lease_seconds: PositiveInt = LEASE_SECONDS
    """Workers: after how long a dead worker's job runs again. Workers warn of less than 5, because
    a worker that hangs for that long loses its jobs."""
    shutdown_grace_seconds: PositiveInt = 20
    """Workers: how long a worker that is told to stop gives its pushes to finish. It hands back the
    rest."""
    max_attempts: MostAttempts = 5
    """Commands, servers: attempts before a job fails, unless the job has its own number
    (``--max-attempts``)."""
    give_up_after_seconds: PatienceSeconds = DAY_SECONDS
    """Commands, workers: how long a job is kept waiting for a registry that is down, unless the job
    has its own time (``--give-up-after``)."""
    retry_base_seconds: Annotated[float, Field(gt=0)] = 1.0
    """Commands, workers: the longest delay before the first retry. It doubles with each further one
    (exponential backoff with full jitter). ``Retry-After`` is honoured."""
    retry_max_seconds: Annotated[float, Field(gt=0)] = 300.0
    """Commands, workers: the longest delay before any retry."""
    keep_finished_seconds: PositiveInt = WEEK_SECONDS
    """All: how long finished jobs stay in Redis."""

    source_roots: Paths = ()
    """Workers: folders below which workers may read tars (after following links), and delete them
    for ``--cleanup``. If not set, they read anywhere, and jobs with ``--cleanup`` fail."""
    source_urls: Annotated[tuple[SourceUrlEntry, ...], *LISTED] = ()
    """Commands, workers: URLs below which tars may be read, as
    ``https://artifacts.example.com/builds/`` or ``s3://bucket/builds/``, and networks that these
    may lead into, as ``10.1.0.0/16``. If not set, no URL is read."""
    source_auth: dict[Origin, SourceLogin] = {}
    """Commands, workers: logins for servers of tars, ``{"https://artifacts.example.com":
    {"username": "…", "password": "…"}}``."""
    stores: dict[Bucket, dict[str, SecretStr]] = {}
    """Commands, workers: credentials and other options of single buckets, ``{"s3://bucket":
    {"endpoint": "https://minio.example.com", "access_key_id": "…", "secret_access_key": "…"}}``."""
    targets: Annotated[tuple[TargetPattern, ...], *LISTED] = ()
    """Workers: patterns of ``registry/repository`` that workers may push to, as
    ``reg.example.com/team/*``; ``*`` matches anything. A job with another target fails
    (``target_not_allowed``). If not set, they push anywhere."""

    registry_timeout_seconds: PositiveInt = REGISTRY_TIMEOUT_SECONDS
    """Commands, workers: a request to a registry fails when no byte moves for this long."""
    commit_timeout_seconds: PositiveInt = 600
    """Commands, workers: how long a registry may take to store a blob after its last byte."""
    plain_http_hosts: Names = ()
    """Commands, workers: registries without TLS, as ``reg.example.com:5000``. ``localhost`` and
    loopback addresses need no entry, unless they have a folder of certificates."""
    insecure_hosts: Names = ()
    """Commands, workers: registries and other servers whose certificate is not checked."""
    registry_certs_dir: Path = Path("/etc/docker/certs.d")
    """Commands, workers: holds a folder for each registry, as docker has it: ``*.crt`` are its
    authorities, ``*.cert`` with ``*.key`` are client certificates."""
    registry_auth: RegistryAuth = {}
    """Commands, workers: logins by registry or by ``host/namespace``, ``{"reg.example.com":
    {"username": "…", "password": "…"}}``."""

    spool: AbsolutePath | None = None
    """All: the folder of uploads. Servers and workers have to be able to write there; they may see
    it at different paths. ``push-queue up`` has one by itself."""
    spool_quota: ByteSize = ByteSize(100 * GB)
    """Servers, workers: how many bytes all uploads together may take in the spool."""
    spool_keep_free: ByteSize = ByteSize(1 * GB)
    """Servers, workers: how many bytes uploads leave free on the disk of the spool."""
    spool_keep_seconds: PositiveInt = DAY_SECONDS
    """Servers: how long an upload is kept that nobody continues and no unfinished job needs."""

    server: ServerUrl | None = None
    """Commands, workers: URL of the HTTP API. Commands use it in place of Redis. Workers without
    ``PUSH_QUEUE_SPOOL`` read uploads there."""
    token: ServerToken | None = None
    """Commands, workers: the token for ``PUSH_QUEUE_SERVER``."""

    api_host: str = "127.0.0.1"
    """Servers: the address where the HTTP API listens; a loopback address unless callers need
    tokens."""
    api_port: Port = 15080
    """Servers: the port where the HTTP API listens; 0 means any free one."""
    api_rate: PositiveInt = 100
    """Servers: how many requests a second one caller may send to one server."""
    api_streams: PositiveInt = 200
    """Servers: how many requests of one caller may follow jobs or wait for them at once."""
    api_tokens: ApiTokens = {}
    """Commands, servers: who may use the HTTP API, by name, as ``push-queue token`` writes it. If
    not set, everybody on this machine may do everything."""
    api_oidc: OidcIssuers = {}
    """Servers: CI systems whose OpenID Connect tokens are taken, too, by name."""

    metrics_host: str = "127.0.0.1"
    """Workers: the address where a worker serves its metrics."""
    metrics_port: Port = 0
    """Workers: the port where a worker serves its metrics; 0 means that it serves none."""
    alive_file: AbsolutePath | None = None
    """Workers: a file that a worker touches every 5 s. With it ``push-worker --check`` is about
    this worker alone, and asks no Redis."""

    webhooks: Webhooks = {}
    """Workers: who is told of jobs that end, by name."""

    log_format: Annotated[Literal["text", "json"], LOWER] = "text"
    """Servers, workers: lines for people, or JSON for machines."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], LOWER] = "info"
    """Servers, workers: lines of lower levels are left out."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources = (init_settings, env_settings, dotenv_settings)
        # pydantic-settings warns about a folder of secrets that does not exist.
        if not SECRETS_FOLDER.is_dir():
            return sources
        return (*sources, SecretsSettingsSource(settings_cls, secrets_dir=SECRETS_FOLDER))

    @property
    def api_open(self) -> bool:
        """Whether everybody on this machine may call the HTTP API, and nobody else."""
        return not (self.api_tokens or self.api_oidc)

    @property
    def redis_address(self) -> RedisAddress:
        """Where Redis is. It prints without the password."""
        return parse_redis_url(self.redis_url.get_secret_value())

    def max_rate_of(self, registry: str) -> int | None:
        """Bytes a second that all workers together send to the registry; None if as many as go."""
        return self.registry_max_rates.get(registry, self.registry_max_rate)

    @property
    def transport_options(self) -> dict[str, Any]:
        """How to speak to registries, as keywords of the library's ``RegistryClient``."""
        return {
            "timeout": self.registry_timeout_seconds,
            "commit_timeout": self.commit_timeout_seconds,
            "plain_http_hosts": self.plain_http_hosts,
            "insecure_hosts": self.insecure_hosts,
            "certs_dir": self.registry_certs_dir,
            "name_of": variable_of,
        }

    def logins(self, credentials: Callable[[str, str], Login]) -> dict[str, Login]:
        """The logins by registry, each made by ``credentials`` of user name and password."""
        return {
            registry: credentials(auth.username, auth.password.get_secret_value())
            for registry, auth in self.registry_auth.items()
        }

    @property
    def url_options(self) -> dict[str, Any]:
        """How to read tars at URLs, as keywords of the library's ``HttpSettings``."""
        return {
            "places": SourceUrls(self.source_urls),
            "authorizations": {
                origin: login.authorization for origin, login in self.source_auth.items()
            },
            "stores": {
                bucket: {name: value.get_secret_value() for name, value in options.items()}
                for bucket, options in self.stores.items()
            },
            "timeout": self.registry_timeout_seconds,
            "certs_dir": self.registry_certs_dir,
            "insecure_hosts": self.insecure_hosts,
            "name_of": variable_of,
        }

    @property
    def tag_watch_seconds(self) -> int:
        """How long a tag is watched after a write of unknown outcome."""
        return tag_watch_seconds(self.lease_seconds, self.registry_timeout_seconds)

    def redis_for(self, target: str) -> SecretStr:
        """The URL of the Redis that has the jobs for ``registry/repository:tag``."""
        name = target.rpartition(":")[0]
        routes = self.redis_routes.items()
        return next((url for pattern, url in routes if fits(name, [pattern])), self.redis_url)

    @property
    def redis_configured(self) -> bool:
        """Whether a Redis was named. If not, the default address is a guess."""
        return bool(self.redis_routes) or self.redis_url_given

    @property
    def redis_url_given(self) -> bool:
        """Whether the Redis was named that is for all but the routes."""
        return "redis_url" in self.model_fields_set

    @property
    def cache_folder(self) -> Path | None:
        """Where this user's pushes may keep their ledger; None for a user without a home."""
        return user_folder("XDG_CACHE_HOME", ".cache")

    @property
    def data_folder(self) -> Path | None:
        """Where ``push-queue up`` keeps this user's jobs; None for a user without a home."""
        return user_folder("XDG_DATA_HOME", ".local/share")
