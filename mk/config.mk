# What every part of the build agrees on.

FVOL_VERSION := $(shell cat VERSION)
# The date that is written wherever a date must stand, so that the same sources give the
# same bytes on any day. It moves with VERSION.
SOURCE_DATE_EPOCH := 1795219200
# The file system of the image, where it is not to be what image/volume.plan says. It grows
# online to the size of the volume it is put on.
IMAGE_SIZE ?=

ARCHES := x86_64 aarch64
ROOT := $(CURDIR)

ifneq ($(shell uname -m),x86_64)
$(error fvol is built on an x86_64 machine)
endif

CC_x86_64 := build/toolchain/x86_64/bin/cc
CC_aarch64 := build/toolchain/aarch64/bin/cc
CC_HOST := gcc-12

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wvla -Wstrict-prototypes -Werror
# __FILE__ and the like hold no path of this machine; char is signed on both architectures.
CFLAGS_COMMON := -std=c11 -D_GNU_SOURCE -DFVOL_VERSION='"$(FVOL_VERSION)"' $(WARNINGS) \
	-O2 -g0 -fPIE -fsigned-char -ffunction-sections -fdata-sections \
	-fno-asynchronous-unwind-tables -fstack-protector-strong \
	-ffile-prefix-map=$(ROOT)=/b -I.
LDFLAGS_COMMON := -Wl,--gc-sections -s
# Packed relocations: six pages fewer that starting capture reads and writes.
LDFLAGS_x86_64 := -Wl,-z,pack-relative-relocs
# Unit tests, command-line helpers and fuzz targets: this machine's libc, sanitized.
CFLAGS_CHECK := -std=c11 -D_GNU_SOURCE -DFVOL_VERSION='"$(FVOL_VERSION)"' $(WARNINGS) \
	-O1 -g -fsigned-char -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -I.

export SOURCE_DATE_EPOCH DL LOCKED
