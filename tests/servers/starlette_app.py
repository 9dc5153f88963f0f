"""Numbered events of two lines. Each request is given three, and its end."""

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request


async def events(last):
    for number in range(last + 1, last + 4):
        yield ServerSentEvent(
            f"event {number}\nin two lines",
            event="number",
            id=str(number),
            retry=20,
        )


async def app(scope, receive, send):
    last = int(Request(scope).headers.get("last-event-id", 0))
    await EventSourceResponse(events(last))(scope, receive, send)
