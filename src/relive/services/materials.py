"""What a model version is made of, as a document that other tools read."""

import base64
from typing import Any

import msgspec

from relive.core.model import ModelVersion
from relive.formats.cyclonedx import bom_of
from relive.formats.dsse import Envelope
from relive.services.context import Services
from relive.services.registry import load_environment, load_recipe, read_provenance, was_seen


def bill_of_materials(services: Services, version: ModelVersion) -> bytes:
    """Write a version's bill of materials, CycloneDX 1.6 as JSON.

    The digests of its files are those that were signed: no byte of the model is read for it.

    Raises:
        NotFound: It has no signed statement: its registration was never finished.
    """
    envelope = msgspec.json.decode(read_provenance(services, version), type=Envelope)
    said = msgspec.json.decode(base64.b64decode(envelope.payload), type=dict[str, Any])
    _, *files = said["subject"]
    recipe = load_recipe(services, version.run_id) if was_seen(services, version) else None
    environment = load_environment(services, recipe.declared.environment) if recipe else None
    digests = {subject["name"]: subject["digest"]["sha256"] for subject in files}
    document = bom_of(version, digests, recipe, environment)
    return msgspec.json.format(msgspec.json.encode(document), indent=2)
