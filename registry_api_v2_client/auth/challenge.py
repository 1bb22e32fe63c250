"""``WWW-Authenticate``: which authentication a registry asks for.

Grammar: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
"""

import re
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# Possessive throughout: a hostile header could make a pattern backtrack for a long time.
_PARAMETER = re.compile(rf'\s*+,?\s*+({_TOKEN})\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|({_TOKEN}))')
_SCHEME = re.compile(rf"[\s,]*+({_TOKEN})(?=\s|,|$)")
_TOKEN68 = re.compile(r"\s++[A-Za-z0-9\-._~+/]++=*+(?=\s*+(?:,|$))")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme in lower case, its parameters by lower-case name."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """All challenges of a header, in order; malformed parts are left out."""
    challenges: list[Challenge] = []
    position = 0
    while match := _SCHEME.match(header, position):
        position = match.end()
        parameters: dict[str, str] = {}
        if token68 := _TOKEN68.match(header, position):
            position = token68.end()
        while parameter := _PARAMETER.match(header, position):
            name, quoted, plain = parameter.groups()
            parameters[name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            position = parameter.end()
        challenges.append(Challenge(match[1].lower(), parameters))
    return challenges
