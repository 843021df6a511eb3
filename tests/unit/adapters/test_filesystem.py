"""What the node exporter's page says of one volume."""

import asyncio

import pytest

from checkpointstore.adapters import filesystem
from checkpointstore.kernel.observed import Volume

PAGE = """\
# HELP node_filesystem_avail_bytes Filesystem space available to non-root users in bytes.
# TYPE node_filesystem_avail_bytes gauge
node_filesystem_avail_bytes{device="/dev/vdb",device_error="",fstype="ext4",mountpoint="/elsewhere"} 7
node_filesystem_avail_bytes{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/data"} 8.6143234048e+10
# TYPE node_filesystem_size_bytes gauge
node_filesystem_size_bytes{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/data"} 2.70e+11
"""


def test_a_volume_by_its_mount_point() -> None:
    assert filesystem.read(PAGE, "/data") == Volume(size=270_000_000_000, free=86_143_234_048)


@pytest.mark.parametrize("mountpoint", ["/elsewhere", "/nowhere"])
def test_half_of_it_is_nothing(mountpoint: str) -> None:
    assert filesystem.read(PAGE, mountpoint) is None


@pytest.mark.parametrize("page", [PAGE, "<html>"])
def test_whoever_answers_is_read_and_nobody_needs_to(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> Volume | None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\n\r\n{page}".encode())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        monkeypatch.setattr(filesystem, "PORT", server.sockets[0].getsockname()[1])
        async with server:
            found = await filesystem.look("127.0.0.1", "/data")
        assert await filesystem.look("127.0.0.1", "/data") is None, "nobody listens any more"
        return found

    assert (asyncio.run(story()) is not None) == (page == PAGE)
