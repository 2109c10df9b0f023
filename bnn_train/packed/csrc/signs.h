// Quantized weights as they stand in the file.
#pragma once
#include <algorithm>
#include <cstring>

#include "filters.h"

namespace bnn {

class Signs {
 public:
  explicit Signs(const FilterInput& in);
  // Whether the sign is −1. Plane `planes()` − 1 stands for the code's offset if that is not 0: all signs +1.
  bool negative(int plane, int o, int tap, int i) const {
    if (plane >= stored_) return false;
    const size_t at = size_t(tap) * size_t(inner_) + size_t(i);
    return rows_[(size_t(plane) * size_t(outputs_) + size_t(o)) * row_ + at / 8] >> (at % 8) & 1;
  }
  // The signs of input channels 32·w … 32·w + 31 of a tap; channels that do not exist are 0.
  uint32_t word(int plane, int o, int tap, int w) const {
    if (plane >= stored_) return 0;
    const size_t bit = size_t(tap) * size_t(inner_) + 32 * size_t(w), from = bit / 8;
    const uint8_t* row = rows_ + (size_t(plane) * size_t(outputs_) + size_t(o)) * row_;
    uint64_t bits = 0;
    std::memcpy(&bits, row + from, std::min<size_t>(8, row_ - from));
    const int left = inner_ - 32 * w;
    return uint32_t(bits >> (bit % 8)) & (left >= 32 ? ~uint32_t(0) : (uint32_t(1) << left) - 1);
  }
  int planes() const { return int(values_.size()); }
  int64_t value(int plane) const { return values_[size_t(plane)]; }
  int64_t denominator() const { return denominator_; }
  // Of any code, without its sign.
  int64_t largest() const {
    int64_t sum = 0;
    for (int64_t v : values_) sum += v < 0 ? -v : v;
    return sum / denominator_ + 1;
  }
  int64_t code(int o, int tap, int i) const {
    int64_t sum = 0;
    for (int q = 0; q < planes(); ++q) sum += negative(q, o, tap, i) ? -value(q) : value(q);
    return sum / denominator_;
  }

 private:
  const uint8_t* rows_;
  std::vector<int64_t> values_;
  int64_t denominator_;
  int outputs_, inner_, stored_;
  size_t row_;
};

}  // namespace bnn
