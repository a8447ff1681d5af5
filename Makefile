# bauta. `make help` lists what there is. One makefile, no recursion; all products are under build/.

# With -n nothing may be installed or built, not even the settings that are included below.
DRY := $(findstring n,$(firstword -$(MAKEFLAGS)))
MAKEFLAGS += --no-builtin-rules
# Every target is safe in parallel, so all cores are used unless -j says otherwise.
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
endif
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

CC ?= cc
CLANG ?= clang
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 20
B := build
D := build/deps
# `make V=1` shows whole commands.
Q := $(if $(V),,@)

GOALS := $(or $(MAKECMDGOALS),all)
# Goals for which nothing is needed of the system, so nothing is looked for.
BARE := $(if $(filter-out clean distclean help,$(GOALS)),,yes)

# What tools/deps found: DEPS_CFLAGS, DEPS_LIBS_PURE (crypto .. node), DEPS_LIBS_HOST (the rest),
# DEPS_LIBS_TEST. Make makes and reads this file before it does anything else, so that whatever is
# missing is installed before the first file is compiled.
FIND := $(if $(DRY),@echo,@CC='$(CC)' CLANG='$(CLANG)') tools/deps
$(D)/config.mk: tools/deps
	$(FIND) $@
# Tests and the linters need a little more; these two files only say that it is there.
$(D)/test.mk: tools/deps | $(D)/config.mk
	$(FIND) --test $@
$(D)/tools.mk: tools/deps | $(D)/config.mk
	$(FIND) --tools $@
ifeq ($(or $(BARE),$(DRY)),)
include $(D)/config.mk
ifneq ($(filter test check asan,$(GOALS)),)
include $(D)/test.mk
endif
ifneq ($(filter fuzz lint,$(GOALS)),)
include $(D)/tools.mk
endif
else
-include $(wildcard $(D)/*.mk)
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
CPPFLAGS += -I. -I$(B) -D_GNU_SOURCE
BASE := -std=c11 $(WARN) $(DEPS_CFLAGS)

# ---- layers, in link order: each may use those to its right ---------------------------------------
LAYERS := host sim bench node meet talk relay channel dht crypto lab
SRC_crypto  := $(wildcard crypto/*.c)
SRC_dht     := $(wildcard dht/*.c)
SRC_channel := $(wildcard node/channel/*.c)
SRC_relay   := $(wildcard node/relay/*.c)
SRC_talk    := $(wildcard node/talk/*.c)
SRC_relay   := $(wildcard node/relay/*.c)
SRC_meet    := $(wildcard node/meet/*.c)
SRC_node    := $(filter-out node/main.c,$(wildcard node/*.c))
SRC_host    := $(wildcard node/host/*.c node/ui/*/*.c)
SRC_sim     := $(filter-out tools/sim/main.c,$(wildcard tools/sim/*.c))
SRC_bench   := $(filter-out tools/bench/main.c,$(wildcard tools/bench/*.c))
# The lab's link is Linux's; the model of it is not.
LAB_LINK    := tools/lab/link.c tools/lab/tun.c
SRC_lab     := $(filter-out $(LAB_LINK),$(wildcard tools/lab/*.c))

# What each layer's archive is linked with.
PURE := node meet talk relay channel dht crypto
NEED_crypto  := crypto
NEED_dht     := dht crypto
NEED_channel := channel dht crypto
NEED_relay   := relay channel dht crypto
NEED_talk    := talk dht crypto
NEED_relay   := relay channel dht crypto
NEED_meet    := meet channel dht crypto
NEED_node    := $(PURE)
NEED_sim     := sim $(PURE)
NEED_host    := host $(PURE)
NEED_bench   := bench host $(PURE)
NEED_lab     := lab

# ---- variants: plain, asan, fuzz, weak: without defences, so that attacks are seen to be attacks ------------------------------------------------------------------
FLAGS_obj  := -O2 -g
FLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# Where it has a header of the same name in tests/weak, that comes first.
FLAGS_weak := -O2 -g -DBAUTA_WEAK -iquote tests/weak
CC_obj  := $(CC)
CC_weak := $(CC)
CC_asan := $(CC)
CC_fuzz := $(CLANG)

# $(call variant,NAME): objects, archives of one variant under build/NAME. The file `flags` holds the
# compiler and its options; it is rewritten only when they change, and all objects depend on it.
define variant
$(B)/$(1)/%.o: %.c $(B)/$(1)/flags | $(D)/config.mk
	@mkdir -p $$(@D)
	$$(if $$(V),,@echo "  cc $$@")
	$$(Q)$$(CC_$(1)) $$(CPPFLAGS) $$(BASE) $$(FLAGS_$(1)) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$(B)/$(1)/flags: ;
ifeq ($(or $(BARE),$(DRY)),)
WANT_$(1) := $$(strip $$(CC_$(1)) $$(CPPFLAGS) $$(BASE) $$(FLAGS_$(1)) $$(CFLAGS))
ifneq ($$(shell cat $(B)/$(1)/flags 2>/dev/null),$$(WANT_$(1)))
$$(shell mkdir -p $(B)/$(1) && echo '$$(WANT_$(1))' >$(B)/$(1)/flags)
endif
endif
$(foreach l,$(LAYERS),$(eval $(call archive,$(1),$(l))))
endef
define archive
$(B)/$(1)/lib$(2).a: $(patsubst %.c,$(B)/$(1)/%.o,$(SRC_$(2)))
	@mkdir -p $$(@D)
	@rm -f $$@.new
	$$(if $$(V),,@echo "  ar $$@")
	$$(Q)ar rcs $$@.new $$^
	@mv -f $$@.new $$@
endef
$(foreach v,obj asan fuzz weak,$(eval $(call variant,$(v))))

# $(call libs,VARIANT,LAYER): archives that a program of a layer links
libs = $(foreach l,$(NEED_$(2)),$(B)/$(1)/lib$(l).a)
# `crypto = modelled` of the simulator (tools/sim/modelled.c): these calls of libsodium's go through it.
MODELLED := generichash_blake2b_init generichash_blake2b_update generichash_blake2b_final generichash \
  shorthash shorthash_siphash24 pwhash_argon2id stream_chacha20_ietf_xor_ic scalarmult \
  scalarmult_curve25519 scalarmult_base kem_xwing_seed_keypair kem_xwing_enc_deterministic kem_xwing_dec \
  $(addprefix sign_ed25519_,seed_keypair detached verify_detached pk_to_curve25519 sk_to_curve25519) \
  $(foreach a,xchacha20poly1305_ietf chacha20poly1305_ietf aegis256, \
    aead_$(a)_encrypt_detached aead_$(a)_decrypt_detached) \
  $(foreach a,xchacha20poly1305_ietf chacha20poly1305_ietf,aead_$(a)_encrypt aead_$(a)_decrypt)
LINK_sim := $(MODELLED:%=-Wl,--wrap=crypto_%) -Wl,--wrap=stamp_bits -Wl,--wrap=stamp_make

# $(call program,TARGET,VARIANT,SOURCES,LAYER,EXTRA LIBS)
define program
$(1): $(patsubst %.c,$(B)/$(2)/%.o,$(3)) $(call libs,$(2),$(4))
	@mkdir -p $$(@D)
	$$(if $$(V),,@echo "  ld $$@")
	$$(Q)$$(CC_$(2)) $$(FLAGS_$(2)) $$(LDFLAGS) $$(LINK_$(4)) -o $$@ $$^ $(5) $$(DEPS_LIBS_PURE) -lm
endef

# ---- programs -------------------------------------------------------------------------------------
PROGRAMS :=
# $(call product,NAME,SOURCE,LAYER): build/NAME, and build/asan/NAME for the tests
define product
ifneq ($(wildcard $(2)),)
PROGRAMS += $(B)/$(1)
$(call program,$(B)/$(1),obj,$(2),$(3),$$(DEPS_LIBS_HOST))
$(call program,$(B)/asan/$(1),asan,$(2),$(3),$$(DEPS_LIBS_HOST))
endif
endef
$(eval $(call product,bauta,node/main.c,host))
$(eval $(call product,bauta-sim,tools/sim/main.c,sim))
$(eval $(call product,bauta-bench,tools/bench/main.c,bench))
$(eval $(call product,noise-vectors,tools/noise-vectors.c,crypto))
ifeq ($(shell uname -s),Linux)
$(eval $(call product,bauta-lab-link,$(LAB_LINK),lab))
endif

# Those that tests start under the sanitizers.
ASAN_PROGRAMS := $(patsubst $(B)/%,$(B)/asan/%,$(filter %/bauta %/noise-vectors %/bauta-lab-link,$(PROGRAMS)))

# The page of a simulation's report, line by line, as C strings.
$(B)/gen/report_page.h: tools/sim/report.html
	@mkdir -p $(@D)
	$(Q){ echo 'static const char *const report_page[] = {'; \
	  sed -e 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n",/' $<; echo '};'; } >$@
$(foreach v,obj asan fuzz,$(B)/$(v)/tools/sim/report.o): $(B)/gen/report_page.h

# ---- tests: tests/unit/LAYER/NAME.c links that layer; tests/sim/NAME.c links the simulator ----------
UNIT := $(wildcard tests/unit/*/*.c)
SIMT := $(wildcard tests/sim/*.c)
TEST_LIBS := $$(DEPS_LIBS_TEST) $$(DEPS_LIBS_HOST)
unit_layer = $(word 3,$(subst /, ,$(1)))
$(foreach t,$(UNIT),$(foreach v,obj asan,$(eval $(call program,$(B)/$(v)/$(t:.c=),$(v),$(t),$(call unit_layer,$(t)),$(TEST_LIBS)))))
$(foreach t,$(SIMT),$(foreach v,obj asan,$(eval $(call program,$(B)/$(v)/$(t:.c=),$(v),$(t),sim,$(TEST_LIBS)))))
ATTACKT := $(wildcard tests/sim/attack_*.c)
$(foreach t,$(ATTACKT),$(eval $(call program,$(B)/weak/$(t:.c=),weak,$(t),sim,$(TEST_LIBS))))
$(eval $(call program,$(B)/weak/bauta-sim,weak,tools/sim/main.c,sim,$$(DEPS_LIBS_HOST)))
TESTS_weak := $(patsubst %.c,$(B)/weak/%,$(ATTACKT))
UNIT_obj := $(patsubst %.c,$(B)/obj/%,$(UNIT))
TESTS_obj := $(patsubst %.c,$(B)/obj/%,$(UNIT) $(SIMT))
TESTS_asan := $(patsubst %.c,$(B)/asan/%,$(UNIT) $(SIMT))

# ---- fuzzing: the first line of tests/fuzz/NAME.c is `// layer: LAYER` ------------------------------
# build/fuzz/tests/fuzz/NAME is driven by libFuzzer (clang); build/asan/tests/fuzz/NAME replays the
# corpus with any compiler.
FUZZ := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
fuzz_layer = $(shell sed -n '1s|^// layer: *||p' $(1))
define fuzz
$(call program,$(B)/asan/$(1:.c=),asan,$(1) tests/fuzz/replay.c,$(2),$$(DEPS_LIBS_HOST))
$(call program,$(B)/fuzz/$(1:.c=),fuzz,$(1),$(2),-fsanitize=fuzzer $$(DEPS_LIBS_HOST))
endef
$(foreach t,$(FUZZ),$(eval $(call fuzz,$(t),$(call fuzz_layer,$(t)))))
REPLAYS := $(patsubst %.c,$(B)/asan/%,$(FUZZ))
FUZZERS := $(patsubst %.c,$(B)/fuzz/%,$(FUZZ))
FUZZ_RUNS := $(FUZZ:tests/fuzz/%.c=fuzz-%)

# ---- what one types -------------------------------------------------------------------------------
.PHONY: all run test check lint asan weak fuzz bench sim-world sim-million install clean distclean help $(FUZZ_RUNS)
all: $(PROGRAMS)

run: $(B)/bauta
	$(B)/bauta demo

test: $(PROGRAMS) $(ASAN_PROGRAMS) $(TESTS_obj) $(TESTS_asan) $(TESTS_weak) $(REPLAYS)
	@tests/run --build $(B)

check: $(UNIT_obj)
	@tests/run --build $(B) --quick

weak: $(B)/weak/bauta-sim $(TESTS_weak)

asan: $(ASAN_PROGRAMS) $(TESTS_asan) $(REPLAYS)
	@tests/run --build $(B) --asan

lint: $(PROGRAMS)
	@tools/lint --build $(B)

fuzz: $(FUZZ_RUNS)
$(FUZZ_RUNS): fuzz-%: $(B)/fuzz/tests/fuzz/%
	@mkdir -p $(B)/fuzz/corpus/$* $(B)/fuzz/crashes tests/fuzz/corpus/$*
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	  -artifact_prefix=$(B)/fuzz/crashes/$*- $(B)/fuzz/corpus/$* tests/fuzz/corpus/$* \
	  > $(B)/fuzz/$*.log 2>&1 || { tail -n 60 $(B)/fuzz/$*.log; echo "fuzz $*: FAILED"; exit 1; }
	@sed -n 's/^stat::number_of_executed_units: */fuzz $*: ok, runs: /p' $(B)/fuzz/$*.log

bench: $(B)/bauta-bench

# The big runs, with a progress line; the last line is their JSON object.
sim-world: $(B)/bauta-sim
	$(B)/bauta-sim tools/sim/scenarios/world.ini --out $(B)/sim-world
	@echo 'The report: $(B)/sim-world/report.html'

sim-million: $(B)/bauta-sim
	$(B)/bauta-sim tools/sim/scenarios/million.ini

install: $(B)/bauta
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/man/man1' \
	  '$(DESTDIR)$(PREFIX)/share/man/man7' \
	  '$(DESTDIR)$(PREFIX)/share/bash-completion/completions' \
	  '$(DESTDIR)$(PREFIX)/share/zsh/site-functions' '$(DESTDIR)$(PREFIX)/lib/systemd/system'
	install -m 755 $(B)/bauta '$(DESTDIR)$(PREFIX)/bin/bauta'
	install -m 644 tools/man/bauta.1 '$(DESTDIR)$(PREFIX)/share/man/man1/bauta.1'
	install -m 644 tools/man/bauta-control.7 '$(DESTDIR)$(PREFIX)/share/man/man7/bauta-control.7'
	install -m 644 tools/completion/bauta.bash \
	  '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/bauta'
	install -m 644 tools/completion/_bauta '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_bauta'
	sed 's|@BIN@|$(PREFIX)/bin|' tools/systemd/bauta-relay.service \
	  >'$(DESTDIR)$(PREFIX)/lib/systemd/system/bauta-relay.service'
	chmod 644 '$(DESTDIR)$(PREFIX)/lib/systemd/system/bauta-relay.service'

# build/deps (a libsodium that took a while to build) stays; distclean removes that too.
clean:
	rm -rf $(filter-out $(D),$(wildcard $(B)/*))
distclean:
	rm -rf $(B)

help:
	@echo 'make           build everything (build/bauta and the tools); installs what is missing first'
	@echo 'make run       build, and start a small network on this computer to try it: bauta demo'
	@echo 'make test      everything: unit, simulation, end-to-end, corpora; plain and under sanitizers'
	@echo 'make check     the quick part: unit tests only, plain'
	@echo 'make asan      the sanitizer half of the tests'
	@echo 'make weak      build/weak/bauta-sim and the attack tests without defences'
	@echo 'make lint      the law of the house, then clang-format, clang-tidy, cppcheck'
	@echo 'make fuzz      each fuzz target for FUZZ_SECONDS (20), or one: make fuzz-NAME'
	@echo 'make bench     build/bauta-bench'
	@echo 'make sim-world   a hundred thousand nodes in the simulator; the report is build/sim-world/report.html'
	@echo 'make sim-million   a million nodes in the simulator: about 20 GiB and 40 minutes'
	@echo 'make install   to DESTDIR and PREFIX ($(PREFIX))'
	@echo 'make clean     remove build/ except build/deps; make distclean: all of it'
	@echo 'Settings: V=1  CC=clang  CLANG=clang-19 (for fuzz)  CFLAGS=  LDFLAGS=  PREFIX=  DESTDIR=  -jN'

ifeq ($(BARE),)
-include $(shell find $(B) -name '*.d' 2>/dev/null)
endif
