"""The messages of Gradio's pages and clients: their fields, and an error sentence for each field.

Pure except for reading a request's body; independent of the page and of where files are.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from personaplex_ui.errors import PersonaplexError

NO_JSON = "Please send a JSON object, with Content-Type: application/json."
SESSION = Field(
    pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The session_hash must be 1 to 64 letters and digits."
)
DATA = Field(description='Please send the values as a list: {"data": [...]}.')
FUNCTION = Field(description="Please say which function, by a whole number as its fn_index.")
EVENT = Field(description="Please say which event, by its event_id and fn_index.")


class GradioMessage(BaseModel):
    """The fields that Gradio reads; the description of each is its error sentence. Other fields are dropped,
    because a sender could use them to replace another event."""

    model_config = ConfigDict(strict=True)


class QueueJoin(GradioMessage):
    session_hash: Annotated[str, SESSION]
    data: Annotated[list[Any], DATA]
    fn_index: Annotated[int, FUNCTION]
    trigger_id: Annotated[int | None, FUNCTION] = None


class ApiCall(GradioMessage):
    session_hash: Annotated[str | None, SESSION] = None
    data: Annotated[list[Any], DATA]


class Cancel(GradioMessage):
    session_hash: Annotated[str, SESSION]
    event_id: Annotated[str, EVENT]
    fn_index: Annotated[int, EVENT] = 0


class Reset(GradioMessage):
    session_hash: Annotated[str | None, SESSION] = None
    event_id: Annotated[str, EVENT]
    fn_index: Annotated[int, EVENT] = 0


API_CALL = "/call/"
MESSAGES: dict[str, type[GradioMessage]] = {
    "/queue/join": QueueJoin,
    "/cancel": Cancel,
    "/reset": Reset,
}


class Refused(PersonaplexError):
    """A message that Gradio must not see. ``detail``: what is answered instead of the sentence."""

    def __init__(self, sentence: str, status: int = 400, detail: object = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.detail = detail if detail is not None else sentence


async def read_json(request: Request) -> object:
    """Raises Refused: it is not JSON, or not said to be. Nothing else may come: a page of another site could
    send it without asking."""
    text = await request.body()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(NO_JSON, 415)
    try:
        return from_json(text)
    except ValueError as error:
        raise Refused(NO_JSON) from error


def parse(kind: type[GradioMessage], body: object) -> GradioMessage:
    """Raises Refused with the sentence of the first field that cannot be used."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        place = error.errors()[0]["loc"]
        field = kind.model_fields.get(str(place[0])) if place else None
        raise Refused((field and field.description) or NO_JSON) from error
