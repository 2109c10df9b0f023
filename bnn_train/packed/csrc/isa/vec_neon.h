// NEON of 64-bit Arm: 4 lanes. Included like the other vec_*.h. BNN_DOT: with the dot product of bytes (`sdot`).
#pragma once

constexpr int kVec = 4;
using VF = float32x4_t;
using VI = int32x4_t;

// As copies, which may begin at any byte.
template <class V>
V load_as(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline VF load_f(const float* p) { return load_as<VF>(p); }
inline void store_f(float* p, VF v) { std::memcpy(p, &v, sizeof v); }
inline VI load_i(const void* p) { return load_as<VI>(p); }
inline void store_i(void* p, VI v) { std::memcpy(p, &v, sizeof v); }
inline VF splat_f(float x) { return vdupq_n_f32(x); }
inline VI splat_i(int32_t x) { return vdupq_n_s32(x); }
inline VF zero_f() { return splat_f(0); }
inline VI zero_i() { return splat_i(0); }
inline VF as_f(VI v) { return vreinterpretq_f32_s32(v); }
inline VI as_i(VF v) { return vreinterpretq_s32_f32(v); }
inline VF add_f(VF a, VF b) { return vaddq_f32(a, b); }
inline VF mul_f(VF a, VF b) { return vmulq_f32(a, b); }
inline VF div_f(VF a, VF b) { return vdivq_f32(a, b); }
inline VF fma_f(VF a, VF b, VF c) { return vfmaq_f32(c, a, b); }
// On NaN and on equal zeros the second operand, which `fmax` and `fmin` do not give.
inline VF max_f(VF a, VF b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
inline VF min_f(VF a, VF b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
inline VF abs_f(VF a) { return vabsq_f32(a); }
inline VF keep_nan(VF m, VF otherwise) { return vbslq_f32(vceqq_f32(m, m), otherwise, m); }
// For maxima in which NaN wins: lanes where no NaN was seen.
using Ordered = uint32x4_t;
inline Ordered all_ordered() { return vdupq_n_u32(~0u); }
inline Ordered both_ordered(Ordered o, VF a, VF b) { return vandq_u32(o, vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b))); }
inline VF nan_unless(Ordered o, VF m) { return vbslq_f32(o, m, splat_f(__builtin_nanf(""))); }
inline VF where_negative(VF y, VF a, VF b) { return vbslq_f32(vcltzq_f32(y), a, b); }
inline VI add_i(VI a, VI b) { return vaddq_s32(a, b); }
inline VI sub_i(VI a, VI b) { return vsubq_s32(a, b); }
inline VI mul_i(VI a, VI b) { return vmulq_s32(a, b); }
inline VI xor_i(VI a, VI b) { return veorq_s32(a, b); }
inline VI shift_right(VI a, int n) { return vshlq_s32(a, splat_i(-n)); }
inline VF to_float(VI a) { return vcvtq_f32_s32(a); }
inline VI to_int(VF a) { return vcvtnq_s32_f32(a); }  // nearest, ties to even
// Sums of floats in double.
struct Doubles {
  float64x2_t low, high;
};
inline Doubles zero_doubles() { return {vdupq_n_f64(0), vdupq_n_f64(0)}; }
inline Doubles add_doubles(Doubles s, VF v) {
  return {vaddq_f64(s.low, vcvt_f64_f32(vget_low_f32(v))), vaddq_f64(s.high, vcvt_high_f64_f32(v))};
}
inline double total_of(Doubles s) { return vaddvq_f64(vaddq_f64(s.low, s.high)); }
// Σ acc[p] · factor[p] in double, rounded once to float.
inline VF sum_parts(const int32_t* acc, int parts, int part_stride, const double* factor) {
  float64x2_t low = vdupq_n_f64(0), high = vdupq_n_f64(0);
  for (int p = 0; p < parts; ++p, acc += part_stride) {
    const VI a = load_i(acc);
    const float64x2_t f = vdupq_n_f64(factor[p]);
    low = vfmaq_f64(low, vcvtq_f64_s64(vmovl_s32(vget_low_s32(a))), f);
    high = vfmaq_f64(high, vcvtq_f64_s64(vmovl_high_s32(a)), f);
  }
  return vcvt_high_f32_f64(vcvt_f32_f64(low), high);
}
inline uint32x4_t lane_bits() { return uint32x4_t{1, 2, 4, 8}; }
inline uint32_t mask_of(uint32x4_t m) { return vaddvq_u32(vandq_u32(m, lane_bits())); }
inline uint32_t less_f(VF a, VF b) { return mask_of(vcltq_f32(a, b)); }
inline uint32_t greater_i(VI a, VI b) { return mask_of(vcgtq_s32(a, b)); }
// a - 1 in the lanes of `mask`
inline VI count_down(VI a, uint32_t mask) {
  return add_i(a, vreinterpretq_s32_u32(vtstq_u32(vdupq_n_u32(mask), lane_bits())));
}
inline uint32_t clear_bit(VI a, int bit) { return mask_of(vceqzq_s32(vandq_s32(a, splat_i(1 << bit)))); }

inline void pin(VF&) {}
inline void pin(VI&) {}

constexpr int kGroups = 1;  // groups of 16 channels that a tile takes at most
constexpr bool kTilePops = false;
constexpr bool kTakesPairs = false;

// Sums of products of 4 unsigned by 4 signed bytes.
struct SumOfBytes {
  using Sum = VI;
  static constexpr int kBytes = 64;  // of a group of weights
  static constexpr int tile(int) { return 4; }
  static Sum zero() { return zero_i(); }
  static void store(int32_t* p, Sum s) { store_i(p, s); }
  static void combine(int32_t* p, Sum s, int coefficient, bool add) {
    const VI scaled = mul_i(s, splat_i(coefficient));
    store_i(p, add ? add_i(load_i(p), scaled) : scaled);
  }
};

#if defined(BNN_DOT)
// Signed by signed: x − 128 in place of x, and every tile adds 128 Σ w.
struct OpDot : SumOfBytes {
  using Weight = int8x16_t;
  using Input = int8x8_t;
  static Weight weight(const uint8_t* p) { return load_as<Weight>(p); }
  static Input input(const uint8_t* p) {
    const uint32_t x = load_as<uint32_t>(p);
    return vreinterpret_s8_u32(veor_u32(vset_lane_u32(x, vdup_n_u32(0), 0), vdup_n_u32(0x80808080u)));
  }
  static Sum step(Sum s, Weight w, Input x) { return vdotq_lane_s32(s, w, x, 0); }
  static Sum below(Sum s, Weight w) { return vdotq_s32(s, w, vdupq_n_s8(-128)); }
  static Sum from_middle(Sum s, Sum below) { return sub_i(s, below); }
};
#else
// Widened to 16 bits, byte by byte of the 4 channels: `smlal` by an element.
struct OpDot : SumOfBytes {
  struct Weight {
    int16x8_t first, last;  // bytes 0 and 1, 2 and 3 of each channel
  };
  using Input = int16x4_t;
  static Weight weight(const uint8_t* p) {
    const int16x8_t w = load_as<int16x8_t>(p), even = vshrq_n_s16(vshlq_n_s16(w, 8), 8), odd = vshrq_n_s16(w, 8);
    return {vuzp1q_s16(even, odd), vuzp2q_s16(even, odd)};
  }
  static Input input(const uint8_t* p) {
    const uint32_t x = load_as<uint32_t>(p);
    return vget_low_s16(vreinterpretq_s16_u16(vmovl_u8(vreinterpret_u8_u32(vset_lane_u32(x, vdup_n_u32(0), 0)))));
  }
  static Sum step(Sum s, const Weight& w, Input x) {
    s = vmlal_lane_s16(s, vget_low_s16(w.first), x, 0);
    s = vmlal_high_lane_s16(s, w.first, x, 1);
    s = vmlal_lane_s16(s, vget_low_s16(w.last), x, 2);
    return vmlal_high_lane_s16(s, w.last, x, 3);
  }
};
#endif
using OpPops = OpDot;  // never run: BitTile counts

using OpPairs = OpDot;  // never run

struct OpFma {
  using Sum = VF;
  using Weight = VF;
  using Input = float;
  static constexpr int kBytes = 64;
  static constexpr int tile(int) { return 5; }  // of 6 GCC keeps some sums in memory
  static Sum zero() { return zero_f(); }
  static Weight weight(const uint8_t* p) { return load_as<VF>(p); }
  static Input input(const uint8_t* p) { return load_as<float>(p); }
  static Sum step(Sum s, Weight w, Input x) { return vfmaq_n_f32(s, w, x); }
  static void store(int32_t* p, Sum s) { store_i(p, as_i(s)); }
  static void combine(int32_t* p, Sum s, int, bool add) { store_i(p, as_i(add ? add_f(as_f(load_i(p)), s) : s)); }
};

using OpFmaInOrder = OpFma;

struct OpFmaBf16 : OpFma {
  static constexpr int kBytes = 32;
  static Weight weight(const uint8_t* p) { return vreinterpretq_f32_u32(vshll_n_u16(load_as<uint16x4_t>(p), 16)); }
};
