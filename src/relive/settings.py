"""The one table of settings: each has a name, an environment variable, a default and a help text.

A setting is read from the environment when it is asked for; command-line options win over it.
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: The environment variable.
        default: What holds without it, as text; empty means "none".
        help: One sentence for the reference page.
    """

    name: str
    default: str
    help: str


SETTINGS: tuple[Setting, ...] = (
    Setting("RELIVE_HOME", "~/.relive", "Folder of this user's hub data, tokens and caches."),
    Setting(
        "RELIVE_HUB", "", "Address of the hub; without it the one that `relive up` or `relive login` wrote."
    ),
    Setting("RELIVE_TOKEN", "", "Token for the hub; without it the one stored for that hub on this machine."),
    Setting(
        "RELIVE_MODE", "online", "Where scripts log to: online, offline (`relive sync` sends it), disabled."
    ),
    Setting(
        "RELIVE_SYSTEM_METRICS_S",
        "15",
        "Seconds between two looks at the machine while a script logs; 0 for none.",
    ),
    Setting("RELIVE_CONSOLE", "1", "Whether what a script prints is kept with its run; 0 for not."),
    Setting("RELIVE_DB", "", "Database URL of the hub; without it SQLite in the data folder."),
    Setting("RELIVE_STORE", "", "Blob store URL of the hub; without it a folder in the data folder."),
    Setting(
        "RELIVE_CACHE",
        "",
        "Folder of environments, wheels and blobs kept by the runner; default RELIVE_HOME/cache.",
    ),
    Setting("RELIVE_CACHE_GIB", "50", "GiB that `relive cache prune` leaves in the cache."),
    Setting("RELIVE_CACHE_DAYS", "60", "Days without use after which `relive cache prune` removes an entry."),
    Setting(
        "RELIVE_LOG_LEVEL",
        "info",
        "How much the hub and the runner write to their logs: debug, info, warning.",
    ),
    Setting(
        "RELIVE_SECRET_KEY", "", "Key that encrypts stored secrets; without it a file in the data folder."
    ),
    Setting(
        "RELIVE_WEBHOOK_PRIVATE",
        "",
        "1 lets webhooks go to private addresses and by plain http; without it only by https to public ones.",
    ),
    Setting(
        "RELIVE_RESERVE_MIB",
        "256",
        "Disk space in MiB that uploads leave free; they are refused before it is touched.",
    ),
    Setting("RELIVE_PUSH_LIMIT_MIB", "100", "Largest push in MiB; data belongs in data sets, not in git."),
    Setting(
        "RELIVE_POLL_S", "60", "Seconds between looks for pushes that neither a hook nor a webhook told of."
    ),
    Setting(
        "RELIVE_PRESIGN",
        "off",
        "Whether MLflow's clients read and write large artifacts in the bucket itself, by signed addresses:"
        " on or off.",
    ),
    Setting(
        "RELIVE_RECORDER", "on", "Whether each file that a run opens is recorded below Python: on or off."
    ),
    Setting(
        "RELIVE_ROOM_S", "900", "Seconds that a run's outs wait for room in the hub's store before it fails."
    ),
    Setting(
        "RELIVE_KEEP_DELETED_DAYS", "30", "Days that deleted runs and experiments can still be restored."
    ),
    Setting("RELIVE_KEEP_JOBS_DAYS", "14", "Days that the folders of jobs stay that have ended."),
    Setting(
        "RELIVE_KEEP_LOGS_DAYS",
        "90",
        "Days that the logs stay of runs that were lost and taken over by others.",
    ),
    Setting(
        "RELIVE_SILENCE_S",
        "3600",
        "Seconds after which a run by hand whose process says nothing counts as lost, until it is heard of"
        " again; 0 for never.",
    ),
    Setting("RELIVE_LEASE_S", "30", "Seconds after which a job whose runner is silent is given to another."),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}


def get(name: str) -> str:
    """Give a setting's value as text; empty if it has none.

    Raises:
        KeyError: No setting has this name.
    """
    setting = _BY_NAME[name]
    return os.environ.get(name, "") or setting.default


def get_int(name: str) -> int:
    """Give a setting's value as a whole number, falling back to its default if it is not one."""
    text = get(name)
    return int(text) if text.lstrip("-").isdigit() else int(_BY_NAME[name].default)


def home() -> str:
    """Give this user's relive folder, with `~` expanded."""
    return os.path.expanduser(get("RELIVE_HOME"))


def cache() -> str:
    """Give the folder of environments, wheels and blobs kept on this machine."""
    return os.path.expanduser(get("RELIVE_CACHE")) or os.path.join(home(), "cache")
