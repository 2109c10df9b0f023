// Forms of an input that some convolutions need: the input rounded to bytes, bytes as floats or as 16 bits, or every group's signs in words of
// their own.
#include <cstring>

#include "row_step.h"

namespace bnn {

namespace {

// The input of a rounded convolution: m, the largest |x| of each image, and 128 + rint(x·127/m).
class QuantizeStep : public Step {
 public:
  QuantizeStep(const Preparation& prep, int to, int unit)
      : in_(prep.value(prep.step.input).layout), out_(prep.value(to).layout),
        from_(int(prep.step.input)), to_(to), unit_(unit) {
    reads = {from_};
    writes = {to, unit};
  }
  int tasks(const Frame& f) const override { return f.images; }
  void run(const Frame& f, int n, uint8_t*) const override {
    float m = 0;
    each_row(f, n, [&](const float* x, uint8_t*) { m = row_max(f, x, m); });
    float factor = 127.0f / m;
    if (!(__builtin_isfinite(factor) && factor > 0)) factor = 0;
    each_row(f, n, [&](const float* x, uint8_t* q) { row_codes(f, x, factor, q); });
    *f.place(unit_).at<float>(n, 0, 0) = m / 127.0f;
  }

 private:
  template <class Each>
  void each_row(const Frame& f, int n, const Each& each) const {
    for (int y = 0; y < in_.height; ++y)
      each(f.place(from_).at<const float>(n, y, 0), f.place(to_).at(n, y, 0));
  }
  bool dense() const { return in_.pixel == size_t(in_.channels) * 4; }
  float row_max(const Frame& f, const float* x, float m) const {
    if (dense()) return f.kernels->abs_max(x, in_.channels * in_.width, m);
    for (int i = 0; i < in_.width; ++i) m = f.kernels->abs_max(x + size_t(i) * (in_.pixel / 4), in_.channels, m);
    return m;
  }
  void row_codes(const Frame& f, const float* x, float factor, uint8_t* q) const {
    if (factor == 0) {
      std::memset(q, 128, out_.pixel * size_t(in_.width));
      return;
    }
    if (dense()) return f.kernels->quantize(x, factor, q, in_.channels * in_.width);
    for (int i = 0; i < in_.width; ++i)
      f.kernels->quantize(x + size_t(i) * (in_.pixel / 4), factor, q + size_t(i) * out_.pixel, in_.channels);
  }

  Layout in_, out_;
  int from_, to_, unit_;
};

// Bytes as floats or as 16 bits, without gaps between the pixels.
class WidenStep : public RowStep {
 public:
  WidenStep(const Preparation& prep, int to) : RowStep(prep, to) {}

 private:
  void row(const Place& in, const Place& out, const Kernels& kernels, int n, int y, uint8_t*) const override {
    const int count = in_.width * in_.channels;
    if (out_.type == kI16)
      kernels.widen_to_16(in.at(n, y, 0), out.at<int16_t>(n, y, 0), count);
    else
      kernels.widen(in.at(n, y, 0), out.at<float>(n, y, 0), count);
  }
};

// Every group's channels moved to words of their own.
class RegroupStep : public RowStep {
 public:
  RegroupStep(const Preparation& prep, int to)
      : RowStep(prep, to), groups_(int(prep.step.groups)), inner_(in_.channels / groups_), wide_(out_.channels / groups_) {}

 private:
  void row(const Place& in, const Place& out, const Kernels&, int n, int y, uint8_t*) const override {
    for (int x = 0; x < out_.width; ++x)
      for (int p = 0; p < in_.planes; ++p) {
        const auto* from = reinterpret_cast<const uint32_t*>(in.at(n, y, x) + size_t(p) * in_.plane);
        auto* to = reinterpret_cast<uint32_t*>(out.at(n, y, x) + size_t(p) * out_.plane);
        std::memset(to, 0, out_.pixel);
        for (int c = 0; c < in_.channels; ++c) {
          const int at = c / inner_ * wide_ + c % inner_;
          to[at / 32] |= (from[c / 32] >> (c % 32) & 1u) << (at % 32);
        }
      }
  }

  int groups_, inner_, wide_;
};

}  // namespace

std::unique_ptr<Step> make_quantize(const Preparation& prep, int to, int unit) {
  return std::make_unique<QuantizeStep>(prep, to, unit);
}
std::unique_ptr<Step> make_widen(const Preparation& prep, int to) { return std::make_unique<WidenStep>(prep, to); }
std::unique_ptr<Step> make_regroup(const Preparation& prep, int to) { return std::make_unique<RegroupStep>(prep, to); }

}  // namespace bnn
