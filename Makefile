# make build    the program and all its names in bin/
# make demo     sets everything up and shows the main job on real data
# make test     sets everything up and passes the tests
# make yardstick  what a local file system does, on tmpfs, ext4 and on our engine over /dev/fuse
# make smoke    the command line and mounts on one device, DEV=... or a file in /dev/shm; make smoke_user: as a user with sudo
# make smoke_valgrind  the same with valgrind and sanitizers
# make coverage  which lines all tests reach, in coverage/index.html
# make test-machines  the same program in two virtual machines that share memory
# make bench    prints figures; nothing passes or fails
# make lint     the formatter's rules, and the manual pages
# make install  what is in bin/, manual pages, completions and a systemd unit, into PREFIX; make uninstall takes it away
# make deb      a Debian package of the same

export SWIFT ?= swift
ifeq ($(origin CC),default)
CC := $(shell command -v clang || echo cc)
endif
# Without --disable-local-rpath the loader looks for each library in a dozen places beside the program first.
RELEASE = -c release --static-swift-stdlib --disable-local-rpath -Xswiftc -cross-module-optimization
PROGRAMS = $$($(SWIFT) build $(RELEASE) --show-bin-path)
NAMES = famfs mkfs.famfs famfs_fused mount.famfs kfs mkfs.kfs pcq
BIN ?= bin
export PREFIX ?= /usr/local
export DESTDIR ?=

.PHONY: build demo test yardstick smoke smoke_user smoke_valgrind coverage test-machines bench lint install uninstall deb setup clean

build: setup
	$(SWIFT) build $(RELEASE) --product weft
	@mkdir -p bin
	@install -m 755 "$(PROGRAMS)/weft" bin/weft
	@for name in $(NAMES); do ln -sf weft bin/$$name; done
	@$(MAKE) --no-print-directory lib/libfamfs.so lib/libfamfs_exec.so

# In C, for they are loaded into all kinds of programs.
LIBRARY = $(CC) -std=gnu17 -O2 -g -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -ISources/CLinux/include
LIBFAMFS = libfamfs/volume.c libfamfs/log.c libfamfs/tree.c libfamfs/memory.c libfamfs/layout.c libfamfs/mounts.c Sources/CLinux/cache.c
LIBFAMFS_EXEC = libfamfs/exec.c libfamfs/records.c libfamfs/areas.c libfamfs/layout.c libfamfs/mounts.c libfamfs/memory.c Sources/CLinux/cache.c
lib/libfamfs.so: $(LIBFAMFS)
lib/libfamfs.so: LIBRARIES = -lz
lib/libfamfs.so: SONAME = libfamfs.so.0
lib/libfamfs_exec.so: $(LIBFAMFS_EXEC)
lib/%.so: $(wildcard libfamfs/*.h) Sources/CLinux/include/CLinux.h Makefile
	@mkdir -p lib
	@$(LIBRARY) $(SONAME:%=-Wl,-soname,%) -o $@.new $(filter %.c,$^) $(LIBRARIES)
	@mv $@.new $@
	@$(SONAME:%=ln -sf $(notdir $@) lib/%)

demo: build
	@$(SWIFT) build $(RELEASE) --product bench-sums
	@scripts/demo bin "$(PROGRAMS)"

test: build
	@scripts/test bin

yardstick: setup
	WEFT_YARDSTICK_OPERATIONS=10000 $(SWIFT) test --parallel --filter YardstickTests

smoke: build
	@scripts/smoke bin

smoke_user: build
	@scripts/smoke_user bin

smoke_valgrind: build
	@scripts/smoke_valgrind bin

coverage: setup
	@scripts/coverage

test-machines: build
	@scripts/test-machines bin

bench: build
	$(SWIFT) build $(RELEASE) --product bench-replay
	$(SWIFT) build $(RELEASE) --product bench-small
	$(CC) -std=gnu17 -O2 -Wall -Wextra -Werror -Ilibfamfs Benchmarks/Mapped/mapped.c -Llib -lfamfs -Wl,-rpath,$(CURDIR)/lib \
	  -o "$(PROGRAMS)/bench-mapped"
	@scripts/bench bin "$(PROGRAMS)"

lint:
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests Benchmarks
	@if command -v mandoc > /dev/null; then mandoc -Tlint -W warning docs/man/*; \
	else echo "lint: there is no mandoc, so the manual pages are not checked"; fi

install:
	@scripts/install "$(BIN)"

uninstall:
	@scripts/install --remove

deb: build
	@scripts/deb "$(BIN)" .

# For scripts that compile the libraries in their own way.
print-%:
	@echo $($*)

setup:
	@scripts/setup

clean:
	rm -rf .build bin lib coverage
