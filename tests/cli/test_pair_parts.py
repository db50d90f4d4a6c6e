"""Parts of a long job: those of one that is finished are in nobody's way, whenever its process was killed."""

import os
from pathlib import Path
from typing import Any

import pytest

from cli.pair_parts import PairParts

JOB: dict[str, object] = {"model": "one"}
NUM_PARTS = 3


class Killed(BaseException):
    pass


def kill_at_removal(patch: pytest.MonkeyPatch, number: int) -> None:
    """The process ends in place of the removal of one more file or folder."""
    removed = list[object]()

    def counted(name: str) -> None:
        real = getattr(os, name)

        def remove(path: Any, *arguments: Any, **options: Any) -> None:
            if len(removed) >= number:
                raise Killed
            removed.append(path)
            real(path, *arguments, **options)

        patch.setattr(os, name, remove)

    counted("unlink")
    counted("rmdir")


def write_all(parts: PairParts) -> None:
    for number in range(NUM_PARTS):
        with parts.open(number) as part:
            part.write(f"line {number}")
            part.commit()


@pytest.mark.parametrize("other", [False, True], ids=["same job", "another job"])
@pytest.mark.parametrize("removals", range(1, NUM_PARTS + 2))
def test_a_kill_while_the_parts_are_removed_is_in_nobodys_way(
    tmp_path: Path, removals: int, other: bool
) -> None:
    output = tmp_path / "out.tsv"
    parts = PairParts(output, JOB)
    write_all(parts)
    with pytest.MonkeyPatch.context() as patch:
        kill_at_removal(patch, removals + 1)  # the first is of a temporary name that is gone already
        with pytest.raises(Killed):
            parts.finish(NUM_PARTS)
    assert output.read_text() == "line 0\nline 1\nline 2\n"
    next_parts = PairParts(output, {"model": "another"} if other else JOB)
    assert not any(number in next_parts for number in range(NUM_PARTS))
    write_all(next_parts)
    next_parts.finish(NUM_PARTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tsv"]
