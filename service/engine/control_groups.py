"""Where Linux's control groups tell what this process may take: its own group, and every one around it.

A container mostly sees its own group as the root of them all. A service of systemd, or a container that
shares the machine's view, is a group further down, and each group on the way there may set a limit: the
smallest holds. Knows where both versions keep their files; must not know what the files say.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP_ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def group_folders(root: Path, controller: str) -> list[Path]:
    """Of version 2 (`controller` empty) or of a controller of version 1, from the root down. They need not
    be there: what the mount calls its root may be a group far down."""
    top = root / controller
    own = _path_of(controller)
    if ".." in own.parts:  # outside of what this namespace shows
        return [top]
    folders = [top]
    for part in own.parts[1:]:
        folders.append(folders[-1] / part)
    return folders


def _path_of(controller: str) -> PurePosixPath:
    for controllers, path in _memberships():
        if controller in controllers.split(","):
            return PurePosixPath(path)
    return PurePosixPath("/")


def _memberships() -> Iterator[tuple[str, str]]:
    """Controllers and path, of lines like `4:memory:/system.slice`; version 2 names no controllers."""
    try:
        text = MEMBERSHIP.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        yield controllers, path
