"""The guard at the door: which hosts, which pages may send unsafe requests, and what a page of ours may load.

Headstart has no login on a loopback bind, so every web page that the user has open could try to talk to it.
Three checks keep them out: the Host header (against DNS rebinding), Sec-Fetch-Site and Origin (against forms and
scripts of other sites). A request without these two headers comes from no browser (curl, a script): allowed.
"""

import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import HeadstartError, Refused
from app.web.errors import error_response

HOSTS = ("127.0.0.1", "localhost", "[::1]")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Pure ASGI: streams pass through it untouched."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] = HOSTS) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # there are no web sockets here
        # Bokeh draws into shadow roots with <style> elements that it makes itself; static/js/bokeh.js gives them
        # this nonce, so that style-src needs no 'unsafe-inline'.
        nonce = scope["csp_nonce"] = secrets.token_urlsafe(16)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = content_security_policy(nonce)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        headers = Headers(scope=scope)
        try:
            check_host(headers, self.hosts)
            if scope["method"] not in SAFE_METHODS:
                check_site(headers)
        except HeadstartError as error:
            await error_response(scope, error)(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)


class UnknownHost(Refused):
    status = 400


def check_host(headers: Headers, hosts: tuple[str, ...]) -> None:
    """Raises UnknownHost unless the Host header names one of `hosts` (any port)."""
    host = headers.get("host", "").lower()
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if name not in hosts:
        raise UnknownHost(
            f"This Headstart answers on {', '.join(hosts[:3])} only, not as {host[:100]!r}. "
            "Open it under one of these names."
        )


def check_site(headers: Headers) -> None:
    """Raises Refused for an unsafe request that a browser sends on behalf of another site."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        raise Refused("Another web site tried to send this request: refused. Use Headstart's own pages.")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise Refused(
            f"This request comes from {origin[:100]!r}, not from a page of Headstart: refused. "
            "Use Headstart's own pages."
        )


def content_security_policy(nonce: str) -> str:
    """Nothing from elsewhere, no inline script, no eval; inline styles only with the nonce of this very page."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )
