"""The HTTP door: the explorer page, and queries over HTTP."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sigdb.errors import nearest
from sigdb.serve.formats import MEDIA_TYPES, WRITERS, format_of
from sigdb.serve.gate import Answered, Gate, Refused, User
from sigdb.serve.guard import Guard, answer_no_path, answer_refused
from sigdb.serve.requests import read_object
from sigdb.serve.sessions import LASTS, Sessions
from sigdb.serve.waiting import THREADS, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from sigdb.serve.mcp import AgentDoor

__all__ = ["make_app", "page_folder"]

# The longest body of a request that anybody may send.
LONGEST_LOGIN = 1 << 10
# An answer is kept in memory up to this size, and on disk above.
IN_MEMORY = 4 << 20
CHUNK = 256 << 10
NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>sigdb</title>
<h1>sigdb answers here</h1>
<p>The explorer page is not built. In the folder of sigdb's source, <code>make explorer</code> builds it.
<p>Queries are answered all the same: <code>POST /query</code> with <code>{"sql": "SELECT ..."}</code>.
</html>
"""


@dataclass(frozen=True)
class Asked:
    """What a request to /query asks."""

    sql: str
    parameters: list[Any] | dict[str, Any] | None
    atlas: str | None
    form: str


class Asking:
    """A query that is asked for a request, in a thread of its own, and the file with its answer."""

    def __init__(self, gate: Gate, user: User, asked: Asked) -> None:
        self.gate = gate
        self.user = user
        self.asked = asked
        self.answered: Answered | None = None
        self.has_left = False
        self.stack = ExitStack()
        self.file: IO[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - `close` closes it

    def run(self) -> None:
        """Write the whole answer into the file, so that an error late in the query still has its status."""
        asked = self.asked
        with ExitStack() as stack:
            asking = self.gate.ask(self.user, asked.sql, asked.parameters, atlas=asked.atlas, door="http")
            self.answered = stack.enter_context(asking)
            if self.has_left:
                self.answered.cancel()
            WRITERS[asked.form](self.answered, self.file)
            self.stack = stack.pop_all()
        self.file.seek(0)

    def leave(self) -> None:
        """Stop the query: nobody waits for it."""
        self.has_left = True
        if self.answered is not None:
            self.answered.cancel()

    def close(self) -> None:
        """Leave the gate, and remove the file."""
        self.stack.close()
        self.file.close()


class Sending(Response):
    """The answer of a query as the body of a response. The person's place at the gate is free once it was sent."""

    def __init__(self, asking: Asking) -> None:
        super().__init__(None, media_type=MEDIA_TYPES[asking.asked.form])
        self.asking = asking
        size = asking.file.seek(0, 2)
        asking.file.seek(0)
        self.headers["content-length"] = str(size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file in chunks. A client that takes none of them for as long as a query may run is cut off."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while chunk := await in_thread(self.asking.file.read, CHUNK):
                async with asyncio.timeout(self.asking.gate.limits.seconds):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.asking.close()


class Doors:
    """What the server does for each path."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.sessions = Sessions()
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="http")

    def admit(self, request: Request) -> User:
        """The person who asks, by the header Authorization or by the cookie of `log_in`. Raises Refused."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        session = self.sessions.token_of(request.cookies.get(cookie_of(request)))
        return self.admit_token(request, token.strip() if scheme.lower() == "bearer" else session)

    def admit_token(self, request: Request, token: str | None) -> User:
        """The person who has a token. Raises Refused."""
        return self.gate.admit(token, door="http", client=request.client.host if request.client else None)

    async def check_health(self, request: Request) -> Response:
        """Say that the server is here."""
        if self.gate.is_stopping:
            raise Refused("stopping", "The server is stopping.")
        return JSONResponse({"status": "ok", "version": version("sigdb-atlas")})

    async def configure(self, request: Request) -> Response:
        """Tell the page what it can ask, and as whom."""
        user = self.admit(request)
        found = await in_thread(self.gate.atlases.all)
        atlases = [
            {"name": each.name, "bytes": each.bytes, "modified": each.modified.isoformat(timespec="seconds")}
            for each in found
        ]
        facts = {"engine": "server", "version": version("sigdb-atlas"), "atlases": atlases, "user": user.name}
        return JSONResponse(facts)

    async def log_in(self, request: Request) -> Response:
        """Exchange a token for a session, in a cookie that scripts cannot read."""
        body = await read_object(request, ("token",), LONGEST_LOGIN)
        token = body.get("token")
        user = self.admit_token(request, token if isinstance(token, str) else None)
        answer = JSONResponse({"user": user.name})
        session = self.sessions.begin(str(token))
        is_secure = request.url.scheme == "https"
        answer.set_cookie(
            cookie_of(request), session, max_age=LASTS, httponly=True, samesite="strict", secure=is_secure
        )
        return answer

    async def log_out(self, request: Request) -> Response:
        """End the session, and remove its cookie."""
        self.sessions.end(request.cookies.get(cookie_of(request)))
        answer = JSONResponse({})
        answer.delete_cookie(cookie_of(request), httponly=True, samesite="strict")
        return answer

    async def query(self, request: Request) -> Response:
        """Answer a query. If the client leaves, the query is stopped."""
        user = self.admit(request)
        asking = Asking(self.gate, user, await read_question(request))
        watching = asyncio.create_task(watch(request, asking))
        try:
            await in_thread(asking.run, stop=asking.leave, threads=self.threads)
        except BaseException:
            asking.close()
            raise
        finally:
            watching.cancel()
        return Sending(asking)


def cookie_of(request: Request) -> str:
    """The name of the cookie. Browsers send cookies to all ports of a host, so each server has a name of its own."""
    return f"sigdb_session_{request.url.port or request.url.scheme}"


async def watch(request: Request, asking: Asking) -> None:
    """Wait until the client leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    asking.leave()


async def read_question(request: Request) -> Asked:
    """What the body of a request asks. Raises Refused."""
    body = await read_object(request, ("sql", "parameters", "atlas", "format"))
    sql, parameters, atlas = body.get("sql"), body.get("parameters"), body.get("atlas")
    form = body.get("format") or format_of(request.headers.get("accept", ""))
    if not isinstance(sql, str):
        raise Refused("bad_query", 'A query is an object with a text: {"sql": "SELECT ..."}.')
    if not isinstance(parameters, list | dict | None):
        raise Refused("bad_query", "The part 'parameters' is a list for ? and $1, or an object for $name.")
    if not isinstance(atlas, str | None):
        raise Refused("bad_query", "The part 'atlas' is the name of an atlas.")
    if form not in WRITERS:
        raise Refused("bad_query", f"The part 'format' is one of {', '.join(WRITERS)}.{nearest(str(form), WRITERS)}")
    return Asked(sql, parameters, atlas, form)


def page_folder() -> Path:
    """Where the built page lies in the package."""
    return Path(str(files("sigdb") / "data" / "explorer"))


async def send_vega(request: Request) -> Response:
    """Send the library of charts, of which the package has one copy for the page and for reports."""
    return FileResponse(Path(str(files("sigdb") / "data" / "vega" / "vega.js")))


async def want_post(request: Request) -> Response:
    """Refuse GET, which would otherwise ask for a file of the page."""
    raise HTTPException(405, headers={"allow": "POST"})


async def say_not_built(request: Request) -> Response:
    """Say how the page is built."""
    return HTMLResponse(NOT_BUILT)


def make_app(
    gate: Gate,
    *,
    hosts: frozenset[str] | None = None,
    page: Path | None = None,
    mcp: bool = False,
    check_room: Callable[[], None] = lambda: None,
) -> Starlette:
    """The server as an ASGI application.

    Parameters
    ----------
    gate
        Who may ask, and how much.
    hosts
        The names under which the server may be called; None: under every name.
    page
        The folder of the built explorer page. By default, the one in the package.
    mcp
        Whether agents can ask at /mcp.
    check_room
        Raises Refused if the server has no room for a request.
    """
    doors = Doors(gate)
    agents = agent_door(gate, doors) if mcp else None
    folder = page or page_folder()
    is_built = (folder / "index.html").is_file()
    rest = Mount("/", StaticFiles(directory=folder, html=True)) if is_built else Route("/", say_not_built)
    routes = [
        Route("/healthz", doors.check_health),
        Route("/config.json", doors.configure),
        Route("/query", doors.query, methods=["POST"]),
        Route("/login", doors.log_in, methods=["POST"]),
        Route("/logout", doors.log_out, methods=["POST"]),
        *([Route("/mcp", agents)] if agents else []),
        *(Route(path, want_post) for path in ("/query", "/login", "/logout")),
        Route("/vega.js", send_vega),
        rest,
    ]
    return Starlette(
        routes=routes,
        lifespan=agents.run if agents else None,
        middleware=[Middleware(Guard, hosts=hosts, check_room=check_room, log=gate.log)],
        exception_handlers={Refused: answer_refused, HTTPException: answer_no_path, ClientDisconnect: answer_gone},
    )


def agent_door(gate: Gate, doors: Doors) -> AgentDoor:
    """The door for agents, whose library takes long to import."""
    from sigdb.serve.mcp import AgentDoor

    return AgentDoor(gate, doors.admit)


async def answer_gone(request: Request, error: Exception) -> Response:
    """End a request whose client left while it sent it."""
    return Response(status_code=499)
