"""A download is whole and checked or absent; what has come is fetched once, and never put to a wrong use."""

import hashlib
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from tests.training.sources.file_server import FileServer
from training.errors import SourceError
from training.sources.download import ATTEMPTS, Wanted, client, download, sha256_of

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Fetching:
    """Downloads `file` of the server into a folder and remembers how long it would have waited."""

    def __init__(self, server: FileServer, folder: Path) -> None:
        self.server, self.place = server, folder / "raw" / "file"
        self.partial = folder / "raw" / "file.part"
        self.waited: list[float] = []
        self.seen: list[tuple[int, int | None]] = []
        server.files["file"] = CONTENT

    def __call__(self, sha256: str | None = SHA256, size: int | None = None, path: str = "file") -> str:
        wanted = Wanted(self.server.url(path), sha256, size)
        with client() as http:
            return download(wanted, self.place, http, self._on_bytes, self.waited.append)

    def _on_bytes(self, done: int, total: int | None) -> None:
        self.seen.append((done, total))

    def left_over(self, content: bytes, tag: str | None = '"one"') -> None:
        """As an interrupted call leaves it."""
        self.partial.parent.mkdir()
        self.partial.write_bytes(content)
        if tag is not None:
            (self.partial.parent / "file.part.tag").write_text(tag)

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.place.parent.iterdir())


@pytest.fixture
def fetch(server: FileServer, tmp_path: Path) -> Fetching:
    return Fetching(server, tmp_path)


def test_what_little_a_connection_brought_is_kept_when_it_breaks(fetch: Fetching) -> None:
    small = CONTENT[:1000]
    fetch.server.files["file"] = small
    fetch.server.faults = ["cut"] * (ATTEMPTS + 2)
    assert fetch(hashlib.sha256(small).hexdigest()) == sha256_of(fetch.place)
    asked = [request["Range"] for request in fetch.server.requests[1:4]]
    assert asked == ["bytes=500-", "bytes=750-", "bytes=875-"]


def test_a_file_comes_whole_and_nothing_else_is_left(fetch: Fetching) -> None:
    assert fetch() == SHA256
    assert fetch.place.read_bytes() == CONTENT
    assert fetch.names == ["file"]
    assert fetch.seen[-1] == (len(CONTENT), len(CONTENT))


def test_bytes_are_asked_for_as_they_are_stored(fetch: Fetching) -> None:
    fetch()
    assert fetch.server.requests[0]["Accept-Encoding"] == "identity"


def test_a_cut_connection_is_gone_on_from_within_the_call(fetch: Fetching) -> None:
    fetch.server.faults = ["cut"]
    assert fetch() == SHA256
    assert fetch.server.requests[1]["Range"] == f"bytes={len(CONTENT) // 2}-"
    assert fetch.place.read_bytes() == CONTENT


def test_what_an_earlier_call_left_is_gone_on_from(fetch: Fetching) -> None:
    fetch.left_over(CONTENT[:1000])
    assert fetch() == SHA256
    (request,) = fetch.server.requests
    assert (request["Range"], request["If-Range"]) == ("bytes=1000-", '"one"')
    assert fetch.names == ["file"]


def test_another_version_on_the_server_is_fetched_from_its_beginning(fetch: Fetching) -> None:
    fetch.left_over(b"of an older version", tag='"zero"')
    assert fetch(sha256=None) == SHA256


def test_a_part_of_unknown_version_is_not_gone_on_from_without_a_checksum(fetch: Fetching) -> None:
    fetch.left_over(b"of some version", tag=None)
    assert fetch(sha256=None) == SHA256
    assert "Range" not in fetch.server.requests[0]


def test_a_wrong_part_is_found_out_by_the_checksum_and_fetched_anew(fetch: Fetching) -> None:
    fetch.server.tag = None
    fetch.left_over(b"x" * 1000, tag=None)
    assert fetch() == SHA256
    assert ["Range" in request for request in fetch.server.requests] == [True, False]


def test_a_whole_part_needs_no_request(fetch: Fetching) -> None:
    fetch.left_over(CONTENT)
    assert fetch() == SHA256
    assert fetch.server.requests == []


def test_a_part_that_is_longer_than_the_file_is_thrown_away(fetch: Fetching) -> None:
    fetch.left_over(CONTENT + b"more")
    assert fetch() == SHA256


def test_a_server_without_ranges_sends_the_whole_again(fetch: Fetching) -> None:
    fetch.server.ranges = False
    fetch.left_over(CONTENT[:1000])
    assert fetch() == SHA256


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_server_that_sends_less_than_was_asked_for_is_asked_for_the_rest(
    fetch: Fetching, size: int | None
) -> None:
    """RFC 9110, section 15.3.7: an answer may hold a part of the range, and says of how much it is one."""
    fetch.server.most_bytes = 300_000
    fetch.left_over(CONTENT[:1000])
    assert fetch(sha256=None, size=size) == SHA256
    asked = [request["Range"] for request in fetch.server.requests]
    assert asked == ["bytes=1000-", "bytes=301000-", "bytes=601000-", "bytes=901000-"]
    assert fetch.seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_tag_that_no_request_can_hold_is_none(fetch: Fetching) -> None:
    fetch.server.tag = '"\xe9"'
    fetch.server.faults = ["cut"]
    assert fetch(sha256=None) == SHA256
    assert not any("Range" in request for request in fetch.server.requests)


def test_a_wrong_checksum_is_told_with_both_and_leaves_nothing(fetch: Fetching) -> None:
    fetch.server.files["file"] = b"something else"
    with pytest.raises(SourceError, match=f"SHA-256 must be {SHA256}, got {sha256_hex(b'something else')}"):
        fetch()
    assert fetch.names == []


def sha256_hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_another_size_is_told_before_anything_comes(fetch: Fetching) -> None:
    with pytest.raises(SourceError, match=f"must have 5 bytes, the server has {len(CONTENT):,}"):
        fetch(size=5)
    assert fetch.names == []


def test_another_size_that_no_server_told_is_found_out_at_the_end(fetch: Fetching) -> None:
    fetch.server.lengths = False
    with pytest.raises(SourceError, match=r"must have 40 bytes, 1,048,576 came: not the file"):
        fetch(sha256=None, size=40)
    assert fetch.names == []
    assert fetch(sha256=None, size=len(CONTENT)) == SHA256


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again_when_it_wishes(fetch: Fetching, status: int) -> None:
    fetch.server.faults = [status, status]
    assert fetch() == SHA256
    assert fetch.waited == [3.0, 3.0]


def test_waits_grow_while_nothing_comes(fetch: Fetching) -> None:
    fetch.server.shutdown()
    fetch.server.server_close()
    with pytest.raises(SourceError, match=f"{ATTEMPTS} times in a row.*0 bytes are here"):
        fetch()
    assert fetch.waited == [1.0, 2.0, 4.0, 8.0]


def test_giving_up_keeps_what_has_come(fetch: Fetching) -> None:
    fetch.server.faults = ["cut", *[503] * ATTEMPTS]
    with pytest.raises(SourceError, match="the server answers 503"):
        fetch()
    assert fetch.partial.read_bytes() == CONTENT[: len(CONTENT) // 2]
    assert fetch() == SHA256


@pytest.mark.parametrize("status", [401, 403, 410])
def test_a_refusal_is_told_at_once(fetch: Fetching, status: int) -> None:
    fetch.server.faults = [status]
    with pytest.raises(SourceError, match=f"/file: the server answers {status}"):
        fetch()
    assert len(fetch.server.requests) == 1


def test_a_missing_file_is_named(fetch: Fetching) -> None:
    with pytest.raises(SourceError, match="/nowhere: the server answers 404 Not Found"):
        fetch(path="nowhere")


def test_too_small_a_disk_is_told_before_anything_comes(
    fetch: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(1, 1, 70_000_000))
    fetch.server.files["file"] = b"x" * 10_000_000
    with pytest.raises(SourceError, match="needs 77,108,864 bytes of room, 70,000,000 are free; make room"):
        fetch()
    assert fetch.names == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, a disk that is always full")
def test_a_disk_that_runs_full_is_told_with_what_to_do(fetch: Fetching) -> None:
    fetch.place.parent.mkdir()
    fetch.partial.symlink_to("/dev/full")
    with pytest.raises(SourceError, match="file: no room on the disk after 0 bytes; make room"):
        fetch()


def test_a_stop_in_the_middle_keeps_what_has_come(fetch: Fetching) -> None:
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), client() as http:
        download(Wanted(fetch.server.url("file"), SHA256), fetch.place, http, stop)
    come = fetch.partial.stat().st_size
    assert 0 < come <= len(CONTENT)
    assert not fetch.place.exists()
    assert fetch() == SHA256


def test_a_redirection_is_followed(fetch: Fetching) -> None:
    fetch.server.redirections["old"] = "file"
    assert fetch(path="old") == SHA256


def test_a_redirection_in_a_circle_is_told(fetch: Fetching) -> None:
    fetch.server.redirections["round"] = "round"
    with pytest.raises(SourceError, match="/round: Exceeded maximum allowed redirects"):
        fetch(path="round")


def test_an_empty_file_is_a_file(fetch: Fetching) -> None:
    fetch.server.files["file"] = b""
    assert fetch(sha256=None) == sha256_hex(b"")
    assert fetch.place.read_bytes() == b""


def test_a_checksum_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(os.urandom(10))
    assert sha256_of(tmp_path / "x") == sha256_hex((tmp_path / "x").read_bytes())
