"""A server of streams: three events each, numbered on; the third one goes on in
silence. A POST is told the length of its body."""

import asyncio


async def body_of(receive):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def app(scope, receive, send):
    if scope["type"] != "http":
        return

    async def say(text, more_body=True):
        body = {"type": "http.response.body", "more_body": more_body}
        await send(body | {"body": text.encode()})

    headers = [(b"content-type", b"text/event-stream")]
    await send(
        {"type": "http.response.start", "status": 200, "headers": headers}
    )
    if scope["method"] == "POST":
        await say(f"data: {len(await body_of(receive))}\n\n", False)
        return
    last = int(dict(scope["headers"]).get(b"last-event-id", 0))
    for number in range(last + 1, last + 4):
        await say(f"id: {number}\ndata: {number}\n\n")
    if last >= 6:
        while (await receive())["type"] != "http.disconnect":
            await asyncio.sleep(0)
    await say("", False)
