from personaplex_ui.engine.health import EngineState, Health


def test_from_loading_to_ready() -> None:
    health = Health()
    assert (health.state, health.takes_calls) == (EngineState.LOADING, False)
    health.report("Downloading.", 0.5)
    assert (health.message, health.progress) == ("Downloading.", 0.5)
    health.ready()
    assert (health.state, health.message, health.takes_calls) == (EngineState.READY, "", True)


def test_what_is_degraded_keeps_its_reason_until_it_is_ready() -> None:
    health = Health()
    health.ready()
    health.degrade("It hangs.")
    health.report("Loading the weights.", 0.5)
    assert (health.state, health.message, health.progress) == (EngineState.DEGRADED, "It hangs.", 0.5)
    health.ready()
    assert health.takes_calls


def test_a_loading_that_was_given_up_may_go_on() -> None:
    health = Health()
    health.fail("No progress.")
    assert (health.state, health.message, health.failure) == (
        EngineState.FAILED,
        "No progress.",
        "No progress.",
    )
    health.report("Downloading.", 0.6)
    assert health.state is EngineState.LOADING


def test_why_the_first_model_failed_is_kept_while_another_one_answers_instead() -> None:
    health = Health()
    health.fail("No GPU.")
    health.load(instead=True)
    health.ready()
    assert health.failure == "No GPU."
    health.load()
    assert health.failure == ""


def test_the_end_is_final() -> None:
    health = Health()
    health.drain("The server is shutting down.")
    for change in (health.ready, health.load, lambda: health.fail("x"), lambda: health.degrade("x")):
        change()
    health.report("x", 0.1)
    health.drain("another reason")
    assert (health.state, health.message) == (EngineState.DRAINING, "The server is shutting down.")
