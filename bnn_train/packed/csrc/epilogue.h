// The tensors of an epilogue and of thresholds, as the kernels read them.
#pragma once
#include <memory>
#include <vector>

#include "model.h"

namespace bnn {

// The whole-number product of a convolution: (base[class][c] - multiplier * acc) / divisor from pops (classes > 0), else
// acc itself, or acc + base[c] where the input was rounded.
struct Wholes {
  Source source = kFromFloat;
  int classes = 1;
  std::vector<int64_t> base;  // [class][channel]
  int64_t multiplier = 1, divisor = 1, largest = 0;  // largest: bound of |numerators|
  std::vector<int32_t> part_shift = {0};
};

class Epilogue {
 public:
  // `classes`: border classes of the step's window.
  Epilogue(const Preparation& prep, const Wholes& wholes, int classes);
  const EpilogueData& data() const { return data_; }
  // The values that the step touches besides its input; -1: none.
  int output, bits, residual, input_scale, gate;
  const Layout *output_layout = nullptr, *bits_layout = nullptr;

 private:
  const float* rows(const BnnTensor& tensor, int rows, const char* what);
  template <class T>
  T* keep(Count count);
  Bend bend(const BnnBend& bend);
  void whole_lines(const Wholes& wholes);
  void real_bases(const Wholes& wholes);
  void real_lines(const BnnStep& step, int classes);
  void thresholds(const BnnStep& step, const Wholes& wholes);
  void whole_thresholds(const int32_t* t, const uint8_t* flip, const Wholes& wholes);
  void real_thresholds(const float* t, const uint8_t* flip);

  Budget* budget_;
  EpilogueData data_{};
  std::vector<Buffer> kept_;
};

}  // namespace bnn
