#include "CMicrohttpd.h"

#include "CLinux.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>

// A pointer of the type that the header declares for each function, and where to find it.
#define FUNCTIONS(each)                     \
    each(MHD_start_daemon)                  \
    each(MHD_create_response_from_buffer)   \
    each(MHD_create_response_from_callback) \
    each(MHD_add_response_header)           \
    each(MHD_queue_response)                \
    each(MHD_destroy_response)              \
    each(MHD_get_connection_info)

#define DECLARE(name) static __typeof__(&name) name##_;
FUNCTIONS(DECLARE)

bool weft_http_load(void) {
    void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!library) return false;
#define LOOK_UP(name) \
    if (!(name##_ = (__typeof__(&name))dlsym(library, #name))) return false;
    FUNCTIONS(LOOK_UP)
    return true;
}

// Connections of users other than root: they must leave some for root.
struct share {
    unsigned taken, most;
};

static void note_connection(void *context, struct MHD_Connection *connection, void **counted,
                            enum MHD_ConnectionNotificationCode what) {
    struct share *share = context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*counted) share->taken--;
        return;
    }
    int pid;
    unsigned uid, gid;
    const union MHD_ConnectionInfo *about = MHD_get_connection_info_(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!about || (weft_peer(about->connect_fd, &pid, &uid, &gid) == 0 && uid == 0)) return;
    if (share->taken == share->most) {
        shutdown(about->connect_fd, SHUT_RDWR);
        return;
    }
    share->taken++;
    *counted = share;
}

struct MHD_Daemon *weft_http_start(int listener, unsigned connections, unsigned timeout_seconds,
                                   MHD_AccessHandlerCallback handler, MHD_RequestCompletedCallback completed,
                                   void *context) {
    struct share *share = calloc(1, sizeof *share);
    if (!share) return NULL;
    share->most = connections - connections / 4;
    struct MHD_Daemon *daemon = MHD_start_daemon_(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, handler, context,
                                                  MHD_OPTION_LISTEN_SOCKET, listener,
                                                  MHD_OPTION_CONNECTION_LIMIT, connections,
                                                  MHD_OPTION_CONNECTION_TIMEOUT, timeout_seconds,
                                                  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384,
                                                  MHD_OPTION_NOTIFY_COMPLETED, completed, context,
                                                  MHD_OPTION_NOTIFY_CONNECTION, note_connection, share,
                                                  MHD_OPTION_END);
    if (!daemon) free(share);
    return daemon;
}

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status, const char *type, const char *allow,
                             struct MHD_Response *response) {
    if (!response) return MHD_NO;
    MHD_add_response_header_(response, "Content-Type", type);
    if (allow) MHD_add_response_header_(response, "Allow", allow);
    enum MHD_Result result = MHD_queue_response_(connection, status, response);
    MHD_destroy_response_(response);
    return result;
}

enum MHD_Result weft_http_answer(struct MHD_Connection *connection, unsigned status, const char *type,
                                 const char *allow, const void *text, size_t count) {
    return queue(connection, status, type, allow,
                 MHD_create_response_from_buffer_(count, (void *)text, MHD_RESPMEM_MUST_COPY));
}

enum MHD_Result weft_http_stream(struct MHD_Connection *connection, unsigned status, const char *type,
                                 MHD_ContentReaderCallback read, void *context,
                                 MHD_ContentReaderFreeCallback release) {
    struct MHD_Response *response = MHD_create_response_from_callback_(MHD_SIZE_UNKNOWN, 16384, read, context, release);
    if (!response) release(context);
    return queue(connection, status, type, NULL, response);
}

bool weft_http_peer(struct MHD_Connection *connection, int *pid, unsigned *uid, unsigned *gid) {
    const union MHD_ConnectionInfo *about = MHD_get_connection_info_(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return about && weft_peer(about->connect_fd, pid, uid, gid) == 0;
}

long weft_http_end(void) { return MHD_CONTENT_READER_END_OF_STREAM; }
