"""Push one image tar with the library, without queue: ``push_once TAR COMPRESSION TARGET…``."""

import sys

import uvloop

from registry_api_v2_client import CompressionPolicy, RegistryClient, parse_reference


async def push(tar: str, compression: str, *targets: str) -> None:
    async with RegistryClient() as client:
        references = [parse_reference(target) for target in targets]
        await client.push(tar, references, compression=CompressionPolicy(compression))


if __name__ == "__main__":
    uvloop.run(push(*sys.argv[1:]))
