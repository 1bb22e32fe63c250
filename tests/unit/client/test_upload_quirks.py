"""Which registry is which, and how large a chunk is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.api.upload_quirks import Quirks, quirks_of

MIB = 1 << 20
LEAST, MOST = "OCI-Chunk-Min-Length", "OCI-Chunk-Max-Length"


@pytest.mark.parametrize(
    ("host", "resumes", "chunk"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", False, 5 * MIB),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", False, 5 * MIB),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", False, 5 * MIB),
        ("123456789012.dkr-ecr.us-east-1.on.aws", False, 5 * MIB),
        ("public.ecr.aws", False, 5 * MIB),
        ("europe-docker.pkg.dev", False, None),
        ("us-central1-docker.pkg.dev", False, None),
        ("gcr.io", False, None),
        ("eu.gcr.io", False, None),
        ("myregistry.azurecr.io", False, 4 * MIB),
        ("myregistry.azurecr.cn:443", False, 4 * MIB),
        ("ghcr.io", True, 4 * MIB),
        ("registry-1.docker.io", True, 4 * MIB),
        ("quay.io", True, 4 * MIB),
        ("localhost:5000", True, 4 * MIB),
        ("[::1]:5000", True, 4 * MIB),
        ("mygcr.io", True, 4 * MIB),
        ("azurecr.io.example.com", True, 4 * MIB),
        ("dkr.ecr.example.com", True, 4 * MIB),
    ],
)
def test_hosts(host: str, resumes: bool, chunk: int | None) -> None:
    assert quirks_of(host) == Quirks(resumes=resumes, chunk=chunk)


@pytest.mark.parametrize(
    ("headers", "wanted", "size"),
    [
        ({}, False, None),
        ({}, True, 4 * MIB),
        ({LEAST: str(MIB)}, True, 4 * MIB),
        ({LEAST: str(10 * MIB)}, True, 10 * MIB),
        ({LEAST: str(10 * MIB)}, False, None),
        ({MOST: str(MIB)}, False, MIB),
        ({MOST: str(100 * MIB)}, False, 4 * MIB),
        ({LEAST: str(8 * MIB), MOST: str(100 * MIB)}, False, 8 * MIB),
        pytest.param({LEAST: str(1 << 40)}, True, None, id="more than memory is for"),
        pytest.param({LEAST: "9" * 5000}, True, 4 * MIB, id="no number of bytes"),
        ({LEAST: "-1", MOST: "soon"}, True, 4 * MIB),
        pytest.param({LEAST: "9", MOST: "8"}, True, None, id="nothing fits"),
    ],
)
def test_chunks(headers: dict[str, str], wanted: bool, size: int | None) -> None:
    assert Quirks().chunk_size(headers, wanted=wanted) == size


def test_who_takes_no_chunks_gets_none() -> None:
    assert Quirks(chunk=None).chunk_size({MOST: str(MIB)}, wanted=True) is None


@given(st.text(max_size=30), st.text(max_size=30), st.booleans())
def test_a_chunk_fits_into_memory_whatever_is_said(least: str, most: str, wanted: bool) -> None:
    size = Quirks().chunk_size({LEAST: least, MOST: most}, wanted=wanted)
    assert size is None or 1 <= size <= 64 * MIB
