"""Tokens: what is kept of them, who is known by them, and what a change of their file does."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from shiftwatch.errors import ConfigError
from shiftwatch.web.tokens import TokenFile, made, parsed

ZEROS = "sha256:" + 64 * "0"


class Clock:
    """Seconds that go forward when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_holds_256_random_bits_and_its_line_only_their_hash() -> None:
    token, line = made("alice", "operator")
    assert re.fullmatch(r"sw_[A-Za-z0-9_-]{43}", token)
    assert line == f"alice operator sha256:{hashlib.sha256(token.encode()).hexdigest()}"
    assert len({made("alice", "operator")[0] for _ in range(100)}) == 100


def test_the_holder_of_a_token_is_known_with_the_role_of_the_line(tmp_path: Path) -> None:
    reader, reading = made("prometheus", "read-only")
    writer, writing = made("alice", "operator")
    file = tmp_path / "tokens"
    file.write_text(f"# who may ask\n\n{reading}\n  {writing}  \n", encoding="utf-8")
    tokens = TokenFile(str(file))
    known = [tokens.holder(token) for token in (reader, writer)]
    assert [(h.name, h.role) for h in known if h] == [
        ("prometheus", "read-only"),
        ("alice", "operator"),
    ]
    for wrong in (
        "",
        "sw_",
        reader[:-1],
        reader + "x",
        reader.upper(),
        line_hash(reading),
        "\ud800",
    ):
        assert tokens.holder(wrong) is None


def line_hash(line: str) -> str:
    return line.rpartition(":")[2]


def test_a_token_that_is_added_or_taken_out_counts_a_second_later_without_a_restart(
    tmp_path: Path,
) -> None:
    clock = Clock()
    old, before = made("old", "operator")
    new, after = made("new", "operator")
    file = tmp_path / "tokens"
    file.write_text(before, encoding="utf-8")
    tokens = TokenFile(str(file), clock)
    assert tokens.holder(old)
    assert tokens.holder(new) is None
    file.write_text(after, encoding="utf-8")
    clock.now += 1.0
    assert tokens.holder(old) is None
    assert tokens.holder(new)


def test_a_file_that_cannot_be_used_lets_nobody_in_until_it_is_put_right(tmp_path: Path) -> None:
    clock = Clock()
    token, line = made("alice", "operator")
    file = tmp_path / "tokens"
    file.write_text(line, encoding="utf-8")
    tokens = TokenFile(str(file), clock)
    for damage in (line[:-1], line + "\nx", "\udcff"):
        file.write_text(damage, encoding="utf-8", errors="surrogateescape")
        clock.now += 1.0
        for _ in range(2):
            with pytest.raises(ConfigError):
                tokens.holder(token)
    file.unlink()
    clock.now += 1.0
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        tokens.holder(token)
    file.write_text(line, encoding="utf-8")
    assert tokens.holder(token), "at once: a fault is looked at again each time"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("alice operator", "has 2 words"),
        ("alice operator sw_secretsecret", "the third word is no SHA-256"),
        (f"alice operator {ZEROS}0", "the third word is no SHA-256"),
        (f"alice operator {ZEROS[:-1]}G", "the third word is no SHA-256"),
        (f"alice admin {ZEROS}", "the second word is no role"),
        (f"alice Operator {ZEROS}", "the second word is no role"),
        (f"al/ice operator {ZEROS}", "the name has other characters"),
        (f"alice operator {ZEROS} sw_secretsecret", "has 4 words"),
        (f"alice operator {ZEROS}\nalice read-only {ZEROS}", "alice stands here twice"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_its_words_are_not_repeated(
    line: str, told: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        parsed("# first\n" + line, "tokens")
    assert told in raised.value.what
    assert raised.value.where in {"tokens:2", "tokens:3"}
    assert "secretsecret" not in str(raised.value)


def test_a_file_that_anyone_may_write_to_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(made("alice", "operator")[1], encoding="utf-8")
    file.chmod(0o646)
    with pytest.raises(ConfigError, match="anyone may write to it"):
        TokenFile(str(file))


def test_a_folder_and_a_file_without_end_are_no_tokens_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        TokenFile(str(tmp_path))
    large = tmp_path / "large"
    large.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match="is larger than 1000000 bytes"):
        TokenFile(str(large))


def test_a_name_that_is_none_gets_no_token() -> None:
    for name in ("", "a b", "ä", "a\nb operator", "x" * 65):
        with pytest.raises(ConfigError):
            made(name, "operator")
