"""`if:` conditions: a small grammar, judged the same everywhere, refused where it breaks."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.conditions import LONGEST, judge
from relive.core.expressions import Value
from relive.errors import InvalidInput

NAMES: dict[str, Value] = {
    "trigger.branch": "main",
    "trigger.kind": "push",
    "vars.big": True,
    "vars.small": False,
    "matrix.seed": 3,
    "matrix.model": "lr",
}


@pytest.mark.parametrize(
    "condition",
    [
        "trigger.branch == 'main'",
        'trigger.branch == "main"',
        "'main' == trigger.branch",
        "trigger.branch != 'dev'",
        "${{ trigger.branch == 'main' }}",
        "  vars.big  ",
        "true",
        "!false",
        "not vars.small",
        "!!vars.big",
        "not not not false",
        "vars.big && !vars.small",
        "vars.small or vars.big",
        "vars.small || vars.small || vars.big",
        "vars.big or vars.small and vars.small",
        "not (vars.big and vars.small)",
        "matrix.seed == 3",
        "matrix.seed == 3.0",
        "matrix.seed != '3'",
        "matrix.model == 'lr' and (matrix.seed == 3 or matrix.seed == 4)",
        "!(trigger.branch == 'dev')",
        "! trigger.branch == 'dev'",
        "(((true)))",
        "-1 == -1.0",
        "vars.big == true",
        "1 != true",
    ],
)
def test_holds(condition):
    assert judge(condition, NAMES).holds is True


@pytest.mark.parametrize(
    "condition",
    [
        "trigger.branch == 'dev'",
        "vars.small",
        "not vars.big",
        "vars.big and vars.small",
        "(vars.big or vars.small) and vars.small",
        "matrix.seed == '3'",
        "matrix.seed == 4",
        "trigger.branch == ''",
        "vars.big == 1",
        "false",
    ],
)
def test_does_not_hold(condition):
    assert judge(condition, NAMES).holds is False


def test_it_tells_which_values_it_looked_at():
    judged = judge("trigger.branch == 'dev' and matrix.seed == 3", NAMES)
    assert judged.used == {"trigger.branch": "main", "matrix.seed": 3}


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("", "a name, a 'text', a number, true, false or `(` at character 1, where the end stands"),
        ("trigger.branch =", "at character 16"),
        ("trigger.branch == ", "at character 18, where the end stands"),
        ("trigger.branch = 'main'", "one of == != && || ! ( ) at character 16"),
        ("trigger.branch == 'main", "at character 19"),
        ("(true", "`)` for the `(` at character 1 at character 6, where the end stands"),
        ("true)", "the end, `and` or `or` at character 5, where `)` stands"),
        ("true true", "at character 6, where `true` stands"),
        ("and true", "at character 1, where `&&` stands"),
        ("true and", "at character 9"),
        ("1 == 1 == 1", "the end, `and` or `or` at character 8"),
        ("always()", "no call: conditions know names"),
        ("trigger.branch", "true or false at character 1, not the text 'main': compare it"),
        ("vars.small or matrix.seed", "true or false at character 15, not the number 3"),
        ("not 'x'", "true or false at character 5"),
        ("trigger.brunch == 'x'", "did you mean `trigger.branch`?"),
        ("1abc == 2", "at character 1"),
        ("a @ b", "at character 3"),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_character(condition, words):
    with pytest.raises(InvalidInput) as caught:
        judge(condition, NAMES)
    assert words in str(caught.value)


def test_a_wrong_name_is_found_on_the_side_that_decides_nothing():
    for condition in ("vars.small and vars.nope", "vars.big or vars.nope"):
        with pytest.raises(InvalidInput, match=r"vars\.nope"):
            judge(condition, NAMES)


def test_brackets_are_bounded():
    assert judge("(" * 32 + "true" + ")" * 32, NAMES).holds
    with pytest.raises(InvalidInput, match="at most 32 brackets"):
        judge("(" * 33 + "true" + ")" * 33, NAMES)


def test_length_is_bounded():
    with pytest.raises(InvalidInput, match=f"at most {LONGEST} characters"):
        judge("!" * (LONGEST + 1) + "true", NAMES)


@given(st.text(st.sampled_from("=!&|()'\" .-0123trueandornotvars.bigmatrix.seed"), max_size=60))
def test_any_text_is_judged_or_refused_clearly(text):
    with suppress(InvalidInput):  # and nothing else
        assert isinstance(judge(text, NAMES).holds, bool)


def trees(children):
    """Give conditions built from smaller ones, beside what they must come to."""
    pair = st.tuples(children, children)
    return st.one_of(
        pair.map(lambda p: (f"({p[0][0]}) and ({p[1][0]})", p[0][1] and p[1][1])),
        pair.map(lambda p: (f"({p[0][0]}) || ({p[1][0]})", p[0][1] or p[1][1])),
        pair.map(lambda p: (f"({p[0][0]}) == ({p[1][0]})", p[0][1] == p[1][1])),
        pair.map(lambda p: (f"({p[0][0]}) != ({p[1][0]})", p[0][1] != p[1][1])),
        children.map(lambda c: (f"!({c[0]})", not c[1])),
    )


leaves = st.sampled_from(
    [("true", True), ("vars.small", False), ("matrix.seed == 3", True), ("matrix.model == 'gbm'", False)]
)


@given(st.recursive(leaves, trees, max_leaves=12))
def test_it_comes_to_what_python_comes_to(pair):
    condition, expected = pair
    if len(condition) <= LONGEST:
        assert judge(condition, NAMES).holds is expected
