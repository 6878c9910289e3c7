"""One exception, two faces: the JSON of the public interface below /api, a page everywhere else.

Pages are made for whoever asks for text/html; scripts that fetch parts of pages get JSON too.
"""

import logging
import re
from http import HTTPStatus
from typing import Any

from anyio import BrokenResourceError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import HeadstartError, Invalid, NoSpace, NotFound, Problem, Unavailable

log = logging.getLogger("headstart.web")
KINDS = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def wants_page(scope: Scope) -> bool:
    """Whether a person looks at the answer."""
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return not scope["path"].startswith("/api") and b"text/html" in accept


def error_response(scope: Scope, error: HeadstartError, headers: Any = None) -> Response:
    """`error` as a page or as JSON, with its status."""
    if wants_page(scope) and "app" in scope:
        request = Request(scope)
        pages = request.app.state.services.pages
        try:
            page: Response = pages.render(request, "error.html", status=error.status, error=error)
            return page
        except (
            Exception
        ):  # perhaps the database is what is broken: the sentence must come through all the same
            log.exception("the error page failed")
    return JSONResponse({"error": error.as_dict()}, status_code=error.status, headers=headers)


class CatchAll:
    """Turns an unexpected exception into one sentence and a traceback in the log.

    It stands inside the guard, so that even this answer carries the security headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noting_send)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as fault:
            if started and _is_a_reader_who_left(fault):
                return
            log.exception("unexpected error in %s %s", scope.get("method"), scope.get("path"))
            if started or scope["type"] != "http":
                raise
            error = HeadstartError(
                "Something went wrong inside Headstart; the log of `headstart serve` says more. "
                "Nothing of yours is lost: go back and try again."
            )
            await error_response(scope, error)(scope, receive, send)


def _is_a_reader_who_left(fault: BaseException) -> bool:
    """What FastAPI raises where somebody goes away while an event is on its way to them: in a group of the tasks of the stream."""
    if isinstance(fault, BaseExceptionGroup):
        return all(map(_is_a_reader_who_left, fault.exceptions))
    return isinstance(fault, BrokenResourceError)


def install_handlers(app: FastAPI) -> None:
    """Registers the handlers of the expected errors."""

    @app.exception_handler(HeadstartError)
    async def _expected(request: Request, error: HeadstartError) -> Response:
        return error_response(request.scope, error)

    @app.exception_handler(OperationalError)
    async def _database(request: Request, error: OperationalError) -> Response:
        refused = database_refused(error)
        if refused is None:
            raise error
        log.error("the database refused %s %s: %s", request.method, request.url.path, error)
        return error_response(request.scope, refused)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        return error_response(request.scope, invalid_request(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        headers = error.headers
        if (
            error.status_code == 405
        ):  # starlette tells the methods of one route; several may share the address
            headers = {"Allow": ", ".join(sorted(allowed(app, request.scope)))}
        return error_response(request.scope, from_http(request, error), headers=headers)


def allowed(app: FastAPI, scope: Scope) -> set[str]:
    """The methods that are possible at an address."""
    methods: set[str] = set()
    for route in app.routes:
        if route.matches(scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return methods


def database_refused(error: OperationalError) -> HeadstartError | None:
    """What SQLite says of its surroundings; None if the fault is ours."""
    why = str(error.orig)
    if "is full" in why:
        return NoSpace("The disk is full, so nothing can be stored. Free some space and try again.")
    if "is locked" in why or "readonly" in why or "unable to open" in why:
        return Unavailable(f"The database can't be used just now ({why}). Try again in a moment.")
    return None


def invalid_request(error: RequestValidationError) -> Invalid:
    """FastAPI's faults of path, query and headers in our words."""
    problems: list[Problem] = []
    for fault in error.errors():
        where = ".".join(
            str(part) for part in fault["loc"] if part not in ("query", "path", "header", "body")
        )
        message = "is required" if fault["type"] == "missing" else _in_words(str(fault["msg"]))
        problems.append({"where": where or "request", "message": message})
    return Invalid.from_problems("The request can't be used", problems)


def _in_words(message: str) -> str:
    """Pydantic's 'Input should be …', 'String should have …' as the second half of our sentence."""
    return re.sub("^(Input|String) should ", "must ", message)


def from_http(request: Request, error: HTTPException) -> HeadstartError:
    """Starlette's own errors: no such page, no such method, a body that can't be parsed."""
    path = request.url.path
    if error.status_code == 404:
        found: HeadstartError = NotFound(f"There is nothing at {path}. Check the address.")
    elif error.status_code == 405:
        found = HeadstartError(f"{request.method} is not possible at {path}.")
    else:
        found = HeadstartError(str(error.detail) or HTTPStatus(error.status_code).phrase)
    found.status = error.status_code
    found.kind = KINDS.get(error.status_code, "invalid" if error.status_code < 500 else "bug")
    return found
