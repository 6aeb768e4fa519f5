"""Size budgets and docstrings, measured on the syntax tree.

Long modules and functions are where other code bases became hard to change, and nobody notices the line that
makes one too long. So the limits are a test: `tests/unit/test_budgets.py` runs this over the package.

What counts:

- a module's lines are all its lines; a function's are those of its signature and body less its docstring
  (decorators are not counted, nested functions are);
- parameters are all named ones and `*args`, `**kwargs`, without `self` and `cls`;
- branches are `if`, `elif`, `for`, `while`, `except` and `case`: the statements a reader follows one by one.
  Boolean operators, ternaries and comprehensions stay out, and a nested function's branches are its own;
- a Click command may have as many parameters as it has options, and a migration is as long as its schema;
- public is every name without a leading underscore, outside functions and private classes; a test in a
  contract suite is not, because its name is its sentence. A method needs no
  docstring of its own if a base class has one for it (ours, the standard library's or Click's), or if a
  Protocol declares it: its text and the project's verbs (`get`, `find`, …) say there what it promises.
"""

import ast
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MODULE_LINES = 400
FUNCTION_LINES = 40
PARAMETERS = 6
BRANCHES = 10

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.ClassDef

_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
_DOCUMENTS_ITS_CLASSES = {*sys.stdlib_module_names, "click"}
# The function of the same name beside it, or above it in a base class, has the docstring.
_BESIDE_ANOTHER = {"overload", "override", "setter", "deleter"}


@dataclass(frozen=True)
class Offence:
    """One place over a budget, or one public name without its docstring."""

    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def check_tree(root: Path) -> list[Offence]:
    """Give every offence in the Python files below `root`, in the order of path and line."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py"))}
    trees = {path: ast.parse(source, filename=str(path)) for path, source in sources.items()}
    classes = ClassIndex(trees.values())
    offences = []
    for path, tree in trees.items():
        found = [*_check_module(sources[path]), *_check_sizes(path, tree), *_check_docstrings(tree, classes)]
        offences += [Offence(path, line, what) for line, what in sorted(found)]
    return offences


class ClassIndex:
    """The classes of a tree of modules by name, to find where a method's docstring may stand instead.

    Classes are told apart by their bare name only; two of one name are taken together.
    """

    def __init__(self, trees: Iterable[ast.Module]) -> None:
        self._documented: dict[str, set[str]] = {}
        self._bases: dict[str, set[str]] = {}
        self._declared: set[str] = set()
        for tree in trees:
            imported = _imported_names(tree)
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self._add(node, imported)

    def documents(self, owner: ast.ClassDef, method: str) -> bool:
        """Say whether a Protocol, or a base class of `owner` near or far, tells what `method` does."""
        if method in self._declared:
            return True
        seen: set[str] = set()
        todo = {_last_name(base) for base in owner.bases}
        while todo:
            name = todo.pop()
            if method in self._documented.get(name, ()):
                return True
            seen.add(name)
            todo |= self._bases.get(name, set()) - seen
        return False

    def _add(self, node: ast.ClassDef, imported: dict[str, str]) -> None:
        bases = {_last_name(base) for base in node.bases}
        methods = [it for it in node.body if isinstance(it, Function)]
        documented = {it.name for it in methods if ast.get_docstring(it)}
        self._bases.setdefault(node.name, set()).update(bases)
        self._documented.setdefault(node.name, set()).update(documented)
        if "Protocol" in bases:
            self._declared.update(it.name for it in methods)
        for base in node.bases:
            self._documented.setdefault(_last_name(base), set()).update(_foreign_methods(base, imported))


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """Give what each imported name stands for: `np` to "numpy", `Thread` to "threading:Thread"."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {alias.asname or alias.name: f"{node.module}:{alias.name}" for alias in node.names}
    return names


def _foreign_methods(base: ast.expr, imported: dict[str, str]) -> list[str]:
    """Name the methods of a base class that another project documents."""
    local, _, rest = ast.unparse(base).partition(".")
    target = imported.get(local, f"builtins:{local}") + (f":{rest}" if rest else "")
    if target.partition(":")[0].partition(".")[0] not in _DOCUMENTS_ITS_CLASSES:
        return []
    try:
        return dir(pkgutil.resolve_name(target))
    except (AttributeError, ValueError):  # a class of this module, or a generic one
        return []


def _check_module(source: str) -> Iterator[tuple[int, str]]:
    lines = source.count("\n")
    if lines > MODULE_LINES:
        yield 1, f"the module has {lines} lines (budget {MODULE_LINES})"


def _check_sizes(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    is_migration = "migrations" in path.parts
    for node in ast.walk(tree):
        if not isinstance(node, Function):
            continue
        lines, parameters, branches = _lines(node), _parameters(node), _branches(node)
        if lines > FUNCTION_LINES and not is_migration:
            yield (
                node.lineno,
                f"{node.name}() has {lines} lines without its docstring (budget {FUNCTION_LINES})",
            )
        if parameters > PARAMETERS and not is_migration and not _is_command(node):
            yield node.lineno, f"{node.name}() has {parameters} parameters (budget {PARAMETERS})"
        if branches > BRANCHES:
            yield node.lineno, f"{node.name}() has {branches} branches (budget {BRANCHES})"


def _check_docstrings(tree: ast.Module, classes: ClassIndex) -> Iterator[tuple[int, str]]:
    if not ast.get_docstring(tree):
        yield 1, "the module has no docstring saying why it exists"
    yield from _check_scope(tree, classes)


def _check_scope(scope: Scope, classes: ClassIndex) -> Iterator[tuple[int, str]]:
    for node in scope.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith(("_", "test_")):
            continue
        if isinstance(node, ast.ClassDef):
            yield from _check_scope(node, classes)
        if not ast.get_docstring(node) and not _is_documented_elsewhere(node, scope, classes):
            yield node.lineno, f"public {node.name} has no docstring"


def _is_documented_elsewhere(node: Function | ast.ClassDef, scope: Scope, classes: ClassIndex) -> bool:
    if isinstance(node, ast.ClassDef) or isinstance(scope, ast.Module):
        return False
    return bool(_decorators(node) & _BESIDE_ANOTHER) or classes.documents(scope, node.name)


def _lines(function: Function) -> int:
    first = function.body[0]
    docstring = _extent(first) if ast.get_docstring(function) is not None else 0
    return _extent(function) - docstring


def _extent(node: ast.stmt) -> int:
    # Nodes made by the parser have an end; the type allows None for those made by hand.
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parameters(function: Function) -> int:
    arguments = function.args
    positional = [it.arg for it in (*arguments.posonlyargs, *arguments.args)]
    if positional[:1] in (["self"], ["cls"]):
        del positional[0]
    return len(positional) + len(arguments.kwonlyargs) + bool(arguments.vararg) + bool(arguments.kwarg)


def _branches(function: Function) -> int:
    count = 0
    todo = list(ast.iter_child_nodes(function))
    while todo:
        node = todo.pop()
        count += isinstance(node, _BRANCHES)
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            todo += ast.iter_child_nodes(node)
    return count


def _is_command(function: Function) -> bool:
    return bool(_decorators(function) & {"command", "group"})


def _decorators(function: Function) -> set[str]:
    return {
        _last_name(decorator.func if isinstance(decorator, ast.Call) else decorator)
        for decorator in function.decorator_list
    }


def _last_name(node: ast.expr) -> str:
    """Give the last word of a dotted name, without what stands in brackets."""
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
