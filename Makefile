# bauta. `make help` lists what there is. One makefile, no recursion; all products are under build/.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

CC ?= cc
CLANG ?= clang
PREFIX ?= /usr/local
DESTDIR ?=
B := build

# What tools/deps found: DEPS_CFLAGS, DEPS_LIBS_PURE (crypto .. node), DEPS_LIBS_HOST (the rest).
ifeq ($(filter-out clean help,$(or $(MAKECMDGOALS),all)),)
else
-include $(B)/deps/config.mk
endif
$(B)/deps/config.mk: tools/deps
	@mkdir -p $(@D)
	tools/deps $@

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
CPPFLAGS += -I. -D_GNU_SOURCE
BASE := -std=c11 $(WARN) $(DEPS_CFLAGS)

# ---- layers, in link order: each may use those to its right ---------------------------------------
LAYERS := host sim bench node meet talk channel dht crypto
SRC_crypto  := $(wildcard crypto/*.c)
SRC_dht     := $(wildcard dht/*.c)
SRC_channel := $(wildcard node/channel/*.c)
SRC_talk    := $(wildcard node/talk/*.c)
SRC_meet    := $(wildcard node/meet/*.c)
SRC_node    := $(wildcard node/*.c)
SRC_node    := $(filter-out node/main.c,$(SRC_node))
SRC_host    := $(wildcard node/host/*.c node/ui/*/*.c)
SRC_sim     := $(filter-out tools/sim/main.c,$(wildcard tools/sim/*.c))
SRC_bench   := $(filter-out tools/bench/main.c,$(wildcard tools/bench/*.c))

# What each layer's archive is linked with.
PURE := node meet talk channel dht crypto
NEED_crypto  := crypto
NEED_dht     := dht crypto
NEED_channel := channel dht crypto
NEED_talk    := talk dht crypto
NEED_meet    := meet channel dht crypto
NEED_node    := $(PURE)
NEED_sim     := sim $(PURE)
NEED_host    := host $(PURE)
NEED_bench   := bench host $(PURE)

# ---- variants: plain, asan, fuzz ------------------------------------------------------------------
FLAGS_obj  := -O2 -g
FLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CC_obj  := $(CC)
CC_asan := $(CC)
CC_fuzz := $(CLANG)

# $(call variant,NAME): objects, archives of one variant under build/NAME
define variant
$(B)/$(1)/%.o: %.c | $(B)/deps/config.mk
	@mkdir -p $$(@D)
	$$(CC_$(1)) $$(CPPFLAGS) $$(BASE) $$(FLAGS_$(1)) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$(foreach l,$(LAYERS),$(eval $(call archive,$(1),$(l))))
endef
define archive
$(B)/$(1)/lib$(2).a: $(patsubst %.c,$(B)/$(1)/%.o,$(SRC_$(2)))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach v,obj asan fuzz,$(eval $(call variant,$(v))))

# $(call libs,VARIANT,LAYER): archives that a program of a layer links
libs = $(foreach l,$(NEED_$(2)),$(B)/$(1)/lib$(l).a)
# $(call program,TARGET,VARIANT,SOURCE,LAYER,EXTRA LIBS)
define program
$(1): $(B)/$(2)/$(3:.c=.o) $(call libs,$(2),$(4))
	@mkdir -p $$(@D)
	$$(CC_$(2)) $$(FLAGS_$(2)) $$(LDFLAGS) -o $$@ $$^ $(5) $$(DEPS_LIBS_PURE) -lm
endef

# ---- programs -------------------------------------------------------------------------------------
PROGRAMS :=
ifneq ($(wildcard node/main.c),)
PROGRAMS += $(B)/bauta
$(eval $(call program,$(B)/bauta,obj,node/main.c,host,$$(DEPS_LIBS_HOST)))
$(eval $(call program,$(B)/asan/bauta,asan,node/main.c,host,$$(DEPS_LIBS_HOST)))
endif
ifneq ($(wildcard tools/sim/main.c),)
PROGRAMS += $(B)/bauta-sim
$(eval $(call program,$(B)/bauta-sim,obj,tools/sim/main.c,sim,$$(DEPS_LIBS_HOST)))
endif
ifneq ($(wildcard tools/bench/main.c),)
PROGRAMS += $(B)/bauta-bench
$(eval $(call program,$(B)/bauta-bench,obj,tools/bench/main.c,bench,$$(DEPS_LIBS_HOST)))
endif
ifneq ($(wildcard tools/noise-vectors.c),)
PROGRAMS += $(B)/noise-vectors
$(eval $(call program,$(B)/noise-vectors,obj,tools/noise-vectors.c,crypto,$$(DEPS_LIBS_HOST)))
endif

# ---- tests: tests/unit/LAYER/NAME.c links that layer; tests/sim/NAME.c links the simulator ----------
UNIT := $(wildcard tests/unit/*/*.c)
SIMT := $(wildcard tests/sim/*.c)
unit_layer = $(word 3,$(subst /, ,$(1)))
$(foreach t,$(UNIT),$(foreach v,obj asan,$(eval $(call program,$(B)/$(v)/$(t:.c=),$(v),$(t),$(call unit_layer,$(t)),$$(DEPS_LIBS_TEST) $$(DEPS_LIBS_HOST)))))
$(foreach t,$(SIMT),$(foreach v,obj asan,$(eval $(call program,$(B)/$(v)/$(t:.c=),$(v),$(t),sim,$$(DEPS_LIBS_TEST) $$(DEPS_LIBS_HOST)))))
TESTS_obj  := $(patsubst %.c,$(B)/obj/%,$(UNIT) $(SIMT))
TESTS_asan := $(patsubst %.c,$(B)/asan/%,$(UNIT) $(SIMT))

.PHONY: all clean
all: $(PROGRAMS)
clean:
	rm -rf $(filter-out $(B)/deps,$(wildcard $(B)/*))

-include $(shell find $(B) -name '*.d' 2>/dev/null)
