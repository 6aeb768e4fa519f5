"""The cache key is one digest of the facts, whatever their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.cachekey import cache_facts
from relive.core.digest import is_digest
from relive.core.pipeline import StageSpec
from relive.errors import InvalidInput
from relive.formats.cachekey import cache_key

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
facts = st.dictionaries(texts, texts, max_size=6)


@given(facts, st.randoms())
def test_the_order_of_the_facts_does_not_matter(found, random):
    items = list(found.items())
    random.shuffle(items)
    assert cache_key(dict(items)) == cache_key(found)
    assert is_digest(cache_key(found))


@given(facts, facts)
def test_other_facts_have_another_key(one, other):
    assert (cache_key(one) == cache_key(other)) == (one == other)


def test_a_stage_has_the_key_it_always_had():
    # Stored keys depend on this: if it changes, every stage of every project runs again.
    spec = StageSpec(name="train", cmd=("python train.py",), outs=("model",), env={"SEED": "1"})
    found = cache_facts(spec, params={"lr": 0.1}, environment="", deps={"train.py": "blake3:" + "0" * 64})
    assert cache_key(found) == "blake3:37fd2a8ab3c2462a91d10b08f82dce035b41bfb1e2a14158606d906b8f9ba068"


def test_text_that_is_not_unicode_is_refused():
    with pytest.raises(InvalidInput):
        cache_key({"env X": "\ud800"})
