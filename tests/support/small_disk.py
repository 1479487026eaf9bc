"""One validator of four on a real file system of a few hundred kilobytes, filled, emptied and remounted while it runs.

Run as a program inside a mount namespace of its own (`unshare -rm`): `python -m tests.support.small_disk FOLDER`.
Prints one JSON object a scene: what the node said of itself, and whether it came back.
"""

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from node.ordering import votedisk
from node.runtime import Node
from tests.support.cluster import Cluster, build_network

VICTIM = "tpa-3"
SIZE = "1500k"
STEP = 4_096


class Filler:
    """A file that takes all the space there is, but for what is left free."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "filler"

    def fill(self, free: int) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while True:
                os.write(fd, b"x" * STEP)
        except OSError:
            os.ftruncate(fd, max(0, os.fstat(fd).st_size - free))
        finally:
            os.close(fd)

    def empty(self) -> None:
        self._path.unlink()


def mount(folder: Path, *options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)], check=True)


def came_back(node: Node, height: int) -> bool:
    return node.chain.height >= height and node.driver.waiting is None


async def scene(root: Path) -> None:
    network = build_network(root)
    mount(root / VICTIM, f"size={SIZE}")
    votedisk.SPACE_RETRY_S = 0.05
    cluster = Cluster(network)
    await cluster.start()
    await cluster.commit_one("hospital-0")
    node, filler = cluster.nodes[VICTIM], Filler(root / VICTIM)
    for free in (0, STEP, 3 * STEP, 6 * STEP, 12 * STEP):
        filler.fill(free)
        height = 0
        for _ in range(12):
            height = await cluster.commit_one("hospital-0")
            if node.driver.waiting is not None:
                break
        waited = node.driver.waiting
        status = node.status()
        filler.empty()
        await cluster.until(partial(came_back, node, height))
        said = {"free": free, "waited": waited, "not_voting": status["not_voting"], "reasons": status["reasons"]}
        print(  # noqa: T201 - what this program is for
            json.dumps(said | {"resumed": node.status()["voting"]}), flush=True
        )
    await cluster.kill("insurer-1")
    await cluster.commit_one("hospital-0")  # with the victim's vote, or not at all
    await cluster.kill(VICTIM)
    await cluster.start(VICTIM)
    await cluster.commit_one("hospital-0")
    cluster.check_agreement()
    print(json.dumps({"restarted": cluster.nodes[VICTIM].status()["voting"]}), flush=True)  # noqa: T201
    await cluster.stop()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    asyncio.run(scene(Path(sys.argv[1])))
