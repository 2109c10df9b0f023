// The few NEON operations that bit_tile_neon.cpp uses, in plain C++, so that any machine can check what it computes.
#pragma once
#include <cstdint>
#include <cstring>

template <class T>
struct Q {
  static constexpr int kLanes = static_cast<int>(16 / sizeof(T));
  T lane[kLanes];
};
using uint8x16_t = Q<uint8_t>;
using uint16x8_t = Q<uint16_t>;
using uint32x4_t = Q<uint32_t>;
using int32x4_t = Q<int32_t>;

template <class T>
inline Q<T> filled(T value) {
  Q<T> q;
  for (T& lane : q.lane) lane = value;
  return q;
}
template <class To, class From>
inline Q<To> same_bits(const Q<From>& from) {
  Q<To> to;
  std::memcpy(&to, &from, 16);
  return to;
}

inline uint8x16_t vdupq_n_u8(uint8_t v) { return filled(v); }
inline uint32x4_t vdupq_n_u32(uint32_t v) { return filled(v); }
inline uint32x4_t vld1q_dup_u32(const uint32_t* p) { return filled(*p); }
inline uint8x16_t vreinterpretq_u8_u32(uint32x4_t q) { return same_bits<uint8_t>(q); }
inline int32x4_t vreinterpretq_s32_u32(uint32x4_t q) { return same_bits<int32_t>(q); }
inline void vst1q_s32(int32_t* p, int32x4_t q) { std::memcpy(p, &q, 16); }
inline uint32x4_t vld1q_u32(const uint32_t* p) {
  uint32x4_t q;
  std::memcpy(&q, p, 16);
  return q;
}
inline uint8x16_t vaddq_u8(uint8x16_t a, uint8x16_t b) {
  for (int i = 0; i < 16; ++i) a.lane[i] = static_cast<uint8_t>(a.lane[i] + b.lane[i]);
  return a;
}
inline uint32x4_t veorq_u32(uint32x4_t a, uint32x4_t b) {
  for (int i = 0; i < 4; ++i) a.lane[i] ^= b.lane[i];
  return a;
}
inline uint8x16_t vcntq_u8(uint8x16_t a) {
  for (uint8_t& lane : a.lane) {
    uint8_t bits = 0;
    for (int b = 0; b < 8; ++b) bits = static_cast<uint8_t>(bits + (lane >> b & 1));
    lane = bits;
  }
  return a;
}
inline uint16x8_t vpaddlq_u8(uint8x16_t a) {
  uint16x8_t q;
  for (int i = 0; i < 8; ++i) q.lane[i] = static_cast<uint16_t>(a.lane[2 * i] + a.lane[2 * i + 1]);
  return q;
}
inline uint32x4_t vpadalq_u16(uint32x4_t sum, uint16x8_t a) {
  for (int i = 0; i < 4; ++i) sum.lane[i] += uint32_t(a.lane[2 * i]) + a.lane[2 * i + 1];
  return sum;
}
