#define _GNU_SOURCE
#include "CYardstick.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SAME(name, value) _Static_assert((unsigned)(name) == (unsigned)(value), #name)
SAME(YARD_O_PATH, O_PATH);
SAME(YARD_O_NOATIME, O_NOATIME);
SAME(YARD_O_TMPFILE_BIT, O_TMPFILE & ~O_DIRECTORY);
SAME(YARD_AT_EMPTY_PATH, AT_EMPTY_PATH);
SAME(YARD_FALLOC_KEEP_SIZE, FALLOC_FL_KEEP_SIZE);
SAME(YARD_FALLOC_PUNCH_HOLE, FALLOC_FL_PUNCH_HOLE);
SAME(YARD_FALLOC_COLLAPSE, FALLOC_FL_COLLAPSE_RANGE);
SAME(YARD_FALLOC_ZERO_RANGE, FALLOC_FL_ZERO_RANGE);
SAME(YARD_FALLOC_INSERT, FALLOC_FL_INSERT_RANGE);
SAME(YARD_SEEK_DATA, SEEK_DATA);
SAME(YARD_SEEK_HOLE, SEEK_HOLE);
SAME(YARD_RENAME_NOREPLACE, RENAME_NOREPLACE);
SAME(YARD_RENAME_EXCHANGE, RENAME_EXCHANGE);
SAME(YARD_RENAME_WHITEOUT, RENAME_WHITEOUT);
SAME(YARD_XATTR_CREATE, XATTR_CREATE);
SAME(YARD_XATTR_REPLACE, XATTR_REPLACE);
SAME(YARD_F_OFD_GETLK, F_OFD_GETLK);
SAME(YARD_F_OFD_SETLK, F_OFD_SETLK);
SAME(YARD_F_OFD_SETLKW, F_OFD_SETLKW);
SAME(YARD_LOCK_SH, LOCK_SH);
SAME(YARD_LOCK_EX, LOCK_EX);
SAME(YARD_LOCK_NB, LOCK_NB);
SAME(YARD_LOCK_UN, LOCK_UN);
SAME(YARD_CLONE_FS, CLONE_FS);
SAME(YARD_RWF_APPEND, RWF_APPEND);
SAME(YARD_SYNC_RANGE_ALL,
     SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
SAME(YARD_FL_IMMUTABLE, FS_IMMUTABLE_FL);
SAME(YARD_FL_APPEND, FS_APPEND_FL);
SAME(YARD_FL_NODUMP, FS_NODUMP_FL);
SAME(YARD_FL_NOATIME, FS_NOATIME_FL);
SAME(0x80086601, FS_IOC_GETFLAGS);
SAME(0x40086602, FS_IOC_SETFLAGS);

long yard_call(long number, long a, long b, long c, long d, long e, long f) {
    long result = syscall(number, a, b, c, d, e, f);
    return result == -1 ? -errno : result;
}

const char *yard_error_name(int number) {
    const char *name = strerrorname_np(number);
    return name ? name : "an unknown error";
}

long yard_stat(int directory, const char *path, int flags, struct yard_stat *about) {
    struct statx s;
    if (syscall(SYS_statx, directory, path, flags, STATX_BASIC_STATS | STATX_BTIME, &s) == -1) return -errno;
    *about = (struct yard_stat){
        .inode = s.stx_ino,
        .size = s.stx_size,
        .blocks = s.stx_blocks,
        .device = makedev(s.stx_dev_major, s.stx_dev_minor),
        .special_device = makedev(s.stx_rdev_major, s.stx_rdev_minor),
        .mode = s.stx_mode,
        .links = s.stx_nlink,
        .user = s.stx_uid,
        .group = s.stx_gid,
        .block_size = s.stx_blksize,
        .access_seconds = s.stx_atime.tv_sec,
        .access_nanoseconds = s.stx_atime.tv_nsec,
        .modification_seconds = s.stx_mtime.tv_sec,
        .modification_nanoseconds = s.stx_mtime.tv_nsec,
        .change_seconds = s.stx_ctime.tv_sec,
        .change_nanoseconds = s.stx_ctime.tv_nsec,
        .birth_seconds = s.stx_btime.tv_sec,
        .birth_nanoseconds = s.stx_btime.tv_nsec,
        .has_birth = (s.stx_mask & STATX_BTIME) != 0,
    };
    return 0;
}

long yard_statfs(const char *path, struct yard_statfs *about) {
    struct statfs s;
    if (statfs(path, &s) == -1) return -errno;
    *about = (struct yard_statfs){
        .type = (uint64_t)s.f_type,
        .block_size = (uint64_t)s.f_bsize,
        .blocks = s.f_blocks,
        .free = s.f_bfree,
        .available = s.f_bavail,
        .files = s.f_files,
        .free_files = s.f_ffree,
        .name_limit = (uint64_t)s.f_namelen,
        .flags = (uint64_t)s.f_flags,
    };
    memcpy(about->identity, &s.f_fsid, sizeof about->identity);
    return 0;
}

static void interrupt(int signal) { (void)signal; }

// Runs in the new process. Other threads of the old one may have held locks of the C library: system calls only.
static void serve(int socket, struct yard_shared *shared) {
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGUSR1, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(socket, 3) == -1) _exit(1);
    for (int i = 0; i < 3; i++) close(i);
    syscall(SYS_close_range, 4, ~0U, 0);
    char byte;
    for (;;) {
        ssize_t count = read(3, &byte, 1);
        if (count == -1 && errno == EINTR) continue;
        if (count != 1) _exit(0);
        long *a = shared->arguments;
        shared->result = yard_call(shared->number, a[0], a[1], a[2], a[3], a[4], a[5]);
        while (write(3, &byte, 1) == -1 && errno == EINTR) {}
    }
}

long yard_process_start(struct yard_process *process) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1) return -errno;
    struct yard_shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = shared == MAP_FAILED ? -1 : fork();
    if (pid == -1) {
        long error = -errno;
        if (shared != MAP_FAILED) munmap(shared, sizeof *shared);
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    if (pid == 0) {
        serve(ends[1], shared);
        _exit(0);
    }
    close(ends[1]);
    *process = (struct yard_process){.pid = pid, .socket = ends[0], .shared = shared};
    return 0;
}

void *yard_process_data(const struct yard_process *process) { return process->shared->data; }

long yard_process_begin(struct yard_process *process) {
    char byte = 0;
    return send(process->socket, &byte, 1, MSG_NOSIGNAL) == 1 ? 0 : -EPIPE;
}

long yard_process_finish(struct yard_process *process) {
    char byte;
    ssize_t count;
    do count = read(process->socket, &byte, 1);
    while (count == -1 && errno == EINTR);
    return count == 1 ? 0 : -EPIPE;
}

long yard_process_end(struct yard_process *process) {
    int status = 0;
    kill(process->pid, SIGKILL);
    while (waitpid(process->pid, &status, 0) == -1 && errno == EINTR) {}
    close(process->socket);
    munmap(process->shared, sizeof *process->shared);
    return status;
}
