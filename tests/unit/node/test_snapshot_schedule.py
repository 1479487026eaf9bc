"""Snapshots that nodes make by themselves: at the same heights, in a process beside them, the old ones removed."""

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest

import tests.support.cluster as cluster_module
from node.config import NodeConfig, SnapshotsConfig, decode_config
from node.errors import ConfigError, SnapshotRefused
from node.snapshots.make import make_snapshot
from node.snapshots.restore import join_from
from node.snapshots.schedule import Schedule
from node.snapshots.shelf import Shelf
from node.snapshots.sources import FolderSource
from tests.support.chain_world import policy
from tests.support.cluster import Cluster, RecordingLog, build_network
from tests.support.snapshot_world import FinalWorld, final_world, open_joined

PATIENCE_S = 30.0


def _folder(folder: Path, world: FinalWorld) -> Path:
    (folder / "data" / "snapshots").mkdir(parents=True)
    (folder / "node.toml").write_text(f'participant = "insurer-1"\n[store]\nurl = "{world.place}"\n')
    (folder / "genesis.json").write_bytes(world.network.genesis)
    return folder


async def _until(schedule: Schedule, name: str, value: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while schedule.status()[name] != value:  # noqa: ASYNC110 - a process of its own has no event here
            await asyncio.sleep(0.01)


def test_two_nodes_make_the_same_snapshots_at_the_same_heights(tmp_path: Path) -> None:
    """Every second block, one kept: folders of equal bytes, what a dead process left is gone, and a node joins."""
    world = final_world(tmp_path)
    places = [_folder(tmp_path / name, world) for name in ("first", "second")]
    (places[0] / "data" / "snapshots" / ".9.partial").mkdir()
    shelves = [Shelf(place / "data" / "snapshots") for place in places]

    async def scene() -> list[Schedule]:
        config = SnapshotsConfig(every=2, keep=1)
        schedules = [
            Schedule(place, config, shelf, RecordingLog("node"), height=0)
            for place, shelf in zip(places, shelves, strict=True)
        ]
        tasks = [asyncio.ensure_future(schedule.run()) for schedule in schedules]
        for height in (1, 2, 3, 4):
            if height % 2 == 0:
                for schedule in schedules:
                    await _until(schedule, "doing", "ready")
            await asyncio.to_thread(world.grow, policy())
            for schedule in schedules:
                schedule.block_added(height)
            if height % 2 == 0:
                assert all(schedule.status()["doing"] == "making" for schedule in schedules)
                for schedule in schedules:
                    await _until(schedule, "doing", "waiting")
                    assert schedule.status()["last"] == "done"
                    assert schedule.status()["heights"] == [height]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return schedules

    asyncio.run(scene())
    first, second = ({path.name: path.read_bytes() for path in shelf.place(4).iterdir()} for shelf in shelves)
    assert first == second
    assert sorted(path.name for path in (places[0] / "data" / "snapshots").iterdir()) == ["4"]
    (tmp_path / "new").mkdir()
    assert join_from([FolderSource(shelves[0].place(4))], world.network.genesis, tmp_path / "new").height == 4
    joined = open_joined(tmp_path / "new", world)
    assert joined.chain.final.header_hash == world.chain.final.header_hash
    joined.close()
    world.close()


def test_running_nodes_make_them_while_they_vote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two validators of four, every third block: their status says so, and the chunks of a common height are equal."""
    made = SnapshotsConfig(every=3)
    monkeypatch.setattr(cluster_module, "NodeConfig", partial(NodeConfig, snapshots=made))

    async def scene() -> None:
        network = build_network(tmp_path)
        for name in network.names:
            (tmp_path / name / "node.toml").write_text(f'participant = "{name}"\n')
            (tmp_path / name / "genesis.json").write_bytes(network.genesis)
        cluster = Cluster(network)
        await cluster.start()
        try:
            nodes = [cluster.nodes[name] for name in ("insurer-1", "tpa-3")]
            height = 0
            while height < 3:
                if height == 2:
                    for node in nodes:
                        await _until(node.snapshots, "doing", "ready")
                height = await cluster.commit_one("insurer-1")
            for node in nodes:
                await _until(node.snapshots, "last", "done")
                assert node.status()["snapshots"]["heights"] == [3]
            first, second = (node.shelf for node in nodes)
            assert first.listed() == second.listed()
            assert all(first.chunk(3, number) == second.chunk(3, number) for number in range(first.listed()[0].chunks))
        finally:
            await cluster.stop()

    asyncio.run(scene())


def test_a_height_that_was_missed_stays_missed(tmp_path: Path) -> None:
    """The next block was faster than the process: none is made, rather than one of another height."""
    world = final_world(tmp_path)
    world.grow(policy())
    place = _folder(tmp_path / "node", world)

    async def scene() -> None:
        schedule = Schedule(place, SnapshotsConfig(every=2), Shelf(place / "data" / "snapshots"), RecordingLog("node"),
                            height=1)  # fmt: skip
        task = asyncio.ensure_future(schedule.run())
        await _until(schedule, "doing", "ready")
        await asyncio.to_thread(lambda: [world.grow(policy()) for _ in range(2)])
        schedule.block_added(2)
        schedule.block_added(3)
        await _until(schedule, "last", "missed")
        assert schedule.status()["heights"] == []
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())
    with pytest.raises(SnapshotRefused) as caught:
        make_snapshot(world.place, world.network.genesis, tmp_path / "out", height=2)
    assert caught.value.code == "missed"
    assert list((place / "data" / "snapshots").iterdir()) == []
    world.close()


def test_a_process_that_fails_ends_one_snapshot(tmp_path: Path) -> None:
    """No store where node.toml says: the code is shown, and the next multiple is tried."""
    place = tmp_path / "node"
    (place / "data").mkdir(parents=True)
    (place / "node.toml").write_text('participant = "insurer-1"\n')
    (place / "genesis.json").write_bytes(b"{}")

    async def scene() -> None:
        schedule = Schedule(place, SnapshotsConfig(every=2), Shelf(place / "none"), RecordingLog("node"), height=1)
        task = asyncio.ensure_future(schedule.run())
        await _until(schedule, "last", "no_store")
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())


def test_none_are_made_unless_they_are_wanted(tmp_path: Path) -> None:
    schedule = Schedule(tmp_path, SnapshotsConfig(), Shelf(tmp_path / "none"), RecordingLog("node"), height=0)
    asyncio.run(schedule.run())
    assert schedule.status()["doing"] == "off"
    config = decode_config(b'participant = "tpa"\n[snapshots]\nevery = 1000\n').snapshots
    assert (config.every, config.keep) == (1_000, 2)
    for odd in ("every = -1", "keep = 0", "hourly = true"):
        with pytest.raises(ConfigError):
            decode_config(f'participant = "tpa"\n[snapshots]\n{odd}\n'.encode())
    assert json.dumps(schedule.status())
