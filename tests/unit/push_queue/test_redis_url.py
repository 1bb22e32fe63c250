import pytest
from hypothesis import given
from hypothesis import strategies as st

from push_queue.redis_url import RedisAddress, parse_redis_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", RedisAddress()),
        ("redis://host:1/2", RedisAddress(host="host", port=1, database=2)),
        ("redis://host?db=3", RedisAddress(host="host", database=3)),
        ("redis://[::1]:7", RedisAddress(host="::1", port=7)),
        ("redis://a%40b:p%2Fw@h", RedisAddress(host="h", username="a@b", password="p/w")),
        ("redis://:pw@h", RedisAddress(host="h", password="pw")),
        ("unix:///run/my%20redis.sock", RedisAddress(socket_path="/run/my redis.sock")),
        ("unix:///s?db=4", RedisAddress(socket_path="/s", database=4)),
        (
            "rediss://h?ssl_ca_certs=/ca.pem",
            RedisAddress(host="h", tls=True, tls_options=(("ssl_ca_certs", "/ca.pem"),)),
        ),
    ],
)
def test_urls(url: str, address: RedisAddress) -> None:
    assert parse_redis_url(url) == address


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must start with"),
        ("localhost:6379", "must start with"),
        ("unix://", "path of a socket"),
        ("redis://h:0x1", "port"),
        ("redis://h:70000", "port"),
        ("redis://h/one", "database"),
        ("redis://h?db=-1", "database"),
        ("redis://h?ssl_ca_certs=/ca.pem", "unknown option 'ssl_ca_certs'"),
        ("redis://h?socket_timeout=1", "unknown option 'socket_timeout'"),
    ],
)
def test_unusable_urls(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_redis_url(url)


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = parse_redis_url(f"redis://{text}")
    except ValueError:
        return
    assert address.database >= 0


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (RedisAddress("h", 1, username="u", password="p"), "h:1"),
        (RedisAddress("::1", 7), "[::1]:7"),
        (RedisAddress(socket_path="/run/s"), "/run/s"),
    ],
)
def test_addresses_print_without_credentials(address: RedisAddress, text: str) -> None:
    assert str(address) == text
