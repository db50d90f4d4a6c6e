"""What a page tells its reader to write and to run: files, and the folders that kubectl is given.

Knows Markdown's fences: a file is a block that begins with a comment naming its path, a command is a
line of a `sh` block. Must not know what the commands do.
"""

import re
import shutil
from pathlib import Path

from tests.deploy.rendering import ROOT

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"\bkubectl \w+ (?:\S+ )*?-f[ =](\S+)")
_FOLDER = re.compile(r"\bkubectl (?:kustomize|\w+ (?:\S+ )*?-k)[ =](\S+)")


def blocks(page: str, language: str) -> list[str]:
    """The texts of the fenced blocks in a language, in order."""
    return [text for name, text in _FENCE.findall(page) if name == language]


def files(page: str) -> dict[str, str]:
    """Path to content of the files that the reader is to write."""
    found = {}
    for text in blocks(page, "yaml"):
        if named := re.match(r"# (deploy/\S+)\n", text):
            found[named[1]] = text
    return found


def commands(page: str) -> list[str]:
    """Every command of the page, continued lines joined."""
    lines = [line for text in blocks(page, "sh") for line in text.replace("\\\n", " ").splitlines()]
    return [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]


def folders(page: str) -> list[str]:
    """The folders that the page's commands give to kubectl, each once."""
    return list(dict.fromkeys(folder for line in commands(page) for folder in _FOLDER.findall(line)))


def manifests(page: str) -> list[str]:
    """The single files that the page's commands give to kubectl, each once."""
    return list(dict.fromkeys(name for line in commands(page) for name in _FILE.findall(line)))


def written(page: str, destination: Path) -> Path:
    """A copy of `deploy` with the page's files in it; the folder that `deploy` lies in."""
    shutil.copytree(ROOT / "deploy", destination / "deploy")
    for path, text in files(page).items():
        target = destination / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return destination
