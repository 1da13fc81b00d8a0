"""How often somebody was asked, and how it ended, for Prometheus."""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class Outcome(StrEnum):
    """``GIVEN_UP``: the call ended, or the caller spoke on, before there was an answer."""

    ANSWERED = "answered"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    NO_WORDS = "no_words"
    GIVEN_UP = "given_up"


class AskCounts(Collector):
    """Counts on the event loop."""

    def __init__(self) -> None:
        self.asked = 0
        self.outcomes: Counter[Outcome] = Counter()

    def collect(self) -> Iterator[Metric]:
        about = "How often an assistant asked somebody who knows more."
        yield CounterMetricFamily("personaplex_asked", about, self.asked)
        about = "How asking ended: with an answer, too late, with a failure, without a question, or given up."
        family = CounterMetricFamily("personaplex_ask_outcomes", about, labels=("outcome",))
        for outcome in Outcome:
            family.add_metric((outcome.value,), self.outcomes[outcome])
        yield family
