"""`claimnode contract check` and `explain`: the README followed to the letter, the shipped products, exit codes."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.contract import contract
from cli.episodes_fhir import build_product as build_fhir_product
from cli.episodes_seeded import SeededEpisodes
from cli.main import claimnode
from cli.product_files import read_files, read_release
from contracts.products.release import Release, write_product_folder
from node.machine.programs import standard_program

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "contracts" / "products" / "README.md").read_text(encoding="utf-8")
PRODUCTS = ROOT / "network-config" / "demo" / "products"
BLOCK = re.compile(r"^`(outpatient-80/[^`]+)`[^`]*(?:`[^`\n]+`[^`]*)*?```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(claimnode, ["contract", *arguments])


@pytest.fixture
def tutorial(tmp_path: Path) -> Path:
    """The folder that somebody makes who follows README to the letter."""
    for name, content in BLOCK.findall(README):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path / "outpatient-80"


def test_the_readme_is_enough_to_write_a_product(tutorial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(read_files(tutorial)) == 6
    command = README.split("```console\n$ ")[1].split("\n")[0]
    assert command == "claimnode contract check outpatient-80"
    monkeypatch.chdir(tutorial.parent)
    result = CliRunner().invoke(claimnode, command.split()[1:])
    assert result.exit_code == 0, result.output
    assert "examples 2 of 2 hold" in result.stdout
    assert result.stdout.endswith("fit to be proposed\n")
    assert read_release(tutorial) == read_release(PRODUCTS / "outpatient-80")


def test_the_cross_table_of_the_readme_is_one(tutorial: Path) -> None:
    table = README.split("what you enter is what you see:\n\n```csv\n")[1].split("```")[0]
    (tutorial / "ratios.csv").write_text(table.replace("A,IP", "A,OP"), encoding="utf-8")
    ratios = read_release(tutorial).tables["plans"]["A"]["benefits"]["OP"]["ratios"]
    assert [row["ratio_bp"] for row in ratios] == [8500, 9000, 6000, 5000, 6000, 4000, 8000, 5000]


@pytest.mark.parametrize("folder", sorted(PRODUCTS.iterdir()), ids=lambda path: path.name)
def test_the_shipped_products_are_fit(folder: Path) -> None:
    result = run("check", str(folder), "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["ok"]
    assert not report["remarks"]
    assert all(example["ok"] for example in report["examples"])
    release = read_release(folder)
    assert report["product_hash"] == release.product_hash
    for lang in ("en", "zh"):
        assert run("explain", str(folder), "--lang", lang).exit_code == 0


def test_the_demonstration_pays_by_a_shipped_product() -> None:
    episode = next(SeededEpisodes().episodes())
    assert episode.policies[0].product == read_release(PRODUCTS / "demo-group").tables


def test_imported_bills_are_paid_by_a_shipped_product() -> None:
    assert build_fhir_product() == read_release(PRODUCTS / "fhir-supplement").tables


def test_a_written_folder_is_a_product_folder(tmp_path: Path) -> None:
    release = read_release(PRODUCTS / "staff-medical")
    for standard in (standard_program(), None):
        save(write_product_folder(release, standard), tmp_path)
        if standard is None:
            (tmp_path / "product.toml").write_bytes(write_product_folder(release)["product.toml"])
        assert read_release(tmp_path) == release


def save(files: dict[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def test_every_fault_is_printed_with_its_cell_and_the_answer_is_no(tutorial: Path) -> None:
    (tutorial / "benefits.csv").write_text(
        (tutorial / "benefits.csv").read_text(encoding="utf-8").replace('"20,000"', "1.005").replace(",100,", ",x,")
    )
    result = run("check", str(tutorial))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("benefits.csv F2: amount: 'x'")
    assert lines[1].startswith("benefits.csv H2: amount: '1.005' is no amount: write yuan with")
    assert lines[2] == "faults: 2"
    report = json.loads(run("check", str(tutorial), "--json").stdout)
    assert not report["ok"]
    assert [fault["place"] for fault in report["faults"]] == ["F2", "H2"]
    explained = run("explain", str(tutorial))
    assert (explained.exit_code, explained.stdout) == (2, "")
    assert "benefits.csv F2" in explained.stderr


def test_an_example_that_comes_to_something_else_is_named(tutorial: Path) -> None:
    path = tutorial / "examples" / "one-visit.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"payable_fen": 20040', '"payable_fen": 20041'))
    result = run("check", str(tutorial))
    assert result.exit_code == 1
    assert "/results/0/benefits/0/payable_fen: expected 20041, got 20040" in result.stdout
    assert "examples 1 of 2 hold" in result.stdout
    assert result.stdout.endswith("not fit\n")


def test_an_example_that_is_no_case_and_none_at_all(tutorial: Path) -> None:
    path = tutorial / "examples" / "one-visit.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"plan": "A"', '"plan": "Z"'))
    assert "unknown_value: input/policies/0/periods/0/plan" in run("check", str(tutorial)).stdout
    for example in (tutorial / "examples").iterdir():
        example.unlink()
    result = run("check", str(tutorial))
    assert result.exit_code == 1
    assert "examples: none" in result.stdout


def test_a_remark_does_not_make_a_product_unfit(tutorial: Path) -> None:
    (tutorial / "ratios.csv").write_text("plan,benefit,anyone_percent,employee_percent\nA,OP,80,90\n")
    result = run("check", str(tutorial))
    assert result.exit_code == 0
    assert "unreached" in result.stdout


def test_a_program_of_its_own_runs_under_the_same_check(tutorial: Path) -> None:
    settings = tutorial / "product.toml"
    settings.write_text(settings.read_text().replace('program = "standard"\n', ""))
    (tutorial / "program.star").write_text('def adjudicate(case, trace):\n    return {"results": []}\n')
    result = run("check", str(tutorial))
    assert result.exit_code == 1
    assert "/results/0: expected" in result.stdout
    (tutorial / "program.star").write_text("def adjudicate(case, trace):\n    return 1 * 1\n")
    assert "program.star line 2" in run("check", str(tutorial)).stdout


def test_what_spreadsheets_and_editors_leave_behind_is_no_part(tutorial: Path) -> None:
    before = read_release(tutorial)
    (tutorial / "~$benefits.csv").write_bytes(b"\x00")
    (tutorial / ".hidden.csv").write_bytes(b"\x00")
    (tutorial / "NOTES.txt").write_bytes(b"\x00")
    (tutorial / "sub.csv").mkdir()
    assert read_release(tutorial) == before
    (tutorial / "benefits.xlsx").write_bytes(b"PK")
    assert "save each sheet as CSV UTF-8" in run("check", str(tutorial)).stdout


def test_no_product_folder_is_wrong_use(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        for command in ("check", "explain"):
            result = run(command, str(path))
            assert (result.exit_code, result.stdout) == (2, "")
            assert result.stderr.count("\n") == 1


def test_explain_takes_a_file_of_tables(tmp_path: Path) -> None:
    release: Release = read_release(PRODUCTS / "demo-group")
    path = tmp_path / "tables.json"
    path.write_text(release.tables_text, encoding="utf-8")
    assert "employee: 90%" in run("explain", str(path)).stdout
    lines = json.loads(run("explain", str(path), "--lang", "zh", "--json").stdout)["lines"]
    assert "    员工:90%" in [line[2:] for line in lines]
    path.write_text("[]")
    assert run("explain", str(path)).exit_code == 2


def test_the_group_is_registered() -> None:
    assert isinstance(contract.commands["check"].help, str)
