"""What every store promises of files outside of runs."""

from relive.core.stored_file import StoredFile
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock


def a_file(store: Store, path: str, digest: str = "d") -> StoredFile:
    """Keep a file."""
    return store.record_file(StoredFile(path=path, digest=digest, size_bytes=3, created_by="ann"))


class FileContract:
    """Promises of `FileStore`."""

    def test_a_file_is_found_until_another_takes_its_place(self, store: Store, clock: ManualClock) -> None:
        first = a_file(store, "0/models/m/a.txt")
        assert (first.created_at, first.created_by) == (START, "ann")
        assert store.find_file("0/models/m/a.txt") == first
        clock.advance(1)
        second = a_file(store, "0/models/m/a.txt", "e")
        assert (second.digest, second.created_at) == ("e", START + 1)
        assert store.find_file("0/models/m/a.txt") == second
        assert store.find_file("0/models/m") is None

    def test_a_folder_holds_what_lies_in_it_and_nothing_beside_it(self, store: Store) -> None:
        for path in ("a/b.txt", "a/b/c.txt", "a/b/d/e.txt", "a/b0", "a/b!", "a.b"):
            a_file(store, path)
        assert [file.path for file in store.list_files("a/b")] == ["a/b/c.txt", "a/b/d/e.txt"]
        assert [file.path for file in store.list_files("a")] == sorted(
            ["a/b.txt", "a/b/c.txt", "a/b/d/e.txt", "a/b0", "a/b!"]
        )
        assert len(store.list_files("")) == 6
        assert store.list_files("none") == []

    def test_a_file_is_no_folder_of_another(self, store: Store) -> None:
        for path in ("a/b.txt", "a/c/d.txt"):
            a_file(store, path)
        found = {
            path: store.find_overlapping_file(path)
            for path in ("a", "a/b.txt", "a/b.txt/x", "a/c", "a/c/e.txt", "b", "")
        }
        assert {path: it.path for path, it in found.items() if it is not None} == {
            "a": "a/b.txt",
            "a/b.txt/x": "a/b.txt",
            "a/c": "a/c/d.txt",
        }

    def test_files_go_alone_or_with_their_folder(self, store: Store) -> None:
        for path in ("a/b/c.txt", "a/b/d.txt", "a/e.txt", "f"):
            a_file(store, path)
        assert store.delete_files("f") == 1
        assert store.delete_files("a/b") == 2
        assert store.delete_files("a/b") == 0
        assert [file.path for file in store.list_files("")] == ["a/e.txt"]

    def test_folders_that_get_no_file_any_more_go(self, store: Store, clock: ManualClock) -> None:
        for path in ("up/old/begun", "up/old/1", "up/slow/begun", "up/slow/1", "upper/old", "up"):
            a_file(store, path)
        clock.advance(10)
        for path in ("up/slow/2", "up/young/begun"):
            a_file(store, path)
        assert store.delete_idle_folders("up", before=START) == 0
        assert store.delete_idle_folders("up", before=START + 10) == 2
        assert [file.path for file in store.list_files("up")] == sorted(
            ["up/slow/1", "up/slow/2", "up/slow/begun", "up/young/begun"]
        )
        assert len(store.list_files("")) == 6
