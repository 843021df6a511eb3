"""Debian's Chromium without a window, driven by its DevTools protocol: keys in; text, requests and complaints out."""

import asyncio
import base64
import itertools
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = "chromium"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--ignore-certificate-errors",
    # Whatever is asked of anybody else fails, and is seen.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
    "--remote-debugging-port=0",
    "about:blank",
)
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "Space": (32, " ")}
START_SECONDS, ANSWER_SECONDS, PATIENCE = 60, 30, 20.0


def there() -> bool:
    """Whether it is installed."""
    return shutil.which(PROGRAM) is not None


@dataclass
class Page:
    """One tab."""

    socket: aiohttp.ClientWebSocketResponse
    session: str = ""
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What the browser's console would show as an error or a warning."""
    _waiting: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, **parameters: Any) -> Any:
        """One command of the protocol and its answer."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        await self.socket.send_json(message | ({"sessionId": self.session} if self.session else {}))
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer

    async def listen(self) -> None:
        """Sort what the browser says until it ends."""
        async for message in self.socket:
            told = json.loads(message.data)
            if "id" in told:
                waiting = self._waiting.pop(told["id"], None)
                if waiting and not waiting.done():
                    waiting.set_result(told.get("result", told.get("error")))
                continue
            self._note(told["method"], told["params"])

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(told["args"]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until it is true, also across pages."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(AssertionError, KeyError):
                    # A node would come back as an empty object.
                    if await self.ask(f"!!({expression})"):
                        return
                await asyncio.sleep(0.02)

    async def press(self, key: str, times: int = 1, shift: bool = False) -> None:
        code, text = KEYS[key]
        spelled = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code}
        for _ in range(times):
            modifiers = 8 if shift else 0
            kind = "keyDown" if text else "rawKeyDown"
            await self.call("Input.dispatchKeyEvent", type=kind, text=text, modifiers=modifiers, **spelled)
            await self.call("Input.dispatchKeyEvent", type="keyUp", modifiers=modifiers, **spelled)

    async def type(self, text: str) -> None:
        """Into whatever has the focus, as pasting does."""
        await self.call("Input.insertText", text=text)

    async def dress(self, scheme: str, width: int, height: int = 900) -> None:
        """Light or dark, and how wide."""
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    async def picture(self, file: Path) -> bytes:
        """What is seen, as a PNG in a file too."""
        picture = base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])
        file.write_bytes(picture)
        return picture


@asynccontextmanager
async def page() -> AsyncIterator[Page]:
    """A new browser with one empty tab; it is gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            f"--user-data-dir={home}",
            *FLAGS,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            async with (
                aiohttp.ClientSession() as client,
                client.ws_connect(await _address(process), max_msg_size=0) as socket,
            ):
                tab = Page(socket)
                hearing = asyncio.create_task(tab.listen())
                target = await tab.call("Target.createTarget", url="about:blank")
                attached = await tab.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
                tab.session = attached["sessionId"]
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await tab.call(f"{domain}.enable")
                yield tab
                hearing.cancel()
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr
    said: list[str] = []
    async with asyncio.timeout(START_SECONDS):
        while line := (await process.stderr.readline()).decode(errors="replace"):
            said.append(line)
            if found := re.search(r"DevTools listening on (ws://\S+)", line):
                return found[1]
    raise AssertionError("".join(said))
