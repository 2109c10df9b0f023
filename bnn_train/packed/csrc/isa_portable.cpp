// Any processor.
#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels.h"

namespace bnn {
namespace {
#include "isa/vec_portable.h"
// The order matters: the vectors come first.
#include "isa/body.h"
}  // namespace

const Kernels kernels_portable = {"portable", &bit_tile_portable, kTakesPairs, kGroups > 1, product, epilogue, nullptr,  add_pops, add_term, spread,
                                  shift,      max_real,           average, max_bits, abs_sums, abs_max,  quantize, widen, widen_to_16, fill_tables, look_up, sign_bytes, transpose, signs, window, sum_rows};
}  // namespace bnn
