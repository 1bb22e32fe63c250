"""How the queue asks for the client, which is a distribution of its own.

``registry_api_v2_client/`` lies beside in a checkout, and not in an sdist.
"""

import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CLIENT = "registry-api-v2-client"


class ClientRequirement(BuildHookInterface):  # type: ignore[type-arg]
    """Completes the requirement on the client, which pyproject.toml has without a version."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        requirements = self.metadata.core.dependencies
        requirements.remove(CLIENT)
        requirements.extend(self._client_requirements(editable=version == "editable"))

    def _client_requirements(self, *, editable: bool) -> list[str]:
        folder = Path(self.root, CLIENT.replace("-", "_"))
        if self.target_name == "sdist" or not folder.exists():
            return [f"{CLIENT}=={self.metadata.version}"]
        if not editable:
            # No index is asked: it may not have this version, or have another's by that name.
            return [f"{CLIENT} @ {folder.as_uri()}"]
        # The path of an editable install leads to the client, too: a copy would hide later changes.
        client = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        return list(client["project"]["dependencies"])
