"""The templates of all that the engine says to people, read from its source.

Found are the texts that are handed to errors, findings, report rows and notes: to any parameter or field that
bears one of the names in SAID; what is put into the variables in KEEPING; what the functions in SAYING give back.
Values become holes: "{} is damaged.".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from string import Formatter

from tests.samples import ROOT

HOLE = "\0"

SAID = frozenset(
    "message hint subject detail advice error reason problem missing notes note place what where".split()
)
"""Parameters that take words for people."""

KEEPING = frozenset(("notes", "remove"))
"""Variables that hold such words."""

SAYING = frozenset(
    "faults find_faults _database_faults _meta_faults _content_faults _postings_faults _counter_faults "
    "_chunk_faults _why _link_problem _checked _origin _model_for hidden_note".split()
)
"""Functions that give such words back; of several things, it is the last."""

ELSEWHERE = {
    "kb_assistant/cli": "the command line",
    "kb_assistant/evaluate": "kb eval",
    "kb_assistant/workspace/access.py": "kb token",
    "kb_assistant/models/download.py": "kb models pull",
    "kb_assistant/models/e5_file.py": "kb models pull",
    "kb_assistant/chatglm2/gguf_writer.py": "kb models add",
    "kb_assistant/retrieval/filters.py": "conditions come from commands and programs",
    "kb_assistant/answering/history.py": "histories that aren't the page's own come from programs",
    "ui/server.py": "kb ui",
    "ui/gate.py": "answers to requests that aren't the page's",
}
"""What the page's users can't meet, and where it is said instead."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Assignment = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr


@dataclass
class Module:
    name: str
    tree: ast.Module
    functions: dict[str, list[Function]] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    parameters: dict[str, list[list[str]]] = field(default_factory=dict)
    """Of functions and of what makes a dataclass, by their names; there may be several of one name."""

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                self.functions.setdefault(node.name, []).append(node)
                names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
                self.parameters.setdefault(node.name, []).append(names[names[:1] in (["self"], ["cls"]) :])
            elif isinstance(node, ast.ClassDef):
                fields = [one.target.id for one in node.body if isinstance(one, ast.AnnAssign | ast.Name)
                          and isinstance(one.target, ast.Name)]  # fmt: skip
                if fields:
                    self.parameters.setdefault(node.name, []).append(fields)
                elif node.name == "KBError" or any(_name(base) == "KBError" for base in node.bases):
                    self.parameters.setdefault(node.name, []).append(["message", "hint"])
        for statement in self.tree.body:
            for name, value in _assigned(statement):
                self.constants[name] = value


class Engine:
    """The source of the engine."""

    def __init__(self) -> None:
        paths = [
            path for folder in ("kb_assistant", "ingest", "ui") for path in sorted((ROOT / folder).rglob("*.py"))
        ]
        self.modules = [
            Module(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
            for path in paths
        ]

        self._asked: list[tuple[Function, str]] = []

    def templates(self) -> dict[str, str]:
        """Each with the place where it is said first."""
        found: dict[str, str] = {}
        for module in self.modules:
            if not module.name.startswith(tuple(ELSEWHERE)):
                for expression, function in self._said(module, module.tree, None):
                    for text in sorted(self.texts(expression, module, function)):
                        if text.replace(HOLE, "").strip():
                            braced = text.strip().replace("{", "{{").replace("}", "}}").replace(HOLE, "{}")
                            found.setdefault(braced, f"{module.name}:{expression.lineno}")
        return found

    def _said(
        self, module: Module, node: ast.AST, function: Function | None
    ) -> Iterator[tuple[ast.expr, Function | None]]:
        """The expressions that are said, each with the function it stands in."""
        for child in ast.iter_child_nodes(node):
            inside = child if isinstance(child, Function) else function
            if isinstance(child, ast.Call):
                yield from ((one, function) for one in self._handed(module, child))
            elif isinstance(child, Assignment):
                yield from ((value, function) for name, value in _assigned(child) if name in KEEPING)
            elif isinstance(child, Function):
                defaults = zip(reversed(child.args.args), reversed(child.args.defaults), strict=False)
                yield from ((default, None) for parameter, default in defaults if parameter.arg in SAID)
            elif (
                isinstance(child, ast.Return | ast.Yield | ast.YieldFrom) and function and function.name in SAYING
            ) and child.value:
                last = child.value.elts[-1:] if isinstance(child.value, ast.Tuple) else [child.value]
                yield from ((one, function) for one in last)
            yield from self._said(module, child, inside)

    def _handed(self, module: Module, call: ast.Call) -> Iterator[ast.expr]:
        """The arguments that are words."""
        name = _name(call.func)
        if name in ("append", "extend") and isinstance(call.func, ast.Attribute) and call.args:
            if _name(call.func.value) in KEEPING:
                yield call.args[0]
            return
        known = module.parameters.get(name) or [
            one for other in self.modules for one in other.parameters.get(name, ())
        ]
        for parameters in known:
            yield from (one for one, parameter in zip(call.args, parameters, strict=False) if parameter in SAID)
        if known:
            yield from (one.value for one in call.keywords if one.arg in SAID)

    def texts(self, node: ast.expr | None, module: Module, function: Function | None, depth: int = 0) -> set[str]:
        """All that an expression may say, with holes for what isn't known."""

        def of(one: ast.expr) -> set[str]:
            return self.texts(one, module, function, depth + 1)

        if depth > 15:
            return {HOLE}
        match node:
            case ast.Constant(value):
                return {value} if isinstance(value, str) else {""} if value is None else {HOLE}
            case ast.JoinedStr(values):
                return {"".join(parts) for parts in product(*(map(of, values)))}
            case ast.FormattedValue(value, -1, None):
                return of(value)
            case ast.BinOp(left, ast.Add(), right):
                return {first + second for first, second in product(of(left), of(right))}
            case ast.IfExp(_, body, orelse):
                return of(body) | of(orelse)
            case ast.BoolOp(values=many) | ast.List(many) | ast.Tuple(many) | ast.Set(many):
                return set().union(*map(of, many))
            case ast.Starred(value) | ast.NamedExpr(_, value) | ast.YieldFrom(value) | ast.ListComp(value):
                return of(value)
            case ast.GeneratorExp(value):
                return of(value)
            case ast.Dict(_, values):
                return set().union(*map(of, values))
            case ast.Name(name):
                return self._named(name, module, function, depth)
            case ast.Attribute(_, name) if name.isupper():
                return self._constant(name, module, depth)
            case ast.Subscript(ast.Name(name) | ast.Attribute(_, name)):
                return self._constant(name, module, depth) - {HOLE} or {HOLE}
            case ast.Subscript(ast.Dict(_, values)):
                return set().union(*map(of, values))
            case ast.Call(ast.Name("_"), [ast.Constant(str(template))], keywords):
                given = {one.arg: one.value for one in keywords}
                parts = [
                    part
                    for words, name, _spec, _conversion in Formatter().parse(template)
                    for part in ([{words}] if name is None else [{words}, of(given[name])])
                ]
                return {"".join(one) for one in product(*parts)}
            case ast.Call(ast.Name("join"), [ast.Tuple(many), *between]):
                sign = between[0].value if between and isinstance(between[0], ast.Constant) else " "
                return {str(sign).join(filter(None, one)) for one in product(*map(of, many))}
            case ast.Call(ast.Name("strerror")):
                return {HOLE}
            case ast.Attribute(_, "full_message"):
                return {f"{HOLE} {HOLE}"}
            case ast.Call(ast.Attribute(value, "format")):
                return {text.replace("{}", HOLE) for text in of(value)}
            case ast.Call(ast.Attribute(value, "strip")):
                return of(value)
            case ast.Call(ast.Name("tuple" | "list") | ast.Attribute(_, "fromkeys"), [value, *_]):
                return of(value)
            case ast.Call(called):
                return self._given_back(_name(called), module, depth)
        return {HOLE}

    def _named(self, name: str, module: Module, function: Function | None, depth: int) -> set[str]:
        """What a variable may hold."""
        if function is not None:
            if (function, name) in self._asked:  # made of itself
                return {HOLE}
            if values := [*_values(function).get(name, ()), *_keys(name, function)]:
                self._asked.append((function, name))
                found = set().union(*(self.texts(value, module, function, depth + 1) for value in values))
                self._asked.pop()
                return found
            if name in (parameters := [one.arg for one in function.args.args if one.arg != "self"]):
                return self._passed(function, parameters.index(name), module, depth)
            if any(one.arg == name for one in function.args.kwonlyargs):
                return {HOLE}
        return self._constant(name, module, depth)

    def _passed(self, function: Function, place: int, module: Module, depth: int) -> set[str]:
        """What a parameter is where the function's own module calls it: phrases; names and numbers are values."""
        found = {HOLE}
        for caller in (one for many in module.functions.values() for one in many):
            for node in ast.walk(caller):
                if isinstance(node, ast.Call) and _name(node.func) == function.name and len(node.args) > place:
                    given = node.args[place]
                    if isinstance(given, ast.Constant | ast.JoinedStr):
                        found |= self.texts(given, module, caller, depth + 1)
        phrases = {text for text in found if " " in text}
        return phrases or {HOLE}

    def _constant(self, name: str, module: Module, depth: int) -> set[str]:
        for where in [module] if name.startswith("_") else [module, *self.modules]:
            if name in where.constants:
                return self.texts(where.constants[name], where, None, depth + 1)
        return {HOLE}

    def _given_back(self, name: str, module: Module, depth: int) -> set[str]:
        """What a function of one or many texts gives."""
        found = [(module, one) for one in module.functions.get(name, ())]
        found = found or [(other, one) for other in self.modules for one in other.functions.get(name, ())]
        if len(found) != 1 or "str" not in ast.unparse(found[0][1].returns or ast.Constant("")):
            return {HOLE}
        where, function = found[0]
        given = [node.value for node in ast.walk(function) if isinstance(node, ast.Return | ast.Yield)]
        return set().union(*(self.texts(value, where, function, depth + 1) for value in given)) or {HOLE}


@cache
def _values(function: Function) -> dict[str, list[ast.expr]]:
    """All that is put into each variable of a function."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        for name, value in _assigned(node):
            found.setdefault(name, []).append(value)
    return found


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names, and what is put into them; also into an item of theirs."""
    if isinstance(node, Assignment) and node.value is not None:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if name := _name(target.value if isinstance(target, ast.Subscript) else target):
                yield name, node.value


@cache
def _keys(name: str, function: Function) -> list[ast.expr]:
    """Where a variable goes through the keys of a dict: those that are more than a word."""
    dicts = {
        _name(loop.iter.func.value)
        for loop in ast.walk(function)
        if isinstance(loop, ast.For | ast.comprehension) and isinstance(loop.target, ast.Tuple)
        if _name(loop.target.elts[0]) == name
        if isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Attribute)
    }
    keys: list[ast.expr] = []
    for node in ast.walk(function):
        match node:
            case ast.Assign([ast.Name(known)], ast.Dict(found)) if known in dicts:
                keys += filter(None, found)
            case ast.Call(ast.Attribute(ast.Name(known), "setdefault"), [key, *_]) if known in dicts:
                keys.append(key)
    return [key for key in keys if isinstance(key, ast.Constant) and " " in str(key.value)]


def _name(node: ast.expr) -> str:
    return str(getattr(node, "id", "") or getattr(node, "attr", ""))


if __name__ == "__main__":
    for template, place in sorted(Engine().templates().items(), key=lambda item: item[1]):
        print(place, repr(template))
