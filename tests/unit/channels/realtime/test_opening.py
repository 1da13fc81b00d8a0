"""When a call begins, whatever its client sends before it."""

from personaplex_ui.channels.realtime.opening import AFTER_CONNECT_SEC, AFTER_UPDATE_SEC, Opening


def test_updates_put_the_begin_off_but_not_for_ever():
    opening = Opening(0.0)
    assert opening.wait_sec(0.0) == AFTER_CONNECT_SEC
    opening.note_update(False, 5.0)
    assert opening.wait_sec(5.0) == AFTER_UPDATE_SEC
    for tenth in range(50, 101):
        opening.note_update(True, tenth / 10)
    assert opening.wait_sec(AFTER_CONNECT_SEC) == 0.0


def test_sound_after_a_role_and_a_wish_begin_it_at_once():
    opening = Opening(0.0)
    opening.note_update(True, 1.0)
    opening.note_sound(1.5)
    assert opening.wait_sec(1.5) == 0.0
    wished = Opening(0.0)
    wished.open(2.0)
    assert wished.wait_sec(2.0) == 0.0
