// Eight rows of eight floats become columns: x86 with AVX2. Included before look_up.h.
#pragma once

#define BNN_TRANSPOSE

inline void transpose_8(const float* from, size_t from_step, float* to, size_t to_step) {
  __m256 r[8], a[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + size_t(i) * from_step);
  for (int i = 0; i < 8; i += 2) a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]), a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44), r[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44), r[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + size_t(i) * to_step, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + size_t(i + 4) * to_step, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}
