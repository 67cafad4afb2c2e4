// The few functions of libdaxctl that switch a dax device's mode. The library is loaded by the command that does so and by
// nothing else: linked, it would bring libkmod and OpenSSL into the start of every command.
#ifndef WEFT_CDAXCTL_H
#define WEFT_CDAXCTL_H

#include <daxctl/libdaxctl.h>
#include <stdbool.h>

/// Loads the library. Call it before all others, from one thread; false where it is not installed.
bool weft_dax_load(void);

/// A dax device, as the library sees it at this moment.
struct weft_dax {
    struct daxctl_ctx *context;
    struct daxctl_dev *device;
};
/// Finds the device of a name such as dax0.0; false when there is none. What was found is to be closed.
bool weft_dax_open(const char *name, struct weft_dax *found);
void weft_dax_close(struct weft_dax *dax);

// All below give 0, or a number that is asked for, or a negative errno.

/// Takes the device from its driver.
int weft_dax_disable(struct weft_dax *dax);
/// Gives a device that no driver has to device_dax, or to kmem.
int weft_dax_enable(struct weft_dax *dax, bool as_ram);
/// Of a device in mode system-ram, how many memory blocks are online.
int weft_dax_online_blocks(struct weft_dax *dax);
/// Brings its memory online, where it can be taken offline again (movable), or takes it offline.
int weft_dax_set_online(struct weft_dax *dax, bool online);
/// Whether the kernel brings memory online by itself as soon as it has it.
int weft_dax_onlines_itself(struct weft_dax *dax);

#endif
