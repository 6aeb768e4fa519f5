"""How versions of data sets are named."""

import pytest

from relive.core.dataset import read_ref, write_ref
from relive.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [("a", "a", None), ("a@latest", "a", None), ("a@3", "a", 3), ("a.b-c_d@v12", "a.b-c_d", 12)],
)
def test_a_version_is_named(text, name, number):
    assert read_ref(text) == (name, number)
    assert read_ref(write_ref(name, number or 1)).name == name


@pytest.mark.parametrize(
    "text", ["", "@v1", "a@", "a@v0", "a@v", "a@newest", "a/b@v1", "a@v1\n", "é", "a@-1"]
)
def test_other_text_is_refused(text):
    with pytest.raises(InvalidInput, match="data set"):
        read_ref(text)
