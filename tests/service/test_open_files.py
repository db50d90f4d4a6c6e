"""The limit of open files is raised as far as it may be, and never lowered."""

import pytest

from service.open_files import MOST_OPEN_FILES, allow_many_open_files

resource = pytest.importorskip("resource")


class Limits:
    """The system's limits, without touching those of the test's own process."""

    def __init__(self, soft: int, hard: int) -> None:
        self.soft, self.hard = soft, hard

    def get(self, kind: int) -> tuple[int, int]:
        assert kind == resource.RLIMIT_NOFILE
        return self.soft, self.hard

    def set(self, kind: int, limits: tuple[int, int]) -> None:
        assert kind == resource.RLIMIT_NOFILE
        self.soft, self.hard = limits


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1024, 4096, 4096),
        (1024, 1 << 20, MOST_OPEN_FILES),
        (1024, resource.RLIM_INFINITY, MOST_OPEN_FILES),
        (1 << 20, 1 << 20, 1 << 20),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may_be(
    soft: int, hard: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    assert allow_many_open_files() == expected
    assert limits.hard == hard


def test_a_system_that_refuses_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", Limits(1024, 4096).get)
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert allow_many_open_files() == 1024
