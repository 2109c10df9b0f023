// Gradients of products of signs, for training.
#pragma once
#include "kernels.h"

namespace bnn {

// Maps are channels last, weights O×Kh×Kw×I; only the signs of `codes` and `x` are read. `alpha`: a factor on g of each output,
// or nullptr.
void sign_input_gradient(const Kernels& k, const BnnSignProduct& p, const float* g, const float* codes, const float* alpha,
                         float* out, int threads);
void sign_weight_gradient(const Kernels& k, const BnnSignProduct& p, const float* g, const float* x, float* out, int threads);

}  // namespace bnn
