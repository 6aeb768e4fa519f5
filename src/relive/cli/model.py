"""`relive model`: registered models, their versions and signatures."""

import time

import click
import msgspec

from relive.cli.output import Group, ago, escape, json_option, number, out, plural, print_json, print_table
from relive.cli.verdicts import verdict_word
from relive.client.hub import connect
from relive.core.ids import short_id
from relive.errors import InvalidInput


@click.group(cls=Group)
def model() -> None:
    """Registered models: list, show, verify, move an alias.

    A version is named NAME@REF, where REF is a number or an alias: digits@3, digits@champion.
    """


@model.command("list")
@click.option("--project", default="", help="Only this project's.")
@json_option
def list_(project: str, as_json: bool) -> None:
    """List registered models.

    \b
    Example:
      relive model list
    """
    found = connect().list_models(project=project)
    if as_json:
        print_json(found)
        return
    print_table(
        ("MODEL", "PROJECT", "VERSIONS", "ALIASES"),
        (
            (
                item.model.name,
                item.project,
                len(item.versions),
                ", ".join(f"{alias.alias} → v{alias.version}" for alias in item.aliases),
            )
            for item in found
        ),
        empty="No models yet: a `register` stage makes them.",
    )


@model.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a model with its versions, newest first.

    \b
    Example:
      relive model show digits
    """
    detail = connect().get_model(name)
    if as_json:
        print_json(detail)
        return
    aliases: dict[int, list[str]] = {}
    for alias in detail.aliases:
        aliases.setdefault(alias.version, []).append(alias.alias)
    now = time.time()
    print_table(
        ("VERSION", "ALIAS", "STATUS", "REPLAY", "RUN", "COMMIT", "METRICS", "REGISTERED"),
        (
            (
                f"v{item.version}",
                ", ".join(aliases.get(item.version, [])),
                item.status,
                verdict_word(detail.verdicts.get(item.version)),
                short_id(item.run_id),
                short_id(str(item.facts.get("commit", ""))),
                "  ".join(f"{key} {number(value)}" for key, value in item.facts.get("metrics", {}).items()),
                ago(item.created_at, now),
            )
            for item in detail.versions
        ),
        empty="No versions yet.",
    )
    out.print(detail.url)


@model.command()
@click.argument("version")
@json_option
def verify(version: str, as_json: bool) -> None:
    """Check a version's signature, and every byte of its files against it.

    \b
    Example:
      relive model verify digits@champion
    """
    name, ref = split_version(version)
    result = connect().verify_version(name, ref)
    if as_json:
        print_json(result)
    else:
        files, signer = plural(result["files"], "file"), result["key_id"][:16]
        out.print(f"✓ {name} v{result['version']}: {files} as signed by {signer}…")


@model.command()
@click.argument("version")
def provenance(version: str) -> None:
    """Print a version's signed statement (a DSSE envelope over in-toto/SLSA provenance).

    \b
    Example:
      relive model provenance digits@champion > digits.dsse.json
    """
    name, ref = split_version(version)
    click.echo(connect().get_provenance(name, ref))


@model.command()
@click.argument("version")
def sbom(version: str) -> None:
    """Print what a version is made of: a CycloneDX 1.6 bill of materials, with a model card.

    It names the model's files, training data, code, interpreter and every package, with digests and purls.

    \b
    Example:
      relive model sbom digits@champion > digits.cdx.json
    """
    name, ref = split_version(version)
    click.echo(connect().get_sbom(name, ref))


@model.command()
@click.argument("version")
@click.argument("name")
@json_option
def alias(version: str, name: str, as_json: bool) -> None:
    """Point the alias NAME at VERSION.

    One that points there already stays as it is.

    \b
    Example:
      relive model alias digits@3 champion
    """
    hub = connect()
    model_name, ref = split_version(version)
    target = hub.get_version(model_name, ref).version
    stays = any((it.alias, it.version) == (name, target) for it in hub.get_model(model_name).aliases)
    moved = hub.move_alias(model_name, name, target)
    if as_json:
        print_json(moved)
    elif stays:
        out.print(f"{model_name}@{name} is v{target} already.")
    else:
        before = f" (was v{moved.previous})" if moved.previous else ""
        out.print(f"{model_name}@{name} → v{moved.version}{before}")


@model.command()
@click.argument("version")
@click.argument("folder", type=click.Path())
@json_option
def download(version: str, folder: str, as_json: bool) -> None:
    """Write a version's files into a folder.

    \b
    Example:
      relive model download digits@champion ./digits
    """
    from pathlib import Path

    hub = connect()
    found = hub.get_version(*split_version(version))
    manifest = hub.blobs.materialise(found.manifest, Path(folder))
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        size = f"{plural(manifest.n_files, 'file')}, {plural(manifest.size_bytes, 'byte')}"
        out.print(escape(f"{size} in {folder}"))


def split_version(text: str) -> tuple[str, str]:
    """Split NAME@REF; without a ref it is the champion.

    Raises:
        InvalidInput: It has another form.
    """
    name, at, ref = text.partition("@")
    if not name or (at and not ref):
        raise InvalidInput(
            field="VERSION", value=text, wanted="NAME@NUMBER or NAME@ALIAS, such as digits@champion"
        )
    return name, ref.removeprefix("v") if ref[:1] == "v" and ref[1:].isdigit() else ref or "champion"
