"""The bench of the face runs and says what it promises; how fast this machine is, is no matter of tests."""

import json

import pytest

from benchmarks.__main__ import main


def test_it_tells_the_real_time_factor(capsys: pytest.CaptureFixture[str]):
    main(["face", "--seconds", "2", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["seconds"] == 2.0
    assert told["real_time_factor"] > 0.0
    assert 10.0 < told["kbit_per_sec"] < 2_000.0


def test_it_tells_it_to_people(capsys: pytest.CaptureFixture[str]):
    main(["face", "--seconds", "1"])
    assert "real time factor" in capsys.readouterr().out


def test_a_length_that_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["face", "--seconds", "0"])
    assert "must be from 1 to 3600" in capsys.readouterr().err
