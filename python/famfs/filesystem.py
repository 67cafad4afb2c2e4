"""An fsspec file system: famfs://MOUNTPOINT/PATH or famfs://DEVICE/PATH, for pandas, pyarrow, dask and others.

On a mount it is fsspec's local file system, but that reading a whole file, or a range of one, comes from the shared
memory. On a device that is not mounted everything is read from the memory, and nothing can be written.
"""

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
        if device is None and (path in self._volumes or self._is_volume(path)):
            device, inner = path, ""
        if device is None:
            return None
        if device not in self._volumes:
            self._volumes[device] = famfs.through(device)
        return self._volumes[device], inner

    def _is_volume(self, path):
        """Whether it is a device itself: the root of what is on it."""
        try:
            if stat.S_ISDIR(os.stat(path).st_mode):
                return False
            volume = famfs.Volume(path)
        except OSError:
            return False
        if volume.mount_point is not None:
            return False
        self._volumes[path] = volume
        return True

    def view(self, path, writable=False):
        """The file as a memoryview of the shared memory."""
        inside = self._inside(path)
        return inside[0].open(inside[1], writable) if inside else famfs.open(self._strip_protocol(path), writable)

    def cat_file(self, path, start=None, end=None, **kwargs):
        if self.info(path)["size"] == 0:
            return b""
        return bytes(self.view(path)[slice(start, end)])

    def commit(self, path):
        """Makes what was written at a path visible on all hosts, now."""
        if not self._inside(path):
            famfs.commit(self._strip_protocol(path))

    def info(self, path, **kwargs):
        inside = self._inside(path)
        if not inside:
            return super().info(path, **kwargs)
        found = inside[0].stat(inside[1])
        return {
            "name": self._strip_protocol(path),
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

    def _open(self, path, mode="rb", **kwargs):
        if not self._inside(path):
            return super()._open(path, mode, **kwargs)
        if mode != "rb":
            raise io.UnsupportedOperation("a volume that is not mounted can be read only: " + path)
        return io.BufferedReader(_MemoryFile(self.view(path) if self.info(path)["size"] else memoryview(b"")))

    def _generic(name):
        """What the local file system asks the kernel, the general one asks info and open."""

        def method(self, path, *arguments, **options):
            kind = AbstractFileSystem if self._inside(path) else LocalFileSystem
            return getattr(kind, name)(self, path, *arguments, **options)

        return method

    isfile, isdir, lexists, get_file = map(_generic, ["isfile", "isdir", "lexists", "get_file"])
    del _generic


class _MemoryFile(io.RawIOBase):
    """A memoryview, read as a file."""

    def __init__(self, view):
        self._view = view
        self._place = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        self._place = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: len(self._view)}[whence])
        return self._place

    def readinto(self, buffer):
        piece = self._view[self._place : self._place + len(buffer)]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)
