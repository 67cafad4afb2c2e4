#include "CDaxctl.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

// A pointer of the type that the header declares for each function, and where to find it.
#define FUNCTIONS(each)                      \
    each(daxctl_new)                         \
    each(daxctl_unref)                       \
    each(daxctl_set_log_priority)            \
    each(daxctl_region_get_first)            \
    each(daxctl_region_get_next)             \
    each(daxctl_dev_get_first)               \
    each(daxctl_dev_get_next)                \
    each(daxctl_dev_get_devname)             \
    each(daxctl_dev_disable)                 \
    each(daxctl_dev_enable_devdax)           \
    each(daxctl_dev_enable_ram)              \
    each(daxctl_dev_get_memory)              \
    each(daxctl_dev_will_auto_online_memory) \
    each(daxctl_memory_is_online)            \
    each(daxctl_memory_online)               \
    each(daxctl_memory_offline)

#define DECLARE(name) static __typeof__(&name) name##_;
FUNCTIONS(DECLARE)

bool weft_dax_load(void) {
    void *library = dlopen("libdaxctl.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return false;
#define LOOK_UP(name) \
    if (!(name##_ = (__typeof__(&name))dlsym(library, #name))) return false;
    FUNCTIONS(LOOK_UP)
    return true;
}

bool weft_dax_open(const char *name, struct weft_dax *found) {
    if (daxctl_new_(&found->context) < 0) return false;
    daxctl_set_log_priority_(found->context, 0); // what fails is told by who called
    struct daxctl_region *region = daxctl_region_get_first_(found->context);
    for (; region; region = daxctl_region_get_next_(region)) {
        found->device = daxctl_dev_get_first_(region);
        for (; found->device; found->device = daxctl_dev_get_next_(found->device))
            if (strcmp(daxctl_dev_get_devname_(found->device), name) == 0) return true;
    }
    weft_dax_close(found);
    return false;
}

void weft_dax_close(struct weft_dax *dax) { daxctl_unref_(dax->context); }

int weft_dax_disable(struct weft_dax *dax) { return daxctl_dev_disable_(dax->device); }

int weft_dax_enable(struct weft_dax *dax, bool as_ram) {
    return as_ram ? daxctl_dev_enable_ram_(dax->device) : daxctl_dev_enable_devdax_(dax->device);
}

int weft_dax_online_blocks(struct weft_dax *dax) {
    struct daxctl_memory *memory = daxctl_dev_get_memory_(dax->device);
    return memory ? daxctl_memory_is_online_(memory) : -ENODEV;
}

int weft_dax_set_online(struct weft_dax *dax, bool online) {
    struct daxctl_memory *memory = daxctl_dev_get_memory_(dax->device);
    if (!memory) return -ENODEV;
    // Both give how many blocks they have switched.
    int count = online ? daxctl_memory_online_(memory) : daxctl_memory_offline_(memory);
    return count < 0 ? count : 0;
}

int weft_dax_onlines_itself(struct weft_dax *dax) { return daxctl_dev_will_auto_online_memory_(dax->device); }
