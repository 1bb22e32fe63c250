"""Push one image tar with PyPI's registry-api-v2-client: ``pypi_push TAR REGISTRY_URL REPOSITORY``.

Runs in an environment of that client's own, which has nothing of ours.
"""

import asyncio
import sys

from registry_api_v2_client import push_docker_tar

if __name__ == "__main__":
    tar, registry_url, repository = sys.argv[1:]
    asyncio.run(push_docker_tar(tar, registry_url, repository, "latest"))
