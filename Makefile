# fvol: builds the forensic volume. `make` builds out/fvol.img and what belongs to it,
# `make test` runs every test, `make help` lists the rest.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules -j$(shell nproc)

all:

include mk/config.mk
include mk/deps.mk
include mk/toolkit.mk
include mk/kmods.mk
include mk/image.mk
include mk/docs.mk
include mk/tests.mk
include mk/http.mk
include mk/readers.mk
include mk/bench.mk
include mk/interop.mk

all: $(TOOL_BINARIES)

help:
	@echo 'make                  build out/fvol.img and out/documents/'
	@echo 'make test             run every test'
	@echo 'make bench SUITE=NAME measure against peers (tests/bench/README.md)'
	@echo 'make interop VOLATILITY=DIR   the real Volatility 3 on our images, by hand'
	@echo 'make release          the same with every module boot-tested on its kernel'
	@echo 'make demo             walk the whole path in a virtual machine'
	@echo 'make update-kernels   renew the locked kernels, also those of the tests'
	@echo 'KERNELS=all           modules for every kernel that the archives offer, not the newest'
	@echo 'make clean            remove what was built, keep downloads and libraries'
	@echo 'make distclean        remove everything that is not source'
	@echo 'DL=DIR                look for sources in DIR first'
	@echo 'LOCKED=1              refuse a kernel package that is not the locked one'
	@echo 'IMAGE_SIZE=SIZE       size of the file system in the image (default: see image/volume.plan)'
	@echo 'LIKE=OLD.img          keep the places of the release before: few blocks of a snapshot change'

clean:
	rm -rf out build/release build/check build/tests

distclean:
	rm -rf out build

.PHONY: all help clean distclean
