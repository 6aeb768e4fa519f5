"""What MLflow takes as names, tags, aliases, stages, pages and paths, and what it says otherwise."""

import pytest

from relive.core.search import And
from relive.core.search_grammars import REGISTERED_MODELS
from relive.core.search_parser import parse_filter
from relive.core.webhook import ACTIONS
from relive.hub.routes.mlflow.attachments import disposition, kind_of
from relive.services.mlflow import registry_rules as rules
from relive.services.mlflow.deliveries import signature
from relive.services.mlflow.faults import MlflowFault
from relive.services.mlflow.paging import page_offset, page_token
from relive.services.mlflow.places import safe_path
from relive.services.mlflow.registry import read_filter
from relive.services.mlflow.sources import logged_id_of
from relive.services.mlflow.webhooks import example_of
from relive.wire.mlflow.registry import Tag

SIGNED = "v1,3CH39uZxMTTZBV9mdW9gtiSAvyyKNbQXkIxpNKFkcco="
PROMPTS = (rules.IS_PROMPT, "true")


@pytest.mark.parametrize("name", ["digits", "a b", "ünï", "a.b-c_d", "1", "x" * 300])
def test_a_models_name_is_nearly_anything(name: str) -> None:
    rules.check_model_name(name)


@pytest.mark.parametrize("name", ["", "  ", "a/b", "/", "a:b", ".", ".."])
def test_a_models_name_is_no_path(name: str) -> None:
    with pytest.raises(MlflowFault):
        rules.check_model_name(name)


@pytest.mark.parametrize("key", ["a", "a/b", "a.b", "a b", "a:b", "mlflow.prompt.text", "ünï"])
def test_a_tags_key_may_be_a_path(key: str) -> None:
    assert rules.check_tags([Tag(key, "v")]) == {key: "v"}


@pytest.mark.parametrize("key", ["a//b", "../a", "/a", "a/", "a!b", "a\nb", "."])
def test_a_tags_key_is_no_other_path(key: str) -> None:
    with pytest.raises(MlflowFault):
        rules.check_tags([Tag(key, "v")])


def test_of_tags_with_one_key_the_last_counts() -> None:
    assert rules.check_tags([Tag("a", "1"), Tag("b", "2"), Tag("a", "3")]) == {"a": "3", "b": "2"}


def test_a_long_prompt_is_refused_as_one() -> None:
    with pytest.raises(MlflowFault, match="Prompt text exceeds max length of 100000 characters"):
        rules.check_tags([Tag(rules.PROMPT_TEXT, "x" * 100_001)], of_version=True)


@pytest.mark.parametrize(
    ("word", "stage"), [("none", "None"), ("STAGING", "Staging"), ("Archived", "Archived")]
)
def test_a_stage_is_written_in_one_way(word: str, stage: str) -> None:
    assert rules.stage_of(word) == stage


@pytest.mark.parametrize("word", ["", "Prod", "None "])
def test_there_are_no_other_stages(word: str) -> None:
    with pytest.raises(MlflowFault, match="Invalid Model Version stage"):
        rules.stage_of(word)


@pytest.mark.parametrize(("text", "number"), [("1", 1), (" 2 ", 2), ("007", 7), ("-1", -1)])
def test_a_versions_number_is_read_as_python_reads_it(text: str, number: int) -> None:
    assert rules.version_number(text) == number


@pytest.mark.parametrize("text", ["", "1.0", "v1", "x", "9" * 5000])
def test_other_words_are_no_version(text: str) -> None:
    with pytest.raises(MlflowFault, match="must be an integer"):
        rules.version_number(text)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, False),
        ({rules.IS_PROMPT: "true"}, True),
        ({rules.IS_PROMPT: "True"}, True),
        ({rules.IS_PROMPT: "x"}, False),
    ],
)
def test_a_prompt_is_known_by_its_tag(tags: dict[str, str], expected: bool) -> None:
    assert rules.is_prompt(tags) is expected


def test_a_page_begins_where_its_token_says() -> None:
    assert page_offset("") == 0
    assert page_offset(page_token(25)) == 25


@pytest.mark.parametrize(
    "token", ["bad", "e30=", "WzFd", "aGVsbG8=", page_token(0), page_token(-1), page_token(1 << 70)]
)
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(MlflowFault, match="Invalid page token"):
        page_offset(token)


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("a/b.txt", "a/b.txt"),
        ("a%20b", "a b"),
        ("a/", "a"),
        ("", ""),
        ("a\nb", "a%0Ab"),
        ("a..b/c", "a..b/c"),
    ],
)
def test_a_path_is_decoded(path: str, plain: str) -> None:
    assert safe_path(path) == plain


@pytest.mark.parametrize(
    "path", ["..", "a/../b", "/a", "%2e%2e/a", "%252e%252e", "a#b", "C:\\x", "\\\\host\\x", "%2fa"]
)
def test_a_path_leads_nowhere_else(path: str) -> None:
    with pytest.raises(MlflowFault, match="Invalid path"):
        safe_path(path)


def test_prompts_are_left_out_unless_they_are_asked_for() -> None:
    tag = f"tags.`{rules.IS_PROMPT}`"
    asked = parse_filter(f"{tag} = 'true'", REGISTERED_MODELS)
    assert read_filter(asked) == (asked, None)
    not_false = parse_filter(f"{tag} != 'false'", REGISTERED_MODELS)
    assert read_filter(not_false) == (not_false, None)
    assert read_filter(None) == (None, PROMPTS)
    assert read_filter(parse_filter(f"{tag} = 'false'", REGISTERED_MODELS)) == (None, PROMPTS)
    name = parse_filter("name = 'a'", REGISTERED_MODELS)
    assert read_filter(parse_filter(f"{tag} = 'false' AND name = 'a'", REGISTERED_MODELS)) == (name, PROMPTS)
    kept, without = read_filter(parse_filter("name = 'a' AND name = 'b'", REGISTERED_MODELS))
    assert isinstance(kept, And)
    assert without == PROMPTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models:/m-1", "m-1"),
        ("models:/name/1", ""),
        ("models:/name@alias", ""),
        ("runs:/m-1", ""),
        ("s3://bucket/m-1", ""),
        ("m-1", ""),
    ],
)
def test_an_address_of_a_logged_model_is_known(text: str, expected: str) -> None:
    assert logged_id_of(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "attachment; filename=a.txt"),
        ("a b.txt", 'attachment; filename="a b.txt"'),
        ('a"b', 'attachment; filename="a\\"b"'),
        ("日本", "attachment; filename=download; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
        ("é.txt", "attachment; filename=e.txt; filename*=UTF-8''%C3%A9.txt"),
    ],
)
def test_a_file_is_saved_under_its_name(name: str, expected: str) -> None:
    assert disposition(name) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MLmodel", "text/plain"),
        ("a.json", "text/plain"),
        ("a.png", "image/png"),
        ("page.html", "text/html"),
        ("weights", "application/octet-stream"),
    ],
)
def test_a_file_has_a_type_by_its_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_a_message_is_signed_as_mlflow_signs_it() -> None:
    # Worked out with mlflow 3.17.2: mlflow.webhooks.delivery._generate_hmac_signature.
    assert signature(b"secret", "id", "1700000000", '{"a":1}') == SIGNED


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("model_version.created", {"version": "1", "source": "models:/123", "run_id": "abcd1234abcd5678"}),
        ("model_version_tag.set", {"version": "1", "key": "example_key", "value": "example_value"}),
        ("model_version_alias.deleted", {"name": "example_model", "alias": "example_alias"}),
        ("prompt_version.created", {"name": "example_prompt", "template": "Hello {{name}}!"}),
        ("prompt_tag.deleted", {"name": "example_prompt", "key": "example_key"}),
        ("registered_model.created", {"description": "An example registered model"}),
    ],
)
def test_an_example_of_an_event_is_mlflows(event: str, expected: dict[str, str]) -> None:
    assert expected.items() <= example_of(event).items()


def test_every_event_has_an_example() -> None:
    for entity, actions in ACTIONS.items():
        for action in actions:
            assert example_of(f"{entity}.{action}")["name"].startswith("example_")
