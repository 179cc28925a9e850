# How src/simd is compiled, for every build that links it.  SIMD_DIR: where
# its objects go.  No -march=native: one binary serves every machine, and
# simd_probe.c picks a level at run time.

# Only an explicit fused multiply-add is one: kernels that promise the same
# bits as each other give them whatever the compiler would like to contract.
$(SIMD_DIR)/simd_%.o: CFLAGS += -ffp-contract=off
$(SIMD_DIR)/simd_%.bc: BITCODE_CFLAGS += -ffp-contract=off

# On other architectures these files compile to an absent level.
ifneq ($(filter x86_64-% amd64-% i386-% i486-% i586-% i686-%,$(shell $(CC) -dumpmachine)),)
SIMD_AVX2_FLAGS = -mavx2 -mfma -mf16c
SIMD_AVX512_FLAGS = $(SIMD_AVX2_FLAGS) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
SIMD_VPOPCNT_FLAGS = -mavx512f -mavx512bw -mavx512vpopcntdq

$(SIMD_DIR)/simd_avx2.o: CFLAGS += $(SIMD_AVX2_FLAGS)
$(SIMD_DIR)/simd_avx2.bc: BITCODE_CFLAGS += $(SIMD_AVX2_FLAGS)
$(SIMD_DIR)/simd_avx512.o: CFLAGS += $(SIMD_AVX512_FLAGS)
$(SIMD_DIR)/simd_avx512.bc: BITCODE_CFLAGS += $(SIMD_AVX512_FLAGS)
$(SIMD_DIR)/simd_vpopcnt.o: CFLAGS += $(SIMD_VPOPCNT_FLAGS)
$(SIMD_DIR)/simd_vpopcnt.bc: BITCODE_CFLAGS += $(SIMD_VPOPCNT_FLAGS)
endif
