"""`checkpointstore console` as a process: it finds its cluster, asks it over HTTP, and ends when it is told."""

import asyncio
import os
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from checkpointstore.console import session
from tests.integration.server import free_port
from tests.unit.console.fleet import Fake, cluster

SECONDS = 60
PLURALS = {
    "checkpointstores": "CheckpointStore",
    "checkpointbackups": "CheckpointBackup",
    "pods": "Pod",
    "events": "Event",
    "tokenreviews": "TokenReview",
    "subjectaccessreviews": "SubjectAccessReview",
}


def api(fake: Fake) -> web.Application:
    """The fake as an API server."""

    async def answer(request: web.Request) -> web.Response:
        *_, plural = request.path.split("/")
        namespace = request.path.partition("/namespaces/")[2].partition("/")[0] or None
        if request.method == "POST":
            body = await request.json()
            assert body["kind"] == PLURALS[plural]
            assert request.path == f"/apis/{body['apiVersion']}/{plural}"
            return web.json_response({**body, "status": await fake.review(body["kind"], body["spec"])}, status=201)
        if plural == "events":
            involved = dict(part.split("=") for part in request.query["fieldSelector"].split(","))
            told = (involved["involvedObject.kind"], str(namespace), involved["involvedObject.name"])
            return web.json_response({"items": await fake.events(*told)})
        selector = request.query.get("labelSelector", "")
        return web.json_response({"items": await fake.all(PLURALS[plural], namespace, selector)})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return app


def kubeconfig(file: Path, port: int) -> Path:
    parts: dict[str, Any] = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", **parts}))
    return file


async def visit(home: str, fake: Fake) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connector = aiohttp.TCPConnector(ssl=trusting)
    async with aiohttp.ClientSession(home, connector=connector) as client:
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    assert (await client.get("/healthz")).status == 200
                    break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.2)
        answer = await client.post(
            "/sign-in", data={"token": "token-of-shopkeeper"}, headers={"Origin": home}, allow_redirects=False
        )
        assert answer.status == 303
        held = {"Cookie": f"{session.COOKIE}={answer.cookies[session.COOKIE].value}"}
        fleet = await (await client.get("/", headers=held)).text()
        assert "shop/agents" in fleet
        assert "bank/ledger" not in fleet
        store = await (await client.get("/stores/shop/agents", headers=held)).text()
        for said in ("agents-1 leads now", "agents-full-202611260300", "agents-pooler-6d4-x2x"):
            assert said in store
        assert (await client.get("/stores/bank/ledger", headers=held)).status == 404
    assert {kind for kind, _ in fake.asked} == set(PLURALS.values())


def test_one_life_of_a_console(tmp_path: Path) -> None:
    fake = cluster()

    async def run() -> None:
        runner = web.AppRunner(api(fake))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.addresses
        config = kubeconfig(tmp_path / "config", runner.addresses[0][1])
        port = free_port()
        told = {"CHECKPOINTSTORE_LOG_LEVEL": "DEBUG", "CHECKPOINTSTORE_CONSOLE_PORT": str(port)}
        environment = {**os.environ, **told, "KUBECONFIG": str(config)}
        command = [sys.executable, "-m", "checkpointstore", "console"]
        process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
        try:
            await visit(f"https://127.0.0.1:{port}", fake)
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = await process.communicate()
            await runner.cleanup()
        assert process.returncode == 0, said.decode()
        assert b"token-of" not in said

    asyncio.run(run())


def test_without_a_cluster_it_says_so_in_one_sentence(tmp_path: Path) -> None:
    async def run() -> None:
        environment = {**os.environ, "KUBECONFIG": str(tmp_path / "nothing")}
        command = [sys.executable, "-m", "checkpointstore", "console"]
        process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
        _, said = await process.communicate()
        assert process.returncode == 1
        assert said.decode().splitlines()[-1].startswith("no console: no cluster: ")

    asyncio.run(run())
