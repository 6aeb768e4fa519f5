"""Names in `${{ }}` are replaced by their values; in a command each value stays one word."""

import shlex
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.expressions import Value, fill, fill_command, look_up, text_of
from relive.errors import InvalidInput

NAMES: dict[str, Value] = {
    "matrix.seed": 1,
    "matrix.lr": 1e-05,
    "matrix.fast": True,
    "vars.text": "two words",
    "vars.plain": "plain",
    "trigger.branch": "main; rm -rf ~",
    "trigger.kind": "push",
    "pipeline.commit": "abc123",
}

values = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("--seed ${{ matrix.seed }}", "--seed 1"),
        ("--seed=${{matrix.seed}}", "--seed=1"),
        ("${{ matrix.seed }}${{ matrix.seed }}", "11"),
        ("${{\n matrix.seed\n}}", "1"),
        ("--lr ${{ matrix.lr }}", "--lr 1e-05"),
        ("--fast ${{ matrix.fast }}", "--fast true"),
        ("echo ${HOME} $HOME {{ x }}", "echo ${HOME} $HOME {{ x }}"),
        ("", ""),
    ],
)
def test_names_are_replaced_and_all_else_is_left(text, filled):
    assert fill(text, NAMES) == filled
    assert fill_command(text, NAMES) == filled


def test_a_value_in_a_command_is_quoted_and_elsewhere_not():
    assert fill_command("echo ${{ vars.text }}", NAMES) == "echo 'two words'"
    assert fill("echo ${{ vars.text }}", NAMES) == "echo two words"


@pytest.mark.parametrize(
    "command",
    [
        'echo "${{ vars.text }}"',
        "echo '${{ vars.text }}'",
        "echo \"it's ${{ vars.text }}",
        "echo 'a' \"b ${{ vars.text }} c\" 'd'",
    ],
)
def test_a_value_that_needs_quotes_is_refused_inside_quotes(command):
    with pytest.raises(InvalidInput, match="no quotes around it") as caught:
        fill_command(command, NAMES)
    assert caught.value.value == "${{ vars.text }}"


@pytest.mark.parametrize(
    ("command", "filled"),
    [
        ('echo "${{ vars.plain }}"', 'echo "plain"'),
        ("echo it\\'s ${{ vars.text }}", "echo it\\'s 'two words'"),
        ("true # don't\necho ${{ vars.text }}", "true # don't\necho 'two words'"),
        ("echo a#'b' ${{ vars.text }}", "echo a#'b' 'two words'"),
        ("echo 'a'${{ vars.text }}'b'", "echo 'a''two words''b'"),
    ],
)
def test_where_quoting_is_right_the_value_is_filled_in(command, filled):
    assert fill_command(command, NAMES) == filled


@given(values)
def test_any_value_reaches_the_shell_as_exactly_one_word(value):
    command = fill_command("train --x ${{ matrix.x }} --y", {"matrix.x": value})
    assert shlex.split(command) == ["train", "--x", text_of(value), "--y"]


@pytest.mark.parametrize(
    "value", ["$(touch gone)", "`touch gone`", "a; touch gone", "'\"$HOME", "*", "a\nb", ""]
)
def test_a_real_shell_sees_the_value_itself(value, tmp_path):
    command = fill_command("printf %s ${{ vars.x }}", {"vars.x": value})
    told = subprocess.run(["sh", "-c", command], capture_output=True, check=True, cwd=tmp_path, timeout=60)
    assert told.stdout.decode() == value
    assert list(tmp_path.iterdir()) == []


def test_a_branch_is_never_part_of_a_command_and_the_error_names_the_variable():
    with pytest.raises(InvalidInput) as caught:
        fill_command("echo ${{ trigger.branch }}", NAMES)
    assert "RELIVE_BRANCH" in str(caught.value)
    assert fill("${{ trigger.branch }}", NAMES) == "main; rm -rf ~"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("matrix.sed", "did you mean `matrix.seed`?"),
        ("params.lr", "the script reads them from the params file"),
        ("secrets.KEY", "secrets are not yet supported"),
        ("trial.lr", "sweeps are not yet supported"),
        ("env.HOME", "the shell reads environment variables as $HOME"),
        ("zebra", "one of matrix.fast"),
    ],
)
def test_an_unknown_name_is_refused_with_what_was_meant(name, words):
    with pytest.raises(InvalidInput) as caught:
        look_up(name, NAMES)
    assert words in str(caught.value)
    assert caught.value.value == name


@pytest.mark.parametrize(
    "inner", ["", "matrix.seed + 1", "matrix.", ".seed", "'text'", "f(x)", "matrix seed", "1"]
)
def test_an_expression_is_one_name(inner):
    with pytest.raises(InvalidInput, match="one name between"):
        fill(f"x ${{{{ {inner} }}}}", NAMES)


@pytest.mark.parametrize(
    "text", ["${{", "a ${{ matrix.seed", "${{ matrix.seed }", "${{ matrix.seed }} ${{ x"]
)
def test_an_expression_must_be_closed(text):
    with pytest.raises(InvalidInput, match="a closing"):
        fill(text, NAMES)


@given(st.text(st.sampled_from("${} .abmatrixseed'\"\\#\n-")))
def test_any_text_is_filled_or_refused_clearly(text):
    for replace in (fill, fill_command):
        with suppress(InvalidInput):  # and nothing else
            assert replace(text, NAMES) == text or "${{" in text
