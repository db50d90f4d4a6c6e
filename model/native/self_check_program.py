"""Run as a program with a library's path: opens it and has it check itself. Ends with 0, or says why not.

Knows: the functions that every library exports. It is a process of its own, since an instruction that the
processor does not have ends the process that meets it. Imports nothing that is slow.
"""

import ctypes
import sys


def check(path: str, abi_version: int) -> str:
    """What is wrong with the library; nothing: an empty text."""
    try:
        library = ctypes.CDLL(path)
        found, result = library.verto_abi_version(), library.verto_self_check()
    except (OSError, AttributeError) as error:
        return _said(str(error).removeprefix(f"{path}: "))
    if found != abi_version:
        return f"its ABI version is {found}, not {abi_version}"
    return f"its self-check failed (result {result})" if result else ""


def _said(fault: str) -> str:
    """The loader's words; they do not tell why nothing may be run that lies there."""
    if "failed to map segment" in fault:
        return f"{fault}; if its folder is mounted noexec, set VERTO_CACHE_DIR to another one"
    return fault


if __name__ == "__main__":
    sys.exit(check(sys.argv[1], int(sys.argv[2])) or 0)
