"""Answers are kept for whoever knows their id: so many, so large, so long."""

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.channels.rest import kept_answers as module
from personaplex_ui.channels.rest.kept_answers import KeptAnswers
from personaplex_ui.errors import StorageFailed
from tests.support.running import until

SOUND = np.zeros(2_400, dtype=np.float32)
BYTES = 4_844


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def film(path: Path) -> bool:
    write(path, b"x" * 1_000)
    return True


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def files_in(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(folder.glob(pattern))


async def test_sound_and_video_are_found_by_the_id_alone(temp: Path):
    kept = KeptAnswers()
    job_id = kept.new_id()
    await kept.keep(job_id, SOUND, film)
    found = kept.get(job_id)
    assert found is not None
    assert found.video is not None
    assert (found.audio.stat().st_size, found.video.stat().st_size) == (BYTES, 1_000)
    for other in (kept.new_id(), "", job_id[:-1], job_id + "\n", f"../{job_id}"):
        assert kept.get(other) is None
    kept.close()
    assert kept.get(job_id) is None
    assert files_in(temp) == []


async def test_the_oldest_leave_when_there_are_too_many_bytes(temp: Path):
    kept = KeptAnswers(most_bytes=3 * BYTES)
    ids = [kept.new_id() for _ in range(4)]
    for job_id in ids:
        await kept.keep(job_id, SOUND)
    assert [kept.get(job_id) is None for job_id in ids] == [True, False, False, False]
    assert len(files_in(temp, "*/*.wav")) == 3
    kept.close()


async def test_the_oldest_leave_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_JOBS", 2)
    kept = KeptAnswers()
    ids = [kept.new_id() for _ in range(3)]
    for job_id in ids:
        await kept.keep(job_id, SOUND)
    assert [kept.get(job_id) is None for job_id in ids] == [True, False, False]
    kept.close()


async def test_they_leave_after_a_while(temp: Path):
    kept = KeptAnswers(keep_sec=0.02)
    job_id = kept.new_id()
    await kept.keep(job_id, SOUND, film)
    await until(lambda: kept.get(job_id) is None)
    assert files_in(temp, "*/*") == []
    kept.close()


async def test_a_video_that_could_not_be_made_leaves_the_sound():
    kept = KeptAnswers()

    async def no_film(path: Path) -> bool:
        return False

    found = await kept.keep(kept.new_id(), SOUND, no_film)
    assert found.video is None
    assert found.audio.exists()
    kept.close()


async def test_one_that_is_cancelled_leaves_nothing(temp: Path):
    kept = KeptAnswers()
    began = asyncio.Event()

    async def endless(path: Path) -> bool:
        write(path, b"x")
        began.set()
        await asyncio.Event().wait()
        return True

    keeping = asyncio.create_task(kept.keep(kept.new_id(), SOUND, endless))
    await began.wait()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert files_in(temp, "*/*") == []
    kept.close()


async def test_a_disk_that_refuses_is_told_without_a_path(temp: Path):
    kept = KeptAnswers()
    await kept.keep(kept.new_id(), SOUND)
    (folder,) = files_in(temp)
    shutil.rmtree(folder)
    with pytest.raises(StorageFailed) as failed:
        await kept.keep(kept.new_id(), SOUND)
    assert str(temp) not in str(failed.value)
    kept.close()
