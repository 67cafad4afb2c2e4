"""Files of a mounted famfs, as shared memory.

    import famfs
    view = famfs.open("/mnt/fam/weights.bin")            # a memoryview, read-only
    queue = famfs.open("/mnt/fam/queue", writable=True)  # stores go to the memory

A view is the memory itself, with no page cache between, where this user may open the device; ``is_direct`` says whether
it is. It stays valid until nothing refers to it any more, also when the file system is unmounted. With numpy:

    array = numpy.frombuffer(famfs.open("/mnt/fam/weights.bin"), dtype=numpy.float32)
"""

import ctypes
import os
import weakref

from . import _library

__all__ = ["open", "is_direct", "flush", "invalidate", "commit", "Volume"]
__version__ = "0.1.0"


def open(path, writable=False, direct=False):
    """Maps a whole file and gives a memoryview of its bytes.

    writable: whether the view can be written; the file must be writable by this user.
    direct: fail (OSError EOPNOTSUPP) rather than map through the page cache.
    """
    file = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
    try:
        mapping, _ = _library.map_file(file, writable, direct)
    finally:
        os.close(file)
    array = (ctypes.c_ubyte * mapping.length).from_address(mapping.address)
    weakref.finalize(array, _library.unmap, mapping.address, mapping.length)
    view = memoryview(array).cast("B")
    return view if writable else view.toreadonly()


def is_direct(path):
    """Whether a file would be mapped as the memory itself by this user."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(file).st_size == 0:
            return False
        mapping, direct = _library.map_file(file, False, False)
        _library.unmap(mapping.address, mapping.length)
        return direct
    finally:
        os.close(file)


def flush(view):
    """Has what was stored in a view reach the memory, for hosts that share no caches with this one."""
    _library.flush(*_address(view))


def invalidate(view):
    """Has later loads of a view come from the memory."""
    _library.invalidate(*_address(view))


def commit(path):
    """Makes what programs have created at a path visible on all hosts, now."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _address(view):
    view = memoryview(view)
    if not view.c_contiguous:
        raise ValueError("the view is not contiguous")
    return _library.address_of(view), view.nbytes


class Volume:
    """A volume that is mounted on this host, found by its mount point, a path in it, or its device."""

    def __init__(self, path):
        self.mount_point = _library.mount_point(path)

    def _path(self, path):
        return os.path.join(self.mount_point, os.fspath(path).lstrip("/"))

    def open(self, path, writable=False, direct=False):
        """As famfs.open, by a path relative to the volume's root."""
        return open(self._path(path), writable, direct)

    def list(self, path=""):
        """The names in a directory."""
        return os.listdir(self._path(path))

    def stat(self, path=""):
        """As os.stat."""
        return os.stat(self._path(path))

    def commit(self, path=""):
        """As famfs.commit."""
        commit(self._path(path))
