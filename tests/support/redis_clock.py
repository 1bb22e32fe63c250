"""fakeredis' own time, which stands still until it is told to move."""

import time

import pytest


class RedisClock:
    """What Redis believes the time to be; whoever asks for ``time.time()`` is told the same."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = float(int(time.time()))
        monkeypatch.setattr(time, "time", lambda: self.now)

    def advance(self, seconds: float) -> None:
        self.now += seconds
