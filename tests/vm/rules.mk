# The test guests' tools: an agent for each architecture, and host programs.
# Stands alone too: make -f tests/vm/rules.mk vm-tools
CC_HOST ?= gcc
CC_x86_64 ?= $(firstword $(wildcard build/toolchain/x86_64/bin/cc) gcc)
CC_aarch64 ?= $(firstword $(wildcard build/toolchain/aarch64/bin/cc) aarch64-linux-gnu-gcc)
# e2fsprogs and yyjson of the build, or the machine's own libext2fs while there is none.
VM_DEPS ?= build/deps/host
VM_OUT ?= build/tests/vm

vm_cflags := -std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wshadow -Werror -MMD -MP
vm_agent_src := agent.c agent_file.c agent_mem.c agent_run.c frame.c
vm_programs := vmctl limecheck memdiff fsdiff
vm_src_vmctl := vmctl.c guest.c guard.c qmp.c frame.c
vm_src_limecheck := limecheck.c memimage.c
vm_src_memdiff := memdiff.c memimage.c
vm_src_fsdiff := fsdiff.c fsimage.c
vm_lib_vmctl := -lyyjson -lm
vm_lib_fsdiff := -lext2fs -lcom_err -lpthread

vm_put_programs := as hold sockets
vm_arch_programs := $(foreach arch,x86_64 aarch64,$(vm_put_programs:%=$(VM_OUT)/$(arch)/%))

.PHONY: vm-tools
vm-tools: $(VM_OUT)/x86_64/fill $(vm_arch_programs) $(vm_programs:%=$(VM_OUT)/%) $(VM_OUT)/x86_64/agent $(VM_OUT)/aarch64/agent

define vm_agent_rule
$(VM_OUT)/$(1)/agent: $(vm_agent_src:%.c=$(VM_OUT)/$(1)/%.o)
	@echo "  LINK    agent ($(1))"
	@$$(CC_$(1)) -static -o $$@ $$^
$(VM_OUT)/$(1)/%.o: tests/vm/%.c
	@mkdir -p $$(@D)
	@echo "  CC      $$< ($(1))"
	@$$(CC_$(1)) $(vm_cflags) -c -o $$@ $$<
endef
$(foreach arch,x86_64 aarch64,$(eval $(call vm_agent_rule,$(arch))))

# Programs that tests put into a guest.
$(VM_OUT)/x86_64/fill: $(VM_OUT)/x86_64/fill.o
	@echo "  LINK    fill (x86_64)"
	@$(CC_x86_64) -static -o $@ $^
$(vm_arch_programs): %: %.o
	@echo "  LINK    $@"
	@$(CC_$(notdir $(@D))) -static -o $@ $^

define vm_program_rule
$(VM_OUT)/$(1): $(vm_src_$(1):%.c=$(VM_OUT)/host/%.o)
	@echo "  LINK    $(1)"
	@$$(CC_HOST) -o $$@ $$^ -L$(VM_DEPS)/lib $(vm_lib_$(1))
endef
$(foreach program,$(vm_programs),$(eval $(call vm_program_rule,$(program))))
$(VM_OUT)/host/%.o: tests/vm/%.c
	@mkdir -p $(@D)
	@echo "  CC      $< (host)"
	@$(CC_HOST) $(vm_cflags) -isystem $(VM_DEPS)/include -c -o $@ $<

-include $(wildcard $(VM_OUT)/*/*.d)
