"""A long job in parts that are finished one by one, so that an interrupted one goes on where it was.

    OUTPUT.parts/job.json       what the job is, as soon as there is a part; parts of another job are refused
    OUTPUT.parts/00000.tsv      the pairs of the first lines, once all of these are done
    OUTPUT                      all of them, when the last part is there; the folder is then gone
    OUTPUT.parts.done/          what a process that was killed had not removed yet of that; the next one does

Knows files. Must not know what is in a part.
"""

import errno
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from cli.output_files import WholeFile

_JOB = "job.json"
_STEMS = ".tsv"


class PairParts:
    """The parts of one output; `job` is told apart from another one by equality."""

    def __init__(self, output: Path, job: dict[str, object]) -> None:
        """Raises OSError naming the folder, when it holds parts of another job."""
        with WholeFile(output):  # a place that cannot be written to is told before hours of work
            pass
        self._output, self._folder = output, output.with_name(f"{output.name}.parts")
        self._done = output.with_name(f"{output.name}.parts.done")
        self._clear()
        self._job = json.dumps(job, indent=1, sort_keys=True)
        if self._has_parts() and not self._is_this_job():
            fault = "holds parts of another job; finish that with its own command, or remove the folder"
            raise OSError(errno.EEXIST, fault, str(self._folder))

    def __contains__(self, number: int) -> bool:
        return self._path(number).exists()

    def open(self, number: int) -> WholeFile:
        """Where a part is written; it is there once it is committed."""
        self._claim()
        return WholeFile(self._path(number))

    def read(self, number: int) -> Iterator[str]:
        """The lines of a part."""
        with self._path(number).open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                yield line.removesuffix("\n")

    def finish(self, count: int) -> None:
        """Put the first `count` parts, which is all of them, together."""
        with WholeFile(self._output) as whole:
            for number in range(count):
                for line in self.read(number):
                    whole.write(line)
            whole.commit()
        if self._folder.exists():
            self._folder.rename(self._done)  # in one step: some of its files would be parts of another job
        self._clear()

    def _clear(self) -> None:
        if self._done.exists():
            shutil.rmtree(self._done)

    def _has_parts(self) -> bool:
        """Without one there is no work to lose: a job that failed before its first part binds nobody."""
        return any(self._folder.glob(f"[0-9]*{_STEMS}"))

    def _is_this_job(self) -> bool:
        path = self._folder / _JOB
        return path.exists() and path.read_text(encoding="utf-8") == self._job + "\n"

    def _claim(self) -> None:
        """From now on the folder belongs to this job."""
        self._folder.mkdir(exist_ok=True)
        if not self._is_this_job():
            with WholeFile(self._folder / _JOB) as file:
                file.write(self._job)
                file.commit()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05}{_STEMS}"
