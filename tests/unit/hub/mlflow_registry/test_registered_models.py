"""Registered models over MLflow's protocol: what is answered, what is refused and in which words."""

from typing import Any

import pytest

INVALID = "INVALID_PARAMETER_VALUE"
SEE = " See the API docs for more information about request parameters."
PROMPT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]


def names(found: dict[str, Any]) -> list[str]:
    return [model["name"] for model in found.get("registered_models", [])]


def test_a_model_is_made_with_its_tags_and_is_relives_own(registry: Any) -> None:
    tags = [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]
    made = registry.model("first", tags=tags, description="d")
    assert made["tags"] == [{"key": "a", "value": "2"}]
    assert made["description"] == "d"
    assert made["creation_timestamp"] == made["last_updated_timestamp"]
    assert registry.get("registered-models/get", name="first")["registered_model"] == made
    own = registry.live.ask("GET", "/api/v1/models/first").json
    assert own["project"] == "mlflow"
    assert own["model"]["created_by"] == "ada"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", f"Missing value for required parameter 'name'.{SEE}"),
        (" ", "Missing value for required parameter 'name'."),
        ("a/b", "Invalid model name 'a/b'. Names cannot contain '/' or ':'."),
        ("a:b", "Invalid model name 'a:b'. Names cannot contain '/' or ':'."),
    ],
)
def test_a_name_that_is_none_is_refused(registry: Any, name: str, said: str) -> None:
    assert registry.refused("POST", "registered-models/create", name=name) == (400, INVALID, said)


def test_a_name_is_taken_once_also_between_models_and_prompts(registry: Any) -> None:
    registry.model("taken")
    code = "RESOURCE_ALREADY_EXISTS"
    said = "Registered Model (name=taken) already exists."
    assert registry.refused("POST", "registered-models/create", name="taken") == (400, code, said)
    status, code, said = registry.refused("POST", "registered-models/create", name="taken", tags=PROMPT)
    assert (status, code) == (400, "RESOURCE_ALREADY_EXISTS")
    assert "Tried to create a prompt with name 'taken', but the name is already taken" in said


def test_what_is_not_there_is_said_in_mlflows_words(registry: Any) -> None:
    missing = (404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=none not found")
    assert registry.refused("GET", "registered-models/get", name="none") == missing
    assert registry.refused("PATCH", "registered-models/update", name="none") == missing
    assert registry.refused("DELETE", "registered-models/delete", name="none") == missing
    assert registry.refused("POST", "registered-models/set-tag", name="none", key="k") == missing


def test_description_tags_and_name_change(registry: Any) -> None:
    registry.model("changes")
    registry.patch("registered-models/update", name="changes", description="new")
    registry.post("registered-models/set-tag", name="changes", key="k", value="v")
    registry.post("registered-models/set-tag", name="changes", key="gone", value="v")
    registry.delete("registered-models/delete-tag", name="changes", key="gone")
    registry.delete("registered-models/delete-tag", name="changes", key="never")
    renamed = registry.post("registered-models/rename", name="changes", new_name="changed")
    assert renamed["registered_model"]["description"] == "new"
    assert renamed["registered_model"]["tags"] == [{"key": "k", "value": "v"}]
    assert registry.refused("GET", "registered-models/get", name="changes")[0] == 404
    registry.model("in-the-way")
    refused = registry.refused("POST", "registered-models/rename", name="changed", new_name="in-the-way")
    assert refused[:2] == (400, "RESOURCE_ALREADY_EXISTS")


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ({"key": "k" * 251}, "'key' exceeds the maximum length of 250 characters"),
        ({"key": "k", "value": "v" * 100_001}, "'value' exceeds the maximum length of 100000 characters"),
        ({"key": "bad!"}, "Invalid value \"bad!\" for parameter 'key' supplied"),
        ({"key": "../x"}, "must not resolve to other names"),
    ],
)
def test_a_tag_that_is_none_is_refused(registry: Any, tag: dict[str, str], said: str) -> None:
    status, code, text = registry.refused("POST", "registered-models/create", name="tagged", tags=[tag])
    assert (status, code) == (400, INVALID)
    assert said in text
    assert registry.refused("GET", "registered-models/get", name="tagged")[0] == 404


def test_search_finds_models_by_pages_and_prompts_only_if_asked(registry: Any) -> None:
    for name in ("find-a", "find-b", "find-c"):
        registry.model(name)
    registry.model("find-prompt", tags=PROMPT)
    found = registry.get("registered-models/search", filter="name LIKE 'find-%'")
    assert names(found) == ["find-a", "find-b", "find-c"]
    both = "name LIKE 'find-%' AND tags.`mlflow.prompt.is_prompt` = 'true'"
    assert names(registry.get("registered-models/search", filter=both)) == ["find-prompt"]
    asked = {"filter": "name LIKE 'find-%'", "max_results": 2, "order_by": ["name DESC"]}
    page = registry.get("registered-models/search", **asked)
    assert names(page) == ["find-c", "find-b"]
    rest = registry.get("registered-models/search", page_token=page["next_page_token"], **asked)
    assert names(rest) == ["find-a"]
    assert "next_page_token" not in rest


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"max_results": 1001}, "Invalid value \"1001\" for parameter 'max_results' supplied"),
        ({"page_token": "bad"}, "Invalid page token, could not base64-decode"),
        ({"page_token": "e30="}, "Invalid page token, parsed value={}"),
        ({"filter": "bad"}, "Invalid clause(s) in filter string: bad"),
        ({"order_by": "bad"}, "Invalid order by key 'bad' specified."),
    ],
)
def test_a_search_that_cannot_be_done_says_why(registry: Any, asked: dict[str, Any], said: str) -> None:
    status, code, text = registry.refused("GET", "registered-models/search", **asked)
    assert (status, code) == (400, INVALID)
    assert said in text


def test_an_alias_moves_and_goes(registry: Any) -> None:
    registry.model("aliased")
    registry.version("aliased")
    registry.version("aliased")
    for version in ("1", "2"):
        registry.post("registered-models/alias", name="aliased", alias="champion", version=version)
    asked = {"name": "aliased", "alias": "champion"}
    assert registry.get("registered-models/alias", **asked)["model_version"]["version"] == "2"
    model = registry.get("registered-models/get", name="aliased")["registered_model"]
    assert model["aliases"] == [{"alias": "champion", "version": "2"}]
    own = registry.live.ask("GET", "/api/v1/models/aliased/versions/champion").json
    assert own["version"] == 2
    registry.delete("registered-models/alias", **asked)
    registry.delete("registered-models/alias", **asked)
    said = "Registered model alias champion not found."
    assert registry.refused("GET", "registered-models/alias", **asked) == (400, INVALID, said)
    newest = registry.get("registered-models/alias", name="aliased", alias="Latest")
    assert newest["model_version"]["version"] == "2"


@pytest.mark.parametrize(
    ("alias", "said"),
    [
        ("latest", "'latest' alias name (case insensitive) is reserved."),
        ("v1", "Version alias name 'v1' is reserved."),
        ("12", "Version alias name '12' is reserved."),
        ("a b", "Invalid alias name: 'a b'."),
        ("x" * 256, "'Registered model alias name' exceeds the maximum length of 255 characters"),
    ],
)
def test_an_alias_that_is_none_is_refused(registry: Any, alias: str, said: str) -> None:
    asked = {"name": "any", "alias": alias, "version": "1"}
    status, code, text = registry.refused("POST", "registered-models/alias", **asked)
    assert (status, code) == (400, INVALID)
    assert said in text


def test_a_model_is_deleted_unless_an_endpoint_serves_it(registry: Any) -> None:
    registry.model("goes")
    registry.version("goes")
    registry.delete("registered-models/delete", name="goes")
    assert registry.refused("GET", "model-versions/get", name="goes", version="1")[0] == 404
    served = registry.bench.version("served")
    registry.bench.deployed(served, "front")
    for call, asked in (("registered-models", {}), ("model-versions", {"version": "1"})):
        status, code, text = registry.refused("DELETE", f"{call}/delete", name="served", **asked)
        assert (status, code) == (409, "RESOURCE_CONFLICT")
        assert "endpoint front" in text
    assert registry.get("model-versions/get", name="served", version="1")


def test_without_a_login_one_changes_only_what_one_made(registry: Any) -> None:
    local = registry.local()
    registry.model("theirs")
    local.model("mine")
    for call in ("set-tag", "rename"):
        asked = {"name": "theirs", "key": "k", "new_name": "x"}
        assert local.refused("POST", f"registered-models/{call}", **asked)[:2] == (403, "PERMISSION_DENIED")
    local.version("mine")
    local.post("registered-models/alias", name="mine", alias="champion", version="1")
    assert local.version("theirs")["version"] == "1"
    refused = local.refused("POST", "registered-models/alias", name="theirs", alias="champion", version="1")
    assert refused[0] == 403
    local.delete("registered-models/delete", name="mine")


def test_a_command_registers_candidates_and_sets_no_alias(registry: Any) -> None:
    created = registry.bench.by_hand()
    command = type(registry)(registry.bench, registry.live, created.token)
    assert command.model("candidate")["name"] == "candidate"
    assert command.version("candidate", run_id=created.run_id)["run_id"] == created.run_id
    assert registry.live.ask("GET", "/api/v1/models/candidate").json["project"] == "digits"
    for call, asked in (
        ("registered-models/alias", {"alias": "champion", "version": "1"}),
        ("model-versions/transition-stage", {"version": "1", "stage": "Production"}),
    ):
        assert command.refused("POST", call, name="candidate", **asked)[:2] == (403, "PERMISSION_DENIED")
    registry.model("elsewhere")
    assert command.refused("GET", "registered-models/get", name="elsewhere")[0] == 403
    assert "elsewhere" not in names(command.get("registered-models/search", max_results=1000))
