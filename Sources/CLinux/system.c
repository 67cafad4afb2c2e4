#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <spawn.h>
#include <string.h>
#include <syslog.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

int weft_fuse_clone(int device, int session) {
    uint32_t other = (uint32_t)session;
    return ioctl(device, _IOR(229, 0, uint32_t), &other);  // FUSE_DEV_IOC_CLONE
}

int weft_fuse_open_daxdev(int device, int memory, uint64_t index) {
    struct {
        int32_t fd;
        uint32_t flags;
        uint64_t index;
    } daxdev = {memory, 0, index};
    return ioctl(device, _IOC(_IOC_WRITE, 229, 4, sizeof daxdev), &daxdev) ? errno : 0;
}

int weft_block_size(int device, uint64_t *bytes) { return ioctl(device, BLKGETSIZE64, bytes); }

bool weft_is_dax(int file) {
    struct statx about;
    return statx(file, "", AT_EMPTY_PATH, 0, &about) == 0 && (about.stx_attributes & STATX_ATTR_DAX);
}

int weft_direct(void) { return O_DIRECT; }

int weft_file_system(int file, struct weft_file_system *about) {
    struct statfs found;
    if (fstatfs(file, &found)) return -1;
    *about = (struct weft_file_system){(uint64_t)found.f_type, (uint64_t)found.f_bsize, found.f_blocks, found.f_bavail};
    return 0;
}

enum { COLLAPSE = 25 };  // MADV_COLLAPSE, of Linux 6.1

int weft_collapse(void *start, size_t count) { return madvise(start, count, COLLAPSE); }

bool weft_can_collapse(size_t huge) {
    int file = (int)syscall(SYS_memfd_create, "famfs: huge page", 1u);  // MFD_CLOEXEC
    if (file < 0) return false;
    bool can = false;
    char *room = MAP_FAILED;
    if (ftruncate(file, (off_t)huge) == 0) room = mmap(NULL, 2 * huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room != MAP_FAILED) {
        char *start = room + (huge - (uintptr_t)room % huge) % huge;
        if (mmap(start, huge, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED) {
            // One page must be there, and mapped: what is empty is not made a huge page.
            can = pwrite(file, "", 1, 0) == 1 && *(volatile char *)start == 0 && weft_collapse(start, huge) == 0;
        }
        munmap(room, 2 * huge);
    }
    close(file);
    return can;
}

int weft_punch_hole(int file, int64_t offset, int64_t count) {
    return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}

int weft_lock_byte(int file, int64_t byte, short type) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(file, F_OFD_SETLK, &lock);
}

int weft_byte_is_locked(int file, int64_t byte) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(file, F_OFD_GETLK, &lock) ? -1 : lock.l_type != F_UNLCK;
}

union attachment {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
};

long weft_send(int socket, const void *bytes, size_t count, int descriptor, int flags) {
    struct iovec data = {(void *)bytes, count};
    union attachment control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(int));
    }
    return sendmsg(socket, &message, flags);
}

enum { MOST_DESCRIPTORS = 253 };  // of one message: SCM_MAX_FD

long weft_receive(int socket, void *buffer, size_t size, int *descriptor) {
    struct iovec data = {buffer, size};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *descriptor = -1;
    ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (count < 0) return -1;
    // All that came is this process's from now on, whatever the sender meant by it.
    size_t came = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        size_t files = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t place = 0; place < files; place++) {
            int file;
            memcpy(&file, CMSG_DATA(part) + place * sizeof(int), sizeof file);
            if (came++ == 0) *descriptor = file;
            else close(file);
        }
    }
    if (came <= 1 && !(message.msg_flags & MSG_CTRUNC)) return count;
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
    errno = EPROTO;
    return -1;
}

int weft_receive_descriptor(int socket, int *descriptor) {
    char byte;
    long count = weft_receive(socket, &byte, 1, descriptor);
    if (count < 0) return -1;
    if (count > 0 && *descriptor >= 0) return (int)count;
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
    errno = EPROTO;
    return -1;
}

int weft_peer(int socket, int *pid, unsigned *uid, unsigned *gid) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size)) return -1;
    *pid = peer.pid, *uid = peer.uid, *gid = peer.gid;
    return 0;
}

void weft_name_thread(pthread_t thread, const char *name) { pthread_setname_np(thread, name); }

unsigned weft_major(uint64_t device) { return major(device); }
unsigned weft_minor(uint64_t device) { return minor(device); }

int weft_signal_descriptor(const int *signals, size_t count) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) sigaddset(&set, signals[i]);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int weft_next_signal(int descriptor) {
    struct signalfd_siginfo about;
    return read(descriptor, &about, sizeof about) == sizeof about ? (int)about.ssi_signo : -1;
}

char *weft_optarg(void) { return optarg; }
int weft_optind(void) { return optind; }
int weft_optopt(void) { return optopt; }
void weft_getopt_reset(void) { optind = 0, opterr = 0; }

char **weft_environment(void) { return environ; }

short weft_spawn_new_session(void) { return POSIX_SPAWN_SETSID; }

void weft_syslog(int priority, const char *text) { syslog(LOG_DAEMON | priority, "%s", text); }

long weft_getxattr(const char *path, const char *name, void *value, size_t size) {
    return getxattr(path, name, value, size);
}

bool weft_can_pin(const void *start) {
    char byte;
    struct iovec to = {&byte, 1}, from = {(void *)start, 1};
    // Fails for other reasons where a sandbox forbids the call: then assume the usual.
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) >= 0 || errno != EFAULT;
}

int weft_duplicate(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 3); }

void weft_spawn_leave(posix_spawn_file_actions_t *actions) {
    posix_spawn_file_actions_addchdir_np(actions, "/");
    posix_spawn_file_actions_addclosefrom_np(actions, 4);
}

int weft_pipe(int ends[2]) {
    int low[2];
    if (pipe2(low, O_CLOEXEC)) return -1;
    ends[0] = fcntl(low[0], F_DUPFD_CLOEXEC, 3);
    ends[1] = ends[0] < 0 ? -1 : fcntl(low[1], F_DUPFD_CLOEXEC, 3);
    int error = errno;
    close(low[0]);
    close(low[1]);
    if (ends[1] >= 0) return 0;
    if (ends[0] >= 0) close(ends[0]);
    errno = error;
    return -1;
}

int weft_accept(int socket) { return accept4(socket, NULL, NULL, SOCK_CLOEXEC); }
