import Glibc

/// Bytes of a page of this host's memory: 4096 on x86-64, up to 65536 elsewhere. What mmap(2), msync(2) and madvise(2)
/// take begins with a page.
public let pageSize: Int = max(4096, sysconf(Int32(_SC_PAGESIZE)))
