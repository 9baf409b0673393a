"""Small faults put into a source file, one at a time: Python by its syntax tree, SQL by its words."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
# What is not behaviour: types, what decorators say of a class, the words of an error.
_SKIPPED = {"annotation", "returns", "decorator_list"}
_SQL = [
    (r"<=", "<"),
    (r">=", ">"),
    (r"<>", "="),
    (r"(?<![<>])=(?!=)", "<>"),
    (r"<(?![=>])", "<="),
    (r"(?<![<-])>(?!=)", ">="),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r"\bAND\b", "OR"),
    (r"\bOR\b", "AND"),
    (r"\bmin\(", "max("),
    (r"\bmax\(", "min("),
    (r"\bgreatest\(", "least("),
    (r"\bleast\(", "greatest("),
    (r"\bIS NOT NULL\b", "IS NULL"),
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r"\bIS DISTINCT FROM\b", "IS NOT DISTINCT FROM"),
    (r"\bNOT (?!NULL|DISTINCT)", ""),
    (r"(?<!NOT) IN \(SELECT", " NOT IN (SELECT"),
    (r"\bDESC\b", "ASC"),
    (r"\bNULLS LAST\b", "NULLS FIRST"),
    (r"\bLEFT JOIN\b", "INNER JOIN"),
    (r"\bDISTINCT (?!FROM)", ""),
    (r"\bTHEN 1\b", "THEN 0"),
    (r"'([a-z])'", "'x'"),
    (r"\n +\w+ = excluded\.\w+,", ""),
    (r"(?<=PARTITION BY )(\w+), \w+", r"\1"),
    (r"(?<=ORDER BY )(\w+), (\w+)", r"\2, \1"),
]


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        line: Where it is in the source.
        change: What it is.
        text: The whole file with it.
    """

    line: int
    change: str
    text: str


@dataclass(frozen=True)
class Site:
    """A place for a fault.

    Attributes:
        line: Where it is in the source.
        build: Makes the mutant.
    """

    line: int
    build: Callable[[], Mutant]


def sites_of(name: str, source: str) -> list[Site]:
    """Return every place for a fault in a file, in an order that the source alone decides."""
    if name.endswith(".sql"):
        return [Site(each.line, partial(_itself, each)) for each in _sql_mutants(source)]
    return [
        Site(node.lineno, partial(_python_mutant, source, number))
        for number, (node, _) in enumerate(_changes(ast.parse(source)))
    ]


def _itself(mutant: Mutant) -> Mutant:
    return mutant


def _sql_mutants(source: str) -> Iterator[Mutant]:
    code = re.sub(r"--[^\n]*", lambda comment: " " * len(comment[0]), source)
    for pattern, replacement in _SQL:
        for found in re.finditer(pattern, code):
            line = source.count("\n", 0, found.end()) + 1
            changed = found.expand(replacement)
            whole = source.splitlines()[line - 1].strip()
            yield Mutant(
                line,
                f"{found[0].strip()!r} → {changed.strip()!r} in {whole!r}",
                source[: found.start()] + changed + source[found.end() :],
            )


def _python_mutant(source: str, number: int) -> Mutant:
    # A fresh tree for each, since a mutant is made by changing the tree.
    tree = ast.parse(source)
    node, apply = next(islice(_changes(tree), number, None))
    before = ast.unparse(node)
    apply()
    return Mutant(node.lineno, _shown(before, ast.unparse(node)), ast.unparse(tree) + "\n")


def _shown(before: str, after: str) -> str:
    start = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    start = max(start - 30, 0)
    return f"{before[start : start + 70]!r} → {after[start : start + 70]!r}".replace("\\n", " ")


Change = tuple[ast.stmt | ast.expr, Callable[[], None]]


def _changes(node: ast.AST, *, in_raise: bool = False) -> Iterator[Change]:
    in_raise = in_raise or isinstance(node, ast.Raise)
    if isinstance(node, ast.stmt | ast.expr):
        yield from ((node, change) for change in _changes_of(node, in_raise=in_raise))
    body = getattr(node, "body", None)
    for name, value in ast.iter_fields(node):
        if name in _SKIPPED or (isinstance(node, ast.AnnAssign) and name == "target"):
            continue
        for child in value if isinstance(value, list) else [value]:
            is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if isinstance(child, ast.AST) and not is_docstring and not _is_type(child, at_top=body is value):
                yield from _changes(child, in_raise=in_raise)


def _is_type(node: ast.AST, *, at_top: bool) -> bool:
    """Return whether a statement only names types or imports for the type checker."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if not (at_top and isinstance(node, ast.Assign)):
        return False
    text = ast.unparse(node.value)
    return text.startswith(("TypeVar", "Annotated[", "Callable[", "Literal[")) or (
        isinstance(node.value, ast.BinOp | ast.Subscript) and ("None" in text or "Callable" in text)
    )


def _changes_of(  # noqa: C901, PLR0912 - one case for each kind
    node: ast.stmt | ast.expr, *, in_raise: bool
) -> Iterator[Callable[[], None]]:
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                for other in _COMPARED[type(operator)]:
                    yield _setter(node.ops, index, other())
        case ast.BoolOp():
            yield _attribute(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _COMPUTED:
            yield _attribute(node, "op", _COMPUTED[type(node.op)]())
        case ast.UnaryOp(op=ast.Not()):
            yield _attribute(node, "operand", ast.UnaryOp(ast.Not(), node.operand))
        case ast.UnaryOp(op=ast.USub()):
            yield _attribute(node, "op", ast.UAdd())
        case ast.If() | ast.While() | ast.IfExp() if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            yield _attribute(node, "test", ast.UnaryOp(ast.Not(), node.test))
        case ast.Return(value=ast.expr()) if not isinstance(node.value, ast.Constant):
            yield _attribute(node, "value", ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield _attribute(node, "value", ast.Constant(None))
        case ast.Call(keywords=[_, *_]):
            for index, keyword in enumerate(node.keywords):
                if keyword.arg:
                    yield _attribute(node, "keywords", node.keywords[:index] + node.keywords[index + 1 :])
        case ast.Constant(value=bool()):
            yield _attribute(node, "value", not node.value)
        case ast.Constant(value=int() | float() as number):
            yield _attribute(node, "value", number + 1)
        case ast.Constant(value=str() as text) if not in_raise:
            yield _attribute(node, "value", "XX" + text)
        case ast.Constant(value=bytes() as raw) if not in_raise:
            yield _attribute(node, "value", b"XX" + raw)


def _attribute(node: ast.AST, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(node, name, value)


def _setter(values: list[ast.cmpop], index: int, value: ast.cmpop) -> Callable[[], None]:
    def change() -> None:
        values[index] = value

    return change
