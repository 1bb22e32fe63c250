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
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from push_queue.models.job import MOST_PATIENCE_SECONDS
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
from push_queue.settings.logins import RegistryCredentials, SourceLogin
from push_queue.settings.oidc_issuers import OidcIssuers
from push_queue.settings.redis_routes import RedisRoutes, RedisUrl
from push_queue.settings.redis_url import RedisAddress, parse_redis_url
from push_queue.settings.sources import (
    ENV_FILE,
    ENV_FILE_ENCODING,
    ENV_PREFIX,
    REDIS_URL_VARIABLES,
    SECRETS_FOLDER,
)
from push_queue.settings.target_patterns import TargetPattern, fits
from push_queue.settings.teams import FAIR_SHARE_BY, TeamSources
from push_queue.settings.user_folders import user_folder
from push_queue.settings.webhooks import Webhooks

GB = 10**9

Login = TypeVar("Login")
Rate = Annotated[ByteSize, Field(gt=0)]
Namespace = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class Settings(BaseSettings):
    """Every setting with its default. In the environment it is ``PUSH_QUEUE_<NAME>``.

    Sources in order of precedence: arguments, environment, ``.env``, files in ``/run/secrets``. Use
    :func:`load_settings`, whose errors are readable.
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
    redis_routes: RedisRoutes = {}
    """Other Redis servers, for the jobs with these targets; for producers."""
    namespace: Namespace = "push"
    allow_eviction: bool = False
    """Let workers start on a Redis that evicts keys when it is full, and so loses jobs."""

    max_jobs: PositiveInt = 10
    """Jobs that one worker runs at once."""
    max_uploads: PositiveInt = 8
    """Blob streams of one worker to one registry."""
    registry_max_uploads: PositiveInt = REGISTRY_MAX_UPLOADS
    """Blob streams of all workers together to one registry."""
    registry_max_rate: Rate | None = None
    """Bytes a second that all workers together send to one registry."""
    registry_max_rates: dict[str, Rate] = {}
    """The same for single registries, by host."""
    job_uploads: PositiveInt = 3
    """Blob streams of one job."""
    fair_share_by: TeamSources = FAIR_SHARE_BY
    """What tells a job's team. Teams with jobs in the queue get equal shares of the workers."""
    lease_seconds: PositiveInt = LEASE_SECONDS
    shutdown_grace_seconds: PositiveInt = 20
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    give_up_after_seconds: Annotated[int, Field(ge=1, le=MOST_PATIENCE_SECONDS)] = DAY_SECONDS
    """How long a job waits for registries that are down, unless it sets its own time."""
    retry_base_seconds: Annotated[float, Field(gt=0)] = 1.0
    retry_max_seconds: Annotated[float, Field(gt=0)] = 300.0
    keep_finished_seconds: PositiveInt = WEEK_SECONDS

    source_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    """The folders from which workers read sources. Without any, they read from anywhere."""
    source_urls: Annotated[tuple[SourceUrlEntry, ...], NoDecode] = ()
    """Workers read URLs only below these. Networks beside them are allowed as addresses."""
    source_auth: dict[Origin, SourceLogin] = {}
    """Logins for servers of tars, by ``https://host[:port]``."""
    stores: dict[Bucket, dict[str, SecretStr]] = {}
    """Credentials and other options of obstore, by ``s3://bucket``."""
    targets: Annotated[tuple[TargetPattern, ...], NoDecode] = ()
    """Patterns of ``registry/repository`` to push to. Without any, workers push anywhere."""

    registry_timeout_seconds: PositiveInt = REGISTRY_TIMEOUT_SECONDS
    """A registry that makes no progress for this long has failed."""
    commit_timeout_seconds: PositiveInt = 600
    """How long a registry may take to store a blob once it has all of it."""
    plain_http_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    insecure_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Registries whose certificate is not checked."""
    registry_certs_dir: Path = Path("/etc/docker/certs.d")
    """A folder for each registry, with certificates in docker's layout."""
    registry_auth: dict[str, RegistryCredentials] = {}

    spool: Path | None = None
    """The folder of uploads, which servers of the HTTP API write and workers read."""
    spool_quota: ByteSize = ByteSize(100 * GB)
    """Bytes that uploads may take there."""
    spool_keep_free: ByteSize = ByteSize(1 * GB)
    """Bytes that they leave free on its disk."""
    spool_keep_seconds: PositiveInt = DAY_SECONDS
    """How long an upload is kept that nobody goes on with and no unfinished job needs."""

    server: str | None = None
    """URL of the HTTP API that commands use in place of Redis."""
    token: SecretStr | None = None
    """What they show there."""

    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=0, le=65535)] = 15080
    """Where the HTTP API listens; port 0 means any free port."""
    api_rate: PositiveInt = 100
    """Requests a second that one caller may send to one server."""
    api_streams: PositiveInt = 200
    """Requests of one caller that may follow jobs or wait for them at once."""
    api_tokens: ApiTokens = {}
    """Who may call it, by name."""
    api_oidc: OidcIssuers = {}
    """Issuers of the tokens of CI systems that may call it, by name."""

    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where a worker serves its metrics; port 0 means nowhere."""
    alive_file: Path | None = None
    """What a worker touches every few seconds, for checks of this one worker."""

    webhooks: Webhooks = {}
    """Who is told of jobs that end, by name."""

    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

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

    @field_validator(
        "plain_http_hosts",
        "insecure_hosts",
        "source_roots",
        "source_urls",
        "targets",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part for item in value.split(",") if (part := item.strip()))

    @field_validator("source_roots")
    @classmethod
    def _check_roots(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not all(root.is_absolute() for root in value):
            raise ValueError("must be absolute paths")
        return value

    @field_validator("spool", "alive_file")
    @classmethod
    def _check_path(cls, value: Path | None) -> Path | None:
        if value and not value.is_absolute():
            raise ValueError("must be an absolute path")
        return value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

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
        return bool(self.redis_routes) or "redis_url" in self.model_fields_set

    @property
    def cache_folder(self) -> Path | None:
        """Where this user's pushes may keep their ledger; None for a user without a home."""
        return user_folder("XDG_CACHE_HOME", ".cache")

    @property
    def data_folder(self) -> Path | None:
        """Where ``push-queue up`` keeps this user's jobs; None for a user without a home."""
        return user_folder("XDG_DATA_HOME", ".local/share")
