# The Command documents and runbooks: generated from the scripts, bound to this image by the
# hash of its MANIFEST.

DOCUMENTS := $(foreach name,Mount Capture Triage Unmount BuildStep Acquire Intake BuildModule,\
	out/documents/FVol-$(name).json)

$(DOCUMENTS) out/documents/SHA256SUMS &: out/MANIFEST $(wildcard mount-scripts/*.sh) \
		$(wildcard ssm-docs/*) kmods/catalogue.version | build/stamps/packages-build
	@echo "  DOCS    out/documents"
	@sh ssm-docs/generate.sh --manifest-sha256 "$$(sha256sum < out/MANIFEST | cut -c 1-64)" \
		--catalogue-least $(call catalogue_number,least) --out out/documents

all: $(DOCUMENTS)
