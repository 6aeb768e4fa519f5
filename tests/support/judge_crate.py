"""Judge an RO-Crate with roc-validator, in an environment of its own: `python judge_crate.py FOLDER PROFILE`.

The JSON-LD context that the crate names lies on the web. Here it comes from the package `rocrate`, whose file
is that of RO-Crate 1.3: it says of every term that we use what 1.1 says.
"""

import json
import sys
from pathlib import Path

import rocrate
from rocrate_validator import services
from rocrate_validator.models import ValidationSettings
from rocrate_validator.utils.http import HttpRequester

CONTEXT = json.loads((Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text(encoding="utf-8"))


class Answer:
    """What the web would say."""

    def __init__(self) -> None:
        self.status_code = 200
        self.headers = {"Content-Type": "application/ld+json"}
        self.text = json.dumps(CONTEXT)

    def json(self) -> object:
        """Give the context."""
        return CONTEXT


def fetch(url: str, **_: object) -> Answer:
    """Give the context, and nothing else."""
    if not url.startswith("https://w3id.org/ro/crate/"):
        raise RuntimeError(f"{url} was asked for")
    return Answer()


def main(folder: str, profile: str) -> int:
    """Print what is wrong, a line each; 0 if nothing is."""
    requester = HttpRequester()
    requester.get = requester.head = fetch
    settings = ValidationSettings(
        rocrate_uri=folder, profile_identifier=profile, requirement_severity="REQUIRED"
    )
    issues = services.validate(settings).get_issues()
    for issue in issues:
        print(f"{issue.check.identifier}: {issue.message} ({issue.violatingEntity})")
    return 1 if issues else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
