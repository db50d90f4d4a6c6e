"""What an image holds of the installed packages: the build of torch that was asked for, and only what serves.

Run by the Dockerfile with whatever Python there is, before anything of the project:

    python3 image_packages.py check VARIANT VENV    VARIANT: cpu or cuda; ends with 1 when torch is the other
    python3 image_packages.py trim VENV             removes, compiles what is left, and says how much

Knows: a virtual environment's files. Must not import a package, and starts nothing but `strip`.
"""

import compileall
import py_compile
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VARIANTS = ("cpu", "cuda")

# What packages bring for building and testing, and what only torch.compile and torch.export read, which a
# server never calls. A test of the image imports all that serves, so what is wrongly in this list is found.
NOT_NEEDED = (
    *("torch/include", "torch/share", "torch/test"),
    *("sympy", "isympy.py", "mpmath", "networkx"),
    *("setuptools", "_distutils_hack", "distutils-precedence.pth", "pkg_resources", "pip", "wheel"),
)
TESTS_OF = ("joblib", "numpy", "regex", "sacremoses", "torch")
SHARED_MEMORY_MANAGER = "torch_shm_manager"  # `import torch` fails without it
# A fifth of it are symbols that nobody looks up. Not the others: numpy's libraries do not survive it.
WITH_SYMBOLS = "torch/lib/libtorch_cpu.so"


class ImageError(Exception):
    """The image cannot be built from what is installed; says why, and what to do."""


def site_packages(venv: Path) -> Path:
    """Raises `ImageError`."""
    found = sorted(venv.glob("lib/python3.*/site-packages"))
    if len(found) != 1:
        raise ImageError(f"{venv}: must be a virtual environment")
    return found[0]


def check(variant: str, venv: Path) -> str:
    """One line about torch. Raises `ImageError` when its build is not of this variant."""
    if variant not in VARIANTS:
        raise ImageError(f"VARIANT must be one of {', '.join(VARIANTS)}, got {variant!r}")
    torch = runpy.run_path(str(site_packages(venv) / "torch" / "version.py"))
    cuda, version = torch.get("cuda"), torch["__version__"]
    if variant == "cpu" and cuda is not None:
        raise ImageError(
            f"VARIANT=cpu, but torch {version} is the build for CUDA {cuda}, gigabytes with its libraries.\n"
            "Name the index of PyTorch's CPU builds: --build-arg TORCH_INDEX_URL=<PyTorch's CPU index>\n"
            "or, for a machine with an NVIDIA GPU, build with --build-arg VARIANT=cuda."
        )
    if variant == "cuda" and cuda is None:
        raise ImageError(
            f"VARIANT=cuda, but torch {version} is a build without CUDA.\n"
            "Leave out TORCH_INDEX_URL, or name an index of PyTorch's CUDA builds."
        )
    return f"torch {version}, " + (f"for CUDA {cuda}" if cuda else "for processors")


def trim(venv: Path) -> str:
    """One line about what has gone. Raises `ImageError`, `OSError`."""
    packages = site_packages(venv)
    before = size_of(packages)
    for path in not_needed(packages):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    library = packages / WITH_SYMBOLS
    if library.exists():
        subprocess.run(["strip", "--strip-unneeded", str(library)], check=True)
    kept = size_of(packages)
    # Here, since a read-only file system has no place for it; unchecked, so that no clock can make it stale.
    # Files for other versions of Python cannot be compiled and are not imported: those faults say nothing.
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(packages, quiet=2, workers=0, invalidation_mode=unchecked)
    sizes = [f"{size / 1e6:.0f} MB" for size in (before, kept, size_of(packages))]
    return "packages: {}, kept of them {}, compiled {}".format(*sizes)


def not_needed(packages: Path) -> Iterator[Path]:
    """What to remove; nothing lies within another."""
    yield from (path for name in NOT_NEEDED if (path := packages / name).exists())
    programs = packages / "torch" / "bin"
    if programs.is_dir():
        yield from (path for path in sorted(programs.iterdir()) if path.name != SHARED_MEMORY_MANAGER)
    for package in TESTS_OF:
        yield from (path for path in sorted((packages / package).rglob("tests")) if path.is_dir())


def size_of(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def main(arguments: list[str]) -> str:
    match arguments:
        case ["check", variant, venv]:
            return check(variant, Path(venv))
        case ["trim", venv]:
            return trim(Path(venv))
    raise ImageError("usage: image_packages.py check VARIANT VENV, or trim VENV")


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]) + "\n")
    except ImageError as error:
        sys.exit(f"\nERROR: {error}\n")
