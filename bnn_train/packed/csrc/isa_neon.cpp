// 64-bit Arm.
#include "kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace bnn {
namespace {
#include "isa/vec_neon.h"
// The order matters: the vectors come first.
#include "isa/body.h"
//
#include "isa/fused_narrow.h"
}  // namespace

const Kernels kernels_neon = {"neon",   &bit_tile_neon, kTakesPairs, kGroups > 1, product, epilogue, fused, add_pops, add_term, spread, shift,
                              max_real, average, max_bits, abs_sums, abs_max, quantize, widen, widen_to_16, fill_tables, look_up, sign_bytes, transpose, signs, window, sum_rows};
}  // namespace bnn
#endif
