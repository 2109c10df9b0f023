#include "emission.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace bnn {

namespace {

int32_t clamped(int64_t x) {
  using Limits = std::numeric_limits<int32_t>;
  return int32_t(std::clamp<int64_t>(x, Limits::min(), Limits::max()));
}

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a % b < 0) != (b < 0)); }

int log2_exact(int64_t x) {
  int n = 0;
  while (n < 31 && (int64_t(1) << n) < x) ++n;
  return (int64_t(1) << n) == x ? n : -1;
}

}  // namespace

template <class T>
T* Emission::keep(Count count) {
  budget_->take(count * sizeof(T) + Buffer::kExtra, "the numbers of a layer's epilogue");
  kept_.emplace_back(count * sizeof(T));
  return kept_.back().as<T>();
}

Emission::Emission(const Workshop& shop, const Wholes& wholes, int classes) : budget_(&shop.model.budget) {
  const BnnStep& step = shop.step;
  output = int(step.output), bits = int(step.bits), residual = int(step.residual), input_scale = int(step.input_scale);
  emit_.channels = int(shop.value(output >= 0 ? output : bits).shape.channels);
  emit_.row = up_to_multiple(emit_.channels, kBlock).as_int();
  emit_.to_real = output >= 0;
  emit_.to_bits = bits >= 0;
  whole_lines(wholes);
  real_lines(step, classes);
  if (input_scale >= 0) emit_.input_scale_groups = int(shop.value(input_scale).shape.channels);
  if (emit_.to_bits) {
    emit_.planes = int(shop.value(bits).shape.code.planes);
    emit_.levels = (1 << emit_.planes) - 1;
    emit_.plane_bytes = shop.value(bits).layout.plane;
    thresholds(step, wholes);
  }
}

const float* Emission::rows(const BnnTensor& tensor, int rows, const char* what) {
  if (tensor.data == nullptr) return nullptr;
  const size_t channels = size_t(emit_.channels);
  const float* from = elements<float>(tensor, Count(rows) * channels, what);
  float* to = keep<float>(Count(rows) * emit_.row);
  for (size_t r = 0; r < size_t(rows); ++r) std::memcpy(to + r * size_t(emit_.row), from + r * channels, channels * 4);
  return to;
}

void Emission::whole_lines(const Wholes& w) {
  emit_.source = w.source;
  emit_.parts = int(w.part_shift.size());
  auto* shift = keep<int32_t>(w.part_shift.size());
  std::copy(w.part_shift.begin(), w.part_shift.end(), shift);
  emit_.part_shift = shift;
  auto* factor = keep<double>(w.part_shift.size());
  emit_.wide_in_doubles = w.part_shift.size() <= 16;  // 16 · 2³¹ · 2¹⁶ < 2⁵³
  for (size_t p = 0; p < w.part_shift.size(); ++p) {
    factor[p] = double(int64_t(1) << w.part_shift[p]);
    if (w.part_shift[p] > 16) emit_.wide_in_doubles = 0;
  }
  emit_.part_factor = factor;
  emit_.multiplier = int(w.multiplier);
  emit_.divisor = int(w.divisor);
  emit_.shift = log2_exact(w.divisor);
  emit_.base_classes = w.classes;
  if (w.base.empty()) return;
  auto* base = keep<int32_t>(Count(w.classes) * emit_.row);
  for (size_t k = 0; k < size_t(w.classes); ++k)
    for (size_t c = 0; c < size_t(emit_.channels); ++c)
      base[k * size_t(emit_.row) + c] = clamped(w.base[k * size_t(emit_.channels) + c]);
  emit_.base = base;
  if (w.source == kFromPops && emit_.shift >= 0 && w.largest < (int64_t(1) << 24)) real_bases(w);
}

// Sums below 2²⁴ over a power of two: floats hold every number on the way.
void Emission::real_bases(const Wholes& w) {
  const auto count = size_t(Count(w.classes) * emit_.row);
  auto* base = keep<float>(count);
  for (size_t i = 0; i < count; ++i) base[i] = float(emit_.base[i]) / float(w.divisor);
  emit_.real_base = base;
  emit_.real_multiplier = -float(w.multiplier) / float(w.divisor);
}

void Emission::real_lines(const BnnStep& s, int classes) {
  emit_.scale = rows(s.scale, 1, "scale");
  const int64_t one = int64_t(emit_.channels) * int64_t(sizeof(float));
  emit_.bias_classes = s.bias.bytes == one ? 1 : classes;
  emit_.bias = rows(s.bias, emit_.bias_classes, "bias");
  emit_.norm_factor = rows(s.norm_factor, 1, "norm");
  emit_.norm_summand = rows(s.norm_summand, 1, "norm");
  emit_.has_input_scale = s.input_scale >= 0;
  emit_.has_residual = s.residual >= 0;
  emit_.activation = int(s.activation);
  emit_.stream = int(s.stream);
}

void Emission::thresholds(const BnnStep& s, const Wholes& wholes) {
  const size_t channels = size_t(emit_.channels);
  std::vector<uint8_t> none(channels, 0);
  const uint8_t* flip = s.flip.data ? elements<uint8_t>(s.flip, channels, "flip") : none.data();
  const Count count = Count(emit_.levels) * channels;
  if (s.float_thresholds) return real_thresholds(elements<float>(s.thresholds, count, "thresholds"), flip);
  if (wholes.source == kFromFloat || wholes.source == kFromDynamic)
    throw Fault{"int32 thresholds need a whole-number product"};
  whole_thresholds(elements<int32_t>(s.thresholds, count, "thresholds"), flip, wholes);
}

void Emission::whole_thresholds(const int32_t* t, const uint8_t* flip, const Wholes& w) {
  const size_t row = size_t(emit_.row), channels = size_t(emit_.channels), levels = size_t(emit_.levels);
  const size_t classes = w.source == kFromPops ? size_t(w.classes) : 1;
  auto* limit = keep<int32_t>(Count(classes) * levels * row);
  auto* flips = keep<uint64_t>(row / 64);
  for (size_t c = 0; c < channels; ++c) {
    const bool inverted = w.source == kFromInt ? !flip[c] : bool(flip[c]);
    flips[c / 64] |= uint64_t(inverted) << (c % 64);
    for (size_t k = 0; k < classes; ++k)
      for (size_t l = 0; l < levels; ++l) {
        const int64_t at = t[l * channels + c];
        int64_t found = at;
        if (w.source == kFromInt && !flip[c]) found = at - 1;
        if (w.source == kFromPops) {
          const int64_t room = w.base[k * channels + c] - at * w.divisor;
          found = flip[c] ? -floor_div(-room, w.multiplier) - 1 : floor_div(room, w.multiplier);
        }
        limit[(k * levels + l) * row + c] = clamped(found);
      }
  }
  emit_.int_threshold = limit;
  emit_.flip = flips;
  emit_.threshold_classes = int(classes);
}

void Emission::real_thresholds(const float* t, const uint8_t* flip) {
  const size_t row = size_t(emit_.row), channels = size_t(emit_.channels), levels = size_t(emit_.levels);
  auto* limit = keep<float>(Count(levels) * row);
  auto* sign = keep<uint32_t>(row);
  for (size_t c = 0; c < channels; ++c) {
    sign[c] = flip[c] ? 0x80000000u : 0;
    for (size_t l = 0; l < levels; ++l) limit[l * row + c] = flip[c] ? -t[l * channels + c] : t[l * channels + c];
  }
  emit_.float_threshold = limit;
  if (std::any_of(flip, flip + channels, [](uint8_t f) { return f != 0; })) emit_.sign = sign;
}

}  // namespace bnn
