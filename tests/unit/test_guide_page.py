"""Fences are found wherever MkDocs Material lets them stand, and read as their readers see them."""

from __future__ import annotations

from pathlib import Path

import pytest
from guide_support import GUIDE, line_of

from harness.errors import GuideError
from harness.guide.flow import plain
from harness.guide.page import PAGE, Block, read_page, scan


def only(text: str) -> Block:
    (block,) = scan(text, "page.md").blocks
    return block


def test_blocks_know_their_place() -> None:
    blocks = scan(GUIDE, "kettle.md").blocks
    assert [(b.language, b.title, b.section, b.within) for b in blocks] == [
        ("bash", "", "Set up", ()),
        ("yaml", "compose.yaml", "Set up", ("Files",)),
        ("ini", "", "As a unit", ("Root",)),
        ("ini", "", "As a unit", ("User",)),
    ]
    assert [b.line for b in blocks] == [
        line_of("```bash"),
        line_of("```yaml"),
        line_of("```ini"),
        line_of("~~~ini"),
    ]


def test_text_loses_the_blocks_indentation_only() -> None:
    compose = scan(GUIDE, "kettle.md").blocks[1]
    assert compose.text.startswith("services:\n  kettle:\n    ports:\n")
    assert (line_of("8443:443"), '      - "8443:443"') in compose.lines


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ('!!! note "Outer"\n\n    === "Tab"\n\n        ```sh\n        a\n        ```\n', True),
        ('??? tip\n\n    === "Tab"\n\n        ```sh\n        a\n        ```\n', True),
        ('!!! note "Outer"\n\n    words\n\n```sh\na\n```\n', False),
    ],
)
def test_containers_hold_what_is_indented_below_them(text: str, within: bool) -> None:
    block = only(text)
    assert block.text == "a\n"
    assert bool(block.within) is within
    if within:
        assert block.within[0] in ("Outer", "Tip")
        assert block.within[1] == "Tab"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("````md\n```\ninner\n```\n````\n", "```\ninner\n```\n"),
        ("```md\n~~~\n```\n", "~~~\n"),
        ("- ```sh\n  a\n  ```\n", "a\n"),
        ("1. item\n\n    ```sh\n    a\n\n      b\n    ```\n", "a\n\n  b\n"),
        ("> ```sh\n> a\n>\n> b\n> ```\n", "a\n\nb\n"),
        ("\t```sh\n\ta\tb\n\t```\n", "a\tb\n"),
        ("```sh\r\na\r\n```\r\n", "a\n"),
        ("```sh\n# no heading\n<!-- no comment\n```\n", "# no heading\n<!-- no comment\n"),
        ("``` `a` is no fence ```\n\n~~~\na\n~~~\n", "a\n"),
        ("<!--\n```sh\nhidden\n```\n-->\n```sh\na\n```\n", "a\n"),
        ("---\ntitle: |\n  ```\n---\n```sh\na\n```\n", "a\n"),
    ],
)
def test_forms_of_fences(text: str, code: str) -> None:
    assert only(text).text == code


@pytest.mark.parametrize(
    ("info", "language", "title"),
    [
        ("", "", ""),
        ("c++", "c++", ""),
        ('ini title="a b.container" hl_lines="2"', "ini", "a b.container"),
        ("{ .yaml title='x' }", "yaml", "x"),
    ],
)
def test_info_strings(info: str, language: str, title: str) -> None:
    block = only(f"```{info}\na\n```\n")
    assert (block.language, block.title) == (language, title)


def test_headings_within_code_and_front_matter_are_none() -> None:
    page = scan(GUIDE, "kettle.md")
    assert [text for _, text in page.headings] == ["Kettle on Podman", "Set up", "As a unit"]
    assert scan("## A `b` ##\n!!! note\n    ### C { #c }\n```\na\n```", "page.md").headings == [
        (1, "A `b`"),
        (3, "C"),
    ]


@pytest.mark.parametrize("tail", ["```sh\na\n", "    ```sh\n    a\nout\n    ```\n"])
def test_a_block_that_never_ends_is_named(tail: str) -> None:
    with pytest.raises(GuideError, match=r"page\.md:2: this code block is never closed\n.*```"):
        scan("words\n" + tail, "page.md")


def test_a_page_without_code_is_not_the_guide() -> None:
    with pytest.raises(GuideError, match=r"page\.md has no code block.*\n.*podman\.md"):
        scan("# Words\n\n    indented\n", "page.md")


def test_files_that_cannot_be_read_are_one_line_and_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(GuideError, match=r"none\.md: no such file or directory\n.*podman\.md"):
        read_page(tmp_path / "none.md")
    (tmp_path / "image.md").write_bytes(b"ab\xff\xfe")
    with pytest.raises(GuideError, match=r"image\.md is no text in UTF-8: byte 2 is 0xff"):
        read_page(tmp_path / "image.md")
    with pytest.raises(GuideError, match=r"is a folder\n.*name its page"):
        read_page(tmp_path)
    (tmp_path / PAGE).parent.mkdir(parents=True)
    (tmp_path / PAGE).write_text(GUIDE)
    with pytest.raises(GuideError, match=rf"is a folder\n.*dms-harness guide .*/{PAGE}"):
        read_page(tmp_path)


@pytest.mark.parametrize(
    ("markdown", "seen"),
    [
        ("**`A=+0:@%U`:** _a_ and __b__", "A=+0:@%U: a and b"),
        ("port_handler and `a_b` (_so_)", "port_handler and a_b (so)"),
        ("[`a` b][c::d] ![e](f(g).png) [h][]", "a b e h"),
        ("### Use `a`", "Use a"),
        ("- 1\\. x\u00a0y “z” it’s", '1. x y "z" it\'s'),
        ("a\n  b   c", "a b c"),
    ],
)
def test_markdown_is_taken_away(markdown: str, seen: str) -> None:
    assert plain(markdown) == seen
