// What Swift cannot spell: cache-line instructions, loads that survive SIGBUS, ioctl numbers, variadic calls,
// and C globals. Everything here is small and says what it is; policy lives above, in Swift.
#ifndef WEFT_CLINUX_H
#define WEFT_CLINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <fts.h>
#include <getopt.h>
#include <pthread.h>
#include <spawn.h>

// --- guard.c: access to memory that may vanish -------------------------------------------------------------------
// Each returns true when done and false when the memory could not be read or written (SIGBUS: a device file cut
// short, a poisoned page). A copy that fails may have written a part.

bool weft_guarded_copy(void *to, const void *from, size_t count);
bool weft_guarded_stream(void *to, const void *from, size_t count);
bool weft_guarded_fill(void *to, int byte, size_t count);
bool weft_guarded_load64(const void *from, uint64_t *value);
bool weft_guarded_store64(void *to, uint64_t value);
// Stores a value if `*expected` stands there, in one step; says whether it did.
bool weft_guarded_replace64(void *at, uint64_t *expected, uint64_t value, bool *done);
bool weft_guarded_write_back(const void *start, size_t count);
bool weft_guarded_invalidate(const void *start, size_t count);

// --- cache.c: the CPU's caches ---------------------------------------------------------------------------------

/// Writes changed lines of the range to memory; they may stay cached. Complete after weft_fence.
void weft_write_back(const void *start, size_t count);
/// Drops the range's lines (changed ones are written first, as the hardware insists) and orders later loads after it.
void weft_invalidate(const void *start, size_t count);
/// Orders the stores, streaming stores and write-backs before it ahead of those after it.
void weft_fence(void);
/// Copies past the caches. Whole lines need only weft_fence; the ragged ends are written back here.
void weft_stream(void *to, const void *from, size_t count);
/// "clwb", "clflushopt", "clflush", "dc cvac" or "none".
const char *weft_write_back_name(void);

// --- checksum.c -------------------------------------------------------------------------------------------------

/// CRC-32C of `bytes` with the register at `seed` before, and not inverted afterwards: the checksum of ext4 and JBD2.
/// By the CPU's instruction where it has one.
uint32_t weft_crc32c(uint32_t seed, const void *bytes, size_t count);
/// The same without the instruction.
uint32_t weft_crc32c_by_table(uint32_t seed, const void *bytes, size_t count);

// --- system.c: numbers and calls behind macros, varargs and globals ---------------------------------------------

/// ioctl(device, FUSE_DEV_IOC_CLONE, &session): this descriptor becomes one more queue of that session.
int weft_fuse_clone(int device, int session);
/// ioctl(device, DAXDEV_OPEN, ...) of famfs kernels: gives the session a memory device. 0, or the errno.
int weft_fuse_open_daxdev(int device, int memory, uint64_t index);
/// Size in bytes of a block device, by BLKGETSIZE64.
int weft_block_size(int device, uint64_t *bytes);
/// Whether a file's mapping is the memory itself, with no page cache between (DAX).
bool weft_is_dax(int file);
/// O_DIRECT, whose value differs between architectures.
int weft_direct(void);
/// What fstatfs(2) says: f_type; f_bsize in bytes; f_blocks and f_bavail in blocks.
struct weft_file_system {
    uint64_t type, block_size, blocks, available;
};
int weft_file_system(int file, struct weft_file_system *about);
/// madvise(MADV_COLLAPSE): makes each aligned huge page's worth of a mapping one huge page.
int weft_collapse(void *start, size_t count);
/// Whether weft_collapse makes huge pages, of this size, of a tmpfs's small ones.
bool weft_can_collapse(size_t huge);
/// fallocate(PUNCH_HOLE | KEEP_SIZE): the range reads as zeros and takes no memory.
int weft_punch_hole(int file, int64_t offset, int64_t count);
/// An open-file-description lock on one byte, not waiting: type is F_RDLCK, F_WRLCK or F_UNLCK.
int weft_lock_byte(int file, int64_t byte, short type);
/// Whether another open file description, or a process, holds a lock on one byte: 0 or 1; -1 and errno.
int weft_byte_is_locked(int file, int64_t byte);
/// Takes one message with one descriptor attached: the count of its bytes, or -1 and errno.
int weft_receive_descriptor(int socket, int *descriptor);
/// Sends one message, with a descriptor attached unless it is -1; flags as for send(2).
long weft_send(int socket, const void *message, size_t count, int descriptor, int flags);
/// Receives one message and the descriptor attached to it, -1 if there is none. EPROTO when more are attached: all of
/// them are closed.
long weft_receive(int socket, void *buffer, size_t size, int *descriptor);
/// Credentials of the process at the other end of a unix socket.
int weft_peer(int socket, int *pid, unsigned *uid, unsigned *gid);
/// pthread_setname_np.
void weft_name_thread(pthread_t thread, const char *name);
unsigned weft_major(uint64_t device);
unsigned weft_minor(uint64_t device);

/// A descriptor from which the given signals, which must be blocked, are taken: signalfd(2), close-on-exec.
int weft_signal_descriptor(const int *signals, size_t count);
/// Waits for and takes the next signal's number from such a descriptor, or -1 and errno.
int weft_next_signal(int descriptor);

/// getopt_long's globals.
char *weft_optarg(void);
int weft_optind(void);
int weft_optopt(void);
void weft_getopt_reset(void);

/// Has a child leave this process's directory for the root, and close every descriptor from 4 on.
void weft_spawn_leave(posix_spawn_file_actions_t *actions);
/// pipe2 and accept4, close-on-exec; the pipe's ends are numbered from 3 on.
int weft_pipe(int ends[2]);
int weft_accept(int socket);
/// POSIX_SPAWN_SETSID.
short weft_spawn_new_session(void);
/// syslog(3) of a ready text.
void weft_syslog(int priority, const char *text);
/// getxattr(2): the value's length, or -1 and errno.
long weft_getxattr(const char *path, const char *name, void *value, size_t size);

/// Whether the kernel can pin the page at this address for I/O: false for PFN mappings, and for memory that is gone.
bool weft_can_pin(const void *start);
/// fcntl(descriptor, F_DUPFD_CLOEXEC, 3).
int weft_duplicate(int descriptor);

/// The environment, for posix_spawn.
char **weft_environment(void);

#endif
