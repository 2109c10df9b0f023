// AVX2 with FMA.
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#pragma GCC push_options
#pragma GCC target("avx2,fma,popcnt,bmi,bmi2")
namespace bnn {
namespace {
#include "isa/vec_avx2.h"
// The order matters: the vectors come first.
#include "isa/transpose_8.h"
//
#include "isa/body.h"
//
#include "isa/fused_narrow.h"
}  // namespace

const Kernels kernels_avx2 = {"avx2",   &bit_tile_avx2, kTakesPairs, kGroups > 1, product, epilogue, fused, add_pops, add_term, spread, shift, max_real,
                              average,  max_bits,       abs_sums, abs_max, quantize, widen, widen_to_16, fill_tables, look_up, sign_bytes, transpose, signs, window, sum_rows};
}  // namespace bnn
#pragma GCC pop_options
#endif
