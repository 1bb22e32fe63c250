"""Push one image tar with the library, without queue: ``push_once TAR TARGET COMPRESSION``."""

import sys

import uvloop

from registry_api_v2_client import CompressionPolicy, RegistryClient, parse_reference


async def push(tar: str, target: str, compression: str) -> None:
    async with RegistryClient() as client:
        policy = CompressionPolicy(compression)
        await client.push(tar, [parse_reference(target)], compression=policy)


if __name__ == "__main__":
    uvloop.run(push(*sys.argv[1:]))
