"""Write the reference pages that the code can tell by itself: commands, settings, errors, MLflow's calls.

    make docs-reference

The pages are committed, so that a reader needs no build to see them; `tests/docs/test_docs.py` compares them
with what the code says today.
"""

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import click

import relive.errors
from relive.errors import ReliveError
from relive.hub.routes.mlflow import calls as mlflow
from relive.hub.routes.mlflow.table import Table
from relive.settings import SETTINGS, Setting

FOLDER = Path(__file__).resolve().parents[1] / "docs/reference"
_WRITTEN_BY = "<!-- Written by `make docs-reference` from the code; change it there. -->"
_MLFLOW = """# MLflow compatibility

MLflow's own clients record with a hub as they are: `MLFLOW_TRACKING_URI=http://127.0.0.1:7878`, and
`MLFLOW_TRACKING_TOKEN` where the hub asks for a token. A run that they make is a run like any other.

Inside a stage, and under `relive run`, the address, a token and the run's id are set already:
`mlflow.start_run()` attaches to the run that records the command, and a nested one is its child. The status
that the client sets does not end the run: its process does.

## Tracking

Below `/api/2.0/mlflow/` and `/api/3.0/mlflow/`, and the same below `/ajax-api/`:

| call | what it does |
|---|---|
ROWS

Every other call answers 501 with `NOT_IMPLEMENTED` and says which one it was: those of the gateway, which
passes questions on to language models, of `prompt-optimization`, and two that only Databricks answers
(`unified-traces`, `get-online-trace-details`).

## Models

A registered model of MLflow is a registered model of relive: the pages, `relive model` and endpoints see it,
and MLflow's clients see what pipelines register. A version whose source is of this hub (`runs:/`,
`models:/`, `mlflow-artifacts:/`) is kept by the digests of its files and signed, so `relive model verify`
and `download` work on it; the statement says that a client stored them where nobody saw how they were made.
Of any other source the address alone is kept. To be deployed a version needs an example, as one that a
pipeline registers has.

`mlflow.pyfunc.load_model("models:/NAME@ALIAS")` and `mlflow.artifacts.download_artifacts` work on all of
them.

`/graphql` answers what MLflow's classic pages ask there (runs, experiments, series, artifacts, versions, data
sets), with MLflow's limits.

## Traces

`@mlflow.trace`, `mlflow.start_span`, autologging of GenAI libraries, `mlflow.search_traces` with its filters,
feedback, expectations, tags, links with runs and prompts work as with MLflow's own server. Spans come to
`POST /v1/traces` as OTLP (protobuf or JSON, gzip or deflate) with the header `x-mlflow-experiment-id`, so any
exporter of OpenTelemetry can send them:

```
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://localhost:7878/v1/traces
OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf
OTEL_EXPORTER_OTLP_TRACES_HEADERS=x-mlflow-experiment-id=0,authorization=Bearer%20TOKEN
```

What OpenTelemetry's conventions for generative AI, OpenInference, OpenLLMetry, Langfuse and Vercel's AI SDK
call inputs, outputs, tokens, model and type is understood. The hub prices no tokens: costs are those that a
client sends. `RLIKE` is read by RE2, which knows no look-around and no back-references. Traces are not
archived to an object store; they are deleted with `MlflowClient.delete_traces` or with their experiment. A
project's page `Traces` and `relive traces` show them.

## Evaluation

`mlflow.genai.datasets` and the registry of `mlflow.genai.scorers` work as with MLflow's own server: records
are merged by their inputs, scorers have versions. The hub keeps scorers and never runs one, so none judges
traces as they come in, and one that carries Python source (`@scorer`) is refused, as MLflow's server refuses
it. An experiment that is not there is refused when a data set is made. In lists of scorers the experiment
stands only where its id is a number, for which alone MLflow's message has room.

`mlflow.genai.label_schemas` and `mlflow.genai.review_queues` work as with MLflow's own server, and so do
issues, which traces refer to (`issue.id = '…'` finds those that show one). Whoever logged in is a queue's
owner, and who looked at a trace; only without a login may a client say a name. A project's page `Reviews`
shows its queues, questions and issues.

`prompt-optimization` is not served: each of its jobs asks a language model, and MLflow's Python client has no
call for it. `mlflow.genai.optimize_prompts` runs where it is called and records here like any other run. No
scorer is run here, so `PUT scorers/online-config` is not served either.

## Webhooks

Messages are signed as MLflow signs (`X-MLflow-Signature`), tried nine times in growing distances (or when the
receiver asks, `Retry-After`), and written down: `relive webhook deliveries`. They go by https to public
addresses only, unless `RELIVE_WEBHOOK_PRIVATE=1`.

## Artifacts

Below `/api/2.0/mlflow-artifacts/artifacts`: `PUT` stores a file of any size, `GET` gives it or the range
that is asked for, `GET ?path=` lists a folder, `DELETE` deletes a file or a folder. What a stage declares as
`outs` is among them, to be read only. Files in parts (`/api/2.0/mlflow-artifacts/mpu/`) go to the hub,
or with `RELIVE_PRESIGN=on` and a bucket as its store to the bucket itself, by signed addresses; `server-info`
tells clients so. The hub reads and hashes them when they are complete. A single signed address to write to is
not given (`artifacts/presigned-upload-url`): nobody would tell the hub that there is a file.

## What is different

Answers were compared with those of MLflow's own server, request by request: statuses, error codes and texts
are the same but where this list says otherwise.

- An experiment belongs to a project. A new one is made in the project `mlflow`, or in that of the stage.
- The id of an experiment that an MLflow client makes is a random number below 2^31, the default one's is `0`,
  and that of an experiment which a pipeline or `import relive` made is text of 32 hex digits.
- A field that is not what it should be is refused, wherever it stands. MLflow's server reads what comes
  before it and drops the rest: of a batch with one bad value it keeps a part and answers 200.
- Filters may also hold OR, NOT and brackets, which MLflow's server refuses; sorted by `experiment_id`,
  experiments stand in the order in which they were made.
- Infinities come back as they were logged, not as the largest number.
- A run without a start time begins when it is made. One that ends without an end time ends then, and one that
  is taken up again has no end.
- Whoever has no login changes and deletes what was made so; a command, its own run and what it made.
- A command registers models and versions of its project; aliases and stages are set by people.
- A version that an endpoint serves or has served is not deleted, nor its model: 409 says which endpoint.
- Deleting a version deletes it; its number is not given again. An alias cannot be a bare number.
- A status of a logged model that does not exist is refused, and a metric of one that is NaN stays NaN.
- Webhooks follow no redirect.
- A run is written by whoever began it and by users; the client of a stage writes its stage's run and those
  that it makes, and reads its own project.
"""
_ROOT_NAMES = ("relive", "main", "cli")


def pages() -> dict[str, str]:
    """Give each generated page: its file name and its text as the code is now."""
    return {
        "cli.md": cli_page(find_command_line()),
        "settings.md": settings_page(SETTINGS),
        "errors.md": errors_page(relive.errors),
        "mlflow-compatibility.md": mlflow_page(mlflow.TABLE),
    }


def find_command_line() -> click.Group | None:
    """Give the `relive` command with everything below it, or None while `relive.cli.main` does not exist."""
    if importlib.util.find_spec("relive.cli.main") is None:
        return None
    module = importlib.import_module("relive.cli.main")
    groups = [it for it in vars(module).values() if isinstance(it, click.Group) and it.name in _ROOT_NAMES]
    if len(groups) != 1:
        raise LookupError(
            f"relive.cli.main has {len(groups)} groups named one of {_ROOT_NAMES}, expected one"
        )
    return groups[0]


def walk(command: click.Command, context: click.Context) -> list[click.Context]:
    """Give the context of a command and of every visible one below it, each before its children."""
    found = [context]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                found += walk(child, click.Context(child, info_name=name, parent=context))
    return found


def cli_page(root: click.Group | None) -> str:
    """Write the page of every command: what it does, its usage, its options."""
    head = f"{_WRITTEN_BY}\n\n# Command line\n"
    if root is None:
        return f"{head}\nThis version has no command line yet.\n"
    commands = walk(root, click.Context(root, info_name="relive"))
    return head + "".join(_command_section(context) for context in commands)


def settings_page(settings: tuple[Setting, ...]) -> str:
    """Write the table of settings: environment variable, default, meaning."""
    rows = [
        f"| `{setting.name}` | {_code(setting.default)} | {_cell(setting.help)} |" for setting in settings
    ]
    return f"""{_WRITTEN_BY}

# Settings

A setting is an environment variable, read when it is needed. An option of a command wins over it.

| variable | default | meaning |
|---|---|---|
{_lines(rows)}"""


def errors_page(module: ModuleType) -> str:
    """Write the table of errors: class, code, meaning, facts, in the order of the module."""
    rows = [_error_row(error) for error in public_errors(module)]
    return f"""{_WRITTEN_BY}

# Errors

Everything that relive refuses or fails at is one of these. An error says what happened, what was expected and
what to do, and carries the facts of the last column, by name, wherever it is shown: on the command line, over
HTTP, in the log.

| error | is a | code | when | facts |
|---|---|---|---|---|
{_lines(rows)}"""


def mlflow_page(table: Table) -> str:
    """Write the page of MLflow's calls: those that are served, and what a client meets with the others."""
    rows = [
        f"| `{method} {path}` | {_cell(inspect.getdoc(handle) or '')} |"
        for (method, path), (_, handle) in table.items()
    ]
    return f"{_WRITTEN_BY}\n\n{_MLFLOW}".replace("ROWS\n", _lines(rows))


def public_errors(module: ModuleType) -> list[type[ReliveError]]:
    """Give the error classes that a module defines, in its order."""
    classes = [
        it
        for it in vars(module).values()
        if inspect.isclass(it) and it.__module__.startswith(module.__name__)
    ]
    return [it for it in classes if issubclass(it, ReliveError) and not it.__name__.startswith("_")]


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the pages that differ from what stands in `folder`; give those."""
    changed = []
    for name, text in pages().items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def _command_section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## `{context.command_path}`", _help_text(command.help or ""), f"```\n{usage}\n```"]
    records = [it.get_help_record(context) for it in command.params]
    if rows := [f"| `{_cell(names)}` | {_cell(text)} |" for names, text in filter(None, records) if text]:
        parts.append("| option | meaning |\n|---|---|\n" + _lines(rows).rstrip())
    if isinstance(command, click.Group) and context.parent:
        parts.append("Commands: " + ", ".join(f"`{name}`" for name in command.list_commands(context)))
    return "\n" + "\n\n".join(part for part in parts if part) + "\n"


def _help_text(text: str) -> str:
    r"""Turn Click's help into Markdown: a paragraph after `\b` is set as it stands, such as an example."""
    paragraphs = inspect.cleandoc(text).partition("\f")[0].strip().split("\n\n")
    return "\n\n".join(
        f"```\n{paragraph.removeprefix(chr(8)).strip(chr(10))}\n```"
        if paragraph.startswith("\b")
        else paragraph
        for paragraph in paragraphs
    )


def _error_row(error: type[ReliveError]) -> str:
    facts = ", ".join(f"`{name}`" for name in getattr(error, "__dataclass_fields__", ()))
    parents = ", ".join(
        f"`{base.__name__}`" for base in error.__bases__ if base not in (ReliveError, Exception)
    )
    when = (inspect.getdoc(error) or "").partition("\n")[0]
    return f"| `{error.__name__}` | {parents} | `{error.code}` | {_cell(when)} | {facts} |"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _lines(rows: list[str]) -> str:
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    for changed_page in write():
        print(f"wrote {changed_page.relative_to(FOLDER.parents[1])}")
