// AVX-512 with VPOPCNTDQ and VNNI.
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // in gcc's own headers (gcc.gnu.org/PR105593)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,avx512vnni,avx2,fma,popcnt,bmi,bmi2")
namespace bnn {
namespace {
#include "isa/vec_avx512.h"
// The order matters: the vectors come first.
#include "isa/transpose_8.h"
//
#include "isa/body.h"
//
#include "isa/fused.h"
}  // namespace

const Kernels kernels_avx512 = {"avx512", nullptr, kTakesPairs, kGroups > 1, product, epilogue, fused,    add_pops, add_term, spread, shift,
                                max_real, average, max_bits, abs_sums, abs_max, quantize, widen, widen_to_16, fill_tables, look_up, sign_bytes, transpose, signs, window, sum_rows};
}  // namespace bnn
#pragma GCC pop_options
#endif
