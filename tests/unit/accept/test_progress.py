"""Progress: one line that changes on a terminal, a line for each tenth in a file."""

import io

from personaplex_ui.accept.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tell(out: io.StringIO) -> str:
    progress = Progress(out)
    progress.begin("d. timing")
    for number in range(101):
        progress.tell(number / 100, "frames")
    progress.say("d. ok")
    return out.getvalue()


def test_a_file_gets_a_line_for_each_tenth():
    lines = tell(io.StringIO()).splitlines()
    assert lines[0] == "d. timing   0%"
    assert lines[-2:] == ["d. timing 100%  frames", "d. ok"]
    assert len(lines) == 12


def test_a_terminal_gets_one_line_that_is_cleared_for_what_stays():
    written = tell(Terminal())
    assert written.count("\n") == 1
    assert written.startswith("\r\x1b[Kd. timing   0%")
    assert written.endswith("\r\x1b[Kd. ok\n")
