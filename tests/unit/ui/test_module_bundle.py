"""The page's modules in one file: small ones do in Node.js what they do apart, and the real ones fit."""

import shutil
import subprocess
from pathlib import Path

import pytest

from personaplex_ui.ui.module_bundle import CannotBundle, bundle
from personaplex_ui.ui.page_head import BUNDLE, ENTRY, load_page_files

MODULES = {
    "main.mjs": (
        'import { twice, Counter as Count } from "./a.mjs";\n'
        "import {\n  NAME,\n  twice as alsoTwice,\n  again,\n} from \"./b.mjs\";\n"
        'const lazy = () => import("./lazy.mjs");\n'
        "const row = 1; // also the name of a function elsewhere\n"
        "const counter = new Count();\n"
        "counter.add(); counter.add();\n"
        'console.log([twice(row), alsoTwice(2), NAME, again(3), counter.value, typeof lazy].join(" "));\n'
    ),
    "a.mjs": (
        "let made = 0;\n"
        "function row(x) { return x + x; }\n"
        "export function twice(x) { return row(x); }\n"
        "export class Counter {\n  value = (made += 10);\n  add() { this.value += 1; }\n}\n"
    ),
    "b.mjs": (
        'import { twice } from "./a.mjs";\n'
        'export { twice, Counter as Other } from "./a.mjs";\n'
        'export * from "./c.mjs";\n'
        'export const NAME = "b";\n'
        "const quiet = twice;\n"
    ),
    "c.mjs": "export const again = (x) => x * 100;\nexport async function later() {}\n",
}  # fmt: skip


def run(folder: Path, files: dict[str, str], start: str) -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed (scripts/install-test-tools.sh).")
    for name, source in files.items():
        (folder / name).write_text(source, encoding="utf-8")
    done = subprocess.run([node, start], cwd=folder, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def test_it_does_what_the_modules_do_apart(tmp_path: Path) -> None:
    apart = run(tmp_path, MODULES, "main.mjs")
    joined = run(tmp_path, {"joined.mjs": bundle(MODULES, "main.mjs")}, "joined.mjs")
    assert joined == apart == "2 4 b 300 12 function\n"


def test_each_module_runs_once_and_before_those_that_import_it() -> None:
    joined = bundle(MODULES, "main.mjs")
    places = [joined.index(f"const ${name}_mjs = ") for name in ("a", "c", "b", "main")]
    assert places == sorted(places)
    assert joined.count("const $a_mjs = ") == 1


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('import all from "./a.mjs";', "import all from"),
        ('import * as a from "./a.mjs";', "import \\* as a"),
        ('import "./a.mjs";', 'import "./a.mjs"'),
        ("export default 7;", "export default"),
        ("export let counter = 0;", "export let"),
        ('import { x } from "./missing.mjs";', "missing.mjs, which does not exist"),
        ('import { x } from "./main.mjs";', "main.mjs imports main.mjs"),
    ],
)
def test_what_it_does_not_know_is_refused(source: str, why: str) -> None:
    with pytest.raises(CannotBundle, match=why):
        bundle({"main.mjs": source, "a.mjs": ""}, "main.mjs")


def test_the_pages_own_modules_are_joined(tmp_path: Path) -> None:
    files = load_page_files()
    joined = files.get(BUNDLE)
    assert joined is not None
    source = joined.content.decode()
    assert f"const ${ENTRY.replace('.', '_')} = " in source
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed (scripts/install-test-tools.sh).")
    (tmp_path / BUNDLE).write_text(source, encoding="utf-8")
    subprocess.run([node, "--check", str(tmp_path / BUNDLE)], check=True, timeout=30)
