"""The recordings of a folder in the benchmark's layout, and each one's role."""

from pathlib import Path

import pytest

from personaplex_ui.calls.settings import check_prompt
from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.folder import cases
from personaplex_ui.offline.folder.cases import Case, find_cases
from personaplex_ui.offline.folder.roles import CONVERSATION, TEACHER, role_of

USUAL = "Be kind."


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_all_layouts_in_the_order_of_their_numbers(tmp_path: Path):
    put(
        tmp_path,
        *("v1_0/icc_backchannel/10/input.wav", "v1_0/icc_backchannel/2/input.wav"),
        *("v1_5/background_speech/1/input.wav", "v1_5/background_speech/1/clean_input.wav"),
        *("7/input.wav", "input.wav"),
        *("v1_0/icc_backchannel/2/context.wav", "v1_0/icc_backchannel/2/output.wav", ".git/1/input.wav"),
    )
    found = find_cases(tmp_path)
    assert [case.name for case in found] == [
        "7/input.wav",
        "input.wav",
        "v1_0/icc_backchannel/2/input.wav",
        "v1_0/icc_backchannel/10/input.wav",
        "v1_5/background_speech/1/clean_input.wav",
        "v1_5/background_speech/1/input.wav",
    ]


def test_where_the_answers_go(tmp_path: Path):
    case = Case(tmp_path / "1" / "clean_input.wav", "1/clean_input.wav")
    assert [case.wav.name, case.words.name] == ["clean_output.wav", "clean_output.json"]
    # Their scripts collect every file of a case whose name ends so.
    assert not case.settings.name.endswith("output.json")
    assert Case(tmp_path / "1" / "input.wav", "").wav == tmp_path / "1" / "output.wav"


def test_links_are_followed_once(tmp_path: Path):
    put(tmp_path, "data/icc_backchannel/1/input.wav")
    (tmp_path / "data" / "again").symlink_to(tmp_path / "data")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "here").symlink_to(tmp_path / "data" / "icc_backchannel")
    assert [case.name for case in find_cases(tmp_path / "data")] == ["icc_backchannel/1/input.wav"]
    [linked] = find_cases(tmp_path / "mine")
    assert (linked.name, linked.dataset) == ("here/1/input.wav", "icc_backchannel")


def test_a_link_to_nothing_is_a_case_that_can_fail(tmp_path: Path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "input.wav").symlink_to(tmp_path / "gone.wav")
    assert len(find_cases(tmp_path)) == 1


def test_folders_without_recordings_or_with_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(
        InvalidInput, match=r"There is no folder .*nowhere\. Name the one with the recordings"
    ):
        find_cases(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match=r"There is no input\.wav in"):
        find_cases(tmp_path)
    put(tmp_path, "1/input.wav", "2/input.wav")
    monkeypatch.setattr(cases, "MOST_CASES", 1)
    with pytest.raises(InvalidInput, match="more than 1 recordings"):
        find_cases(tmp_path)


# Roles


def role(root: Path, name: str, asked_for: str | None = None) -> str:
    return role_of(Case(root / name, name), asked_for, USUAL, check_prompt)


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("v1_0/candor_pause_handling", CONVERSATION),
        ("v1_0/candor_turn_taking", CONVERSATION),
        ("v1_0/icc_backchannel", CONVERSATION),
        ("v1_0/synthetic_pause_handling", CONVERSATION),
        ("v1_0/synthetic_user_interruption", TEACHER),
        ("v1_5/user_interruption", TEACHER),
        ("v1_5/background_speech", USUAL),
        ("mine", USUAL),
    ],
)
def test_the_role_that_nvidia_names_for_a_data_set(tmp_path: Path, dataset: str, expected: str):
    put(tmp_path, f"{dataset}/1/input.wav")
    assert role(tmp_path, f"{dataset}/1/input.wav") == expected
    assert role(tmp_path, f"{dataset}/1/input.wav", "Be brief.") == "Be brief."
    assert role(tmp_path, f"{dataset}/1/input.wav", "") == ""


def test_a_case_with_a_role_of_its_own(tmp_path: Path):
    put(tmp_path, "icc_backchannel/1/input.wav")
    own = tmp_path / "icc_backchannel" / "1" / "role.txt"
    own.write_text("\ufeffDu hörst zu.\r\n", encoding="utf-8")
    assert role(tmp_path, "icc_backchannel/1/input.wav", "Be brief.") == "Du hörst zu."
    for content, sentence in [
        (b"\xff\xfe\x00", "Save it as UTF-8"),
        (b"long " * 1_000, "role.txt: The role has 4,999 characters|role.txt: The role has 5,000 characters"),
        (b"a\x00b", "role.txt: .*control characters"),
    ]:
        own.write_bytes(content)
        with pytest.raises(InvalidInput, match=sentence):
            role(tmp_path, "icc_backchannel/1/input.wav")
    own.unlink()
    own.mkdir()
    with pytest.raises(InvalidInput, match="cannot be read"):
        role(tmp_path, "icc_backchannel/1/input.wav")
