"""Reads the reasons of conditions and events out of the operator's source, as the string literals that they are."""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import checkpointstore
from checkpointstore.kernel import condition

PACKAGE = Path(next(iter(checkpointstore.__path__)))
STATUS = {"true": "True", "changing": "True", "waiting": "False", "broken": "False"}
LISTS = (
    "api/reason.py",
    "api/reason_of_backups.py",
    "api/reason_of_threads.py",
    "api/refusal.py",
    "api/refusal_of_backups.py",
    "api/refusal_of_threads.py",
    "api/reference.py",
)
"""The lists themselves, which are compared with the rest."""
SPOKEN = ("report/", "runtime/settings.py")
"""Commands' own words to whoever calls them: no store has a condition for them."""


@dataclass(frozen=True, slots=True)
class Use:
    """One place that gives a reason; `type` and `status` are empty where only the caller knows them."""

    kind: str
    """`event` or `condition`."""
    type: str
    status: str
    reason: str
    stalls: bool
    place: str


def uses() -> list[Use]:
    """Every reason that the source names."""
    modules = {
        path: ast.parse(path.read_text())
        for path in sorted(PACKAGE.rglob("*.py"))
        if not str(path.relative_to(PACKAGE)).startswith((*LISTS, *SPOKEN))
    }
    takers = {name: index for tree in modules.values() for name, index in _takers(tree)}
    deaf = {(path.stem, name) for path, tree in modules.items() for name in _deaf(tree)}
    return [use for path, tree in modules.items() for use in _uses(path, tree, takers, deaf)]


def _deaf(tree: ast.Module) -> Iterator[str]:
    """A module's own functions that take no `reason`, though another module's function of the name may."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and _position(node) is None:
            yield node.name


def _takers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Functions, and classes by their fields or `__init__`, that take a `reason`, and at which position."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            fields = [item.target.id for item in node.body if _is_field(item)]  # type: ignore[attr-defined]
            if "reason" in fields:
                yield node.name, fields.index("reason")
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and (index := _position(method)) is not None:
                    yield (node.name if method.name == "__init__" else method.name), index - 1
        elif isinstance(node, ast.FunctionDef) and _receiver(node) == "" and (index := _position(node)) is not None:
            yield node.name, index


def _is_field(node: ast.AST) -> bool:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)


def _position(node: ast.FunctionDef) -> int | None:
    names = [argument.arg for argument in node.args.args]
    return names.index("reason") if "reason" in names else None


def _receiver(node: ast.FunctionDef) -> str:
    first = node.args.args[0].arg if node.args.args else ""
    return first if first in ("self", "cls") else ""


def _uses(path: Path, tree: ast.AST, takers: Mapping[str, int], deaf: Collection[tuple[str, str]]) -> Iterator[Use]:
    values = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for reason in _literals(_entry(node), values):
                yield Use("condition", "", "", reason, False, f"{path.relative_to(PACKAGE)}:{node.lineno}")
        if not isinstance(node, ast.Call):
            continue
        for name in _called(node.func, values, deaf):
            argument = _argument(node, takers[name]) if name in takers else None
            for reason in _literals(argument, values):
                yield _use(name, node, reason, f"{path.relative_to(PACKAGE)}:{node.lineno}")


def _called(function: ast.expr, values: Mapping[str, ast.expr], deaf: Collection[tuple[str, str]]) -> list[str]:
    """The names a call may go to: `say(...)` after `say = changing if bound else waiting` goes to either."""
    if isinstance(function, ast.Attribute):
        owner = function.value.id if isinstance(function.value, ast.Name) else ""
        return [] if (owner, function.attr) in deaf else [function.attr]
    if not isinstance(function, ast.Name):
        return []
    value = values.get(function.id)
    if isinstance(value, ast.IfExp):
        return [name.id for name in (value.body, value.orelse) if isinstance(name, ast.Name)]
    return [function.id]


def _argument(call: ast.Call, index: int) -> ast.expr | None:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
    return named[0] if named else call.args[index] if index < len(call.args) else None


def _entry(node: ast.Dict) -> ast.expr | None:
    """The reason of one that is written down with its message, to be told later."""
    texts = {
        key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)
    }
    return texts.get("reason") if "message" in texts else None


def _literals(node: ast.expr | None, values: Mapping[str, ast.expr]) -> list[str]:
    """The texts that an expression may have, as far as it spells them out; `*` stands for what it does not."""
    if isinstance(node, ast.Constant):
        return [str(node.value)] if node.value else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)]
    if isinstance(node, ast.IfExp):
        return [text for part in (node.body, node.orelse) for text in _literals(part, values)]
    if isinstance(node, ast.BoolOp):
        return [text for part in node.values for text in _literals(part, values)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str":
        return [text for part in node.args for text in _literals(part, values)]
    if isinstance(node, ast.Name) and node.id in values:
        return _literals(values[node.id], {}) or _looked_up(values[node.id], values)
    return []


def _looked_up(node: ast.expr, values: Mapping[str, ast.expr]) -> list[str]:
    """The values of the tables that an expression picks from."""
    names = [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
    tables = [values[name] for name in names if isinstance(values.get(name), ast.Dict)]
    return [text for table in tables for value in table.values for text in _literals(value, {})]  # type: ignore[attr-defined]


def _use(name: str, call: ast.Call, reason: str, place: str) -> Use:
    if name == "Emit":
        (type_,) = _literals(call.args[0], {}) or [""]
        return Use("event", type_, "", reason, False, place)
    first = call.args[0].id if call.args and isinstance(call.args[0], ast.Name) else ""
    status = STATUS.get(name, "")
    if name == "Condition" and isinstance(call.args[1], ast.Attribute):
        status = call.args[1].attr.capitalize()
    return Use("condition", str(getattr(condition, first, "")), status, reason, name == "broken", place)
