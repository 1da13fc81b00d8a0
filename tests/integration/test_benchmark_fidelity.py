"""The bench of fidelity on the tiny checkpoint: its int8 is the loader's, and the order of the kinds is
right."""

import json
import os

import pytest
import torch

os.environ["NO_TORCH_COMPILE"] = "1"

from benchmarks import fidelity_pairs
from benchmarks.__main__ import main
from benchmarks.fidelity_pairs import KINDS, measure_fidelity
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.models.personaplex.loading.checkpoint import load_language_model
from personaplex_ui.models.personaplex.loading.checkpoint_files import files_in
from tests.support.parity import TINY, unheard


def test_its_int8_weights_are_those_that_the_loader_makes():
    sizes, lm = fidelity_pairs._checkpoint(TINY)  # pyright: ignore[reportPrivateUsage]
    for dtype in (torch.float32, torch.bfloat16):
        made = fidelity_pairs._converted(sizes, lm, dtype, True)  # pyright: ignore[reportPrivateUsage]
        loaded = load_language_model(
            files_in(TINY, "", "", ""), torch.device("cpu"), dtype, unheard, quantize=True
        )
        expected = loaded.state_dict()
        assert made.state_dict().keys() == expected.keys()
        for name, tensor in made.state_dict().items():
            assert torch.equal(tensor, expected[name]), name


def test_all_kinds_are_close_to_float32_and_rounding_less_is_closer():
    report = measure_fidelity(TINY, positions=30, seed=2)
    assert list(report.kinds) == [name for name, *_ in KINDS]
    cosines = {kind: found.hidden_cosine for kind, found in report.kinds.items()}
    assert all(0.999 < cosine < 1.0 for cosine in cosines.values()), cosines
    assert cosines["int8 keys and values"] > cosines["int8 weights, keys and values, bf16"]
    assert cosines["bf16"] != cosines["int8 weights, bf16"]
    assert (report.positions, report.kinds["bf16"].positions) == (30, 30)


def test_a_window_that_is_too_short_is_told():
    with pytest.raises(PersonaplexError, match=r"has 250 positions\. Use --positions"):
        measure_fidelity(TINY, positions=251, seed=1)


def test_the_command_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]):
    main(["fidelity", "--checkpoint", str(TINY), "--positions", "4"])
    table = capsys.readouterr().out
    assert all(name in table for name, *_ in KINDS)
    main(["fidelity", "--checkpoint", str(TINY), "--positions", "4", "--json"])
    assert json.loads(capsys.readouterr().out)["kinds"]["bf16"]["positions"] == 4
