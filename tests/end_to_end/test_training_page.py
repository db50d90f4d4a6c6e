"""From two text files to a served model: the commands of docs/training.md, as a new user types them.

The texts are made up, in a language whose sentences are learned quickly, and the run is a shorter one;
everything else is as the page has it. About 30 seconds of one core.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contracts.project import ROOT
from tests.server_process import Server
from training.files import write_atomically

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
# Words go one by one into the other language: what is tested is the way, not how much a model can learn.
WORDS = {
    "the": "die",
    **{"old": "alte", "red": "rote", "small": "kleine", "quiet": "stille", "warm": "warme", "dark": "dunkle"},
    **{
        "street": "Straße",
        "door": "Tür",
        "cat": "Katze",
        "woman": "Frau",
        "bridge": "Brücke",
        "town": "Stadt",
    },
    **{"sees": "sieht", "finds": "findet", "needs": "braucht", "knows": "kennt"},
}
SHORTER = {
    "max_steps": 160,
    "optimizer.warmup_steps": 40,
    "optimizer.final_decay_steps": 80,
    "optimizer.peak_learning_rate": 5e-3,
    "tokenizer.vocab_size": 380,
    "model.d_model": 64,
    "model.encoder_ffn_dim": 128,
    "model.decoder_ffn_dim": 128,
    "model.num_encoder_layers": 1,
    "model.num_decoder_layers": 1,
    "validation.interval_steps": 1000,
    "validation.num_sentences": 20,
    "checkpoint.interval_steps": 20,
    "checkpoint.average": 2,
    "num_threads": 1,
}


def commands() -> list[str]:
    """Those of the page's second part, lines that go on joined."""
    part = PAGE[PAGE.index("## Your own language pair") : PAGE.index("## Going on from a bundle")]
    blocks = re.findall(r"^```bash\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def sentences(count: int) -> list[str]:
    draw = random.Random(5)
    adjectives, nouns, verbs = list(WORDS)[1:7], list(WORDS)[7:13], list(WORDS)[13:]

    def thing() -> str:
        return f"the {draw.choice(adjectives)} {draw.choice(nouns)}"

    return [f"{thing()} {draw.choice(verbs)} {thing()}" for _ in range(count)]


def translated(sentence: str) -> str:
    return " ".join(WORDS[word] for word in sentence.split())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with two texts, the page's recipe, and `verto` to be found by the shell."""
    english = sentences(4000)
    write_atomically(tmp_path / "texts.en", "".join(f"{one}\n" for one in english).encode())
    write_atomically(tmp_path / "texts.de", "".join(f"{translated(one)}\n" for one in english).encode())
    recipe = re.search(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert recipe is not None
    (tmp_path / "my.yaml").write_text(recipe[1], encoding="utf-8")
    program = tmp_path / "bin" / "verto"
    program.parent.mkdir()
    settings = " ".join(f"--set {name}={value}" for name, value in SHORTER.items())
    program.write_text(
        f'#!/bin/sh\n[ "$1" != train ] || set -- "$@" {settings}\n'
        '[ "$1" != serve ] || set -- "$@" --port 0 --log-format json\n'
        f'PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m cli.main "$@"\n'
    )
    program.chmod(0o755)
    return tmp_path


def shell(line: str, home: Path) -> subprocess.Popen[str]:
    path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", f"exec {line}" if line.startswith("verto serve") else line],
        cwd=home,
        env={**os.environ, "PATH": path},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def printed(line: str, home: Path) -> str:
    with shell(line, home) as process:
        out, err = process.communicate(timeout=500)
    assert process.returncode == 0, f"{line}\n{err}"
    return out


@contextmanager
def served(line: str, home: Path) -> Iterator[str]:
    """`localhost:PORT` of the page's server while it runs; then Ctrl-C."""
    with shell(line, home) as process:
        server = Server(process)
        try:
            url = str(server.wait_for_line("ready")["url"])
            yield url.removeprefix("http://").replace("127.0.0.1", "localhost")
            process.send_signal(signal.SIGINT)
            assert server.end() == 0, "".join(server.lines)
        finally:
            process.kill()


def test_two_texts_become_a_model_that_is_served(home: Path) -> None:
    *before, serving, asking = commands()
    outputs = {line: printed(line, home) for line in before}
    assert [re.sub(r"^.*\| ", "", line).split()[1] for line in before] == [
        "data", "train", "evaluate", "translate",
    ]  # fmt: skip
    assert outputs["verto train my.yaml --data corpus"] == "runs/my-en-de/bundle\n"
    bleu = re.search(r"BLEU\D*([0-9.]+)", next(out for line, out in outputs.items() if "evaluate" in line))
    assert bleu is not None
    assert float(bleu[1]) > 60  # of sentences that training has not seen: it has learned the language
    assert (home / "scores.html").is_file()
    with served(serving, home) as address:
        answer = json.loads(printed(asking.replace("localhost:8000", address), home))
    assert answer["model"] == "my-en-de"
    # The server says what the command said of the same sentence.
    assert f"{answer['translations'][0]['text']}\n" == next(
        out for line, out in outputs.items() if "verto translate" in line
    )
