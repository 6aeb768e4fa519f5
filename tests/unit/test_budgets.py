"""The package keeps its size budgets, and every public name says what it is.

The limits and what counts towards them are in `tools/budgets.py`. The first half of this file tries that
measure on small sources; the second half holds the code to it.
"""

from pathlib import Path

import pytest

from tools.budgets import BRANCHES, FUNCTION_LINES, MODULE_LINES, PARAMETERS, check_tree

ROOT = Path(__file__).resolve().parents[2]
# Over the whole tree, all lines counted: less means that code came without its tests.
TESTS_TO_CODE = 0.8


def offences(tmp_path: Path, source: str, name: str = "module.py") -> list[str]:
    """Say what is wrong with one module."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return [f"{offence.line}: {offence.what}" for offence in check_tree(tmp_path)]


def function(
    *, lines: int = 1, parameters: str = "", docstring: str = '"""Say it."""', decorator: str = ""
) -> str:
    """Write a module with one function whose signature and body have this many lines."""
    head = f"{decorator}\n" if decorator else ""
    body = "\n".join(f"    x{i} = 1" for i in range(lines - 1)) or "    pass"
    return f'"""A module."""\n{head}def f({parameters}):\n    {docstring}\n{body}\n'


def test_what_is_within_every_budget_passes(tmp_path):
    source = function(lines=FUNCTION_LINES, parameters=", ".join("abcdef"))
    assert offences(tmp_path, source) == []


def test_a_function_over_its_lines_is_found_by_name_and_line(tmp_path):
    source = function(lines=FUNCTION_LINES + 1)
    assert offences(tmp_path, source) == ["2: f() has 41 lines without its docstring (budget 40)"]


def test_a_long_docstring_does_not_count(tmp_path):
    docstring = '"""Say it.' + "\n    more" * 60 + '\n    """'
    assert offences(tmp_path, function(lines=FUNCTION_LINES, docstring=docstring)) == []


def test_a_module_over_its_lines_is_found(tmp_path):
    source = '"""A module."""\n' + "x = 1\n" * MODULE_LINES
    assert offences(tmp_path, source) == ["1: the module has 401 lines (budget 400)"]


@pytest.mark.parametrize(
    "parameters", ["a, b, c, d, e, f, g", "a, b, /, c, *d, e, f, **g", "*, a, b, c, d, e, f, g"]
)
def test_a_seventh_parameter_is_found_however_it_is_passed(tmp_path, parameters):
    assert offences(tmp_path, function(parameters=parameters)) == [
        f"2: f() has 7 parameters (budget {PARAMETERS})"
    ]


@pytest.mark.parametrize("first", ["self", "cls"])
def test_self_and_cls_are_not_counted(tmp_path, first):
    source = f'"""A module."""\nclass _A:\n    def f({first}, a, b, c, d, e, f): ...\n'
    assert offences(tmp_path, source) == []


@pytest.mark.parametrize("decorator", ["@click.command()", "@main.command('run')", "@cli.group", "@command"])
def test_a_command_may_have_as_many_parameters_as_options(tmp_path, decorator):
    assert offences(tmp_path, function(parameters="a, b, c, d, e, f, g", decorator=decorator)) == []


def test_a_migration_may_be_as_long_as_its_schema(tmp_path):
    assert offences(tmp_path, function(lines=90), name="migrations/versions/first.py") == []


def test_every_statement_that_forks_is_a_branch_and_expressions_are_not(tmp_path):
    source = '''"""A module."""
def f(x):
    """Say it."""
    if x:
        pass
    elif x > 1:
        pass
    else:
        pass
    for _ in x:
        while x:
            pass
    try:
        pass
    except OSError:
        pass
    match x:
        case 1 | 2:
            pass
        case _:
            pass
    y = [a for a in x if a and x or a] if x else None
    {}
'''
    seven = offences(tmp_path, source.format("pass"))
    eleven = offences(
        tmp_path, source.format("if x:\n        if x:\n            if x:\n                if x: pass")
    )
    assert seven == []
    assert eleven == [f"2: f() has 11 branches (budget {BRANCHES})"]


def test_a_nested_function_has_its_own_branches(tmp_path):
    ifs = "\n".join("        if x: pass" for _ in range(6))
    source = f'"""A module."""\ndef _f(x):\n    def g():\n{ifs}\n    def h():\n{ifs}\n'
    assert offences(tmp_path, source) == []


def test_public_names_need_docstrings_and_private_ones_do_not(tmp_path):
    source = """
class Public:
    def method(self): ...
    def _private(self): ...
    def __len__(self): ...

class _Private:
    def method(self): ...

def function():
    def inner(): ...

def _function(): ...
"""
    assert offences(tmp_path, source) == [
        "1: the module has no docstring saying why it exists",
        "2: public Public has no docstring",
        "3: public method has no docstring",
        "10: public function has no docstring",
    ]


def test_a_tests_name_is_its_sentence(tmp_path):
    source = '''"""A module."""
class Contract:
    """What is promised."""
    def test_what_goes_in_comes_out(self): ...
    def helper(self): ...
'''
    assert offences(tmp_path, source) == ["5: public helper has no docstring"]


def test_an_inherited_docstring_is_enough(tmp_path):
    source = '''"""A module."""
class Store:
    """A store."""
    def get(self):
        """Give it."""

class Local(ports.Store[int]):
    """A store on disk."""
    def get(self): ...

class Faster(Local):
    """A faster one."""
    def get(self): ...
    def put(self): ...
'''
    assert offences(tmp_path, source) == ["14: public put has no docstring"]


def test_an_override_of_a_documented_library_class_needs_no_docstring(tmp_path):
    source = '''"""A module."""
import io
from threading import Thread as T
class Reader(io.RawIOBase):
    """Reads."""
    def readable(self): ...
    def rewind(self): ...

class Worker(T):
    """Works."""
    def run(self): ...
'''
    assert offences(tmp_path, source) == ["7: public rewind has no docstring"]


def test_what_a_protocol_declares_is_documented_there(tmp_path):
    source = '''"""A module."""
class Store(Protocol):
    """Keeps what it is given: `get` raises if absent."""
    def get(self): ...

class Local:
    """A store on disk, which need not name the Protocol."""
    def get(self):
        return 1
    def compact(self): ...
'''
    assert offences(tmp_path, source) == ["10: public compact has no docstring"]


def test_a_setter_and_an_overload_are_documented_beside_them(tmp_path):
    source = '''"""A module."""
class A:
    """An A."""
    @property
    def x(self):
        """The x."""
    @x.setter
    def x(self, value): ...
    @overload
    def y(self): ...
    @override
    def z(self): ...
'''
    assert offences(tmp_path, source) == []


@pytest.mark.parametrize("folder", ["src/relive", "tools"])
def test_the_code_keeps_its_budgets(folder):
    found = check_tree(ROOT / folder)
    told = "\n".join(str(offence).removeprefix(f"{ROOT}/") for offence in found)
    assert not found, f"{len(found)} over budget or undocumented:\n{told}"


def test_every_folder_of_the_package_is_a_package():
    folders = {path.parent for path in (ROOT / "src/relive").rglob("*.py")}
    bare = sorted(
        str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").is_file()
    )
    assert not bare, f"without __init__.py and its docstring: {', '.join(bare)}"


def test_tests_keep_up_with_the_code():
    code, suites, tests = (
        sum(len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py"))
        for folder in ("src", "src/relive/testing", "tests")
    )
    # The contract suites are tests that happen to be installed, so that third parties can run them.
    code, tests = code - suites, tests + suites
    assert tests >= TESTS_TO_CODE * code, (
        f"{tests} lines of tests for {code} lines of code (budget {TESTS_TO_CODE})"
    )
