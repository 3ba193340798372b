"""The texts in a ``.pt2`` archive that PyTorch evaluates: sizes as expressions of symbols, and trees of inputs."""

import ast
import json
import re
from typing import Any

_LONGEST = 10_000
_MOST_POWERS = 4
_LARGEST_POWER = 16
_POWERS = frozenset({"Pow", "PowByNatural", "FloatPow", "LShift", "RShift"})
_NAMED = frozenset({"Symbol", "Integer", "Float", "Rational"})
_FUNCTIONS = _POWERS | frozenset(
    {"FloorDiv", "ModularIndexing", "Where", "PythonMod", "Mod", "CleanDiv", "CeilToInt", "FloorToInt", "CeilDiv"}
    | {"IntTrueDiv", "FloatTrueDiv", "ToFloat", "TruncToInt", "TruncToFloat", "RoundToInt", "RoundDecimal", "Identity"}
    | {"Max", "Min", "Abs", "floor", "ceiling", "sqrt", "And", "Or", "Not", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Mul"}
    | {"Add", "Piecewise", "ExprCondPair", "IsNonOverlappingAndDenseIndicator", "Equality", "Unequality"}
    | {"GreaterThan", "LessThan", "StrictGreaterThan", "StrictLessThan", "Integer", "Float", "Rational", "Symbol"}
)
_GRAMMAR = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Load, ast.Constant),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Tuple, ast.keyword),
)
_WORD = re.compile(r"[A-Za-z_]\w{0,40}|[0-9.e+-]{1,30}", re.ASCII)
_TYPES = frozenset(
    {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", "collections.namedtuple"}
    | {"collections.deque", "torch.fx.immutable_collections.immutable_list", "torch.Size"}
    | {"torch.fx.immutable_collections.immutable_dict"}
)


def is_size(text: str) -> bool:
    """Whether ``text`` is arithmetic of symbols and numbers of a bounded size, which to evaluate does no harm."""
    if len(text) > _LONGEST:
        return False
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    words = {id(word) for node in nodes if isinstance(node, ast.Call) for word in _words(node)}
    powers = [power for node in nodes if (power := _power(node)) is not None]
    return (
        all(isinstance(node, _GRAMMAR) and (id(node) in words or _is_plain(node)) for node in nodes)
        and len(powers) <= _MOST_POWERS
        and all(map(_is_small, powers))
    )


def is_tree(text: str) -> bool:
    """Whether ``text`` is a tree of Python's own containers, to read which imports nothing."""
    try:
        _, schema = json.loads(text)
        return "__enum__" not in text and "\\u" not in text and _is_known_tree(schema)
    except (ValueError, TypeError, KeyError, RecursionError):
        return text == ""


def _words(call: ast.Call) -> list[ast.expr]:
    """The text that a call may be given: the name of a symbol, the digits of a number."""
    named = isinstance(call.func, ast.Name) and call.func.id in _NAMED
    return [
        each
        for each in call.args[:1]
        if named and isinstance(each, ast.Constant) and isinstance(each.value, str) and _WORD.fullmatch(each.value)
    ]


def _power(node: ast.AST) -> ast.expr | None:
    """The exponent, where ``node`` is a power; a power of unknown form is its own exponent, which is never small."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow | ast.LShift | ast.RShift):
        return node.right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _POWERS:
        return node.args[1] if len(node.args) == 2 else node
    return None


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return "__" not in node.id and node.id.isascii()
    if isinstance(node, ast.Constant):
        return node.value is None or (isinstance(node.value, int | float) and abs(node.value) < 1 << 64)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
    if isinstance(node, ast.keyword):
        return isinstance(node.value, ast.Constant)
    return True


def _is_small(exponent: ast.expr) -> bool:
    """Whether an exponent is a number, and no larger than what a size may be raised to."""
    inside = list(ast.walk(exponent))
    numbers = [each.value for each in inside if isinstance(each, ast.Constant)]
    known = all(
        isinstance(each, ast.Constant | ast.Name | ast.Load | ast.UnaryOp | ast.USub | ast.Call) for each in inside
    )
    names = {each.id for each in inside if isinstance(each, ast.Name)}
    return (
        known
        and names <= {"Integer", "Rational"}
        and all(isinstance(number, int) and abs(number) <= _LARGEST_POWER for number in numbers)
    )


def _is_known_tree(schema: dict[str, Any]) -> bool:
    return schema["type"] in _TYPES and all(map(_is_known_tree, schema["children_spec"]))
