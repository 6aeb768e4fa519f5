"""Every error relive raises, as one tree.

    ReliveError
    ├── InvalidInput              what came in is wrong: names the field, the value, what was expected
    │   ├── InvalidName
    │   ├── InvalidDigest
    │   ├── InvalidManifest
    │   ├── InvalidRange
    │   ├── InvalidFilter         a search that cannot be read: says at which character
    │   └── InvalidPipelineFile   every problem of a relive.yaml at once
    ├── NotFound                  no such run, project, blob, …
    │   ├── BlobNotFound
    │   └── HubUnknown            no hub runs here, and nobody logged in to one
    ├── Ambiguous                 a short id that fits several
    ├── Conflict                  the state does not allow it (exists already, finished already)
    │   └── Superseded            a stale worker's write, refused by its fence
    ├── AccessDenied
    │   └── NotLoggedIn
    ├── StoreFull                 disk or quota
    ├── StoreUnavailable          a blob store that cannot be reached, or refuses
    ├── DatabaseFailed            the fact store could not do what was asked
    │   ├── DatabaseUnreachable   it is not there, refuses us, or cannot be read
    │   ├── DatabaseBusy          others held it for too long; nothing was changed
    │   └── DatabaseTooNew        a later relive made its tables
    ├── BlobCorrupt               bytes that are not what their digest says
    │   └── BlobDigestMismatch
    ├── SignatureInvalid          a statement that none of our keys signed
    ├── EnvironmentFailed         an environment could not be resolved or built
    ├── CommandFailed             a command ended with another code than 0
    ├── GitFailed                 a git command that could not do what was asked
    ├── LaunchFailed              an executor that could not place a job
    ├── PoolUnreachable           a cluster that does not answer
    ├── PoolUnfit                 a cluster that cannot run jobs of this hub
    ├── CannotReplay              a recipe that cannot be rebuilt here
    ├── HubUnreachable
    │   └── NoHubToReplay
    ├── HubRefused                the hub answered with an error
    ├── NotSupportedYet           a known word whose capability does not exist yet
    ├── ForgeRefused              a code host did not take what was sent
    ├── ForgeUnreachable
    ├── SecretUnreadable          encrypted with another key
    ├── WebhookFailed             an address that did not take a message
    └── PortTaken

Each class holds its facts as fields and makes the sentence itself, so that the
command line, HTTP and the log say the same. Statuses live in `hub/problems.py`,
exit codes in `cli/main.py`.
"""

from relive.errors.base import (
    ReliveError,
)
from relive.errors.inputs import (
    AccessDenied,
    Ambiguous,
    BlobNotFound,
    Conflict,
    InvalidDigest,
    InvalidFilter,
    InvalidInput,
    InvalidManifest,
    InvalidName,
    InvalidPipelineFile,
    InvalidRange,
    NotFound,
    NotLoggedIn,
    NotSupportedYet,
    Superseded,
)
from relive.errors.stores import (
    BlobCorrupt,
    BlobDigestMismatch,
    DatabaseBusy,
    DatabaseFailed,
    DatabaseTooNew,
    DatabaseUnreachable,
    SecretUnreadable,
    SignatureInvalid,
    StoreFull,
    StoreUnavailable,
)
from relive.errors.work import (
    CannotReplay,
    CommandFailed,
    EnvironmentFailed,
    ForgeRefused,
    ForgeUnreachable,
    GitFailed,
    HubRefused,
    HubUnknown,
    HubUnreachable,
    LaunchFailed,
    NoHubToReplay,
    PoolUnfit,
    PoolUnreachable,
    PortTaken,
    WebhookFailed,
)

__all__ = [
    "AccessDenied",
    "Ambiguous",
    "BlobCorrupt",
    "BlobDigestMismatch",
    "BlobNotFound",
    "CannotReplay",
    "CommandFailed",
    "Conflict",
    "DatabaseBusy",
    "DatabaseFailed",
    "DatabaseTooNew",
    "DatabaseUnreachable",
    "EnvironmentFailed",
    "ForgeRefused",
    "ForgeUnreachable",
    "GitFailed",
    "HubRefused",
    "HubUnknown",
    "HubUnreachable",
    "InvalidDigest",
    "InvalidFilter",
    "InvalidInput",
    "InvalidManifest",
    "InvalidName",
    "InvalidPipelineFile",
    "InvalidRange",
    "LaunchFailed",
    "NoHubToReplay",
    "NotFound",
    "NotLoggedIn",
    "NotSupportedYet",
    "PoolUnfit",
    "PoolUnreachable",
    "PortTaken",
    "ReliveError",
    "SecretUnreadable",
    "SignatureInvalid",
    "StoreFull",
    "StoreUnavailable",
    "Superseded",
    "WebhookFailed",
]
