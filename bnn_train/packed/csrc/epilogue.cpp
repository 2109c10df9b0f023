#include "epilogue.h"

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
T* Epilogue::keep(Count count) {
  budget_->take(count * sizeof(T) + Buffer::kExtra, "the numbers of a layer's epilogue");
  kept_.emplace_back(count * sizeof(T));
  return kept_.back().as<T>();
}

Epilogue::Epilogue(const Preparation& prep, const Wholes& wholes, int classes) : budget_(&prep.model.budget) {
  const BnnStep& step = prep.step;
  output = int(step.output), bits = int(step.bits), residual = int(step.residual), input_scale = int(step.input_scale);
  gate = int(step.gate);
  data_.channels = int(prep.value(output >= 0 ? output : bits).shape.channels);
  data_.row = up_to_multiple(data_.channels, kBlock).as_int();
  data_.to_real = output >= 0;
  data_.to_bits = bits >= 0;
  whole_lines(wholes);
  real_lines(step, classes);
  if (input_scale >= 0) data_.input_scale_groups = int(prep.value(input_scale).shape.channels);
  if (data_.to_bits) {
    data_.planes = int(prep.value(bits).shape.code.planes);
    data_.apart = prep.value(bits).shape.code.factored == 1;
    data_.levels = data_.apart ? data_.planes : (1 << data_.planes) - 1;
    data_.plane_bytes = prep.value(bits).layout.plane;
    thresholds(step, wholes);
  }
}

const float* Epilogue::rows(const BnnTensor& tensor, int rows, const char* what) {
  if (tensor.data == nullptr) return nullptr;
  const size_t channels = size_t(data_.channels);
  const float* from = elements<float>(tensor, Count(rows) * channels, what);
  float* to = keep<float>(Count(rows) * data_.row);
  for (size_t r = 0; r < size_t(rows); ++r) std::memcpy(to + r * size_t(data_.row), from + r * channels, channels * 4);
  return to;
}

void Epilogue::whole_lines(const Wholes& w) {
  data_.source = w.source;
  data_.parts = int(w.part_shift.size());
  auto* shift = keep<int32_t>(w.part_shift.size());
  std::copy(w.part_shift.begin(), w.part_shift.end(), shift);
  data_.part_shift = shift;
  auto* factor = keep<double>(w.part_shift.size());
  data_.wide_in_doubles = w.part_shift.size() <= 16;  // 16 · 2³¹ · 2¹⁶ < 2⁵³
  for (size_t p = 0; p < w.part_shift.size(); ++p) {
    factor[p] = double(int64_t(1) << w.part_shift[p]);
    if (w.part_shift[p] > 16) data_.wide_in_doubles = 0;
  }
  data_.part_factor = factor;
  data_.multiplier = int(w.multiplier);
  data_.divisor = int(w.divisor);
  data_.shift = log2_exact(w.divisor);
  data_.base_classes = w.classes;
  if (w.base.empty()) return;
  auto* base = keep<int32_t>(Count(w.classes) * data_.row);
  for (size_t k = 0; k < size_t(w.classes); ++k)
    for (size_t c = 0; c < size_t(data_.channels); ++c)
      base[k * size_t(data_.row) + c] = clamped(w.base[k * size_t(data_.channels) + c]);
  data_.base = base;
  if (w.source == kFromPops && data_.shift >= 0 && w.largest < (int64_t(1) << 24)) real_bases(w);
}

// Sums below 2²⁴ over a power of two: floats hold every number on the way.
void Epilogue::real_bases(const Wholes& w) {
  const auto count = size_t(Count(w.classes) * data_.row);
  auto* base = keep<float>(count);
  for (size_t i = 0; i < count; ++i) base[i] = float(data_.base[i]) / float(w.divisor);
  data_.real_base = base;
  data_.real_multiplier = -float(w.multiplier) / float(w.divisor);
}

void Epilogue::real_lines(const BnnStep& s, int classes) {
  data_.scale = rows(s.scale, 1, "scale");
  const int64_t one = int64_t(data_.channels) * int64_t(sizeof(float));
  data_.bias_classes = s.bias.bytes == one ? 1 : classes;
  data_.bias = rows(s.bias, data_.bias_classes, "bias");
  data_.norm_factor = rows(s.norm_factor, 1, "norm");
  data_.norm_summand = rows(s.norm_summand, 1, "norm");
  data_.has_input_scale = s.input_scale >= 0;
  data_.has_gate = s.gate >= 0;
  data_.has_residual = s.residual >= 0;
  data_.activation = bend(s.activation);
  data_.stream = bend(s.stream);
}

Bend Epilogue::bend(const BnnBend& b) {
  if (b.kind != kPrelu) return {int(b.kind), nullptr, nullptr, nullptr, nullptr};
  if (b.negative.data == nullptr) throw Fault{"a line with a bend has no slope below 0"};
  return {kPrelu, rows(b.before, 1, "before"), rows(b.negative, 1, "negative"), rows(b.positive, 1, "positive"),
          rows(b.after, 1, "after")};
}

void Epilogue::thresholds(const BnnStep& s, const Wholes& wholes) {
  const size_t channels = size_t(data_.channels);
  std::vector<uint8_t> none(channels, 0);
  const uint8_t* flip = s.flip.data ? elements<uint8_t>(s.flip, channels, "flip") : none.data();
  const Count count = Count(data_.levels) * channels;
  if (s.float_thresholds) return real_thresholds(elements<float>(s.thresholds, count, "thresholds"), flip);
  if (wholes.source == kFromFloat || wholes.source == kFromDynamic)
    throw Fault{"int32 thresholds need a whole-number product"};
  whole_thresholds(elements<int32_t>(s.thresholds, count, "thresholds"), flip, wholes);
}

void Epilogue::whole_thresholds(const int32_t* t, const uint8_t* flip, const Wholes& w) {
  const size_t row = size_t(data_.row), channels = size_t(data_.channels), levels = size_t(data_.levels);
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
  data_.int_threshold = limit;
  data_.flip = flips;
  data_.threshold_classes = int(classes);
}

void Epilogue::real_thresholds(const float* t, const uint8_t* flip) {
  const size_t row = size_t(data_.row), channels = size_t(data_.channels), levels = size_t(data_.levels);
  auto* limit = keep<float>(Count(levels) * row);
  auto* sign = keep<uint32_t>(row);
  for (size_t c = 0; c < channels; ++c) {
    sign[c] = flip[c] ? 0x80000000u : 0;
    for (size_t l = 0; l < levels; ++l) limit[l * row + c] = flip[c] ? -t[l * channels + c] : t[l * channels + c];
  }
  data_.float_threshold = limit;
  if (std::any_of(flip, flip + channels, [](uint8_t f) { return f != 0; })) data_.sign = sign;
}

}  // namespace bnn
