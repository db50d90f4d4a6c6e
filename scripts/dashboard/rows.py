"""The dashboard's rows, in the order in which somebody on call reads them.

Knows the metrics (docs/metrics.md) and the recording rules; must not know Grafana's JSON.
"""

from __future__ import annotations

from scripts.dashboard.panels import (
    BYTES,
    CLIENTS,
    COUNT,
    MODEL,
    PAIR,
    REQUESTS_PER_SECOND,
    SECONDS,
    SHARE,
    Item,
    graph,
    listing,
    number,
    quantiles,
    rate,
    row,
    select,
    total,
)

ERROR_OBJECTIVE, LATENCY_OBJECTIVE_SECONDS = 0.005, 10.0

Items = list[Item]


def at_a_glance() -> Items:
    requests = select("job:verto_requests:rate5m")
    return row(
        "At a glance",
        [
            number(
                "Replicas ready",
                "Replicas that take work.",
                COUNT,
                total(select("verto_ready")),
                warning=1,
                is_low_bad=True,
            ),
            number("Requests", "Of clients, without probes.", REQUESTS_PER_SECOND, total(requests)),
            number(
                "Server errors",
                "Share of the last hour; the objective allows 0.5 %.",
                SHARE,
                f"max({select('job:verto_request_errors:ratio_rate1h')})",
                warning=ERROR_OBJECTIVE,
            ),
            number(
                "p99 latency",
                "From arrival to the end of the answer; the objective is 10 s.",
                SECONDS,
                f"max({select('job:verto_request_duration_seconds:p99_rate5m')})",
                warning=LATENCY_OBJECTIVE_SECONDS,
            ),
            number(
                "Backlog",
                "Of the replica that is most behind.",
                SECONDS,
                f"max({select('verto_backlog_seconds')})",
                warning=10,
            ),
            number(
                "Refused",
                "Share of requests in 5 minutes, too large ones left out.",
                SHARE,
                f"max({select('job:verto_rejected:ratio_rate5m')})",
                warning=0.05,
            ),
        ],
    )


def traffic() -> Items:
    requests = rate("verto_requests_total", CLIENTS, PAIR)
    ratios = [
        (f"max by (job) ({select(f'job:verto_request_errors:ratio_rate{window}')})", window)
        for window in ("5m", "1h", "6h")
    ]
    return row(
        "Traffic and errors",
        [
            graph(
                "Requests by code",
                "How requests ended; 499: the client went away.",
                REQUESTS_PER_SECOND,
                [(total(requests, "code"), "{{code}}")],
                is_stacked=True,
            ),
            graph(
                "Requests by route",
                "Which API is used.",
                REQUESTS_PER_SECOND,
                [(total(requests, "route"), "{{route}}")],
                is_stacked=True,
            ),
            graph(
                "Server errors",
                "Share of requests, over three windows; dashed: the objective.",
                SHARE,
                ratios,
                limit=ERROR_OBJECTIVE,
            ),
            graph(
                "Requests by pair",
                "none: refused before languages were known.",
                REQUESTS_PER_SECOND,
                [(total(requests, "pair"), "{{pair}}")],
                is_stacked=True,
            ),
            graph(
                "Refused by reason",
                "429 and 503, and 413 for what is too large.",
                REQUESTS_PER_SECOND,
                [(total(rate("verto_rejected_total"), "reason"), "{{reason}}")],
                is_stacked=True,
            ),
            graph(
                "Work",
                "Characters and tokens per second.",
                COUNT,
                [
                    (total(rate("verto_characters_total")), "characters"),
                    (total(rate("verto_source_tokens_total")), "source tokens"),
                    (total(rate("verto_target_tokens_total")), "target tokens"),
                ],
            ),
        ],
    )


def latency() -> Items:
    return row(
        "Latency",
        [
            graph(
                "Request",
                "From arrival to the end of the answer, streams included; dashed: the objective.",
                SECONDS,
                quantiles("verto_request_duration_seconds", CLIENTS, PAIR),
                limit=LATENCY_OBJECTIVE_SECONDS,
            ),
            graph(
                "First token",
                "From a segment's submission to its first token.",
                SECONDS,
                quantiles("verto_time_to_first_token_seconds"),
            ),
            graph(
                "Between tokens",
                "Mean of each segment.",
                SECONDS,
                quantiles("verto_inter_token_duration_seconds"),
            ),
        ],
    )


def queue() -> Items:
    return row(
        "Queue and backlog",
        [
            graph(
                "Backlog",
                "Waiting work over measured speed; the autoscaler aims at 1 s.",
                SECONDS,
                [(select("verto_backlog_seconds"), "{{pod}} {{instance}}")],
                limit=10,
            ),
            graph(
                "Source tokens that wait",
                "In queues, and on their way there.",
                COUNT,
                [
                    (total(select("verto_queue_tokens")), "waiting"),
                    (total(select("verto_reserved_tokens")), "reserved"),
                    (total(select("verto_queue_tokens_limit")), "limit"),
                ],
            ),
            graph(
                "Waiting",
                "Of a segment, until it joins the batch.",
                SECONDS,
                quantiles("verto_queue_duration_seconds"),
            ),
            graph(
                "Requests under way",
                "Being answered, streams included; the scrape is one.",
                COUNT,
                [(select("verto_running_requests"), "{{pod}} {{instance}}")],
            ),
            graph(
                "Segments by end",
                "length: cut at the limit.",
                COUNT,
                [(total(rate("verto_segments_total", PAIR), "finish_reason"), "{{finish_reason}}")],
                is_stacked=True,
            ),
            graph(
                "Given up and shared",
                "Cancelled segments, and those that joined another's computation.",
                COUNT,
                [
                    (total(rate("verto_cancelled_total"), "stage"), "cancelled, {{stage}}"),
                    (total(rate("verto_coalesced_total")), "shared"),
                ],
            ),
        ],
    )


def engine() -> Items:
    rows = [f"{total(rate(f'verto_batch_rows_{part}'), 'phase')}" for part in ("sum", "count")]
    step = "verto_step_duration_seconds"
    return row(
        "Engine",
        [
            graph(
                "Rows of a pass",
                "On average: segments when encoding, rows of the batch when decoding.",
                COUNT,
                [
                    (f"{rows[0]} / {rows[1]}", "{{phase}}"),
                    (f"max({select('verto_running_rows_limit')})", "limit"),
                ],
            ),
            graph(
                "Time of a pass, p99",
                "By phase; schedule is all that a step did beside its passes.",
                SECONDS,
                [(f"histogram_quantile(0.99, {total(rate(f'{step}_bucket'), 'le, phase')})", "{{phase}}")],
            ),
            graph(
                "Where time goes",
                "Seconds per second and replica; at 1 in all an engine never rests.",
                COUNT,
                [(f"avg by (phase) ({rate(f'{step}_sum')})", "{{phase}}")],
                is_stacked=True,
            ),
            graph(
                "Padding",
                "Positions computed for nothing, per second.",
                COUNT,
                [(total(rate("verto_padding_tokens_total"), "phase"), "{{phase}}")],
            ),
            graph(
                "Cache of keys and values",
                "Reserved, of what may be.",
                SHARE,
                [
                    (
                        f"{select('verto_cache_bytes_used')} / {select('verto_cache_bytes_limit')}",
                        "{{pod}} {{instance}}",
                    )
                ],
                limit=0.95,
            ),
            graph(
                "Speed",
                "Source tokens per second, as measured while others waited.",
                COUNT,
                [(select("verto_engine_tokens_per_second", MODEL), "{{model}} {{pod}} {{instance}}")],
            ),
        ],
    )


def processes() -> Items:
    return row(
        "Processes",
        [
            graph(
                "Memory",
                "Resident, by process.",
                BYTES,
                [
                    (select("verto_api_resident_memory_bytes"), "server {{pod}}"),
                    (select("verto_engine_resident_memory_bytes", MODEL), "{{model}} {{pod}}"),
                ],
                is_stacked=True,
            ),
            graph(
                "Memory, of what may be taken",
                "All processes of a replica over the container's limit, else the machine's memory.",
                SHARE,
                [
                    (
                        f"{select('instance:verto_resident_memory_bytes:sum')} "
                        f"/ on (namespace, job, instance, pod) {select('verto_memory_limit_bytes')}",
                        "{{pod}} {{instance}}",
                    )
                ],
                limit=0.9,
            ),
            graph(
                "Processors",
                "Seconds per second, by process.",
                COUNT,
                [
                    (rate("verto_api_cpu_seconds_total"), "server {{pod}}"),
                    (rate("verto_engine_cpu_seconds_total", MODEL), "{{model}} {{pod}}"),
                    (select("verto_compute_threads"), "limit by threads {{pod}}"),
                ],
            ),
            graph(
                "Engines that died",
                "Replaced within the last 15 minutes.",
                COUNT,
                [(f"increase({select('verto_engine_restarts_total')}[15m])", "{{pod}} {{instance}}")],
                limit=1,
            ),
            graph(
                "Silence of engines",
                "Since one with work last reported; from 30 s on it is replaced.",
                SECONDS,
                [(select("verto_engine_heartbeat_seconds", MODEL), "{{model}} {{pod}}")],
                limit=15,
            ),
            graph(
                "Open files",
                "Connections mostly, of what may be open.",
                SHARE,
                [
                    (
                        f"{select('verto_api_open_files')} / {select('verto_api_open_files_limit')}",
                        "{{pod}} {{instance}}",
                    )
                ],
                limit=0.8,
            ),
        ],
    )


def models() -> Items:
    return row(
        "Models",
        [
            graph(
                "Replicas with this model",
                "1 for each engine that takes work.",
                COUNT,
                [(total(select("verto_engine_up", MODEL), "model"), "{{model}}")],
                width=6,
            ),
            graph(
                "Time to load",
                "When it was loaded last.",
                SECONDS,
                [(select("verto_model_load_duration_seconds", MODEL), "{{model}} {{pod}}")],
                width=6,
            ),
            graph(
                "Changes",
                "Models loaded, swapped and unloaded since the server began, and how that ended.",
                COUNT,
                [
                    (
                        total(select("verto_model_changes_total", MODEL), "model, change, outcome"),
                        "{{model}} {{change}} {{outcome}}",
                    )
                ],
                width=6,
            ),
            graph(
                "Threads",
                "Of each process.",
                COUNT,
                [
                    (select("verto_api_threads"), "server {{pod}}"),
                    (select("verto_engine_threads", MODEL), "{{model}} {{pod}}"),
                ],
                width=6,
            ),
            listing(
                "What runs",
                "Each model of each replica, its version, numbers, device and path now.",
                select("verto_model_info", MODEL),
                ("model", "version", "device", "dtype", "path", "pod", "instance"),
            ),
        ],
    )


def all_rows() -> Items:
    """Everything, rows and panels in one list."""
    parts = (at_a_glance, traffic, latency, queue, engine, processes, models)
    return [panel for part in parts for panel in part()]
