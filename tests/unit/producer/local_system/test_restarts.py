from producer.local_system.restarts import Restarts


def test_the_wait_doubles_until_it_is_given_up() -> None:
    restarts = Restarts(first_seconds=0.5, most=4)
    assert [restarts.after(1) for _ in range(4)] == [0.5, 1, 2, None]


def test_who_ran_for_long_is_well_again() -> None:
    restarts = Restarts(first_seconds=0.5, steady_seconds=10, most=3)
    assert [restarts.after(ran) for ran in (0, 0, 10, 0, 0)] == [0.5, 1, 0.5, 1, None]
