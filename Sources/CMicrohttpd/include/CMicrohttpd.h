// The few functions of GNU libmicrohttpd that the daemon uses. The library is loaded when the daemon begins and by
// nothing else: linked, it would bring gnutls and eight more libraries into the start of every command.
#ifndef WEFT_CMICROHTTPD_H
#define WEFT_CMICROHTTPD_H

#include <microhttpd.h>
#include <stdbool.h>

/// Loads the library. Call it once, before all others, from one thread; false where it is not installed.
bool weft_http_load(void);

/// MHD_start_daemon on a listening socket, with a thread of its own; NULL when that fails. A quarter of the connections
/// are left for root.
struct MHD_Daemon *weft_http_start(int listener, unsigned connections, unsigned timeout_seconds,
                                   MHD_AccessHandlerCallback handler, MHD_RequestCompletedCallback completed,
                                   void *context);
/// Queues a text, which is copied. `allow` is the Allow header, or NULL.
enum MHD_Result weft_http_answer(struct MHD_Connection *connection, unsigned status, const char *type,
                                 const char *allow, const void *text, size_t count);
/// Queues what `read` gives piece by piece; `release` is called with `context` when it is no longer needed.
enum MHD_Result weft_http_stream(struct MHD_Connection *connection, unsigned status, const char *type,
                                 MHD_ContentReaderCallback read, void *context,
                                 MHD_ContentReaderFreeCallback release);
/// The process at the other end of the connection, as the kernel vouches for it; false when it cannot say.
bool weft_http_peer(struct MHD_Connection *connection, int *pid, unsigned *uid, unsigned *gid);
/// MHD_CONTENT_READER_END_OF_STREAM.
long weft_http_end(void);

#endif
