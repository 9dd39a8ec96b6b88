"""The rebuild of operations.csv from OpenAPI files: what it takes, what it refuses and what it prints."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge import catalogue
from bridge.catalogue.__main__ import main
from bridge.catalogue.operations import FILE, parse

SPECS = Path(__file__).resolve().parents[2] / ".." / "shared" / "specs"
FILES = ("jira-platform-v3", "jira-software", "jira-service-management", "confluence-v1", "confluence-v2")
STARTS = {
    "jira": "/rest/api/3/",
    "agile": "/rest/agile/1.0/",
    "jsm": "/rest/servicedeskapi/",
    "confluence": "/wiki/api/v2/",
    "confluence-v1": "/wiki/rest/api/",
}
TWO_APIS = """{"openapi": "3.0.1", "paths": {
    "/rest/api/3/x": {"get": {"operationId": "x"}}, "/wiki/rest/api/y": {"get": {"operationId": "y"}}}}"""
STRANGE_STATE = """{"openapi": "3.0.1", "paths": {"/rest/api/3/x": {"get": {
    "operationId": "x", "x-atlassian-oauth2-scopes": [{"state": "Future", "scopes": ["a"]}]}}}}"""


def needs_specs() -> Path:
    if not SPECS.is_dir():
        pytest.skip("the OpenAPI files are not beside this checkout (../shared/specs)")
    return SPECS


def write_spec(folder: Path, product: str, **operation: Any) -> Path:
    """Write an OpenAPI file with one GET; its name says nothing about its product."""
    path = folder / f"{len(list(folder.iterdir()))}.json"
    found = {"operationId": f"get-{product}", **operation}
    spec = {"openapi": "3.0.1", "paths": {f"{STARTS[product]}thing/{{id}}": {"get": found}}}
    path.write_text(json.dumps(spec), encoding="utf-8")
    return path


@pytest.fixture(name="csv")
def _csv(tmp_path: Path) -> Path:
    """An operations.csv made of one small file for each product."""
    folder = tmp_path / "small"
    folder.mkdir()
    path = tmp_path / "operations.csv"
    assert main(["--output", str(path), *(str(write_spec(folder, product)) for product in STARTS)]) == 0
    return path


def test_a_rebuild_from_atlassians_files_finds_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    specs = needs_specs()
    assert main(["--check", *(str(specs / f"{name}.json") for name in FILES)]) == 0
    assert capsys.readouterr().out.startswith("0 differences in 1138 operations")


def test_a_rebuild_of_the_real_file_writes_it_letter_by_letter_whatever_order_the_files_come_in(tmp_path: Path) -> None:
    output = tmp_path / "operations.csv"
    specs = [str(needs_specs() / f"{name}.json") for name in FILES]
    for files in (specs, specs[::-1]):
        assert main(["--output", str(output), *files]) == 0
        assert output.read_bytes() == FILE.read_bytes()
        output.unlink()


def test_verbs_whose_operation_is_gone_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "operations.csv"
    output.write_bytes(FILE.read_bytes())
    assert main(["--output", str(output), str(write_spec(tmp_path, "jira"))]) == 1
    said = capsys.readouterr()
    assert "jira.comment names addComment, which is gone: correct bridge/catalogue/vocabulary" in said.err.splitlines()
    assert "- jira POST /rest/api/3/issue/{issueIdOrKey}/comment" in said.out.splitlines()
    assert "confluence" not in said.err


def test_the_help_says_where_the_files_come_from_and_what_each_exit_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    said = capsys.readouterr().out
    assert caught.value.code == 0
    assert said.count("https://dac-static.atlassian.com/cloud/") == len(FILES)
    assert "Exits 0" in said


def test_the_rows_are_exactly_those_of_the_independent_list() -> None:
    listed = json.loads((needs_specs() / "operation-scopes.json").read_text(encoding="utf-8"))
    wanted = {
        (
            row["product"],
            row["method"],
            row["path"],
            row["operationId"],
            row["deprecated"],
            row["experimental"],
            frozenset((one["state"], frozenset(one["scopes"])) for one in row["scopeSets"]),
        )
        for row in listed
    }
    found = [
        (
            one.product,
            one.method,
            one.path,
            one.operation_id,
            one.deprecated,
            one.experimental,
            frozenset((some.state, some.scopes) for some in one.scope_sets),
        )
        for one in catalogue.operations()
    ]
    assert len(found) == len(listed)
    assert set(found) == wanted


def test_a_rebuild_writes_the_very_file_that_is_kept(tmp_path: Path) -> None:
    specs = needs_specs()
    output = tmp_path / "operations.csv"
    assert main(["--output", str(output), *(str(specs / f"{name}.json") for name in FILES)]) == 0
    assert output.read_text(encoding="utf-8") == FILE.read_text(encoding="utf-8")


def test_the_product_is_told_by_the_paths_and_not_by_the_name_of_the_file(csv: Path) -> None:
    rows = parse(csv.read_text(encoding="utf-8"), csv.name)
    assert {(row.product, row.operation_id) for row in rows} == {(name, f"get-{name}") for name in STARTS}


def test_the_address_of_the_server_is_put_before_the_paths(tmp_path: Path, csv: Path) -> None:
    spec = tmp_path / "v2.json"
    spec.write_text(
        json.dumps(
            {
                "openapi": "3.0.3",
                "servers": [{"url": "https://{your-domain}/wiki/api/v2"}],
                "paths": {"/pages": {"parameters": [], "get": {"operationId": "getPages"}}},
            }
        ),
        encoding="utf-8",
    )
    assert main(["--output", str(csv), str(spec)]) == 0
    assert "confluence,GET,/wiki/api/v2/pages,getPages,,no,no\n" in csv.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("operation", "scopes"),
    [
        (
            {
                "x-atlassian-oauth2-scopes": [
                    {"scheme": "OAuth2", "state": "Beta", "scopes": ["b:x:jira", "a:x:jira"]},
                    {"scheme": "OAuth2", "state": "Current", "scopes": ["read:jira-work"]},
                ],
                "security": [{"OAuth2": ["something:else"]}],
            },
            "Current=read:jira-work|Beta=a:x:jira+b:x:jira",
        ),
        ({"security": [{"basicAuth": []}, {"OAuth2": ["read:jira-work"]}, {}]}, "security=read:jira-work"),
        ({"security": [{"oAuthDefinitions": ["a"]}, {"OAuth2": ["b"]}]}, "security=a|security=b"),
        ({"x-atlassian-oauth2-scopes": [], "security": [{"OAuth2": ["a"]}]}, "security=a"),
        ({"security": [{"basicAuth": []}, {}]}, ""),
        ({}, ""),
    ],
)
def test_scopes_come_from_atlassians_own_key_or_else_from_security(
    operation: dict[str, Any], scopes: str, tmp_path: Path, csv: Path
) -> None:
    assert main(["--output", str(csv), str(write_spec(tmp_path, "jira", **operation))]) == 0
    assert f"jira,GET,/rest/api/3/thing/{{id}},get-jira,{scopes},no,no\n" in csv.read_text(encoding="utf-8")


def test_products_without_a_file_keep_their_rows(tmp_path: Path, csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = csv.read_text(encoding="utf-8")
    spec = write_spec(tmp_path, "jsm", deprecated=True, **{"x-experimental": True})
    capsys.readouterr()
    assert main(["--output", str(csv), str(spec)]) == 0
    after = csv.read_text(encoding="utf-8")
    assert after == before.replace("get-jsm,,no,no", "get-jsm,,yes,yes")
    assert "5 operations, 1 changed, 4 kept as is" in capsys.readouterr().out


def test_check_prints_what_comes_goes_and_changes_and_writes_nothing(
    tmp_path: Path, csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = csv.read_text(encoding="utf-8")
    renamed = write_spec(tmp_path, "jsm", operationId="other", deprecated=True, security=[{"OAuth2": ["a"]}])
    moved = tmp_path / "moved.json"
    moved.write_text(
        json.dumps({"openapi": "3.1.0", "paths": {"/rest/agile/1.0/new": {"put": {"operationId": "new"}}}}),
        encoding="utf-8",
    )
    changes = "operation_id: get-jsm -> other; scopes: - -> security=a; deprecated: no -> yes"
    capsys.readouterr()
    assert main(["--check", "--output", str(csv), str(renamed), str(moved)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "+ agile PUT /rest/agile/1.0/new",
        "- agile GET /rest/agile/1.0/thing/{id}",
        f"~ jsm GET /rest/servicedeskapi/thing/{{id}}: {changes}",
        "3 differences in 5 operations (agile, jsm)",
    ]
    assert csv.read_text(encoding="utf-8") == before


def test_check_notices_a_file_that_was_reordered_by_hand(
    tmp_path: Path, csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header, first, *rest = csv.read_text(encoding="utf-8").splitlines(keepends=True)
    csv.write_text("".join([header, *rest, first]), encoding="utf-8")
    assert main(["--check", "--output", str(csv), str(write_spec(tmp_path, "jira"))]) == 1
    assert "the same operations, but not as a rebuild writes them" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON|nested too deeply"),
        ("\xff", "is not JSON"),
        ("[]", "not an OpenAPI 3 file"),
        ('{"swagger": "2.0", "paths": {}}', "not an OpenAPI 3 file"),
        ('{"openapi": "3.0.1"}', "not in the shape of an OpenAPI file"),
        ('{"openapi": "3.0.1", "paths": []}', "not in the shape of an OpenAPI file"),
        ('{"openapi": "3.0.1", "servers": [1], "paths": {}}', "not in the shape of an OpenAPI file"),
        ('{"openapi": "3.0.1", "paths": {"/rest/api/3/x": {"get": 1}}}', "not in the shape of an OpenAPI file"),
        ('{"openapi": "3.0.1", "paths": {"/rest/api/3/x": {"get": {}}}}', "GET /rest/api/3/x has no operationId"),
        ('{"openapi": "3.0.1", "paths": {"/pets": {"get": {"operationId": "p"}}}}', "none of the catalogue's APIs"),
        (TWO_APIS, "describes several APIs at once: confluence-v1, jira"),
        (STRANGE_STATE, "x: unknown state of OAuth scopes: Future"),
    ],
)
def test_a_bad_or_foreign_file_gets_one_clear_line_and_changes_nothing(
    text: str, said: str, tmp_path: Path, csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = csv.read_text(encoding="utf-8")
    bad = tmp_path / "bad.json"
    bad.write_bytes(text.encode("latin-1"))
    capsys.readouterr()
    assert main(["--output", str(csv), str(bad)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{bad}: ")
    assert any(part in line for part in said.split("|"))
    assert csv.read_text(encoding="utf-8") == before


def test_every_unusable_file_is_named_not_only_the_first(
    tmp_path: Path, csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent.json"
    twice = [write_spec(tmp_path, "jira"), write_spec(tmp_path, "jira")]
    assert main(["--check", "--output", str(csv), str(absent), str(tmp_path), *map(str, twice)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"{absent}: cannot be read: No such file or directory",
        f"{tmp_path}: cannot be read: Is a directory",
        f"{twice[1]}: a second file for jira",
    ]


def test_without_an_operations_file_all_five_are_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "operations.csv"
    assert main(["--output", str(output), str(write_spec(tmp_path, "jira"))]) == 2
    assert "is not there, so all five files are needed" in capsys.readouterr().err
    assert not output.exists()


def test_a_damaged_operations_file_is_not_compared_with(
    tmp_path: Path, csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv.write_text(csv.read_text(encoding="utf-8").replace("get-jsm,,no", "get-jsm,,perhaps"), encoding="utf-8")
    assert main(["--check", "--output", str(csv), str(write_spec(tmp_path, "jira"))]) == 2
    assert "not a row of operations" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "absent" / "operations.csv"
    specs = [str(write_spec(tmp_path, product)) for product in STARTS]
    assert main(["--output", str(output), *specs]) == 2
    assert f"{output}: cannot be written: No such file or directory" in capsys.readouterr().err


def test_bad_usage_is_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "usage: python -m bridge.catalogue" in capsys.readouterr().err
