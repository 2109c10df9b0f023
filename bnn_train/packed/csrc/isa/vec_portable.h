// Plain C++: 4 lanes, as GCC's and Clang's vectors, which any processor has. Included like the other vec_*.h.
#pragma once

constexpr int kVec = 4;
using VF = float __attribute__((vector_size(16)));
using VI = int32_t __attribute__((vector_size(16)));
using VU = uint32_t __attribute__((vector_size(16)));

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
inline VF splat_f(float x) { return VF{x, x, x, x}; }
inline VI splat_i(int32_t x) { return VI{x, x, x, x}; }
inline VI broadcast(const uint8_t* p) { return splat_i(load_as<int32_t>(p)); }
inline VF zero_f() { return splat_f(0); }
inline VI zero_i() { return splat_i(0); }
inline VF as_f(VI v) { return load_as<VF>(&v); }
inline VI as_i(VF v) { return load_as<VI>(&v); }
inline VI select(VI mask, VI a, VI b) { return (a & mask) | (b & ~mask); }
inline VF add_f(VF a, VF b) { return a + b; }
inline VF mul_f(VF a, VF b) { return a * b; }
inline VF div_f(VF a, VF b) { return a / b; }
inline VF fma_f(VF a, VF b, VF c) {
  for (int l = 0; l < kVec; ++l) a[l] = __builtin_fmaf(a[l], b[l], c[l]);
  return a;
}
// On NaN and on equal zeros the second operand.
inline VF max_f(VF a, VF b) { return as_f(select(a > b, as_i(a), as_i(b))); }
inline VF min_f(VF a, VF b) { return as_f(select(a < b, as_i(a), as_i(b))); }
inline VF abs_f(VF a) { return as_f(as_i(a) & 0x7fffffff); }
inline VF keep_nan(VF m, VF otherwise) { return as_f(select(m == m, as_i(otherwise), as_i(m))); }
// For maxima in which NaN wins: lanes where no NaN was seen.
using Ordered = VI;
inline Ordered all_ordered() { return splat_i(-1); }
inline Ordered both_ordered(Ordered o, VF a, VF b) { return o & (a == a) & (b == b); }
inline VF nan_unless(Ordered o, VF m) { return as_f(select(o, as_i(m), as_i(splat_f(__builtin_nanf(""))))); }
inline VF where_negative(VF y, VF a, VF b) { return as_f(select(y < 0, as_i(a), as_i(b))); }
inline VI wrapped(VU v) { return load_as<VI>(&v); }
inline VU bits_of(VI v) { return load_as<VU>(&v); }
inline VI add_i(VI a, VI b) { return wrapped(bits_of(a) + bits_of(b)); }
inline VI sub_i(VI a, VI b) { return wrapped(bits_of(a) - bits_of(b)); }
inline VI mul_i(VI a, VI b) { return wrapped(bits_of(a) * bits_of(b)); }
inline VI xor_i(VI a, VI b) { return a ^ b; }
inline VI shift_right(VI a, int n) { return a >> n; }
inline VF to_float(VI a) { return __builtin_convertvector(a, VF); }
inline VI to_int(VF a) {  // nearest, ties to even
  VI y = zero_i();
  for (int l = 0; l < kVec; ++l) y[l] = int32_t(__builtin_rintf(a[l]));
  return y;
}
// Sums of floats in double.
struct Doubles {
  double lane[kVec];
};
inline Doubles zero_doubles() { return {}; }
inline Doubles add_doubles(Doubles s, VF v) {
  for (int l = 0; l < kVec; ++l) s.lane[l] += double(v[l]);
  return s;
}
inline double total_of(const Doubles& s) { return (s.lane[0] + s.lane[2]) + (s.lane[1] + s.lane[3]); }
// Σ acc[p] · factor[p] in double, rounded once to float.
inline VF sum_parts(const int32_t* acc, int parts, int part_stride, const double* factor) {
  double sum[kVec] = {};
  for (int p = 0; p < parts; ++p, acc += part_stride)
    for (int l = 0; l < kVec; ++l) sum[l] += double(acc[l]) * factor[p];
  return VF{float(sum[0]), float(sum[1]), float(sum[2]), float(sum[3])};
}
inline uint32_t mask_of(VI m) { return uint32_t((m[0] & 1) | (m[1] & 2) | (m[2] & 4) | (m[3] & 8)); }
inline uint32_t less_f(VF a, VF b) { return mask_of(a < b); }
inline uint32_t greater_i(VI a, VI b) { return mask_of(a > b); }
// a - 1 in the lanes of `mask`
inline VI count_down(VI a, uint32_t mask) {
  return a - VI{int32_t(mask & 1), int32_t(mask >> 1 & 1), int32_t(mask >> 2 & 1), int32_t(mask >> 3 & 1)};
}
inline uint32_t clear_bit(VI a, int bit) { return mask_of((a & (1 << bit)) == 0); }

inline void pin(VF&) {}
inline void pin(VI&) {}

constexpr int kGroups = 1;  // groups of 16 channels that a tile takes at most
constexpr bool kTilePops = false;
constexpr bool kTakesPairs = false;

struct OpDot {
  using Sum = VI;
  using Weight = VI;
  using Input = VI;
  static constexpr int kBytes = 64;  // of a group of weights
  static constexpr int tile(int) { return 2; }
  static Sum zero() { return zero_i(); }
  static Weight weight(const uint8_t* p) { return load_i(p); }
  static Input input(const uint8_t* p) { return broadcast(p); }
  static Sum step(Sum s, Weight w, Input x) {  // 4 unsigned by 4 signed bytes
    for (int b = 0; b < 4; ++b)
      s += (wrapped(bits_of(w) << (24 - 8 * b)) >> 24) * wrapped((bits_of(x) >> (8 * b)) & 255u);
    return s;
  }
  static void store(int32_t* p, Sum s) { store_i(p, s); }
  static void combine(int32_t* p, Sum s, int coefficient, bool add) {
    const VI scaled = mul_i(s, splat_i(coefficient));
    store_i(p, add ? add_i(load_i(p), scaled) : scaled);
  }
};
using OpPops = OpDot;  // never run: BitTile counts

using OpPairs = OpDot;  // never run

struct OpFma {
  using Sum = VF;
  using Weight = VF;
  using Input = VF;
  static constexpr int kBytes = 64;
  static constexpr int tile(int) { return 2; }
  static Sum zero() { return zero_f(); }
  static Weight weight(const uint8_t* p) { return as_f(load_i(p)); }
  static Input input(const uint8_t* p) { return as_f(broadcast(p)); }
  static Sum step(Sum s, Weight w, Input x) { return s + w * x; }
  static void store(int32_t* p, Sum s) { store_i(p, as_i(s)); }
  static void combine(int32_t* p, Sum s, int, bool add) { store_i(p, as_i(add ? as_f(load_i(p)) + s : s)); }
};

// Whole numbers below 2⁵²: double holds s + w·x, so that its rounding to float is the only one.
struct OpFmaInOrder : OpFma {
  static Sum step(Sum s, Weight w, Input x) {
#if defined(__FP_FAST_FMAF)
    return fma_f(w, x, s);
#else
    using VD = double __attribute__((vector_size(32)));
    const VD sum = __builtin_convertvector(s, VD) + __builtin_convertvector(w, VD) * __builtin_convertvector(x, VD);
    return __builtin_convertvector(sum, VF);
#endif
  }
};

struct OpFmaBf16 : OpFma {
  static constexpr int kBytes = 32;
  static Weight weight(const uint8_t* p) {
    uint16_t half[kVec];
    std::memcpy(half, p, sizeof half);
    return as_f(wrapped(VU{half[0], half[1], half[2], half[3]} << 16));
  }
};
