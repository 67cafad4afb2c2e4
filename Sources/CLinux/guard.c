// A load from mapped shared memory can fail: the kernel then sends SIGBUS to the thread. While a thread is inside one
// of the calls below, the handler jumps back out of it; elsewhere SIGBUS keeps its usual, deadly meaning. No Swift
// frame is ever jumped over.
#define _GNU_SOURCE
#include "CLinux.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

static _Thread_local sigjmp_buf *way_out;
static struct sigaction before;

static void on_bus_error(int number, siginfo_t *info, void *context) {
    if (way_out) siglongjmp(*way_out, 1);
    if ((before.sa_flags & SA_SIGINFO) && before.sa_sigaction) {
        before.sa_sigaction(number, info, context);
        return;
    }
    signal(number, before.sa_handler);  // the faulting instruction runs again and meets it
}

static void install(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &before);
}

static pthread_once_t installed = PTHREAD_ONCE_INIT;

#define GUARDED(work)                        \
    pthread_once(&installed, install);       \
    sigjmp_buf here;                         \
    sigjmp_buf *outer = way_out;             \
    if (sigsetjmp(here, 0)) {                \
        way_out = outer;                     \
        return false;                        \
    }                                        \
    way_out = &here;                         \
    __asm__ volatile("" ::: "memory");       \
    work;                                    \
    __asm__ volatile("" ::: "memory");       \
    way_out = outer;                         \
    return true

bool weft_guarded_copy(void *to, const void *from, size_t count) { GUARDED(memcpy(to, from, count)); }
bool weft_guarded_stream(void *to, const void *from, size_t count) { GUARDED(weft_stream(to, from, count)); }
bool weft_guarded_fill(void *to, int byte, size_t count) { GUARDED(memset(to, byte, count)); }
bool weft_guarded_load64(const void *from, uint64_t *value) {
    GUARDED(*value = __atomic_load_n((const uint64_t *)from, __ATOMIC_ACQUIRE));
}
bool weft_guarded_store64(void *to, uint64_t value) {
    GUARDED(__atomic_store_n((uint64_t *)to, value, __ATOMIC_RELEASE));
}
bool weft_guarded_replace64(void *at, uint64_t *expected, uint64_t value, bool *done) {
    GUARDED(*done = __atomic_compare_exchange_n((uint64_t *)at, expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}
bool weft_guarded_write_back(const void *start, size_t count) { GUARDED(weft_write_back(start, count)); }
bool weft_guarded_invalidate(const void *start, size_t count) { GUARDED(weft_invalidate(start, count)); }
