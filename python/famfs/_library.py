"""libfamfs by ctypes: no compiler is needed."""

import ctypes
import os
import platform
import threading

_WRITE, _DIRECT = 1, 2


class Mapping(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Stat(ctypes.Structure):
    """struct stat of Linux on 64-bit machines, as far as it is used."""

    _counts = [("st_nlink", ctypes.c_uint64), ("st_mode", ctypes.c_uint32)]
    _fields_ = (
        [("st_dev", ctypes.c_uint64), ("st_ino", ctypes.c_uint64)]
        + (_counts if platform.machine() == "x86_64" else [("st_mode", ctypes.c_uint32), ("st_nlink", ctypes.c_uint32)])
        + [("st_uid", ctypes.c_uint32), ("st_gid", ctypes.c_uint32)]
        + ([("gap", ctypes.c_uint32)] if platform.machine() == "x86_64" else [])
        + [("st_rdev", ctypes.c_uint64)]
        + ([] if platform.machine() == "x86_64" else [("gap", ctypes.c_uint64)])
        + [("st_size", ctypes.c_int64), ("rest", ctypes.c_char * 128)]
    )


_Visit = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


def _load():
    """FAMFS_LIBRARY; the copy that pip put beside this file; the tree that it is in; or wherever the loader looks."""
    here = os.path.dirname(os.path.abspath(__file__))
    tried = [os.environ.get("FAMFS_LIBRARY"), os.path.join(here, "libfamfs.so")]
    tried += [os.path.join(here, "..", "..", "lib", "libfamfs.so"), "libfamfs.so.0", "/usr/local/lib/libfamfs.so.0"]
    for name in filter(None, tried):
        try:
            library = ctypes.CDLL(name)
            library.famfs_open_devices  # one of an earlier version has it not
            return library
        except (OSError, AttributeError):
            continue
    raise ImportError(
        "libfamfs.so is not found, or too old: install Weft, or install this package from a tree in which make build was "
        "run, or set FAMFS_LIBRARY to the library's path"
    )


_famfs = _load()
_famfs.famfs_map_file.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.POINTER(Mapping)]
_famfs.famfs_map.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(Mapping)]
_famfs.famfs_unmap.argtypes = [ctypes.POINTER(Mapping)]
_famfs.famfs_flush.argtypes = _famfs.famfs_invalidate.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_famfs.famfs_open_devices.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p)]
_famfs.famfs_mount_point.argtypes = [ctypes.c_void_p]
_famfs.famfs_mount_point.restype = ctypes.c_char_p
_famfs.famfs_stat.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(_Stat)]
_famfs.famfs_list.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _Visit, ctypes.c_void_p]
_famfs.famfs_commit.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_famfs.famfs_close.argtypes = [ctypes.c_void_p]
_famfs.famfs_close.restype = None


def _checked(result, path=None):
    if result < 0:
        raise OSError(-result, os.strerror(-result), path)
    return result


def _flags(writable, direct):
    return (_WRITE if writable else 0) | (_DIRECT if direct else 0)


def _encoded(path):
    path = os.fsencode(path)
    if b"\0" in path:
        raise ValueError("embedded null byte")
    return path


def map_file(file, writable, direct, path):
    """The mapping of an open file, and whether it is the memory itself."""
    mapping = Mapping()
    return mapping, _checked(_famfs.famfs_map_file(file, _flags(writable, direct), ctypes.byref(mapping)), path) == 1


def unmap(address, length):
    _famfs.famfs_unmap(ctypes.byref(Mapping(address, length)))


def flush(address, length):
    _checked(_famfs.famfs_flush(address, length))


def invalidate(address, length):
    _checked(_famfs.famfs_invalidate(address, length))


class Handle:
    """An open volume of the library; paths are relative to its root."""

    def __init__(self, paths):
        self._volume = ctypes.c_void_p()
        self._lock = threading.Lock()  # nothing may close it while another thread is in a call
        names = (ctypes.c_char_p * len(paths))(*map(_encoded, paths))
        _checked(_famfs.famfs_open_devices(names, len(paths), ctypes.byref(self._volume)), os.fspath(paths[0]))
        mount_point = _famfs.famfs_mount_point(self._volume)
        self.mount_point = None if mount_point is None else os.fsdecode(mount_point)

    def close(self):
        with self._lock:
            volume, self._volume = self._volume, None
            if volume:
                _famfs.famfs_close(volume)

    def _call(self, function, path, *arguments):
        path, name = os.fspath(path), _encoded(path)
        with self._lock:
            if not self._volume:
                raise ValueError("the volume is closed")
            result = function(self._volume, name, *arguments)
        return _checked(result, path)

    def map(self, path, writable, direct):
        """The mapping of a file, and whether it is the memory itself."""
        mapping = Mapping()
        return mapping, self._call(_famfs.famfs_map, path, _flags(writable, direct), ctypes.byref(mapping)) == 1

    def stat(self, path):
        found = _Stat()
        self._call(_famfs.famfs_stat, path, ctypes.byref(found))
        numbers = (found.st_mode, found.st_ino, found.st_dev, found.st_nlink, found.st_uid, found.st_gid, found.st_size)
        return os.stat_result(numbers + (0, 0, 0))

    def list(self, path):
        names = []

        def visit(name, _):
            names.append(os.fsdecode(name))
            return 0

        self._call(_famfs.famfs_list, path, _Visit(visit), None)
        return names

    def commit(self, path):
        self._call(_famfs.famfs_commit, path)


class _Buffer(ctypes.Structure):
    """Python's Py_buffer, as far as its first fields."""

    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.py_object), ("rest", ctypes.c_char * 128)]


def address_of(view):
    """Where a view's bytes are: also a read-only one's, of which ctypes.from_buffer makes none."""
    buffer = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(buffer), 0)
    try:
        return buffer.buf
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
