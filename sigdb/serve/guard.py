"""What holds for every request over HTTP: under which name the server is called, from which page, and safe headers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from sigdb.serve.limits import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sigdb.serve.log import QueryLog

__all__ = ["HEADERS", "Guard", "answer_no_path", "answer_refused"]

# The page loads nothing from another host, runs no script from text, and stands in no frame.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
# What answers hold is of one person and one moment. Files of the page are asked for again, unless they are the same.
CACHING = "no-cache"


class Guard:
    """Refuses requests under a foreign name or from a foreign page, and adds the headers to every answer.

    A page of another host that has its name point to this machine (DNS rebinding) would be of the same origin as this
    server. It gives itself away by the header Host. A page that sends a request here with a person's cookie (CSRF)
    gives itself away by Origin.
    """

    def __init__(
        self, app: ASGIApp, hosts: frozenset[str] | None, check_room: Callable[[], None], log: QueryLog
    ) -> None:
        self.app = app
        self.hosts = hosts
        self.check_room = check_room
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        has_started = False

        async def send_safely(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", CACHING)
            await send(message)

        try:
            self.check_room()
            self.check(Headers(scope=scope))
        except Refused as refused:
            await as_json(refused)(scope, receive, send_safely)
            return
        try:
            await self.app(scope, receive, send_safely)
        # A defect, or a client that takes no rows. uvicorn cuts off an unfinished answer.
        except Exception as error:  # noqa: BLE001 - of any kind
            self.log.write(outcome="failed", message=f"{scope['path']!r:.80}: {error!r:.200}")
            if not has_started:
                failed = Refused("failed", "The server failed. Its log says why.")
                await as_json(failed)(scope, receive, send_safely)

    def check(self, headers: Headers) -> None:
        """Raise Refused for a request under a foreign name, or from a page of another host."""
        host = headers.get("host", "")
        if self.hosts is not None and name_of(f"//{host}") not in self.hosts:
            raise Refused(
                "forbidden", f"This server is not called {host!r:.80}. Use {' or '.join(sorted(self.hosts))}."
            )
        origin = headers.get("origin")
        if origin is not None and place_of(origin) != host.lower():
            raise Refused("forbidden", f"The page {origin!r:.80} may not ask this server.")


def name_of(address: str) -> str | None:
    """The name of the host in an address; None if it is not one."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def place_of(origin: str) -> str | None:
    """The host and port in an origin; None if it is not one."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def as_json(refused: Refused) -> JSONResponse:
    """A refusal as a response."""
    headers = {"www-authenticate": "Bearer"} if refused.status == 401 else {"retry-after": "1"}
    body = {"error": {"kind": refused.kind, "message": str(refused)}}
    return JSONResponse(body, refused.status, headers if refused.status in (401, 429, 503) else None)


async def answer_refused(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that was refused."""
    assert isinstance(error, Refused)
    return as_json(error)


async def answer_no_path(request: Request, error: Exception) -> JSONResponse:
    """Answer a request for a path that does not exist, or by a method that it does not have."""
    assert isinstance(error, HTTPException)
    kind = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "failed")
    body = {"error": {"kind": kind, "message": f"{request.method} {request.url.path!r:.80}: {error.detail}."}}
    return JSONResponse(body, error.status_code, error.headers)
