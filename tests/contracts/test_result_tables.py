"""The tables of docs/performance.md say what the committed results say."""

import json
import runpy
from pathlib import Path

from tests.contracts.project import ROOT

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "result_tables.py"))
FACTS = {"machine": "M", "threads of the network": "1", "date": "D", "commit": "C", "command": "python -m x"}


def test_the_tables_on_the_page_are_those_of_the_results() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert page == SCRIPT["with_tables"](page), "run: python scripts/result_tables.py"


def test_a_table_is_replaced_and_the_rest_of_the_page_stays(tmp_path: Path) -> None:
    cell = {
        "shape": "shipped", "text": "real", "peer": "ctranslate2", "precision": "int8", "strategy": "beam",
        "batch": 8, "ratio": 1.2, "target": 1.3, "identical": 7, "sentences": 8, "reason": "encoder 90%",
    }  # fmt: skip
    report = {"facts": FACTS, "means": {"all": 1.2}, "cells": [cell]}
    (tmp_path / "bench.json").write_text(json.dumps(report))
    names = SCRIPT["TABLES"]
    page = (
        "above\n"
        + "".join(f"<!-- {name}: begin -->\nold\n<!-- {name}: end -->\n" for name in names)
        + "below\n"
    )
    written = SCRIPT["with_tables"](page, tmp_path)
    assert written.startswith("above\n<!-- precision: begin -->\n<!-- precision: end -->\n<!-- bench")
    assert written.endswith("<!-- server-start: begin -->\n<!-- server-start: end -->\nbelow\n")
    assert "old" not in written
    assert "| shipped, sentences | ctranslate2 | int8 | beam 4 | - | *1.20* | - | - |" in written
    assert "batch 8: 1.20 of 1.3; encoder 90%" in written
    assert "7 of 8 (int8, beam 4)" in written
    assert SCRIPT["with_tables"](written, tmp_path) == written


def test_starts_are_told_by_way_in_medians() -> None:
    one = {"precision": "int8", "kernels": "native", "ready_seconds": 2.0, "first_seconds": 2.5,
           "api_mb": 160.0, "engine_mb": 300.0}  # fmt: skip
    starts = [one, one | {"ready_seconds": 9.0}, one | {"api_mb": 10.0}, one | {"kernels": "eager"}]
    lines = SCRIPT["server_start"]({"facts": FACTS, "starts": starts})
    assert "| int8 | native | 2.0 s | 2.5 s | 160 MB | 300 MB | 460 MB |" in lines
    assert sum(line.startswith("| int8") for line in lines) == 2


def test_live_load_and_cost_are_told_in_a_line_each() -> None:
    window = {"rate": 28.0, "p50_ms": 60.0}
    load = {
        "facts": FACTS, "bound_ms": 1000.0, "rate_ratios": {"ctranslate2": 1.6}, "calm_p50_ratio": 0.5,
        "servers": {"verto": {"rate": 80.0}, "ctranslate2": {"rate": 50.0}},
        "calm": {"verto": [window], "ctranslate2": [window | {"p50_ms": 120.0}]},
    }  # fmt: skip
    text = "\n".join(SCRIPT["live_load"](load))
    assert "| ctranslate2 | 50.0 requests/s | 1.60 |" in text
    assert "verto 60 ms, ctranslate2 120 ms: 0.50 of the peer's." in text
    found = {"coefficients": dict.fromkeys("abcdef", 1e-6), "median_error": 0.04}
    cost = {"facts": FACTS | {"formula": "step = ..."}, "float32": found, "int8": found}
    assert "| int8 | 1.00 | 1000.00 | 1.00 | 1000.00 | 1000.00 | 1000.00 | 4 % |" in "\n".join(
        SCRIPT["cost_model"](cost)
    )


def test_scores_are_told_with_their_difference_from_float32() -> None:
    line = {
        "strategy": "beam", "precision": "int8", "sentences": 2000, "equal_sentences_share": 0.934,
        "equal_tokens_share": 0.922, "bleu": 28.06, "bleu_difference": 0.07, "chrf": None,
    }  # fmt: skip
    text = "\n".join(SCRIPT["precision"]({"facts": FACTS, "lines": [line]}))
    assert "| beam 4 | int8 | 93.4 % | 92.2 % | 28.06 (+0.07) | - |" in text
    assert "2,000 sentences." in text


def test_training_steps_are_told_by_side_with_what_verto_gains() -> None:
    sides = {"Verto": {"rate": 1824.2, "ratio": 1.0}, "Joey NMT": {"rate": 1031.0, "ratio": 1.754}}
    rounds = {name: [{"peak_bytes": 2**20}, {"peak_bytes": 3 * 2**20}] for name in sides}
    cell = {"shape": "shipped", "precision": "bfloat16", "sides": sides, "rounds": rounds}
    lines = SCRIPT["training_speed"]({"facts": FACTS, "cells": [cell]})
    assert "| shipped | bfloat16 | Verto | 1,824 |  | 3 MiB |" in lines
    assert "| shipped | bfloat16 | Joey NMT | 1,031 | 1.75 | 3 MiB |" in lines
