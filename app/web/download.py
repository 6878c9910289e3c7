"""A file to take home: Range, ETag and resume as FileResponse has them, its refusals in our own shape."""

import re
from pathlib import Path

from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from app.core.errors import Invalid
from app.web.errors import error_response


class RangeRefused(Invalid):
    """The asked-for part is not in the file (416) or is no range at all (400)."""


class Download(FileResponse):
    """`name` is what the browser is to call the file; folders in it are dropped."""

    def __init__(self, path: Path, media_type: str, name: str) -> None:
        super().__init__(path, media_type=media_type, filename=plain_name(name))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: list[Message] = []

        async def unless_refused(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused.append(message)
            if not refused:
                await send(message)

        await super().__call__(scope, receive, unless_refused)
        if refused:
            status = refused[0]["status"]
            headers = {name.decode(): value.decode() for name, value in refused[0]["headers"]}
            kept = {name: value for name, value in headers.items() if name.lower() == "content-range"}
            error = RangeRefused(
                "The file has no such part: ask for a range of bytes inside it, or for all of it."
            )
            error.status = status
            await error_response(scope, error, kept)(scope, receive, send)


def plain_name(name: str) -> str:
    """The last part of a path, whatever system wrote it; never empty or a folder's own name."""
    last = re.split(r"[/\\]", name)[-1].strip()
    return last if last.strip(".") else "download"
