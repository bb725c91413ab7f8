"""A headless Chromium that a test drives through its pipe (the Chrome DevTools Protocol)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
# What a page says when something is wrong: an exception, or an entry of the log, such as a broken policy.
PROBLEMS = {"Runtime.exceptionThrown", "Log.entryAdded"}


def find_chromium() -> str:
    """The path of Chromium. Skips the test if there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium")
    return found


class Browser:
    """One page of a browser, what went wrong in it, and the addresses that it asked for."""

    def __init__(self, write: int, read: int) -> None:
        self.write, self.read, self.buffer, self.number = write, read, b"", 0
        self.session: str | None = None
        self.problems: list[dict[str, Any]] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol. Events that come before its answer are kept."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.number:
            self.keep(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def receive(self) -> dict[str, Any]:
        """The next message."""
        while b"\0" not in self.buffer:
            part = os.read(self.read, 1 << 20)
            assert part, "the browser ended"
            self.buffer += part
        first, self.buffer = self.buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(first)
        return message

    def keep(self, event: dict[str, Any]) -> None:
        """Keep an event that says that something is wrong, or that the page asks for an address."""
        method, what = event.get("method"), event.get("params", {})
        if method in PROBLEMS or (method == "Runtime.consoleAPICalled" and what["type"] == "error"):
            self.problems.append(what)
        elif method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])

    def open(self, path: Path) -> None:
        """Open a file, and wait until the page is loaded."""
        self.call("Page.navigate", url=path.as_uri())
        self.wait("document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.05)


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """A browser with its profile in a folder."""
    (browser_reads, write), (read, browser_writes) = os.pipe(), os.pipe()

    def connect() -> None:
        os.dup2(browser_reads, 3)
        os.dup2(browser_writes, 4)

    command = [find_chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
    command += [f"--user-data-dir={folder / 'profile'}"]
    process = subprocess.Popen(
        command, preexec_fn=connect, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield Browser(write, read)
    finally:
        process.kill()
        process.wait()
        for pipe in (browser_reads, write, read, browser_writes):
            os.close(pipe)
