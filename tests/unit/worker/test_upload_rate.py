from worker.upload_rate import WINDOW_SECONDS, UploadRate


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def rates(*told: tuple[float, int]) -> list[int]:
    """The rates after each of these steps of seconds and bytes done."""
    clock = Clock()
    rate = UploadRate(clock)
    found = []
    for seconds, done in told:
        clock.now += seconds
        found.append(rate.at(done))
    return found


def test_it_is_that_of_the_time_that_was_seen() -> None:
    assert rates((0, 500), (1, 600), (1, 900)) == [0, 100, 200]


def test_it_forgets_what_is_older_than_the_window() -> None:
    steady = [(1, 1000 * (second + 1)) for second in range(20)]
    assert rates((0, 0), *steady)[-1] == 1000
    assert rates((0, 0), (1, 10**9), *[(1, 10**9)] * int(WINDOW_SECONDS))[-2:] != [0, 0]
    assert rates((0, 0), (1, 10**9), *[(1, 10**9)] * int(WINDOW_SECONDS + 1))[-1] == 0


def test_it_starts_anew_with_an_upload_that_starts_over() -> None:
    assert rates((0, 0), (1, 1000), (1, 100), (2, 300)) == [0, 1000, 0, 100]


def test_two_calls_at_the_same_time_are_no_rate() -> None:
    assert rates((0, 0), (0, 1000)) == [0, 0]
