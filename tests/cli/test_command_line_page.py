"""Every command of docs/command-line.md runs as it stands there, and the page names every decoding option."""

import gzip
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from service.schemas import OPTION_FIELDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
PAIRS = "one\teins\ntwo\tzwei\n"


def commands() -> list[str]:
    """The lines of every shell block."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def prepare(folder: Path) -> dict[str, str]:
    """The files that the page speaks of, and an environment in which `verto` is found."""
    for name in ("chapters", "german", "bin"):
        (folder / name).mkdir()
    files = {"in.txt": "one\n\ntwo\n", "chapters/one.txt": "one\n", "chapters/two.txt": "two\n"}
    (folder / "runs/new/bundle").mkdir(parents=True)
    files |= {"test.tsv": PAIRS, "test.en": "one\ntwo\n", "test.de": "eins\nzwei\n"}
    files |= {"second.de": "ein\nzwo\n", "new.de": "eins\nzwo\n", "old.de": "ein\nzwei\n"}
    for name, content in files.items():
        (folder / name).write_text(content)
    (folder / "in.txt.gz").write_bytes(gzip.compress(b"one\n\ntwo\n"))
    for name in ("test.tsv.gz", "talks.tsv.gz"):
        (folder / name).write_bytes(gzip.compress(PAIRS.encode()))
    program = folder / "bin" / "verto"
    python, root = shlex.quote(sys.executable), shlex.quote(str(ROOT))
    program.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {python} -m tests.cli.without_torch "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    environment = prepare(tmp_path)
    assert len(commands()) == 16
    script = "\n".join(f"{command} || exit $((64 + {index}))" for index, command in enumerate(commands()))
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{commands()[done.returncode - 64]}\n{done.stderr}"
    assert (tmp_path / "out.txt").read_text() == "ONE\nTWO\n"  # of --save-translations, the last to write it
    assert gzip.decompress((tmp_path / "out.txt.gz").read_bytes()) == b"ONE\n\nTWO\n"
    assert (tmp_path / "german" / "two.txt").read_text() == "TWO\n"
    assert (tmp_path / "german" / "test.baseline.txt").read_text() == "ONE\nTWO\n"
    for page in ("scores.html", "new-or-old.html"):
        assert (tmp_path / page).read_text(encoding="utf-8").endswith("</html>\n")
    assert '{"text":"GOOD MORNING!","score":-0.5,"finish_reason":"stop"}' in done.stdout


def test_the_page_names_every_option_of_decoding() -> None:
    missing = [name for name in OPTION_FIELDS if f"`--{name.replace('_', '-')}`" not in PAGE]
    assert missing == []
