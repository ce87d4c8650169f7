"""Read YAML as plain values and remember the line of every key.

In:    the bytes of a file and the environment.
Out:   Tree: mappings, lists and scalars; a line for each key path; the faults of the text.
Never: knows a setting; builds anything but text, numbers, true, false and null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from shiftwatch.config.fault import ConfigFaultsError, Fault, KeyPath, key_text

MAX_VALUES = 100_000
"""Values at most once aliases are written out, so that a few lines cannot fill the memory."""

MAX_DEPTH = 32
"""Levels of keys and lists at most; the deepest setting lies at 5."""

MAX_DIGITS = 40
"""Digits of a whole number at most: enough for a seed of 128 bits."""

_TOO_DEEP = "is nested too deeply; no setting needs that"
_TAG = "tag:yaml.org,2002:"
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[^}]*)(?P<end>\}?)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

_SYNTAX_HINTS = {
    "cannot start any token": "indent with spaces and put special characters in quotes",
    "mapping values are not allowed": "put text that holds a colon in quotes",
    "found undefined alias": "give the value an anchor first",
    "found another document": "keep one document to a file",
    "but got '{'": "put ${NAME} in quotes inside braces",
}


@dataclass(slots=True)
class Tree:
    """A file as plain values.

    ``broken`` lists the paths whose value could not be read; there the value is None.
    """

    file: str
    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    broken: list[KeyPath] = field(default_factory=list)

    def line(self, path: KeyPath) -> int:
        """Line of the key, or of the nearest key above it that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def fault(self, path: KeyPath, message: str, line: int | None = None) -> None:
        """Note a fault at a key."""
        at = self.line(path) if line is None else line
        self.faults.append(Fault(self.file, at, key_text(path), message))


class _UnreadableError(ValueError):
    """A scalar that has no plain value; the text says why and what to write."""


def read_tree(content: bytes, file: str, environ: Mapping[str, str]) -> Tree:
    """Read YAML, with ``${NAME}`` replaced from ``environ`` in values.

    Raises
    ------
    ConfigFaultsError
        If the text is not UTF-8, not YAML, or so large that reading on makes no sense. Every other
        fault is collected in the tree.

    Examples
    --------
    >>> tree = read_tree(b"seed: ${SEED}", "a.yml", {"SEED": "7"})
    >>> tree.value, tree.line(("seed",))
    ({'seed': 7}, 1)
    """
    tree = Tree(file)
    node = _composed(_decoded(content, file), file)
    if node is not None:
        _Walk(tree, environ).start(node)
    return tree


def _decoded(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        message = f"byte 0x{content[fault.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigFaultsError([Fault(file, line, "", message)]) from None


def _composed(text: str, file: str) -> yaml.Node | None:
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        message = f"holds the control character 0x{ord(text[fault.position]):02x}; remove it"
        raise ConfigFaultsError([Fault(file, line, "", message)]) from None
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = loader.line + 1 if mark is None else mark.line + 1
        message = _syntax(fault.problem or str(fault.context))
    except RecursionError:
        line, message = loader.line + 1, _TOO_DEEP
    except (ValueError, OverflowError):
        line, message = loader.line + 1, "holds an escape that is no character; correct it"
    raise ConfigFaultsError([Fault(file, line, "", message)])


def _syntax(problem: str) -> str:
    hints = (hint for part, hint in _SYNTAX_HINTS.items() if part in problem)
    return f"is not YAML: {problem}; {next(hints, 'check indentation, quotes and brackets')}"


class _Walk:
    """One walk over the nodes, which fills the tree."""

    def __init__(self, tree: Tree, environ: Mapping[str, str]) -> None:
        self._tree = tree
        self._environ = environ
        self._open: set[int] = set()
        self._values = 0

    def start(self, node: yaml.Node) -> None:
        self._tree.value = self._value(node, ())

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            message = f"holds more than {MAX_VALUES} values; use fewer aliases"
            raise ConfigFaultsError([Fault(self._tree.file, 1, "", message)])
        if len(path) > MAX_DEPTH:
            raise ConfigFaultsError(
                [Fault(self._tree.file, node.start_mark.line + 1, "", _TOO_DEEP)]
            )
        if id(node) in self._open:
            return self._broken(path, "holds itself by an alias; write it out")
        self._open.add(id(node))
        try:
            return self._typed(node, path)
        finally:
            self._open.discard(id(node))

    def _typed(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return self._sequence(node, path)
        if not isinstance(node, yaml.ScalarNode):
            return self._broken(path, _unknown_tag(node.tag))
        try:
            return _scalar(node, self._environ)
        except _UnreadableError as fault:
            return self._broken(path, str(fault))

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[Any]:
        for index, child in enumerate(node.value):
            self._tree.lines[*path, index] = child.start_mark.line + 1
        return [self._value(child, (*path, index)) for index, child in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            refusal = _refused_key(key_node)
            if refusal is not None:
                self._tree.fault(path, refusal, line)
            elif key_node.value in result:
                child = (*path, key_node.value)
                first = self._tree.lines[child]
                self._tree.fault(child, f"is given twice, first in line {first}; keep one", line)
            else:
                child = (*path, key_node.value)
                self._tree.lines[child] = line
                result[key_node.value] = self._value(value_node, child)
        return result

    def _broken(self, path: KeyPath, message: str) -> None:
        self._tree.fault(path, message)
        self._tree.broken.append(path)


def _refused_key(node: yaml.Node) -> str | None:
    if not isinstance(node, yaml.ScalarNode):
        return "has a key that is a list or a mapping; write text"
    if node.tag == f"{_TAG}merge":
        return "has the key `<<`, which is not read; write the keys out, or alias a whole value"
    try:
        _check_text(node.value)
    except _UnreadableError as fault:
        return f"has a key that {fault}"
    return None


def _scalar(node: yaml.ScalarNode, environ: Mapping[str, str]) -> Any:
    text, tag = str(node.value), node.tag
    if tag == f"{_TAG}str" and "${" in text:
        text = _substituted(text, environ)
        if node.style is None and text:  # plain: typed as if the value had been written there
            tag = _resolved(text)
    _check_text(text)
    return _plain(tag, text)


def _resolved(text: str) -> str:
    resolver = yaml.SafeLoader("")
    return str(resolver.resolve(yaml.ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]  # stubs lack it


def _substituted(text: str, environ: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "${"
        if not match["end"] or _VARIABLE.fullmatch(name) is None:
            message = f"{match[0]!r} names no variable; write ${{NAME}}, or $${{ for the text ${{"
            raise _UnreadableError(message)
        if name not in environ:
            message = f"the environment variable {name} is not set; set it, or write the value here"
            raise _UnreadableError(message)
        return environ[name]

    return _REFERENCE.sub(value, text)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise _UnreadableError("holds a zero character; remove it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _UnreadableError("holds half a character; write valid UTF-8") from None


def _plain(tag: str, text: str) -> Any:
    """The value of a scalar; what YAML 1.1 reads as octal or in base 60 stays text."""
    kind = tag.removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return _TRUTH.get(text.lower(), text)
    if kind == "int":
        return _whole(text)
    if kind == "float":
        return _number(text)
    if kind in {"str", "timestamp", "value"}:
        return text
    raise _UnreadableError(_unknown_tag(tag))


def _whole(text: str) -> int | str:
    if _WHOLE.fullmatch(text) is None:
        return text
    if len(text) > MAX_DIGITS:
        raise _UnreadableError(f"has more than {MAX_DIGITS} digits; write a smaller number")
    return int(text)


def _number(text: str) -> float | str:
    try:
        number = float(re.sub(r"^([-+]?)\.(?=inf|nan)", r"\1", text.lower()))
    except ValueError:
        return text
    if not math.isfinite(number):
        raise _UnreadableError(f"{text} is no finite number; write one that is")
    return number


def _unknown_tag(tag: str) -> str:
    return f"has the type {tag.replace(_TAG, '!!')}, which is not read; remove it"
