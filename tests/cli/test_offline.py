"""A real bundle and the real engine: files get what requests get, and scores are those of training."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cli.bundle_run import Run, run_bundle
from cli.model_choice import choose
from cli.offline import window_size
from model.checkpoint import load_bundle
from model.decoding import DecodingOptions
from service.app import create_app
from service.engine import SegmentEvents, SegmentRequest
from service.engine.thread_engine import ThreadEngine
from service.loading import load_translator
from service.metrics import Metrics
from service.settings import Settings
from tests.builders import tiny_bundle, tiny_info, tiny_sentences
from tests.cli.conftest import Verto
from training.evaluation import score, translate_sentences
from training.test_set import TestSet

LINES = [
    *tiny_sentences(12, seed=3),
    "",
    "  - Ba de fi.   Go hu!\t42 \r",
    "12 + 30 = 42",
    "ba de fi go hu " * 20,
    "\ufeffKa le. Mi no? Pu.",
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("models")
    directions = (("en", "de"), ("de", "en"))
    tiny_bundle(folder / "tiny", info=tiny_info(name="tiny", directions=directions))
    return Settings(models_dir=folder, num_threads=1, device="cpu")


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    metrics = Metrics()
    translator = load_translator(settings, metrics)
    with TestClient(create_app(translator, settings, metrics=metrics)) as client:
        yield client
    translator.close()


@pytest.mark.parametrize(
    ("split", "options"),
    [("sentences", {"beam_size": 3, "num_hypotheses": 2}), ("lines", {"strategy": "greedy"})],
    ids=["beam", "greedy"],
)
def test_a_line_of_a_file_gets_what_a_text_of_a_request_gets(
    verto: Verto, client: TestClient, settings: Settings, split: str, options: dict[str, Any]
) -> None:
    body = {"text": LINES, "source": "en", "target": "de", "split": split, **options}
    answered = client.post("/v1/translate", json=body).json()["translations"]
    named = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", value)]
    ended = verto(
        *("translate", "-s", "en", "-t", "de", "--models-dir", settings.models_dir, "--threads", 1),
        *("--split", split, "--json", *named),
        stdin="".join(f"{line}\n" for line in LINES).encode(),
    )
    assert ended.code == 0, ended.err
    written = [json.loads(line) for line in ended.text.splitlines()]
    assert [_shape(one) for one in written] == [_shape(one) for one in answered]
    # A score is a sum whose last digits depend on who shares the batch; so do the ranks of equally good ones.
    assert _scores(written) == pytest.approx(_scores(answered), rel=1e-4)


def _shape(translation: dict[str, Any]) -> tuple[Any, ...]:
    """All of an answer but its scores, and of the hypotheses only their number."""
    best = (translation["text"], translation["finish_reason"], translation["score"] is None)
    return (*best, sorted(translation), len(translation.get("hypotheses", [])))


def _scores(translations: list[dict[str, Any]]) -> list[float]:
    return [one["score"] for one in translations if one["score"] is not None]


def test_lines_have_no_deadline_and_no_limit_of_how_many_wait(
    verto: Verto, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines: list[float | None] = []
    submit = ThreadEngine.submit

    def recorded(engine: ThreadEngine, request: SegmentRequest) -> SegmentEvents:
        deadlines.append(request.deadline)
        return submit(engine, request)

    monkeypatch.setattr(ThreadEngine, "submit", recorded)
    ended = verto(
        *("translate", "-s", "en", "-t", "de", "--models-dir", settings.models_dir, "--threads", 1),
        *("--strategy", "greedy", "--max-length", 2),
        stdin=b"Ba de fi.\n" * 1_000,
    )
    assert ended.code == 0, ended.err
    assert ended.out.count(b"\n") == 1_000
    assert deadlines == [None] * 1_000
    assert len(set(ended.out.splitlines())) == 1


def test_the_window_holds_more_lines_than_the_batch_has_rows() -> None:
    for max_rows in (32, 64, 4096):
        size = window_size(Settings(max_rows=max_rows))
        assert size.round_lines >= max_rows
        assert size.rounds >= 2


def test_the_attention_of_a_report_is_that_of_the_server(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [LINES[0], "ba de fi. go hu. " * 15, LINES[1]]  # the second: more tokens than are answered for
    body = {"text": texts[::2], "source": "en", "target": "de", "split": "sentences", "return": ["attention"]}
    answered = client.post("/v1/translate", json=body).json()["translations"]
    choice = choose(settings.models_dir, "tiny", "en", "de")
    test_set = TestSet(("t",), texts, texts, "t")
    run = Run([test_set], {}, "sentences", settings, with_bar=False)
    monkeypatch.setattr("service.planning.MAX_ATTENTION_TOKENS", 60)
    ran = run_bundle(choice, "tiny 1", run, lambda made: [(0, index) for index in range(len(made[0].texts))])
    assert list(ran.attention) == [(0, 0), (0, 2)]
    for maps, answer in zip(ran.attention.values(), answered, strict=True):
        assert [one.values for one in maps] == [one["values"] for one in answer["attention"]]
        assert [one.source_tokens for one in maps] == [one["source_tokens"] for one in answer["attention"]]
        assert {one.layer for one in maps} == {1}
    assert (str(ran.system), ran.system.name) == ("tiny 1", "tiny")


def test_a_report_of_two_bundles_pictures_the_same_sentences(
    verto: Verto, settings: Settings, tmp_path: Path
) -> None:
    test, page = tmp_path / "test.tsv", tmp_path / "page.html"
    test.write_text("".join(f"{one}\t{one}\n" for one in tiny_sentences(8, seed=7)))
    ended = verto(
        *("evaluate", settings.models_dir / "tiny", "--baseline", settings.models_dir / "tiny"),
        *("--test", test, "-s", "en", "-t", "de", "--strategy", "greedy", "--max-length", 9, "--threads", 1),
        *("--bootstrap-samples", 100, "--report", page, "--metrics", "chrf"),
    )
    assert ended.code == 0, ended.err
    assert page.read_text(encoding="utf-8").count("<figure ") == 6


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("weights", "model.safetensors: its SHA-256 is not"),
        ("beam", "diversity_groups must be in 1..2, got 4"),
    ],
)
def test_what_is_wrong_with_a_baseline_shows_before_the_other_bundle_has_translated(
    verto: Verto, settings: Settings, tmp_path: Path, fault: str, said: str
) -> None:
    test, other = tmp_path / "test.tsv", tmp_path / "other"
    test.write_text("".join(f"{one}\t{one}\n" for one in tiny_sentences(2, seed=7)))
    tiny_bundle(other, info=tiny_info(decoding=DecodingOptions(beam_size=2 if fault == "beam" else 4)))
    if fault == "weights":
        weights = other / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    ended = verto(
        *(
            "evaluate",
            settings.models_dir / "tiny",
            "--baseline",
            other,
            "--test",
            test,
            "-s",
            "en",
            "-t",
            "de",
        ),
        *("--max-length", 5, "--threads", 1, "--diversity-groups", 4),
        *("--translations-dir", tmp_path / "out"),
    )
    assert ended.code == 2
    assert said in ended.err
    assert not (tmp_path / "out").exists()


def test_evaluate_scores_what_training_would_score(verto: Verto, settings: Settings, tmp_path: Path) -> None:
    sources, references = list(tiny_sentences(20, seed=7)), list(tiny_sentences(20, seed=8))
    test = tmp_path / "test.tsv"
    test.write_text("".join(f"{one}\t{other}\n" for one, other in zip(sources, references, strict=True)))
    options = DecodingOptions(beam_size=2)
    bundle = load_bundle(settings.models_dir / "tiny")
    expected = translate_sentences(bundle.model, bundle.tokenizer, sources, options)
    ended = verto(
        *("evaluate", settings.models_dir / "tiny", "--test", test, "-s", "en", "-t", "de"),
        *("--beam-size", 2, "--threads", 1, "--json", "--save-translations", tmp_path / "out.txt"),
    )
    assert ended.code == 0, ended.err
    saved = (tmp_path / "out.txt").read_bytes().decode().split("\n")[:-1]
    assert saved == [text.replace("\n", " ") for text in expected]
    report, scores = json.loads(ended.text), score(saved, references)
    assert (report["bleu"], report["chrf"]) == (scores.bleu, scores.chrf)
    assert (report["bleu_signature"], report["chrf_signature"]) == (
        scores.bleu_signature,
        scores.chrf_signature,
    )
    assert report["decoding"] == options.to_dict()
