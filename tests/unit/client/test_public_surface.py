"""What the package offers at its root: everything that is documented, and nothing by accident."""

import inspect
from pathlib import Path

import pytest

import registry_api_v2_client as package
from registry_api_v2_client import exceptions

FUNCTIONS = {
    "check_registry_connectivity",
    "delete_image",
    "delete_image_by_digest",
    "get_image_info",
    "get_manifest",
    "list_repositories",
    "list_tags",
    "push_docker_tar",
    "push_docker_tar_with_all_original_tags",
    "push_docker_tar_with_original_tags",
    "verify_image",
}
PLAIN_FUNCTIONS = {
    "extract_original_tags",
    "get_primary_tag",
    "get_tar_manifest",
    "inspect_docker_tar",
    "parse_repository_tag",
    "validate_docker_tar",
}
MODELS = {
    "BlobInfo",
    "ImageConfig",
    "ImageInspect",
    "LayerInfo",
    "ManifestInfo",
    "RegistryConfig",
}


def test_everything_of_the_guide_and_every_error_is_public() -> None:
    promised = FUNCTIONS | PLAIN_FUNCTIONS | MODELS | set(exceptions.__all__)
    assert promised <= set(package.__all__)


def test_all_is_true_and_sorted_out() -> None:
    assert len(package.__all__) == len(set(package.__all__))
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


def test_nothing_else_is_at_the_root() -> None:
    visible = {
        name
        for name in dir(package)
        if not name.startswith("_") and not inspect.ismodule(getattr(package, name))
    }
    assert visible - {"lazy_exports"} == {
        name for name in package.__all__ if not name.startswith("_")
    }


@pytest.mark.parametrize("name", sorted(FUNCTIONS | PLAIN_FUNCTIONS))
def test_functions_are_of_the_promised_kind_and_documented(name: str) -> None:
    function = getattr(package, name)
    assert inspect.iscoroutinefunction(function) is (name in FUNCTIONS)
    assert function.__doc__
    hints = inspect.get_annotations(function)
    assert set(hints) == {*inspect.signature(function).parameters, "return"}


def test_it_names_no_settings_of_the_queue() -> None:
    """Who uses the library alone does not have them."""
    sources = Path(inspect.getfile(package)).parent.rglob("*.py")
    assert [path for path in sources if "PUSH_QUEUE_" in path.read_text()] == []
