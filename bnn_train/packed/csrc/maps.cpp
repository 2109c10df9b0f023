// The steps without weights.
#include <cstring>

#include "window.h"
#include "model.h"

namespace bnn {

namespace {

// One row of one image's output is a task.
class RowStep : public Step {
 public:
  RowStep(const Workshop& shop, int to)
      : in_(shop.value(shop.step.input).layout), out_(shop.value(to).layout), from_(int(shop.step.input)), to_(to) {
    reads = {from_};
    writes = {to};
  }
  int tasks(const Frame& f) const override { return f.images * out_.height; }
  void run(const Frame& f, int task, uint8_t* scratch) const override {
    row(f, task / out_.height, task % out_.height, scratch);
  }

 protected:
  virtual void row(const Frame& f, int n, int y, uint8_t* scratch) const = 0;
  const uint8_t* in(const Frame& f, int n, int y, int x) const { return f.at[size_t(from_)] + in_.at(size_t(n), y, x); }
  uint8_t* out(const Frame& f, int n, int y, int x) const { return f.at[size_t(to_)] + out_.at(size_t(n), y, x); }
  static const float* real(const uint8_t* p) { return reinterpret_cast<const float*>(p); }
  static float* real(uint8_t* p) { return reinterpret_cast<float*>(p); }

  Layout in_, out_;
  int from_, to_;
};

// Taps of a window inside the map: begin … end − 1.
struct Span {
  int begin, end;
};

Span inside(const Axis& a, int o, int low, int high) {
  Span s{0, a.kernel};
  while (s.begin < s.end && a.start(o) + s.begin * a.dilation < low) ++s.begin;
  while (s.end > s.begin && a.start(o) + (s.end - 1) * a.dilation >= high) --s.end;
  return s;
}

class PoolStep : public RowStep {
 public:
  explicit PoolStep(const Workshop& shop)
      : RowStep(shop, int(shop.step.output)),
        window_(window_of(shop.step, in_, out_)),
        average_(shop.step.average != 0),
        include_padding_(shop.step.include_padding != 0),
        flip_((size_t(in_.channels) + 31) / 32, 0) {
    if (!shop.step.flip.data) return;
    const uint8_t* flip = elements<uint8_t>(shop.step.flip, size_t(in_.channels), "flip");
    for (int c = 0; c < in_.channels; ++c) flip_[size_t(c / 32)] |= uint32_t(flip[c] != 0) << (c % 32);
  }

  size_t scratch_bytes() const override { return size_t(window_.rows.kernel * window_.columns.kernel) * sizeof(void*); }

 private:
  void row(const Frame& f, int n, int y, uint8_t* scratch) const override {
    const uint8_t** taps = reinterpret_cast<const uint8_t**>(scratch);
    const Axis &rows = window_.rows, &columns = window_.columns;
    const Span down = inside(rows, y, 0, rows.size);
    for (int x = 0; x < out_.width; ++x) {
      const Span across = inside(columns, x, 0, columns.size);
      int count = 0;
      for (int r = down.begin; r < down.end; ++r)
        for (int c = across.begin; c < across.end; ++c)
          taps[count++] = in(f, n, rows.start(y) + r * rows.dilation, columns.start(x) + c * columns.dilation);
      pixel(f, taps, count, y, x, out(f, n, y, x));
    }
  }

  void pixel(const Frame& f, const uint8_t** taps, int count, int y, int x, uint8_t* to) const {
    if (in_.type == kBits) return bits(f, taps, count, to);
    const auto** reals = reinterpret_cast<const float**>(taps);
    if (average_)
      f.kernels->average(reals, count, float(divisor(window_.rows, y) * divisor(window_.columns, x)), real(to), in_.channels);
    else
      f.kernels->max_real(reals, count, real(to), in_.channels);
  }

  void bits(const Frame& f, const uint8_t** taps, int count, uint8_t* to) const {
    const auto** words = reinterpret_cast<const uint32_t**>(taps);
    for (int p = 0; p < in_.planes; ++p, to += out_.plane) {
      if (count > 0)
        f.kernels->max_bits(words, count, flip_.data(), reinterpret_cast<uint32_t*>(to), int(flip_.size()));
      else
        std::memset(to, 0, out_.pixel);
      for (int t = 0; t < count; ++t) words[t] += in_.plane / 4;
    }
  }

  int divisor(const Axis& a, int o) const {
    const int border = include_padding_ ? a.padding : 0;
    const Span s = inside(a, o, -border, a.size + border);
    return s.end - s.begin;
  }

  Window window_;
  bool average_, include_padding_;
  std::vector<uint32_t> flip_;
};

class InputScaleStep : public RowStep {
 public:
  explicit InputScaleStep(const Workshop& shop)
      : RowStep(shop, int(shop.step.output)), window_(window_of(shop.step, in_, out_)), groups_(int(shop.step.groups)) {}

  size_t scratch_bytes() const override { return size_t(in_.width) * size_t(groups_) * sizeof(double); }

 private:
  // The sums of every column over the window's rows, then of the columns.
  void row(const Frame& f, int n, int y, uint8_t* scratch) const override {
    auto* sums = reinterpret_cast<double*>(scratch);
    std::memset(sums, 0, scratch_bytes());
    const Axis &rows = window_.rows, &columns = window_.columns;
    const int inner = in_.channels / groups_;
    const Span down = inside(rows, y, 0, rows.size);
    for (int r = down.begin; r < down.end; ++r)
      for (int x = 0; x < in_.width; ++x) {
        const float* pixel = real(in(f, n, rows.start(y) + r * rows.dilation, x));
        for (int g = 0; g < groups_; ++g) sums[x * groups_ + g] += f.kernels->abs_sum(pixel + g * inner, inner);
      }
    const double divisor = double(rows.kernel * columns.kernel) * inner;
    for (int x = 0; x < out_.width; ++x) {
      const Span across = inside(columns, x, 0, columns.size);
      for (int g = 0; g < groups_; ++g) {
        double sum = 0;
        for (int c = across.begin; c < across.end; ++c) sum += sums[(columns.start(x) + c * columns.dilation) * groups_ + g];
        real(out(f, n, y, x))[g] = float(sum / divisor);
      }
    }
  }

  Window window_;
  int groups_;
};

class SubsampleStep : public RowStep {
 public:
  explicit SubsampleStep(const Workshop& shop)
      : RowStep(shop, int(shop.step.output)),
        down_(int(shop.step.stride[0])),
        across_(int(shop.step.stride[1])),
        before_(size_t(shop.step.before)) {
    if (shop.step.before < 0 || shop.step.before + in_.channels > out_.channels)
      throw Fault{"a subsampled map has no room for its channels"};
  }

 private:
  void row(const Frame& f, int n, int y, uint8_t*) const override {
    for (int x = 0; x < out_.width; ++x) {
      float* to = real(out(f, n, y, x));
      std::memset(to, 0, out_.pixel);
      std::memcpy(to + before_, in(f, n, y * down_, x * across_), size_t(in_.channels) * 4);
    }
  }

  int down_, across_;
  size_t before_;
};

class MeanStep : public RowStep {
 public:
  explicit MeanStep(const Workshop& shop) : RowStep(shop, int(shop.step.output)) {}
  size_t scratch_bytes() const override { return size_t(in_.channels) * sizeof(double); }

 private:
  void row(const Frame& f, int n, int, uint8_t* scratch) const override {
    auto* sums = reinterpret_cast<double*>(scratch);
    std::memset(sums, 0, scratch_bytes());
    for (int y = 0; y < in_.height; ++y) f.kernels->sum_rows(real(in(f, n, y, 0)), in_.pixel, in_.width, sums, in_.channels);
    float* to = real(out(f, n, 0, 0));
    for (int c = 0; c < in_.channels; ++c) to[c] = float(sums[c] / (double(in_.height) * in_.width));
  }
};

// The input of a rounded convolution: m, the largest |x| of each image, and 128 + rint(x·127/m).
class QuantizeStep : public Step {
 public:
  QuantizeStep(const Workshop& shop, int to, int unit)
      : in_(shop.value(shop.step.input).layout), out_(shop.value(to).layout), unit_layout_(shop.value(unit).layout),
        from_(int(shop.step.input)), to_(to), unit_(unit) {
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
    *reinterpret_cast<float*>(f.at[size_t(unit_)] + unit_layout_.at(size_t(n), 0, 0)) = m / 127.0f;
  }

 private:
  template <class Each>
  void each_row(const Frame& f, int n, const Each& each) const {
    for (int y = 0; y < in_.height; ++y)
      each(reinterpret_cast<const float*>(f.at[size_t(from_)] + in_.at(size_t(n), y, 0)),
           f.at[size_t(to_)] + out_.at(size_t(n), y, 0));
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

  Layout in_, out_, unit_layout_;
  int from_, to_, unit_;
};

// Every group's channels moved to words of their own.
class RegroupStep : public RowStep {
 public:
  RegroupStep(const Workshop& shop, int to)
      : RowStep(shop, to), groups_(int(shop.step.groups)), inner_(in_.channels / groups_), wide_(out_.channels / groups_) {}

 private:
  void row(const Frame& f, int n, int y, uint8_t*) const override {
    for (int x = 0; x < out_.width; ++x)
      for (int p = 0; p < in_.planes; ++p) {
        const auto* from = reinterpret_cast<const uint32_t*>(in(f, n, y, x) + size_t(p) * in_.plane);
        auto* to = reinterpret_cast<uint32_t*>(out(f, n, y, x) + size_t(p) * out_.plane);
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

std::unique_ptr<Step> make_pool(const Workshop& shop) { return std::make_unique<PoolStep>(shop); }
std::unique_ptr<Step> make_input_scale(const Workshop& shop) { return std::make_unique<InputScaleStep>(shop); }
std::unique_ptr<Step> make_subsample(const Workshop& shop) { return std::make_unique<SubsampleStep>(shop); }
std::unique_ptr<Step> make_mean(const Workshop& shop) { return std::make_unique<MeanStep>(shop); }
std::unique_ptr<Step> make_quantize(const Workshop& shop, int to, int unit) {
  return std::make_unique<QuantizeStep>(shop, to, unit);
}
std::unique_ptr<Step> make_regroup(const Workshop& shop, int to) { return std::make_unique<RegroupStep>(shop, to); }

}  // namespace bnn
