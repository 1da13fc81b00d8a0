"""The duplex report in ``/openapi.json``; what its figures mean: docs/EVALUATION.md."""

from personaplex_ui.web.api_responses import NUMBER, TEXT, WHOLE, Schema, record

NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
NUMBERS: Schema = {"type": "array", "items": NUMBER}
AT: Schema = {"type": "array", "items": {**NUMBERS, "minItems": 2, "maxItems": 2}}
TIMES: Schema = record({"count": WHOLE, "total_sec": NUMBER, "at": AT})
LENGTHS: Schema = record(
    {
        "count": WHOLE,
        "median_sec": NUMBER_OR_NULL,
        "p90_sec": NUMBER_OR_NULL,
        "all_sec": NUMBERS,
        "at": AT,
    }
)
ECHO: Schema = {
    "anyOf": [record({"level_db": NUMBER, "lag_ms": WHOLE, "prominence": NUMBER}), {"type": "null"}]
}
REPORT: Schema = record(
    {
        "format": TEXT,
        "duration_sec": NUMBER,
        "response_gaps": LENGTHS,
        "stop_latency": LENGTHS,
        "ignored_interruptions": TIMES,
        "overlaps": TIMES,
        "dead_air": record({"count": WHOLE, "total_sec": NUMBER, "longest_sec": NUMBER, "at": AT}),
        "pause_take_overs": TIMES,
        "talk_overs": TIMES,
        "backchannels": TIMES,
        "talk_share": record(
            {
                "caller": NUMBER_OR_NULL,
                "assistant": NUMBER_OR_NULL,
                "caller_sec": NUMBER,
                "assistant_sec": NUMBER,
            }
        ),
        "self_echo": record({"assistant_in_caller": ECHO, "caller_in_assistant": ECHO}),
        "turns": record({"caller": AT, "assistant": AT}),
    }
)
