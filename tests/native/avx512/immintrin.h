// The AVX-512 operations that the kernels use, in plain C++ and AVX2, so that a machine without them can check
// what those kernels compute. The numbers of lanes, the rounding, and what happens to NaN are those of the
// processor; speed is not.
#pragma once
#include_next <immintrin.h>

#include <cstdint>
#include <cstring>

#pragma GCC diagnostic ignored "-Wpsabi"
#pragma GCC push_options
#pragma GCC target("avx2,fma")

namespace imitated {

using I32 = int32_t __attribute__((vector_size(64), aligned(64)));
using U32 = uint32_t __attribute__((vector_size(64), aligned(64)));

template <class To, class From>
inline To bits(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "as many bits");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
template <class V>
inline V loaded(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class Half, class V>
inline Half half(const V& v, int which) {
  Half h;
  std::memcpy(&h, reinterpret_cast<const char*>(&v) + 32 * which, 32);
  return h;
}
template <class V, class Half>
inline V joined(const Half& low, const Half& high) {
  V v;
  std::memcpy(&v, &low, 32);
  std::memcpy(reinterpret_cast<char*>(&v) + 32, &high, 32);
  return v;
}
// An AVX2 operation on both halves.
template <class V, class Half, class Op, class... Vs>
inline V halves(const Op& op, const Vs&... v) {
  return joined<V, Half>(op(half<Half>(v, 0)...), op(half<Half>(v, 1)...));
}
template <class Each>
inline __mmask16 mask_of(const Each& each) {
  unsigned mask = 0;
  for (int i = 0; i < 16; ++i) mask |= unsigned(bool(each(i))) << i;
  return __mmask16(mask);
}

inline __m512 setzero_ps() { return __m512{}; }
inline __m512i setzero_si512() { return __m512i{}; }
inline __m512d setzero_pd() { return __m512d{}; }
inline __m512 set1_ps(float x) { return x - __m512{}; }
inline __m512d set1_pd(double x) { return x - __m512d{}; }
inline __m512i set1_epi32(int x) { return bits<__m512i>(x - I32{}); }
inline __m512 loadu_ps(const void* p) { return loaded<__m512>(p); }
inline __m512i loadu_si512(const void* p) { return loaded<__m512i>(p); }
inline void storeu_ps(void* p, __m512 v) { std::memcpy(p, &v, sizeof v); }
inline void storeu_si512(void* p, __m512i v) { std::memcpy(p, &v, sizeof v); }

inline __m512i castps_si512(__m512 v) { return bits<__m512i>(v); }
inline __m512 castsi512_ps(__m512i v) { return bits<__m512>(v); }
inline __m256 castps512_ps256(__m512 v) { return half<__m256>(v, 0); }
inline __m256i castsi512_si256(__m512i v) { return half<__m256i>(v, 0); }
inline __m512 castps256_ps512(__m256 v) { return joined<__m512>(v, __m256{}); }
inline __m256 extractf32x8_ps(__m512 v, int which) { return half<__m256>(v, which); }
inline __m256i extracti32x8_epi32(__m512i v, int which) { return half<__m256i>(v, which); }
inline __m512 insertf32x8(__m512 v, __m256 h, int which) {
  return which ? joined<__m512>(half<__m256>(v, 0), h) : joined<__m512>(h, half<__m256>(v, 1));
}

inline __m512 add_ps(__m512 a, __m512 b) { return a + b; }
inline __m512 mul_ps(__m512 a, __m512 b) { return a * b; }
inline __m512 div_ps(__m512 a, __m512 b) { return a / b; }
inline __m512d add_pd(__m512d a, __m512d b) { return a + b; }
inline __m512 fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return halves<__m512, __m256>([](__m256 x, __m256 y, __m256 z) { return _mm256_fmadd_ps(x, y, z); }, a, b, c);
}
inline __m512d fmadd_pd(__m512d a, __m512d b, __m512d c) {
  return halves<__m512d, __m256d>([](__m256d x, __m256d y, __m256d z) { return _mm256_fmadd_pd(x, y, z); }, a, b, c);
}
inline __m512 max_ps(__m512 a, __m512 b) {
  return halves<__m512, __m256>([](__m256 x, __m256 y) { return _mm256_max_ps(x, y); }, a, b);
}
inline __m512 min_ps(__m512 a, __m512 b) {
  return halves<__m512, __m256>([](__m256 x, __m256 y) { return _mm256_min_ps(x, y); }, a, b);
}
inline __m512 abs_ps(__m512 a) { return bits<__m512>(bits<I32>(a) & INT32_MAX); }
// First the halves, then their halves, then the two numbers: the processor's compilers do it so.
inline double reduce_add_pd(__m512d v) {
  const double s[4] = {v[0] + v[4], v[1] + v[5], v[2] + v[6], v[3] + v[7]};
  return (s[0] + s[2]) + (s[1] + s[3]);
}

inline __m512i add_epi32(__m512i a, __m512i b) { return bits<__m512i>(bits<U32>(a) + bits<U32>(b)); }
inline __m512i sub_epi32(__m512i a, __m512i b) { return bits<__m512i>(bits<U32>(a) - bits<U32>(b)); }
inline __m512i mullo_epi32(__m512i a, __m512i b) { return bits<__m512i>(bits<U32>(a) * bits<U32>(b)); }
inline __m512i and_si512(__m512i a, __m512i b) { return a & b; }
inline __m512i or_si512(__m512i a, __m512i b) { return a | b; }
inline __m512i xor_si512(__m512i a, __m512i b) { return a ^ b; }
inline __m512i slli_epi32(__m512i a, int n) { return bits<__m512i>(bits<U32>(a) << n); }
inline __m512i sll_epi32(__m512i a, __m128i count) {
  const int64_t n = _mm_cvtsi128_si64(count);
  return n > 31 ? setzero_si512() : slli_epi32(a, int(n));
}
inline __m512i sra_epi32(__m512i a, __m128i count) {
  const int64_t n = _mm_cvtsi128_si64(count);
  return bits<__m512i>(bits<I32>(a) >> (n > 31 ? 31 : int(n)));
}
inline __m512i popcnt_epi32(__m512i a) {
  U32 u = bits<U32>(a);
  u -= u >> 1 & 0x55555555u;
  u = (u & 0x33333333u) + (u >> 2 & 0x33333333u);
  u = (u + (u >> 4)) & 0x0f0f0f0fu;
  return bits<__m512i>(u * 0x01010101u >> 24);
}
// Four bytes without a sign times four with one, added to a number of 32 bits; no saturation.
inline __m512i dpbusd_epi32(__m512i sum, __m512i without, __m512i with) {
  uint8_t u[64];
  int8_t s[64];
  std::memcpy(u, &without, 64);
  std::memcpy(s, &with, 64);
  I32 r = bits<I32>(sum);
  for (int i = 0; i < 16; ++i) {
    int32_t of_four = 0;
    for (int b = 4 * i; b < 4 * i + 4; ++b) of_four += int32_t(u[b]) * s[b];
    r[i] = int32_t(uint32_t(r[i]) + uint32_t(of_four));
  }
  return bits<__m512i>(r);
}

inline __m512 cvtepi32_ps(__m512i a) {
  return joined<__m512>(_mm256_cvtepi32_ps(half<__m256i>(a, 0)), _mm256_cvtepi32_ps(half<__m256i>(a, 1)));
}
inline __m512i cvtps_epi32(__m512 a) {
  return joined<__m512i>(_mm256_cvtps_epi32(half<__m256>(a, 0)), _mm256_cvtps_epi32(half<__m256>(a, 1)));
}
inline __m512d cvtps_pd(__m256 a) {
  return joined<__m512d>(_mm256_cvtps_pd(_mm256_castps256_ps128(a)), _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)));
}
inline __m512d cvtepi32_pd(__m256i a) {
  return joined<__m512d>(_mm256_cvtepi32_pd(_mm256_castsi256_si128(a)), _mm256_cvtepi32_pd(_mm256_extracti128_si256(a, 1)));
}
inline __m256 cvtpd_ps(__m512d a) {
  return _mm256_set_m128(_mm256_cvtpd_ps(half<__m256d>(a, 1)), _mm256_cvtpd_ps(half<__m256d>(a, 0)));
}
inline __m512i cvtepu16_epi32(__m256i a) {
  return joined<__m512i>(_mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)), _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1)));
}

inline __mmask16 cmp_ps_mask(__m512 a, __m512 b, int how) {
  return mask_of([&](int i) {
    const bool ordered = a[i] == a[i] && b[i] == b[i];
    return how == _CMP_LT_OQ ? a[i] < b[i] : how == _CMP_ORD_Q ? ordered : how == _CMP_UNORD_Q ? !ordered : throw how;
  });
}
inline __mmask16 mask_cmp_ps_mask(__mmask16 mask, __m512 a, __m512 b, int how) { return mask & cmp_ps_mask(a, b, how); }
inline __mmask16 cmpgt_epi32_mask(__m512i a, __m512i b) {
  const I32 x = bits<I32>(a), y = bits<I32>(b);
  return mask_of([&](int i) { return x[i] > y[i]; });
}
inline __mmask16 testn_epi32_mask(__m512i a, __m512i b) {
  const I32 both = bits<I32>(a & b);
  return mask_of([&](int i) { return both[i] == 0; });
}
inline __m512 mask_blend_ps(__mmask16 mask, __m512 where_0, __m512 where_1) {
  for (int i = 0; i < 16; ++i) where_0[i] = mask >> i & 1 ? where_1[i] : where_0[i];
  return where_0;
}
inline __m512i mask_sub_epi32(__m512i otherwise, __mmask16 mask, __m512i a, __m512i b) {
  I32 r = bits<I32>(otherwise);
  const I32 difference = bits<I32>(sub_epi32(a, b));
  for (int i = 0; i < 16; ++i) r[i] = mask >> i & 1 ? difference[i] : r[i];
  return bits<__m512i>(r);
}

}  // namespace imitated

#pragma GCC pop_options

#define _mm512_abs_ps imitated::abs_ps
#define _mm512_add_epi32 imitated::add_epi32
#define _mm512_add_pd imitated::add_pd
#define _mm512_add_ps imitated::add_ps
#define _mm512_and_si512 imitated::and_si512
#define _mm512_castps256_ps512 imitated::castps256_ps512
#define _mm512_castps512_ps256 imitated::castps512_ps256
#define _mm512_castps_si512 imitated::castps_si512
#define _mm512_castsi512_ps imitated::castsi512_ps
#define _mm512_castsi512_si256 imitated::castsi512_si256
#define _mm512_cmp_ps_mask imitated::cmp_ps_mask
#define _mm512_cmpgt_epi32_mask imitated::cmpgt_epi32_mask
#define _mm512_cvtepi32_pd imitated::cvtepi32_pd
#define _mm512_cvtepi32_ps imitated::cvtepi32_ps
#define _mm512_cvtepu16_epi32 imitated::cvtepu16_epi32
#define _mm512_cvtpd_ps imitated::cvtpd_ps
#define _mm512_cvtps_epi32 imitated::cvtps_epi32
#define _mm512_cvtps_pd imitated::cvtps_pd
#define _mm512_div_ps imitated::div_ps
#define _mm512_dpbusd_epi32 imitated::dpbusd_epi32
#define _mm512_extractf32x8_ps imitated::extractf32x8_ps
#define _mm512_extracti32x8_epi32 imitated::extracti32x8_epi32
#define _mm512_fmadd_pd imitated::fmadd_pd
#define _mm512_fmadd_ps imitated::fmadd_ps
#define _mm512_insertf32x8 imitated::insertf32x8
#define _mm512_loadu_ps imitated::loadu_ps
#define _mm512_loadu_si512 imitated::loadu_si512
#define _mm512_mask_blend_ps imitated::mask_blend_ps
#define _mm512_mask_cmp_ps_mask imitated::mask_cmp_ps_mask
#define _mm512_mask_sub_epi32 imitated::mask_sub_epi32
#define _mm512_max_ps imitated::max_ps
#define _mm512_min_ps imitated::min_ps
#define _mm512_mul_ps imitated::mul_ps
#define _mm512_mullo_epi32 imitated::mullo_epi32
#define _mm512_or_si512 imitated::or_si512
#define _mm512_popcnt_epi32 imitated::popcnt_epi32
#define _mm512_reduce_add_pd imitated::reduce_add_pd
#define _mm512_set1_epi32 imitated::set1_epi32
#define _mm512_set1_pd imitated::set1_pd
#define _mm512_set1_ps imitated::set1_ps
#define _mm512_setzero_pd imitated::setzero_pd
#define _mm512_setzero_ps imitated::setzero_ps
#define _mm512_setzero_si512 imitated::setzero_si512
#define _mm512_sll_epi32 imitated::sll_epi32
#define _mm512_slli_epi32 imitated::slli_epi32
#define _mm512_sra_epi32 imitated::sra_epi32
#define _mm512_storeu_ps imitated::storeu_ps
#define _mm512_storeu_si512 imitated::storeu_si512
#define _mm512_sub_epi32 imitated::sub_epi32
#define _mm512_testn_epi32_mask imitated::testn_epi32_mask
#define _mm512_xor_si512 imitated::xor_si512
