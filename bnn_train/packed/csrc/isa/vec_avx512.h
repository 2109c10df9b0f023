// AVX-512: 16 lanes. Included once per translation unit, inside namespace bnn::{isa}, after the target pragma.
#pragma once

constexpr int kVec = 16;
using VF = __m512;
using VI = __m512i;

inline VF load_f(const float* p) { return _mm512_loadu_ps(p); }
inline void store_f(float* p, VF v) { _mm512_storeu_ps(p, v); }
inline VI load_i(const void* p) { return _mm512_loadu_si512(p); }
inline void store_i(void* p, VI v) { _mm512_storeu_si512(p, v); }
inline VF splat_f(float x) { return _mm512_set1_ps(x); }
inline VI splat_i(int32_t x) { return _mm512_set1_epi32(x); }
inline VI broadcast(const uint8_t* p) {
  int32_t x;
  std::memcpy(&x, p, 4);
  return _mm512_set1_epi32(x);
}
inline VF zero_f() { return _mm512_setzero_ps(); }
inline VI zero_i() { return _mm512_setzero_si512(); }
inline VF as_f(VI v) { return _mm512_castsi512_ps(v); }
inline VI as_i(VF v) { return _mm512_castps_si512(v); }
inline VF add_f(VF a, VF b) { return _mm512_add_ps(a, b); }
inline VF mul_f(VF a, VF b) { return _mm512_mul_ps(a, b); }
inline VF div_f(VF a, VF b) { return _mm512_div_ps(a, b); }
inline VF fma_f(VF a, VF b, VF c) { return _mm512_fmadd_ps(a, b, c); }
// On NaN and on equal zeros the second operand.
inline VF max_f(VF a, VF b) { return _mm512_max_ps(a, b); }
inline VF min_f(VF a, VF b) { return _mm512_min_ps(a, b); }
inline VF abs_f(VF a) { return _mm512_abs_ps(a); }
inline VF keep_nan(VF m, VF otherwise) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(m, m, _CMP_UNORD_Q), otherwise, m);
}
// For maxima in which NaN wins: lanes where no NaN was seen.
using Ordered = __mmask16;
inline Ordered all_ordered() { return 0xffff; }
inline Ordered both_ordered(Ordered o, VF a, VF b) { return _mm512_mask_cmp_ps_mask(o, a, b, _CMP_ORD_Q); }
inline VF nan_unless(Ordered o, VF m) { return _mm512_mask_blend_ps(o, splat_f(__builtin_nanf("")), m); }
inline VF where_negative(VF y, VF a, VF b) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(y, zero_f(), _CMP_LT_OQ), b, a); }
inline VI add_i(VI a, VI b) { return _mm512_add_epi32(a, b); }
inline VI sub_i(VI a, VI b) { return _mm512_sub_epi32(a, b); }
inline VI mul_i(VI a, VI b) { return _mm512_mullo_epi32(a, b); }
inline VI and_i(VI a, VI b) { return _mm512_and_si512(a, b); }
inline VI or_i(VI a, VI b) { return _mm512_or_si512(a, b); }
inline VI xor_i(VI a, VI b) { return _mm512_xor_si512(a, b); }
inline VI shift_left(VI a, int n) { return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n)); }
inline VI shift_right(VI a, int n) { return _mm512_sra_epi32(a, _mm_cvtsi32_si128(n)); }
inline VF to_float(VI a) { return _mm512_cvtepi32_ps(a); }
inline VI to_int(VF a) { return _mm512_cvtps_epi32(a); }  // nearest, ties to even
// Sums of floats in double.
struct Doubles {
  __m512d low, high;
};
inline Doubles zero_doubles() { return {_mm512_setzero_pd(), _mm512_setzero_pd()}; }
inline Doubles add_doubles(Doubles s, VF v) {
  return {_mm512_add_pd(s.low, _mm512_cvtps_pd(_mm512_castps512_ps256(v))),
          _mm512_add_pd(s.high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)))};
}
inline double total_of(Doubles s) { return _mm512_reduce_add_pd(_mm512_add_pd(s.low, s.high)); }
// Σ acc[p] · factor[p] in double, rounded once to float.
inline VF sum_parts(const int32_t* acc, int parts, int part_stride, const double* factor) {
  __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
  for (int p = 0; p < parts; ++p, acc += part_stride) {
    const VI a = load_i(acc);
    const __m512d f = _mm512_set1_pd(factor[p]);
    low = _mm512_fmadd_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(a)), f, low);
    high = _mm512_fmadd_pd(_mm512_cvtepi32_pd(_mm512_extracti32x8_epi32(a, 1)), f, high);
  }
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}
inline uint32_t less_f(VF a, VF b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
inline uint32_t greater_i(VI a, VI b) { return _mm512_cmpgt_epi32_mask(a, b); }
// a - 1 in the lanes of `mask`
inline VI count_down(VI a, uint32_t mask) { return _mm512_mask_sub_epi32(a, __mmask16(mask), a, _mm512_set1_epi32(1)); }
inline uint32_t clear_bit(VI a, int bit) { return _mm512_testn_epi32_mask(a, _mm512_set1_epi32(1 << bit)); }

inline VI popcount_add(VI sum, VI a, VI b) {
  return _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_xor_si512(a, b)));
}

// Keeps gcc from keeping a sum in memory because of what happens to it after the loop (seen with vpdpbusd: half the speed).
inline void pin(VF& v) { asm("" : "+v"(v)); }
inline void pin(VI& v) { asm("" : "+v"(v)); }

constexpr int kGroups = 4;  // groups of 16 channels that a tile takes at most
constexpr bool kTilePops = true;
constexpr bool kTakesPairs = false;

struct OpPops {
  using Sum = VI;
  using Weight = VI;
  using Input = VI;
  static constexpr int kBytes = 64;  // of a group of weights
  static constexpr int tile(int groups) { return groups == 4 ? 6 : groups == 3 ? 8 : groups == 2 ? 12 : 16; }
  static Sum zero() { return zero_i(); }
  static Weight weight(const uint8_t* p) { return load_i(p); }
  static Input input(const uint8_t* p) { return broadcast(p); }
  static Sum step(Sum s, Weight w, Input x) { return popcount_add(s, w, x); }
  static void store(int32_t* p, Sum s) { store_i(p, s); }
  static void combine(int32_t* p, Sum s, int coefficient, bool add) {
    const VI scaled = mul_i(s, splat_i(coefficient));
    store_i(p, add ? add_i(load_i(p), scaled) : scaled);
  }
};

struct OpDot : OpPops {
  static constexpr int tile(int groups) { return groups == 4 ? 6 : 8; }
  static Sum step(Sum s, Weight w, Input x) { return _mm512_dpbusd_epi32(s, x, w); }
};

using OpPairs = OpDot;  // never run

struct OpFma {
  using Sum = VF;
  using Weight = VF;
  using Input = VF;
  static constexpr int kBytes = 64;
  static constexpr int tile(int groups) { return groups == 4 ? 6 : 8; }
  static Sum zero() { return zero_f(); }
  static Weight weight(const uint8_t* p) { return as_f(load_i(p)); }
  static Input input(const uint8_t* p) { return as_f(broadcast(p)); }
  static Sum step(Sum s, Weight w, Input x) { return fma_f(w, x, s); }
  static void store(int32_t* p, Sum s) { store_i(p, as_i(s)); }
  static void combine(int32_t* p, Sum s, int, bool add) {
    store_i(p, as_i(add ? add_f(as_f(load_i(p)), s) : s));
  }
};

using OpFmaInOrder = OpFma;

struct OpFmaBf16 : OpFma {
  static constexpr int kBytes = 32;
  static Weight weight(const uint8_t* p) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return as_f(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  }
};
