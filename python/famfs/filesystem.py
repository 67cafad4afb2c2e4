"""An fsspec file system: famfs://MOUNTPOINT/PATH, for pandas, pyarrow, dask and others.

It is fsspec's local file system, but that reading a whole file, or a range of one, comes from the shared memory.
"""

import os

from fsspec.implementations.local import LocalFileSystem, make_path_posix
from fsspec.utils import stringify_path

import famfs


class FamfsFileSystem(LocalFileSystem):
    """Paths are those of the mount: famfs:///mnt/fam/data.parquet."""

    protocol = "famfs"

    @classmethod
    def _strip_protocol(cls, path):
        path = stringify_path(path)
        if path.startswith("famfs://"):
            path = path[len("famfs://") :]
        return super()._strip_protocol(make_path_posix(path))

    def unstrip_protocol(self, name):
        return "famfs://" + self._strip_protocol(name)

    def view(self, path, writable=False):
        """The file as a memoryview of the shared memory."""
        return famfs.open(self._strip_protocol(path), writable)

    def cat_file(self, path, start=None, end=None, **kwargs):
        path = self._strip_protocol(path)
        if os.stat(path).st_size == 0:
            return b""
        return bytes(famfs.open(path)[slice(start, end)])

    def commit(self, path):
        """Makes what was written at a path visible on all hosts, now."""
        famfs.commit(self._strip_protocol(path))
