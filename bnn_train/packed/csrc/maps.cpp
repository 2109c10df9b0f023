// The steps without weights.
#include <algorithm>
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
    const int y = task % out_.height;
    run_rows(f, {task / out_.height, y, y + 1}, scratch);
  }
  void run_rows(const Frame& f, const Rows& rows, uint8_t* scratch) const override {
    for (int y = rows.begin; y < rows.end; ++y) row(f.place(from_), f.place(to_), *f.kernels, rows.image, y, scratch);
  }

 protected:
  virtual void row(const Place& in, const Place& out, const Kernels& kernels, int n, int y, uint8_t* scratch) const = 0;

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
    if (window_.rows.kernel > kMaxRows) throw Fault{"a pooling's window has more than 64 rows"};
    if (!shop.step.flip.data) return;
    const uint8_t* flip = elements<uint8_t>(shop.step.flip, size_t(in_.channels), "flip");
    for (int c = 0; c < in_.channels; ++c) flip_[size_t(c / 32)] |= uint32_t(flip[c] != 0) << (c % 32);
  }

  size_t scratch_bytes() const override { return size_t(window_.rows.kernel * window_.columns.kernel) * sizeof(void*); }
  Shape shape() const override { return Shape::kPool; }
  Rows needs(const Rows& rows) const override {
    const Axis& a = window_.rows;
    const int begin = std::max(0, a.start(rows.begin));
    const int end = std::min(a.size, a.start(rows.end - 1) + (a.kernel - 1) * a.dilation + 1);
    return {rows.image, begin, std::max(begin, end)};
  }

 private:
  void row(const Place& in, const Place& out, const Kernels& kernels, int n, int y, uint8_t* scratch) const override {
    const Span down = inside(window_.rows, y, 0, window_.rows.size);
    for (int x = 0; x < out_.width; ++x) {
      const Span across = inside(window_.columns, x, 0, window_.columns.size);
      if (in_.type == kBits)
        bits(kernels, in, n, y, x, down, across, out.at(n, y, x), reinterpret_cast<const uint32_t**>(scratch));
      else
        reals(kernels, in, n, y, x, down, across, out.at<float>(n, y, x));
    }
  }

  void reals(const Kernels& kernels, const Place& in, int n, int y, int x, Span down, Span across, float* to) const {
    const Axis &rows = window_.rows, &columns = window_.columns;
    const float* taps[kMaxRows];
    int count = 0;
    if (across.end > across.begin)
      for (int r = down.begin; r < down.end; ++r)
        taps[count++] = in.at<float>(n, rows.start(y) + r * rows.dilation, columns.start(x) + across.begin * columns.dilation);
    const size_t step = size_t(columns.dilation) * (in_.pixel / 4);
    if (average_)
      kernels.average(taps, count, across.end - across.begin, step, float(divisor(rows, y) * divisor(columns, x)), to, in_.channels);
    else
      kernels.max_real(taps, count, across.end - across.begin, step, to, in_.channels);
  }

  void bits(const Kernels& kernels, const Place& in, int n, int y, int x, Span down, Span across, uint8_t* to,
            const uint32_t** words) const {
    const Axis &rows = window_.rows, &columns = window_.columns;
    int count = 0;
    for (int r = down.begin; r < down.end; ++r)
      for (int c = across.begin; c < across.end; ++c)
        words[count++] = in.at<uint32_t>(n, rows.start(y) + r * rows.dilation, columns.start(x) + c * columns.dilation);
    for (int p = 0; p < in_.planes; ++p, to += out_.plane) {
      if (count > 0)
        kernels.max_bits(words, count, flip_.data(), reinterpret_cast<uint32_t*>(to), int(flip_.size()));
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
  void row(const Place& in, const Place& out, const Kernels& kernels, int n, int y, uint8_t* scratch) const override {
    auto* sums = reinterpret_cast<double*>(scratch);
    std::memset(sums, 0, scratch_bytes());
    const Axis &rows = window_.rows, &columns = window_.columns;
    const int inner = in_.channels / groups_;
    const Span down = inside(rows, y, 0, rows.size);
    for (int r = down.begin; r < down.end; ++r)
      for (int x = 0; x < in_.width; ++x) {
        const float* pixel = in.at<float>(n, rows.start(y) + r * rows.dilation, x);
        for (int g = 0; g < groups_; ++g) sums[x * groups_ + g] += kernels.abs_sum(pixel + g * inner, inner);
      }
    const double divisor = double(rows.kernel * columns.kernel) * inner;
    for (int x = 0; x < out_.width; ++x) {
      const Span across = inside(columns, x, 0, columns.size);
      for (int g = 0; g < groups_; ++g) {
        double sum = 0;
        for (int c = across.begin; c < across.end; ++c) sum += sums[(columns.start(x) + c * columns.dilation) * groups_ + g];
        out.at<float>(n, y, x)[g] = float(sum / divisor);
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
  void row(const Place& in, const Place& out, const Kernels&, int n, int y, uint8_t*) const override {
    for (int x = 0; x < out_.width; ++x) {
      auto* to = out.at<float>(n, y, x);
      std::memset(to, 0, out_.pixel);
      std::memcpy(to + before_, in.at(n, y * down_, x * across_), size_t(in_.channels) * 4);
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
  void row(const Place& in, const Place& out, const Kernels& kernels, int n, int, uint8_t* scratch) const override {
    auto* sums = reinterpret_cast<double*>(scratch);
    std::memset(sums, 0, scratch_bytes());
    for (int y = 0; y < in_.height; ++y) kernels.sum_rows(in.at<float>(n, y, 0), in_.pixel, in_.width, sums, in_.channels);
    auto* to = out.at<float>(n, 0, 0);
    for (int c = 0; c < in_.channels; ++c) to[c] = float(sums[c] / (double(in_.height) * in_.width));
  }
};

// The input of a rounded convolution: m, the largest |x| of each image, and 128 + rint(x·127/m).
class QuantizeStep : public Step {
 public:
  QuantizeStep(const Workshop& shop, int to, int unit)
      : in_(shop.value(shop.step.input).layout), out_(shop.value(to).layout),
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

// Every group's channels moved to words of their own.
class RegroupStep : public RowStep {
 public:
  RegroupStep(const Workshop& shop, int to)
      : RowStep(shop, to), groups_(int(shop.step.groups)), inner_(in_.channels / groups_), wide_(out_.channels / groups_) {}

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

std::unique_ptr<Step> make_pool(const Workshop& shop) { return std::make_unique<PoolStep>(shop); }
std::unique_ptr<Step> make_input_scale(const Workshop& shop) { return std::make_unique<InputScaleStep>(shop); }
std::unique_ptr<Step> make_subsample(const Workshop& shop) { return std::make_unique<SubsampleStep>(shop); }
std::unique_ptr<Step> make_mean(const Workshop& shop) { return std::make_unique<MeanStep>(shop); }
std::unique_ptr<Step> make_quantize(const Workshop& shop, int to, int unit) {
  return std::make_unique<QuantizeStep>(shop, to, unit);
}
std::unique_ptr<Step> make_regroup(const Workshop& shop, int to) { return std::make_unique<RegroupStep>(shop, to); }

}  // namespace bnn
