"""An fsspec file system: famfs://MOUNTPOINT/PATH or famfs://DEVICE/PATH, for pandas, pyarrow, dask and others.

On a mount it is fsspec's local file system, but that reading a whole file, or a range of one, comes from the shared
memory. On a device that is not mounted everything is read from the memory, and nothing can be written.
"""

import errno
import io
import os
import stat

from fsspec.implementations.local import LocalFileSystem, make_path_posix
from fsspec.spec import AbstractFileSystem
from fsspec.utils import stringify_path

import famfs


class FamfsFileSystem(LocalFileSystem):
    """Paths are those of the mount, famfs:///mnt/fam/data.parquet, or go through a device, famfs:///dev/dax0.0/data.parquet."""

    protocol = "famfs"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._volumes = {}

    @classmethod
    def _strip_protocol(cls, path):
        path = stringify_path(path)
        if path.startswith("famfs://"):
            path = path[len("famfs://") :]
        return super()._strip_protocol(make_path_posix(path))

    def unstrip_protocol(self, name):
        return "famfs://" + self._strip_protocol(name)

    def _inside(self, path):
        """The volume and the path in it, of a path through a device; else None."""
        path = self._strip_protocol(path)
        device, inner = famfs.split(path)
        if device is None and self._is_volume(path):
            device, inner = path, ""
        if device is None:
            return None
        try:
            volume = self._volume(device)
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENOTDIR):
                return None  # it is a file, and the path goes nowhere
            raise
        return volume, inner

    def _volume(self, device):
        volume = self._volumes.get(device)
        try:
            if volume:
                volume.stat()
                return volume
        except OSError:  # another volume was made there
            self._volumes.pop(device, None)
        volume = famfs.through(device)
        if volume.mount_point is None:  # one that is kept would keep the mount busy
            self._volumes[device] = volume
        return volume

    def _is_volume(self, path):
        """Whether it is a device itself: the root of what is on it."""
        try:
            if stat.S_ISDIR(os.stat(path).st_mode):
                return False
            self._volume(path)
            return True
        except OSError:
            return False

    def view(self, path, writable=False):
        """The file as a memoryview of the shared memory."""
        path = self._strip_protocol(path)
        inside = self._inside(path)
        if not inside:
            return famfs.open(path, writable)
        with famfs.naming(path):
            return inside[0].open(inside[1], writable)

    def _contents(self, path):
        info = self.info(path)
        if info["type"] == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), info["name"])
        return self.view(path) if info["size"] else memoryview(b"")

    def cat_file(self, path, start=None, end=None, **kwargs):
        return bytes(self._contents(path)[slice(start, end)])

    def cp_file(self, path1, path2, **kwargs):
        (self.get_file if self._inside(path1) else super().cp_file)(path1, self._strip_protocol(path2), **kwargs)

    def commit(self, path):
        """Makes what was written at a path visible on all hosts, now."""
        if not self._inside(path):
            famfs.commit(self._strip_protocol(path))

    def info(self, path, **kwargs):
        inside = self._inside(path)
        if not inside:
            return super().info(path, **kwargs)
        path = self._strip_protocol(path)
        with famfs.naming(path):
            found = inside[0].stat(inside[1])
        return {
            "name": path,
            "size": found.st_size,
            "type": "directory" if stat.S_ISDIR(found.st_mode) else "file",
            "mode": found.st_mode,
            "uid": found.st_uid,
            "gid": found.st_gid,
            "ino": found.st_ino,
            "islink": False,
            "created": 0,
            "mtime": 0,
        }

    def ls(self, path, detail=False, **kwargs):
        inside = self._inside(path)
        if not inside:
            return super().ls(path, detail=detail, **kwargs)
        path = self._strip_protocol(path)
        infos = [self.info(path)]
        if infos[0]["type"] == "directory":
            infos = [self.info(path + "/" + name) for name in inside[0].list(inside[1])]
        return infos if detail else [info["name"] for info in infos]

    def makedirs(self, path, exist_ok=False):
        if not self._inside(path):
            super().makedirs(path, exist_ok=exist_ok)
        elif not exist_ok or not self.isdir(path):
            raise _read_only(path)

    def _open(self, path, mode="rb", **kwargs):
        if not self._inside(path):
            return super()._open(path, mode, **kwargs)
        if mode != "rb":
            raise _read_only(path)
        return _Reader(_MemoryFile(self._contents(path)))

    def _generic(name):
        """What the local file system asks the kernel, the general one asks info and open."""

        def method(self, path, *arguments, **options):
            kind = AbstractFileSystem if self._inside(path) else LocalFileSystem
            return getattr(kind, name)(self, path, *arguments, **options)

        return method

    isfile, isdir, lexists, get_file = map(_generic, ["isfile", "isdir", "lexists", "get_file"])
    del _generic


def _read_only(path):
    return io.UnsupportedOperation(path + ": through a device a volume can be read only; mount it, and write there")


class _Reader(io.BufferedReader):
    """What fsspec asks of a file besides."""

    @property
    def size(self):
        return self.raw.size


class _MemoryFile(io.RawIOBase):
    """A memoryview, read as a file."""

    def __init__(self, view):
        self._view = view
        self._place = 0
        self.size = len(view)

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        if place < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._place = place
        return place

    def readinto(self, buffer):
        piece = self._view[self._place : self._place + len(buffer)]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)
