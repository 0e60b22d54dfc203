# The real analysis tool on our images: `make interop VOLATILITY=DIR [SYMBOLS=DIR]`. Run by
# hand, as Volatility 3 is no part of this project and its licence is not ours.

export VOLATILITY SYMBOLS
# Asked for first: nothing is built for a Volatility that is not there.
interop: build/stamps/packages-interop
	@sh tests/interop/run.sh --check
	@$(MAKE) --no-print-directory interop-run
interop-run: build/release/x86_64/bin/capture build/release/x86_64/bin/symbols $(IMAGE) vm-tools build/check/bin/readimage \
		build/kernels/stamp-images build/stamps/packages-test
	@sh tests/interop/run.sh
.PHONY: interop interop-run
