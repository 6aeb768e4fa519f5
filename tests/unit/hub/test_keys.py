"""Keys on disk: made once, for the hub's user alone, the same for every hub on one folder."""

import stat
import threading
from pathlib import Path

import pytest

from relive.errors import SecretUnreadable, SignatureInvalid
from relive.hub.keys import FileSigner
from relive.hub.vault import FileVault

KIND = "text/plain"


def test_the_key_is_for_the_hubs_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    FileSigner(folder).sign(KIND, b"x")
    FileVault(folder / "secrets.key").seal(b"x")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["secrets.key", "signing-0001.pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_hub_that_starts_again_signs_with_the_same_key(tmp_path: Path) -> None:
    first = FileSigner(tmp_path)
    signed = first.sign(KIND, b"x")
    again = FileSigner(tmp_path)
    assert again.key_id == first.key_id
    assert again.verify(signed) == b"x"


def test_what_another_hub_signed_with_its_new_key_verifies_here(tmp_path: Path) -> None:
    here, there = FileSigner(tmp_path), FileSigner(tmp_path)
    old = here.key_id
    assert there.key_id == old
    new = there.rotate()["key_id"]
    assert here.verify(there.sign(KIND, b"x")) == b"x"
    assert [key["key_id"] for key in here.public_keys()] == [old, new]
    assert here.key_id == new
    with pytest.raises(SignatureInvalid):
        FileSigner(tmp_path / "elsewhere").verify(there.sign(KIND, b"x"))


def test_hubs_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    signers = [FileSigner(tmp_path) for _ in range(8)]
    start = threading.Barrier(len(signers))
    found: list[str] = []

    def ask(signer: FileSigner) -> None:
        start.wait()
        found.append(signer.key_id)

    threads = [threading.Thread(target=ask, args=(signer,)) for signer in signers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(signers)
    assert len(set(found)) == 1


def test_a_secret_is_read_by_every_hub_with_the_key_and_by_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = FileVault(tmp_path / "a.key").seal(b"hidden")
    assert "hidden" not in sealed
    assert FileVault(tmp_path / "a.key").open(sealed) == b"hidden"
    with pytest.raises(SecretUnreadable):
        FileVault(tmp_path / "b.key").open(sealed)
    monkeypatch.setenv("RELIVE_SECRET_KEY", "given")
    given = FileVault(tmp_path / "c.key").seal(b"hidden")
    assert FileVault(tmp_path / "d.key").open(given) == b"hidden"
    assert not (tmp_path / "c.key").exists()
