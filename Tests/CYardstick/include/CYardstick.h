// System calls for the yardstick, without the C library's part in them: an answer is a count or a negative error number,
// so no other code can change errno in between. Beside that: a second process that makes calls on request.
#ifndef WEFT_CYARDSTICK_H
#define WEFT_CYARDSTICK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/// A system call of Linux by its number: its result, or the error number with a minus sign.
long yard_call(long number, long a, long b, long c, long d, long e, long f);

/// The name of an error number, such as ENOENT.
const char *yard_error_name(int number);

/// What statx(2) says of a file.
struct yard_stat {
    uint64_t inode, size, blocks, device, special_device;
    uint32_t mode, links, user, group, block_size;
    int64_t access_seconds, modification_seconds, change_seconds, birth_seconds;
    uint32_t access_nanoseconds, modification_nanoseconds, change_nanoseconds, birth_nanoseconds;
    /// 1 when the file system tells the time of birth.
    uint32_t has_birth;
};
/// `flags` are those of statx(2); the answer is 0 or a negative error number.
long yard_stat(int directory, const char *path, int flags, struct yard_stat *about);

/// What statfs(2) says of a file system.
struct yard_statfs {
    uint64_t type, block_size, blocks, free, available, files, free_files, name_limit, flags;
    int32_t identity[2];
};
long yard_statfs(const char *path, struct yard_statfs *about);

/// Memory that a process shares with the second process that it makes, at the same address in both.
struct yard_shared {
    long number, arguments[6], result;
    char data[65536];
};
struct yard_process {
    int pid, socket;
    struct yard_shared *shared;
};
/// Starts a process that makes the calls it is told to, in the calling thread's directory and with its user; it has no
/// open file of this process. SIGUSR1 interrupts its calls. 0, or a negative error number.
long yard_process_start(struct yard_process *process);
/// Where the data of its shared memory begins.
void *yard_process_data(const struct yard_process *process);
/// Has it make the call that stands in its shared memory, and does not wait for the answer.
long yard_process_begin(struct yard_process *process);
/// Waits for the answer, which then stands in `shared->result`: 0, or -EPIPE when the process has ended.
long yard_process_finish(struct yard_process *process);
/// Ends it by SIGKILL, if it has not ended, and gives everything back: its status as waitpid(2) has it.
long yard_process_end(struct yard_process *process);

// Numbers that the C library shows to GNU sources only; yardstick.c asserts each of them.
enum {
    YARD_O_PATH = 010000000,
    YARD_O_NOATIME = 01000000,
    YARD_O_TMPFILE_BIT = 020000000,
    YARD_AT_EMPTY_PATH = 0x1000,
    YARD_AT_STATX_FORCE_SYNC = 0x2000,
    YARD_FALLOC_KEEP_SIZE = 1,
    YARD_FALLOC_PUNCH_HOLE = 2,
    YARD_FALLOC_COLLAPSE = 8,
    YARD_FALLOC_ZERO_RANGE = 16,
    YARD_FALLOC_INSERT = 32,
    YARD_SEEK_DATA = 3,
    YARD_SEEK_HOLE = 4,
    YARD_RENAME_NOREPLACE = 1,
    YARD_RENAME_EXCHANGE = 2,
    YARD_RENAME_WHITEOUT = 4,
    YARD_XATTR_CREATE = 1,
    YARD_XATTR_REPLACE = 2,
    YARD_F_OFD_GETLK = 36,
    YARD_F_OFD_SETLK = 37,
    YARD_F_OFD_SETLKW = 38,
    YARD_LOCK_SH = 1,
    YARD_LOCK_EX = 2,
    YARD_LOCK_NB = 4,
    YARD_LOCK_UN = 8,
    YARD_CLONE_FS = 0x200,
    YARD_RWF_APPEND = 0x10,
    YARD_SYNC_RANGE_ALL = 7,
    YARD_FL_IMMUTABLE = 0x10,
    YARD_FL_APPEND = 0x20,
    YARD_FL_NODUMP = 0x40,
    YARD_FL_NOATIME = 0x80,
};
// 64-bit processors have the same numbers.
static const unsigned long yard_ioc_getflags = 0x80086601, yard_ioc_setflags = 0x40086602;

#endif
