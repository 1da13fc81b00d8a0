from personaplex_ui.engine.health import EngineState, Health


def seen(health: Health) -> tuple[EngineState, str, float]:
    return health.state, health.message, health.progress


def test_from_loading_to_ready() -> None:
    health = Health()
    assert (health.state, health.takes_calls) == (EngineState.LOADING, False)
    health.report("Downloading.", 0.5)
    assert seen(health) == (EngineState.LOADING, "Downloading.", 0.5)
    health.ready()
    assert (*seen(health), health.takes_calls) == (EngineState.READY, "", 1.0, True)


def test_a_degraded_engine_keeps_its_reason_until_it_is_ready() -> None:
    health = Health()
    health.ready()
    health.degrade("It hangs.")
    health.report("Loading the weights.", 0.5)
    assert seen(health) == (EngineState.DEGRADED, "It hangs.", 0.5)
    health.ready()
    assert health.takes_calls


def test_a_loading_that_was_given_up_may_go_on() -> None:
    health = Health()
    health.fail("No progress.")
    assert (*seen(health), health.failure) == (EngineState.FAILED, "No progress.", 0.0, "No progress.")
    health.report("Downloading.", 0.6)
    assert seen(health) == (EngineState.LOADING, "Downloading.", 0.6)


def test_the_end_is_final() -> None:
    health = Health()
    health.drain("The server is shutting down.")
    for change in (health.ready, health.load, lambda: health.fail("x"), lambda: health.degrade("x")):
        change()
    health.report("x", 0.1)
    health.drain("another reason")
    assert seen(health) == (EngineState.DRAINING, "The server is shutting down.", 0.0)
