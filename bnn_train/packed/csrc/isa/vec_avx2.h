// AVX2 with FMA: 8 lanes. Included like the other vec_*.h.
#pragma once

constexpr int kVec = 8;
using VF = __m256;
using VI = __m256i;

inline VF load_f(const float* p) { return _mm256_loadu_ps(p); }
inline void store_f(float* p, VF v) { _mm256_storeu_ps(p, v); }
inline VI load_i(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline void store_i(void* p, VI v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
inline VF splat_f(float x) { return _mm256_set1_ps(x); }
inline VI splat_i(int32_t x) { return _mm256_set1_epi32(x); }
inline VI broadcast(const uint8_t* p) {
  int32_t x;
  std::memcpy(&x, p, 4);
  return _mm256_set1_epi32(x);
}
inline VF zero_f() { return _mm256_setzero_ps(); }
inline VI zero_i() { return _mm256_setzero_si256(); }
inline VF as_f(VI v) { return _mm256_castsi256_ps(v); }
inline VI as_i(VF v) { return _mm256_castps_si256(v); }
inline VF add_f(VF a, VF b) { return _mm256_add_ps(a, b); }
inline VF mul_f(VF a, VF b) { return _mm256_mul_ps(a, b); }
inline VF div_f(VF a, VF b) { return _mm256_div_ps(a, b); }
inline VF fma_f(VF a, VF b, VF c) { return _mm256_fmadd_ps(a, b, c); }
// On NaN and on equal zeros the second operand.
inline VF max_f(VF a, VF b) { return _mm256_max_ps(a, b); }
inline VF min_f(VF a, VF b) { return _mm256_min_ps(a, b); }
inline VF abs_f(VF a) { return as_f(_mm256_and_si256(as_i(a), splat_i(0x7fffffff))); }
inline VF keep_nan(VF m, VF otherwise) { return _mm256_blendv_ps(otherwise, m, _mm256_cmp_ps(m, m, _CMP_UNORD_Q)); }
// For maxima in which NaN wins: lanes where no NaN was seen.
using Ordered = __m256;
inline Ordered all_ordered() { return as_f(splat_i(-1)); }
inline Ordered both_ordered(Ordered o, VF a, VF b) { return _mm256_and_ps(o, _mm256_cmp_ps(a, b, _CMP_ORD_Q)); }
inline VF nan_unless(Ordered o, VF m) { return _mm256_blendv_ps(splat_f(__builtin_nanf("")), m, o); }
inline VF where_negative(VF y, VF a, VF b) { return _mm256_blendv_ps(b, a, _mm256_cmp_ps(y, zero_f(), _CMP_LT_OQ)); }
inline VI add_i(VI a, VI b) { return _mm256_add_epi32(a, b); }
inline VI sub_i(VI a, VI b) { return _mm256_sub_epi32(a, b); }
inline VI mul_i(VI a, VI b) { return _mm256_mullo_epi32(a, b); }
inline VI xor_i(VI a, VI b) { return _mm256_xor_si256(a, b); }
inline VI shift_right(VI a, int n) { return _mm256_sra_epi32(a, _mm_cvtsi32_si128(n)); }
inline VF to_float(VI a) { return _mm256_cvtepi32_ps(a); }
inline VI to_int(VF a) { return _mm256_cvtps_epi32(a); }  // nearest, ties to even
// Sums of floats in double.
struct Doubles {
  __m256d low, high;
};
inline Doubles zero_doubles() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
inline Doubles add_doubles(Doubles s, VF v) {
  return {_mm256_add_pd(s.low, _mm256_cvtps_pd(_mm256_castps256_ps128(v))),
          _mm256_add_pd(s.high, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)))};
}
inline double total_of(Doubles s) {
  double lanes[4];
  _mm256_storeu_pd(lanes, _mm256_add_pd(s.low, s.high));
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}
// Σ acc[p] · factor[p] in double, rounded once to float.
inline VF sum_parts(const int32_t* acc, int parts, int part_stride, const double* factor) {
  __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
  for (int p = 0; p < parts; ++p, acc += part_stride) {
    const VI a = load_i(acc);
    const __m256d f = _mm256_set1_pd(factor[p]);
    low = _mm256_fmadd_pd(_mm256_cvtepi32_pd(_mm256_castsi256_si128(a)), f, low);
    high = _mm256_fmadd_pd(_mm256_cvtepi32_pd(_mm256_extracti128_si256(a, 1)), f, high);
  }
  return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
}
inline uint32_t mask_of(VI m) { return uint32_t(_mm256_movemask_ps(as_f(m))); }
inline uint32_t less_f(VF a, VF b) { return uint32_t(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ))); }
inline uint32_t greater_i(VI a, VI b) { return mask_of(_mm256_cmpgt_epi32(a, b)); }
// a - 1 in the lanes of `mask`
inline VI count_down(VI a, uint32_t mask) {
  const VI lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return add_i(a, _mm256_cmpeq_epi32(_mm256_and_si256(splat_i(int32_t(mask)), lane), lane));
}
inline uint32_t clear_bit(VI a, int bit) {
  return mask_of(_mm256_cmpeq_epi32(_mm256_and_si256(a, splat_i(1 << bit)), zero_i()));
}

inline void pin(VF&) {}
inline void pin(VI&) {}

constexpr int kGroups = 1;  // groups of 16 channels that a tile takes at most
constexpr bool kTilePops = false;
constexpr bool kTakesPairs = true;

// Bytes at even and at odd places, widened to 16 bits: vpmaddubsw would saturate.
struct OpDot {
  struct Pair {
    VI even, odd;
  };
  using Sum = VI;
  using Weight = Pair;
  using Input = Pair;
  static constexpr int kBytes = 64;  // of a group of weights
  static constexpr int tile(int) { return 4; }
  static Sum zero() { return zero_i(); }
  static Weight weight(const uint8_t* p) {
    const VI w = load_i(p);
    return {_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
  }
  static Input input(const uint8_t* p) {
    const VI x = broadcast(p);
    return {_mm256_and_si256(x, splat_i(0x00ff00ff)), _mm256_srli_epi16(x, 8)};
  }
  static Sum step(Sum s, const Weight& w, const Input& x) {
    return add_i(add_i(s, _mm256_madd_epi16(w.even, x.even)), _mm256_madd_epi16(w.odd, x.odd));
  }
  static void store(int32_t* p, Sum s) { store_i(p, s); }
  static void combine(int32_t* p, Sum s, int coefficient, bool add) {
    const VI scaled = mul_i(s, splat_i(coefficient));
    store_i(p, add ? add_i(load_i(p), scaled) : scaled);
  }
};
using OpPops = OpDot;  // never run: BitTile counts

// Pairs of 16 bits, widened before: one instruction for two products.
struct OpPairs : OpDot {
  using Weight = VI;
  using Input = VI;
  static constexpr int tile(int) { return 6; }
  static Weight weight(const uint8_t* p) { return load_i(p); }
  static Input input(const uint8_t* p) { return broadcast(p); }
  static Sum step(Sum s, Weight w, Input x) { return add_i(s, _mm256_madd_epi16(w, x)); }
};

struct OpFma {
  using Sum = VF;
  using Weight = VF;
  using Input = VF;
  static constexpr int kBytes = 64;
  static constexpr int tile(int) { return 6; }
  static Sum zero() { return zero_f(); }
  static Weight weight(const uint8_t* p) { return as_f(load_i(p)); }
  static Input input(const uint8_t* p) { return as_f(broadcast(p)); }
  static Sum step(Sum s, Weight w, Input x) { return fma_f(w, x, s); }
  static void store(int32_t* p, Sum s) { store_i(p, as_i(s)); }
  static void combine(int32_t* p, Sum s, int, bool add) { store_i(p, as_i(add ? add_f(as_f(load_i(p)), s) : s)); }
};

using OpFmaInOrder = OpFma;

struct OpFmaBf16 : OpFma {
  static constexpr int kBytes = 32;
  static Weight weight(const uint8_t* p) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return as_f(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }
};
