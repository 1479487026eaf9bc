"""A node's own check of a proposed claim contract: what it reports, whatever the proposal holds, and its keeping."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from contracts.bodies import ContractRelease
from contracts.case import encode_case, read_case
from contracts.machine.bundle import ProgramBundle, build_bundle, encode_bundle
from contracts.machine.evaluation import load_program
from contracts.product import read_product
from ledger.encoding import encode
from node.agents.examiner import MAX_REPORTS, MAX_TRIES, ExaminerAgent
from node.machine.examining import MAX_LISTED, MAX_TEXT, Texts, examine
from node.machine.programs import standard_examples, standard_program
from tests.support.agent_world import World, standard_product
from tests.support.contract_releases import make_release, propose_contract

LOOP = """def adjudicate(case):
    for a in range(10000):
        for b in range(10000):
            x = a + b
    return x
"""


def make_example(name: str = "one", **expected: Any) -> dict[str, Any]:
    """The first example of the standard program, by itself: its policies bring their own tables."""
    found = json.loads(standard_examples()[0])
    case = read_case(found["input"])
    result = json.loads(load_program(standard_program()).run(encode_case(case)).result)
    return {"name": name, "title": "Worked", "worked": "", "input": found["input"], "expected": result | expected}


def texts(bundle: ProgramBundle | None = None, *examples: Any, **changes: str) -> Texts:
    fields = {
        "program": encode_bundle(bundle or standard_program()).decode(),
        "tables": encode(read_product(standard_product())).decode(),
        "examples": encode(list(examples or [make_example()])).decode(),
        "title": "Test",
    }
    return Texts(**(fields | changes))


def check(asked: Texts, **limits: float) -> dict[str, Any]:
    return asyncio.run(examine(asked, **limits))


def test_a_sound_release_is_fit_and_one_wrong_amount_is_named() -> None:
    report = check(texts())
    assert (report["ok"], report["code"], report["examples"], report["failed"]) == (True, "ok", 1, 0)
    many = [make_example(f"e{number:02d}", policies=[]) for number in range(MAX_LISTED + 5)]
    report = check(texts(None, *many))
    assert (report["ok"], report["code"], report["failed"]) == (False, "unfit", MAX_LISTED + 5)
    assert len(report["examples_failed"]) == MAX_LISTED
    assert report["examples_failed"][0]["path"].startswith("/policies")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (texts(examples="[]"), "unfit"),
        (texts(tables="{}"), "product"),
        (texts(program="no json"), "product"),
        (texts(build_bundle({"program.star": "def adjudicate(case):\n    return adjudicate(case)\n"})), "unfit"),
        (texts(build_bundle({"program.star": LOOP})), "unfit"),
        (texts(build_bundle({"program.star": "x = " + "[" * 5_000 + "]" * 5_000 + "\n"})), "unfit"),
        (texts(build_bundle({"program.star": "x = " + "-" * 200_000 + "1\n"})), None),
    ],
    ids=["no example", "no product", "no program", "recursion", "endless", "deep", "deeper"],
)
def test_a_hostile_release_gives_a_code(asked: Texts, code: str | None) -> None:
    report = check(asked)
    assert report["ok"] is False
    assert report["code"] == code or (code is None and report["code"] in ("unfit", "crashed"))
    assert len(json.dumps(report)) < 100_000
    assert all(len(text) <= MAX_TEXT for text in (report["code"], report["detail"]))


def test_a_check_that_takes_too_long_is_ended() -> None:
    assert check(texts(), seconds=0.05)["code"] == "time"


# --- the agent


def examiner_of(world: World) -> ExaminerAgent:
    return world.houses["tpa"].examiner


async def settle(world: World) -> None:
    """The check is a task of its own: it gets its turn, then the agents look again."""
    await world.settle()
    await asyncio.sleep(0)
    world.clock_ms += 60_000
    await world.settle()


def sound(world: World) -> ContractRelease:
    asked = texts()
    from contracts.identifiers import derive_tables_hash

    tables_hash = derive_tables_hash(json.loads(asked.tables))
    changes = {"tables": asked.tables, "tables_hash": tables_hash, "examples": asked.examples}
    return make_release(world.network, bundle=standard_program(), product_code="TEST", **changes)


def test_every_node_checks_what_is_proposed_once_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        world = World(tmp_path)
        good = propose_contract(world.network, sound(world)).results[0].subject or ""
        bad = propose_contract(world.network, make_release(world.network)).results[0].subject or ""
        await settle(world)
        await settle(world)
        for house in world.houses.values():
            report = house.examiner.report(good)
            assert report is not None
            assert report["ok"] is True
            report = house.examiner.report(bad)
            assert report is not None
            assert report["ok"] is False
        world.forget("tpa")
        asked: list[Texts] = []
        monkeypatch.setattr(world.houses["tpa"].ports.machine, "examine", asked.append)
        await settle(world)
        assert examiner_of(world).report(good) is not None, "kept over a restart"
        assert asked == []

    asyncio.run(story())


def test_reports_are_bounded(tmp_path: Path) -> None:
    world = World(tmp_path)
    agent = examiner_of(world)
    for number in range(MAX_REPORTS + 3):
        agent._keep(f"{number:064x}", {"ok": True, "code": "ok", "detail": ""})
    assert agent.report(f"{2:064x}") is None
    assert agent.report(f"{3:064x}") is not None


def test_a_node_that_cannot_start_a_process_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Texts] = []

    async def refuse(texts: Texts) -> dict[str, Any]:
        asked.append(texts)
        raise OSError(11, "no more processes")

    async def story() -> None:
        world = World(tmp_path)
        monkeypatch.setattr(examiner_of(world).ports.machine, "examine", refuse)
        proposal = propose_contract(world.network, sound(world)).results[0].subject or ""
        await settle(world)
        assert examiner_of(world).report(proposal) is None, "it may be better in a minute"
        for _ in range(MAX_TRIES + 1):
            await settle(world)
        report = examiner_of(world).report(proposal)
        assert report is not None
        assert report["code"] == "no_process"
        assert len(asked) == MAX_TRIES

    asyncio.run(story())
