"""Reads the settings, and names the variable behind an error."""

from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from push_queue.errors import InvalidSettingsError, summarize
from push_queue.settings.model import Settings
from push_queue.settings.sources import ENV_FILE, ENV_PREFIX, REDIS_URL_VARIABLES

REDIS_URL_NAMES = " or ".join(REDIS_URL_VARIABLES)


def load_settings(*, redis_url: str | None = None, namespace: str | None = None) -> Settings:
    """Read the settings. Arguments that are given win over every source.

    Raises:
        InvalidSettingsError: naming the variable, without its value, or the file.
    """
    arguments = {"redis_url": redis_url, "namespace": namespace}
    given: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise InvalidSettingsError(summarize(error, _variable)) from None
    except SettingsError as error:
        raise InvalidSettingsError(_name_undecodable(error)) from None
    except UnicodeDecodeError:
        raise InvalidSettingsError(f"{ENV_FILE} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise InvalidSettingsError(f"{error.filename} cannot be read: {error.strerror}") from None
    # Not as an argument: what the sources have of a dict is merged.
    return settings.model_copy(update={"redis_routes": {}}) if redis_url else settings


def _variable(location: str) -> str:
    """The variable behind a field, then the place inside its value, if any."""
    name, *inside = location.split(".", 1)
    # A field with aliases is located by the first of them.
    variable = REDIS_URL_NAMES if name in REDIS_URL_VARIABLES else f"{ENV_PREFIX}{name.upper()}"
    return ": ".join([variable, *inside])


def _name_undecodable(error: SettingsError) -> str:
    # The message is 'error parsing value for field "registry_auth" from source "…"'; the value
    # itself, maybe secret, is only in its cause.
    what = "UTF-8" if isinstance(error.__cause__, UnicodeDecodeError) else "JSON"
    quoted = str(error).split('"')
    field = quoted[1] if len(quoted) > 1 else ""
    return f"{_variable(field)}: must be {what}"
