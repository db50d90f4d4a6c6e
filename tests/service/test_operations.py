"""Health, metrics, models, languages, documentation and the page."""

import re

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.lifecycle import Lifecycle
from tests.fakes import FakeEngine, fake_translator, served_model
from tests.service.http_client import app_client, metric


@pytest.fixture(scope="module")
def client() -> TestClient:
    return app_client()


def health(client: TestClient) -> list[int]:
    return [client.get(f"/health/{probe}").status_code for probe in ("startup", "live", "ready")]


def test_health_follows_the_servers_life() -> None:
    lifecycle = Lifecycle()
    client = app_client(lifecycle=lifecycle)
    assert health(client) == [503, 200, 503]
    lifecycle.ready(fake_translator())
    assert health(client) == [200, 200, 200]
    lifecycle.begin_draining()
    assert health(client) == [200, 200, 503]
    assert (metric(client, "verto_ready"), metric(client, "verto_draining")) == (0, 1)


def test_a_failed_load_is_never_ready() -> None:
    lifecycle = Lifecycle()
    lifecycle.fail()
    assert health(app_client(lifecycle=lifecycle)) == [503, 200, 503]


def test_an_engine_that_cannot_be_started_again_makes_the_server_unready_until_it_can() -> None:
    engine = FakeEngine()
    client = app_client(served_model(engine))
    engine.is_available = False
    assert health(client) == [200, 200, 503]
    answer = client.get("/health/ready")
    assert answer.json()["code"] == "engine_down"
    assert int(answer.headers["retry-after"]) >= 1
    assert metric(client, "verto_ready") == 0
    engine.is_available = True
    assert health(client) == [200, 200, 200]
    assert metric(client, "verto_ready") == 1


def test_while_draining_new_work_is_refused_and_what_is_loaded_can_be_asked_about() -> None:
    lifecycle = Lifecycle(fake_translator())
    lifecycle.begin_draining()
    client = app_client(lifecycle=lifecycle)
    response = client.post("/v1/translate", json={"text": "a"})
    assert (response.status_code, response.json()["code"]) == (503, "draining")
    assert response.headers["retry-after"] == "5"
    assert client.get("/v1/models").status_code == 200


def test_models_are_listed_as_openai_does_with_our_fields_added(client: TestClient) -> None:
    assert client.get("/v1/models").json() == {
        "object": "list",
        "data": [
            {
                "id": "en-de",
                "object": "model",
                "created": 1_700_000_000,
                "owned_by": "verto",
                "directions": [["en", "de"]],
                "version": "1.0",
                "dtype": "float32",
                "device": "cpu",
                "path": "eager",
            }
        ],
    }


def test_languages_come_with_their_names_and_what_they_can_become() -> None:
    pairs = [("en", "de"), ("de", "en"), ("en", "fr")]
    client = app_client(served_model(FakeEngine(), "many", pairs))
    assert client.get("/v1/languages").json()["languages"] == [
        {"code": "de", "name": "German", "own_name": "Deutsch", "targets": ["en"]},
        {"code": "en", "name": "English", "own_name": "English", "targets": ["de", "fr"]},
        {"code": "fr", "name": "French", "own_name": "français", "targets": []},
    ]


@pytest.mark.parametrize(("text", "count"), [("de: Guten Tag", 1), (["de: Guten Tag", "42"], 2)])
def test_detection_says_languages_with_their_confidence(client: TestClient, text: object, count: int) -> None:
    detections = client.post("/v1/detect", json={"text": text}).json()["detections"]
    assert len(detections) == count
    assert detections[0] == {
        "language": "de",
        "confidence": 0.95,
        "alternatives": [{"language": "en", "confidence": 0.05}],
    }
    if count == 2:
        assert detections[1] == {"language": None, "confidence": 0.0, "alternatives": []}


def test_detection_has_the_limits_of_translation(client: TestClient) -> None:
    assert client.post("/v1/detect", json={"text": "x" * 20_001}).status_code == 413


def test_known_work_gives_known_metrics() -> None:
    client = app_client()
    client.post("/v1/translate", json={"text": ["One. Two.", "42"], "source": "en"})
    client.post("/v1/translate", json={"text": "a", "beam_size": 0})
    client.get("/v1/made-up-by-the-client")
    expected = {
        'verto_requests_total{code="200",pair="en-de",route="/v1/translate"}': 1,
        'verto_requests_total{code="422",pair="none",route="/v1/translate"}': 1,
        'verto_requests_total{code="404",pair="none",route="unmatched"}': 1,
        'verto_request_duration_seconds_count{pair="en-de",route="/v1/translate"}': 1,
        'verto_segments_total{finish_reason="stop",pair="en-de"}': 2,
        "verto_source_tokens_total": 8,
        "verto_target_tokens_total": 8,
        "verto_characters_total": 11,
        "verto_queue_duration_seconds_count": 2,
        "verto_time_to_first_token_seconds_sum": 0.004,
        "verto_inter_token_duration_seconds_count": 2,
        "verto_queue_segments": 1,
        "verto_queue_tokens": 2,
        "verto_running_segments": 0,
        "verto_running_rows": 4,
        "verto_cache_bytes_used": 5,
        "verto_cache_bytes_limit": 6,
        "verto_backlog_seconds": 0.0002,
        "verto_ready": 1,
        "verto_draining": 0,
        'verto_model_info{device="cpu",dtype="float32",model="en-de",path="eager",version="1.0"}': 1,
        'verto_model_load_duration_seconds{model="en-de"}': 0.5,
    }
    assert {name: metric(client, name) for name in expected} == pytest.approx(expected)


ALLOWED_LABELS = {"model", "pair", "route", "code", "reason", "phase", "finish_reason", "priority", "stage"}
ALLOWED_LABELS |= {"version", "dtype", "device", "path", "change", "outcome", "le"}


def test_metrics_have_our_prefix_base_units_and_no_label_that_a_client_could_fill() -> None:
    client = app_client()
    for number in range(3):
        client.post("/v1/translate", json={"text": "x", "source": f"l{number}", "model": f"m{number}"})
        client.get(f"/secret/{number}")
    families = list(text_string_to_metric_families(client.get("/metrics").text))
    assert families
    for family in families:
        assert family.name.startswith("verto_")
        assert not re.search(r"_(ms|milliseconds|minutes|kb)$", family.name)
        for sample in family.samples:
            assert set(sample.labels) <= ALLOWED_LABELS
            assert not re.search(r"secret|^[lm]\d$", " ".join(sample.labels.values()))


def test_metrics_come_in_the_format_that_is_asked_for(client: TestClient) -> None:
    plain = client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    open_metrics = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")


def test_the_documentation_names_no_other_server_and_its_files_are_here(client: TestClient) -> None:
    page = client.get("/docs").text
    addresses = re.findall(r"(?:src|href)=\"([^\"]+)\"", page) + re.findall(r"url: '([^']+)'", page)
    assert "/openapi.json" in addresses
    assert len(addresses) == 4
    for address in addresses:
        assert address.startswith("/")
        assert client.get(address).status_code == 200
    assert "//" not in page.replace("<!--", "").replace("// ", "")


def test_the_api_describes_bodies_answers_streams_and_problems(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/translate"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    described = document["components"]["schemas"][schema]
    assert described["additionalProperties"] is False
    assert described["properties"]["beam_size"]["anyOf"][0] == {
        "maximum": 32,
        "minimum": 1,
        "type": "integer",
    }
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    for status in ("400", "413", "415", "422", "429", "500", "503", "504"):
        assert "application/problem+json" in operation["responses"][status]["content"]


def test_every_reference_of_the_description_leads_somewhere(client: TestClient) -> None:
    response = client.get("/openapi.json")
    schemas = response.json()["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', response.text))
    assert references
    assert references <= set(schemas)


def test_the_page_is_served_at_the_root(client: TestClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "<html" in response.text
