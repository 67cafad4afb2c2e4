"""libfamfs by ctypes: no compiler is needed."""

import ctypes
import os

_WRITE, _DIRECT = 1, 2


class Mapping(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def _load():
    """FAMFS_LIBRARY, the tree that this package is in, or wherever the loader looks."""
    tree = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib", "libfamfs.so")
    tried = [os.environ.get("FAMFS_LIBRARY"), tree, "libfamfs.so", "/usr/local/lib/libfamfs.so"]
    for name in filter(None, tried):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise ImportError("libfamfs.so is not found; install Weft, or set FAMFS_LIBRARY to the library's path")


_famfs = _load()
_famfs.famfs_map_file.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.POINTER(Mapping)]
_famfs.famfs_unmap.argtypes = [ctypes.POINTER(Mapping)]
_famfs.famfs_flush.argtypes = _famfs.famfs_invalidate.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_famfs.famfs_open.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
_famfs.famfs_mount_point.argtypes = [ctypes.c_void_p]
_famfs.famfs_mount_point.restype = ctypes.c_char_p
_famfs.famfs_close.argtypes = [ctypes.c_void_p]
_famfs.famfs_close.restype = None


def _checked(result, path=None):
    if result < 0:
        raise OSError(-result, os.strerror(-result), path)
    return result


def map_file(file, writable, direct):
    """The mapping of an open file, and whether it is the memory itself."""
    mapping = Mapping()
    flags = (_WRITE if writable else 0) | (_DIRECT if direct else 0)
    return mapping, _checked(_famfs.famfs_map_file(file, flags, ctypes.byref(mapping))) == 1


def unmap(address, length):
    _famfs.famfs_unmap(ctypes.byref(Mapping(address, length)))


def flush(address, length):
    _checked(_famfs.famfs_flush(address, length))


def invalidate(address, length):
    _checked(_famfs.famfs_invalidate(address, length))


def mount_point(path):
    volume = ctypes.c_void_p()
    _checked(_famfs.famfs_open(os.fsencode(path), ctypes.byref(volume)), os.fspath(path))
    try:
        return os.fsdecode(_famfs.famfs_mount_point(volume))
    finally:
        _famfs.famfs_close(volume)


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
