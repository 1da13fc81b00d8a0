"""Descriptions of the WebRTC routes for ``/openapi.json``."""

from personaplex_ui.web.api_responses import NUMBER, TEXT, WHOLE, Responses, Schema, errors, record, told

NO_CALL = "You have no such call, or it ended a while ago. Facts are only for the browser that made the call."
BOOLEAN: Schema = {"type": "boolean"}
_SETTINGS = record(
    {},
    {
        "voice": TEXT,
        "text_prompt": TEXT,
        "text_temperature": NUMBER,
        "audio_temperature": NUMBER,
        "text_top_k": WHOLE,
        "audio_top_k": WHOLE,
        "seed": WHOLE,
        "greedy": BOOLEAN,
        "record": BOOLEAN,
    },
)
_OFFER = record(
    {"webrtc_id": TEXT, "type": {"type": "string", "enum": ["offer", "ice-candidate"]}},
    {"sdp": TEXT, "candidate": {"type": "object"}, "settings": _SETTINGS},
)
OFFER_BODY: Schema = {"requestBody": {"required": True, "content": {"application/json": {"schema": _OFFER}}}}
ANSWERED: Responses = {
    200: told(
        "The answer to an offer; an empty object after a candidate.", record({}, {"sdp": TEXT, "type": TEXT})
    ),
    **errors(
        e404="There is no such connection of yours.",
        e409="The webrtc_id is in use.",
        e415="The body is not said to be JSON.",
        e422="The offer or a setting cannot be used; `field` names the setting.",
        e503="No calls can be taken now.",
    ),
}
CONFIG: Responses = {
    200: told(
        "A browser's RTCConfiguration. `instance_path`: where this process is reached among several.",
        record({"iceServers": {"type": "array", "items": {"type": "object"}}}, {"instance_path": TEXT}),
    ),
    **errors(e503="Calls need a relay, and none is available now."),
}
_LINE = record(
    {
        "n": WHOLE,
        "who": TEXT,
        "start_sec": NUMBER,
        "end_sec": NUMBER,
        "text": TEXT,
        "cut": BOOLEAN,
        "interrupts": BOOLEAN,
        "levels": {"type": "array", "items": WHOLE},
        "open": BOOLEAN,
    }
)


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


FACTS: Responses = {
    200: told(
        "What a page is told of its call.",
        record(
            {
                "type": TEXT,
                "seq": WHOLE,
                "call_id": TEXT,
                "phase": TEXT,
                "place": WHOLE,
                "waiting": WHOLE,
                "wait_sec": _or_null(NUMBER),
                "progress": NUMBER,
                "elapsed_sec": NUMBER,
                "max_sec": NUMBER,
                "answer_sec": _or_null(NUMBER),
                "reason": TEXT,
                "end": _or_null(TEXT),
                "notes": {"type": "array", "items": TEXT},
                "lines": {"type": "array", "items": _LINE},
            }
        ),
    ),
    **errors(e404=NO_CALL),
}
