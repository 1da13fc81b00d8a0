"""The bench of HAProxy: how it knows a frame again, what it prints, what it says without HAProxy."""

import json

import numpy as np
import pytest

from benchmarks import proxy
from benchmarks.__main__ import main
from benchmarks.proxy_report import Pair, ProxyReport

PAIR = Pair("a request", [0.001, 0.002, 0.003], [0.0012, 0.0025, 0.0031])


def test_each_frame_is_known_again_by_its_mark(monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(1_000))
    monkeypatch.setattr(proxy.time, "monotonic", lambda: float(next(clock)))
    marks = proxy.Marks()
    frames = [marks.next_frame() for _ in range(60)]
    as_sent = [(np.rint(frame * 32_767) / 32_768).astype(np.float32) for frame in frames]
    for number, frame in enumerate(as_sent[-40:], start=20):
        marks.hear(number + 0.25, frame)
        marks.hear(number + 0.5, frame)  # a frame counts once
        marks.hear(number + 0.5, np.zeros_like(frame))
    assert marks.delays_sec == [0.25] * 40


def test_the_difference_is_that_of_the_pairs():
    told = PAIR.figures()
    assert (told["direct_p50_ms"], told["proxied_p50_ms"], told["added_p50_ms"]) == (2.0, 2.5, 0.2)
    report = ProxyReport("2.6.12", (PAIR,))
    assert json.loads(report.to_json())["measured"] == [told]
    assert "+0.20 ms" in report.to_table()
    assert report.to_table().startswith("HAProxy 2.6.12, ")


def test_without_haproxy_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(proxy, "PROGRAM_PLACES", "/nowhere")
    with pytest.raises(SystemExit) as ended:
        main(["proxy"])
    assert ended.value.code == proxy.NO_HAPROXY
