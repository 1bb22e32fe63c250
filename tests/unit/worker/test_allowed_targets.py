"""Where workers may push to: patterns of registries and repositories."""

import pytest

from registry_api_v2_client import parse_reference
from worker.allowed_targets import TargetNotAllowedError, check_targets


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        ("reg.example.com/team/*", "reg.example.com/team/app:1", "reg.example.com/other/app:1"),
        ("reg.example.com/team/*", "reg.example.com/team/a/b:1", "reg.example.com/team:1"),
        ("reg.example.com/*", "REG.example.com/app:1", "reg.example.com.evil.org/app:1"),
        ("reg.example.com/*", "reg.example.com/app:1", "reg.example.com:5000/app:1"),
        ("reg.example.com:5000/app", "reg.example.com:5000/app:1", "reg.example.com/app:1"),
        ("*.example.com/*", "a.example.com/app:1", "example.com/app:1"),
        ("docker.io/team/*", "team/app:1", "ubuntu/app:1"),
        ("docker.io/team/*", "index.docker.io/team/app:1", "docker.io/library/app:1"),
        ("docker.io/team/*", "registry-1.docker.io/team/app:1", "registry-1.docker.io/app:1"),
    ],
)
def test_a_pattern(pattern: str, allowed: str, refused: str) -> None:
    check_targets([parse_reference(allowed)], [pattern])
    check_targets([parse_reference(allowed)], ["localhost:1/*", pattern])
    with pytest.raises(TargetNotAllowedError, match="PUSH_QUEUE_TARGETS") as caught:
        check_targets([parse_reference(allowed), parse_reference(refused)], [pattern])
    assert parse_reference(refused).name in str(caught.value)
    assert caught.value.kind == "target_not_allowed"


def test_without_patterns_all_are_allowed() -> None:
    check_targets([parse_reference("anywhere.example.com/app:1")], [])
