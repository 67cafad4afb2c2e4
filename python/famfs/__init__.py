"""Files of a famfs, as shared memory.

    import famfs
    view = famfs.open("/mnt/fam/weights.bin")            # a memoryview, read-only
    queue = famfs.open("/mnt/fam/queue", writable=True)  # stores go to the memory

A view is the memory itself, with no page cache between, where this user may open the device; ``is_direct(path)`` says
whether it is. It stays valid until nothing refers to it any more, also when the file system is unmounted. With numpy:

    array = numpy.frombuffer(famfs.open("/mnt/fam/weights.bin"), dtype=numpy.float32)

No mount is needed: a device, or a plain file that simulates one, may stand in place of the mount point. Then nobody
checks the permissions of files, for who may open a device may read all of it.

    view = famfs.open("/dev/dax0.0/weights.bin")
    with famfs.Volume("/dev/dax0.0") as volume:
        print(volume.list("models"), volume.stat("models/a.bin").st_size)
"""

import contextlib
import ctypes
import errno
import os
import stat as _stat
import weakref

from . import _library

__all__ = ["open", "is_direct", "flush", "invalidate", "commit", "Volume"]
__version__ = "0.2.0"


def open(path, writable=False, direct=False):
    """Maps a whole file and gives a memoryview of its bytes.

    writable: whether the view can be written; the file, or the device, must be writable by this user.
    direct: fail (OSError EOPNOTSUPP) rather than map through the page cache.
    """
    try:
        file = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
    except NotADirectoryError:
        device, inner = split(path)
        with through(device) as volume, naming(path):
            return volume.open(inner, writable, direct)
    try:
        mapping, _ = _library.map_file(file, writable, direct, path)
    finally:
        os.close(file)
    return _view(mapping, writable)


def _view(mapping, writable):
    array = (ctypes.c_ubyte * mapping.length).from_address(mapping.address)
    # Not at the interpreter's end: others may still look at it then.
    weakref.finalize(array, _library.unmap, mapping.address, mapping.length).atexit = False
    view = memoryview(array).cast("B")
    return view if writable else view.toreadonly()


def split(path):
    """The device that a path goes through, or None, and the rest of the path: /dev/dax0.0/a/b is a/b of /dev/dax0.0."""
    path = os.fsdecode(path)
    slash = path.find("/", 1)
    while slash > 0:
        try:
            mode = os.stat(path[:slash]).st_mode
        except OSError:
            break
        if not _stat.S_ISDIR(mode):
            return path[:slash], path[slash + 1 :]
        slash = path.find("/", slash + 1)
    return None, path


@contextlib.contextmanager
def naming(path):
    """Has errors name the whole path, not the part of it inside of a volume."""
    try:
        yield
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def through(device):
    """The volume on a device that a path goes through."""
    volume = Volume(device)
    if volume.mount_point and os.path.realpath(device).startswith(volume.mount_point.rstrip("/") + "/"):
        volume.close()
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), device)
    return volume


def is_direct(path):
    """Whether a file would be mapped as the memory itself by this user. An empty one is not mapped."""
    path = os.fspath(path)  # a view would be taken for a path
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except NotADirectoryError:
        device, inner = split(path)
        with through(device) as volume, naming(path):
            return volume._is_direct(inner)
    try:
        if os.fstat(file).st_size == 0:
            return False
        mapping, direct = _library.map_file(file, False, False, path)
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
    """A volume, found by its mount point, a path in it, or its first device.

    A device that is mounted on this host is that mount; of one that is not, the volume's log is read, and every call sees
    what other hosts have added. Further devices that are plain files are named too; dax devices are found. Views stay
    valid when the volume is closed. While one is open that is not mounted, nobody on this host can format its device.
    """

    def __init__(self, path, *devices):
        self._handle = _library.Handle((path,) + devices)
        #: Where it is mounted; None when it is not.
        self.mount_point = self._handle.mount_point

    def close(self):
        """Ends its use."""
        self._handle.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if hasattr(self, "_handle"):
            self.close()

    def open(self, path, writable=False, direct=False):
        """As famfs.open, by a path relative to the volume's root."""
        return _view(self._handle.map(path, writable, direct)[0], writable)

    def _is_direct(self, path):
        if self.stat(path).st_size == 0:
            return False
        mapping, direct = self._handle.map(path, False, False)
        _library.unmap(mapping.address, mapping.length)
        return direct

    def list(self, path=""):
        """The names in a directory."""
        return self._handle.list(path)

    def stat(self, path=""):
        """As os.stat; where nothing is mounted, files have no times."""
        if self.mount_point:
            # No way out of the mount, as for the other calls.
            return os.stat(self.mount_point + os.path.normpath("/" + os.fsdecode(path).lstrip("/")))
        return self._handle.stat(path)

    def commit(self, path=""):
        """As famfs.commit."""
        self._handle.commit(path)
