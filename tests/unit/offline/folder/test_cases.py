"""The recordings of a folder in the benchmark's layout, and each one's role."""

import os
from pathlib import Path

import pytest

from personaplex_ui.calls.settings import check_prompt
from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.folder import cases
from personaplex_ui.offline.folder.cases import Case, find_cases
from personaplex_ui.offline.folder.roles import CONVERSATION, TEACHER, dataset_of, role_of

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
    found = find_cases(tmp_path).cases
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
    assert [case.name for case in find_cases(tmp_path / "data").cases] == ["icc_backchannel/1/input.wav"]
    [linked] = find_cases(tmp_path / "mine").cases
    assert (linked.name, dataset_of(linked)) == ("here/1/input.wav", "icc_backchannel")


def test_a_link_to_nothing_is_a_case_that_can_fail(tmp_path: Path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "input.wav").symlink_to(tmp_path / "gone.wav")
    assert len(find_cases(tmp_path).cases) == 1


def test_recordings_that_are_links_into_a_store(tmp_path: Path):
    """As in the hub's cache, in git-annex and in DVC."""
    put(tmp_path, "store/ab/cdef")
    case = tmp_path / "data" / "icc_backchannel" / "1"
    case.mkdir(parents=True)
    (case / "input.wav").symlink_to(tmp_path / "store" / "ab" / "cdef")
    assert role(tmp_path, "data/icc_backchannel/1/input.wav") == CONVERSATION


def test_folders_that_are_links(tmp_path: Path):
    """A case's folder into a store, a data set under another name, and one of another name under its own."""
    put(tmp_path, "store/1/input.wav", "synthetic_user_interruption/2/input.wav")
    (tmp_path / "user_interruption").mkdir()
    (tmp_path / "user_interruption" / "7").symlink_to(tmp_path / "store" / "1")
    (tmp_path / "mine").symlink_to(tmp_path / "synthetic_user_interruption")
    (tmp_path / "icc_backchannel").symlink_to(tmp_path / "store")
    assert role(tmp_path, "user_interruption/7/input.wav") == TEACHER
    assert role(tmp_path, "mine/2/input.wav") == TEACHER
    assert role(tmp_path, "icc_backchannel/1/input.wav") == CONVERSATION
    assert role(tmp_path, "store/1/input.wav") == USUAL


def test_a_data_set_that_is_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path, "icc_backchannel/1/input.wav")
    monkeypatch.chdir(tmp_path / "icc_backchannel")
    [case] = find_cases(Path()).cases
    assert dataset_of(case) == "icc_backchannel"


def unreadable(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Tests may run as root, who reads all."""
    scandir = os.scandir

    def refusing(path: str) -> object:
        if Path(path) in folders:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)


def test_folders_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path, "a/1/input.wav", "b/1/input.wav")
    unreadable(monkeypatch, tmp_path / "b", tmp_path / "c")
    found = find_cases(tmp_path)
    assert [case.name for case in found.cases] == ["a/1/input.wav"]
    told = "This folder cannot be read (Permission denied). Grant access, or remove it."
    assert found.unread == (("b", told),)
    with pytest.raises(InvalidInput, match=r"b cannot be read \(Permission denied\)\. Grant access"):
        find_cases(tmp_path / "b")
    (tmp_path / "a" / "1" / "input.wav").unlink()
    with pytest.raises(InvalidInput, match=r"There is no input\.wav in .* b: This folder cannot be read"):
        find_cases(tmp_path)


def test_folders_that_lie_too_deep_are_told(tmp_path: Path):
    put(tmp_path, "1/2/3/4/5/6/input.wav", "1/2/3/4/5/6/b/input.wav", "1/2/3/4/5/6/a/input.wav")
    found = find_cases(tmp_path)
    assert [case.name for case in found.cases] == ["1/2/3/4/5/6/input.wav"]
    assert found.too_deep == ("1/2/3/4/5/6/a", "1/2/3/4/5/6/b")
    (tmp_path / "1/2/3/4/5/6/input.wav").unlink()
    with pytest.raises(InvalidInput, match="5/6/a lies too deep"):
        find_cases(tmp_path)


def test_a_name_in_capitals_is_told(tmp_path: Path):
    put(tmp_path, "1/input.wav", "2/input.WAV")
    found = find_cases(tmp_path)
    assert [case.name for case in found.cases] == ["1/input.wav"]
    assert found.unread == (("2/input.WAV", "Rename it to input.wav, in small letters."),)


def test_names_that_are_no_text(tmp_path: Path):
    put(tmp_path, "caf\udce9/input.wav", "a\n\x1b[2J/input.wav", "-x/input.wav", "café/input.wav")
    names = [case.name for case in find_cases(tmp_path).cases]
    assert sorted(names) == ["-x/input.wav", "a\\n\\x1b[2J/input.wav", "caf\\xe9/input.wav", "café/input.wav"]


def test_a_file_in_the_place_of_the_folder(tmp_path: Path):
    put(tmp_path, "input.wav")
    with pytest.raises(InvalidInput, match=r"input\.wav is not a folder"):
        find_cases(tmp_path / "input.wav")
    with pytest.raises(InvalidInput, match="cannot be read"):
        find_cases(tmp_path / ("long" * 100))


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
    os.mkfifo(own)
    with pytest.raises(InvalidInput, match="cannot be read"):
        role(tmp_path, "icc_backchannel/1/input.wav")
    own.unlink()
    own.mkdir()
    with pytest.raises(InvalidInput, match="cannot be read"):
        role(tmp_path, "icc_backchannel/1/input.wav")
