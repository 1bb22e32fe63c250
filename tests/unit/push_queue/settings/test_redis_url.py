import pytest
from hypothesis import given
from hypothesis import strategies as st

from push_queue.settings.redis_url import RedisAddress, parse_redis_url


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
        (
            "redis+sentinel://one:1,two,[::1]:3/mymaster/4",
            RedisAddress(
                sentinels=(("one", 1), ("two", 26379), ("::1", 3)),
                sentinel_master="mymaster",
                database=4,
            ),
        ),
        (
            "redis+sentinel://a%40b:p%2Fw@h/my%20master",
            RedisAddress(
                sentinels=(("h", 26379),),
                sentinel_master="my master",
                username="a@b",
                password="p/w",
            ),
        ),
    ],
)
def test_urls(url: str, address: RedisAddress) -> None:
    assert parse_redis_url(url) == address
    assert parse_redis_url(f"{url}\n") == address, "as a secret may have it"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must start with"),
        ("localhost:6379", "must start with"),
        ("unix://", "path of a socket"),
        ("redis://h:0x1", "port"),
        ("redis://h:70000", "port"),
        ("redis://:pass/word@h:1", "percent-encode / "),
        ("redis://h/one", "database"),
        ("redis://h?db=-1", "database"),
        ("redis+sentinel://h", "hosts and service"),
        ("redis+sentinel:///mymaster", "hosts and service"),
        ("redis+sentinel://one,,two/mymaster", "hosts and service"),
        ("redis+sentinel://h:0x1/mymaster", "port"),
        ("redis+sentinel://h/mymaster/one", "database"),
        ("redis+sentinel://h/mymaster?db=1", "no options"),
        (
            "redis://h?ssl_ca_certs=/ca.pem",
            "'ssl_ca_certs' in the URL; it may have db",
        ),
        ("redis://h?socket_timeout=1", "unknown option 'socket_timeout'"),
    ],
)
def test_unusable_urls(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_redis_url(url)


@given(st.sampled_from(["redis", "redis+sentinel"]), st.text())
def test_any_text_is_an_address_or_a_value_error(scheme: str, text: str) -> None:
    try:
        address = parse_redis_url(f"{scheme}://{text}")
    except ValueError:
        return
    assert address.database >= 0


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (RedisAddress("h", 1, username="u", password="p"), "h:1"),
        (RedisAddress("::1", 7), "[::1]:7"),
        (RedisAddress(socket_path="/run/s"), "/run/s"),
        (
            RedisAddress(sentinels=(("h", 1),), sentinel_master="m", password="p"),
            "the primary of m",
        ),
    ],
)
def test_addresses_print_without_credentials(address: RedisAddress, text: str) -> None:
    assert str(address) == text


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret@[h",
        "redis://:s3cret@h:s3cret",
        "redis://:pw@h/s3cret",
        "s3cret://h",
        "redis+sentinel://:s3cret@h",
        "redis+sentinel://:s3cret@[h/mymaster",
        "redis+sentinel://:s3[cret]@h,[h/mymaster",
        "redis+sentinel://one,[s3cret/mymaster",
        "redis+sentinel://one:s3cret/mymaster",
        "redis+sentinel://h/mymaster/s3cret",
    ],
)
def test_errors_repeat_nothing_of_the_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL") as caught:
        parse_redis_url(url)
    assert "s3cret" not in str(caught.value)
    assert "cret" not in str(caught.value)
