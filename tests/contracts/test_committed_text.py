"""What is committed works on any machine: no path of one machine and no package source of one network."""

import re

import pytest

from tests.contracts.project import ROOT, text_of, tracked_files

# Each is put together from pieces so that this file does not contain what it forbids.
_FORBIDDEN = {
    "a path outside the repository": r"\.\./" + "shared",
    "a path of one machine": r"(?<![\w.$}-])/(?:"
    + "|".join(["work", "opt/wheels", "opt/pypi", "tmp/plan"])
    + r")\b",
    "a home folder": r"(?<![\w.$}-])/(?:" + "home|" + r"Users)/(?!user\b|verto\b|you\b)\w+/",
    "a package index": r"(?i)\b(?:"
    + "|".join(["pypi" + r"\.org", "python" + "hosted", "download.py" + "torch"])
    + ")",
    "an option naming a package index": r"(?i)(?:extra-)?" + r"index-url[ =]+[\"']?https?:",
    # Verto is on no package index; a project of the same name is, and would be installed instead.
    "an installation of somebody else's package": r"\b(?:pip3?|uv)\b[^&;|`]*\s(?:install|add)\b"
    + r"[^&;|`]*[\s'\"]ver"
    + r"to(?![\w/-])",
    "a folder of wheels": r"(?i)find[-_]" + "links",
}


def forbidden(text: str) -> list[str]:
    """What the text holds that belongs to one machine or network, one line each."""
    return [
        f"line {number}: {what}"
        for what, pattern in _FORBIDDEN.items()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_nothing_committed_names_a_machine_or_a_package_index() -> None:
    texts = {path.relative_to(ROOT).as_posix(): text_of(path) for path in tracked_files()}
    assert {path: found for path, text in texts.items() if text and (found := forbidden(text))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "data: ../" + "shared/data",
        "cd /" + "work/main",
        "folder = '/" + "opt/wheels'",
        "/" + "home/ada/verto/x",
        "see https://" + "pypi" + ".org/simple",
        "https://files.python" + "hosted.org/x.whl",
        "pip install --index" + "-url https://example.org/simple torch",
        "pip install --find" + "-links wheels torch",
        "export PIP_FIND" + "_LINKS=x",
        "pip install 'ver" + "to[training]'",
        "`pip install --upgrade ver" + "to`",
        "uv pip install ver" + "to==1.0",
    ],
)
def test_a_text_of_one_machine_is_caught(text: str) -> None:
    assert forbidden(f"first line\n{text}") != []


@pytest.mark.parametrize(
    "text",
    [
        "a framework/main folder",
        "/workspace",
        "pip install --index-url <PyTorch's CPU index> torch",
        "sharedmemory",
        "pip install '.[training]' for Verto's training",
        "pip install -r requirements.txt && verto serve",
    ],
)
def test_an_ordinary_text_passes(text: str) -> None:
    assert forbidden(text) == []
