"""``WWW-Authenticate`` headers, also of the length that HTTP lets them have."""

from hypothesis import strategies as st

from registry_api_v2_client.auth.challenge import parse_challenges
from tests.fuzz.strategies import spoiled
from tests.fuzz.target import Target

SAMPLES = [
    b'Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push"',
    rb'Negotiate YWJj==, Basic realm="say \"hi\", ok" , Digest a=b, c = "d"',
]
UNITS = [" ", "\t", ",", '"', "\\", '\\"', "a", "a=", 'a="', "a ", "=", " , ", 'a="b",', "a=b "]

longs = st.builds(
    lambda start, unit, count, end: start + unit * count + end,
    st.sampled_from(["", "Basic ", "Bearer a=", 'Bearer a="']),
    st.sampled_from(UNITS) | st.text(max_size=4),
    st.sampled_from([10, 1000, 8000, 60_000]),
    st.sampled_from(["", "!", '"', "a"]),
)
inputs = (
    st.sampled_from(SAMPLES).flatmap(spoiled).map(lambda raw: raw.decode("latin-1"))
    | longs
    | st.text(max_size=100)
)


def check(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme
        assert challenge.scheme == challenge.scheme.lower()
        assert challenge.scheme.isascii()


TARGET = Target("challenge", inputs, check)
