"""Builds the kernels of every level into a folder, with nothing of the project at hand but `model/native/`.

Run by the Dockerfile as `PYTHONPATH=. python3 scripts/image_kernels.py FOLDER`. What it makes is what
`verto prepare --level all --kernels-only` makes; but that needs the whole project, and then every edit of it
would compile the kernels again. Knows: levels and libraries. Must not import torch, nor any package.
"""

import sys
from pathlib import Path

from model.native.levels import LEVELS
from model.native.library import BuildSettings, NativeUnavailable, build_library


def build_all(folder: Path) -> None:
    """Raises `NativeUnavailable`."""
    for level in LEVELS:
        if level.exists_here():
            built = build_library(BuildSettings(cache_dir=folder), level)
            sys.stdout.write(
                f"kernels {level.name}: {built.record.size / 1e6:.1f} MB, {built.record.compiler}\n"
            )
    # Who builds holds a lock; nobody builds where these files go.
    for lock in folder.rglob("*.lock"):
        lock.unlink()


if __name__ == "__main__":
    try:
        build_all(Path(sys.argv[1]))
    except NativeUnavailable as error:
        sys.exit(f"image_kernels: {error}")
