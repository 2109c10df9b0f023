// The steps without weights.
#include <algorithm>
#include <cstring>

#include "row_step.h"
#include "window.h"

namespace bnn {

namespace {

class PoolStep : public RowStep {
 public:
  explicit PoolStep(const Preparation& prep)
      : RowStep(prep, int(prep.step.output)),
        window_(window_of(prep.step, in_, out_)),
        average_(prep.step.average != 0),
        include_padding_(prep.step.include_padding != 0),
        flip_((size_t(in_.channels) + 31) / 32, 0) {
    if (!prep.step.flip.data) return;
    const uint8_t* flip = elements<uint8_t>(prep.step.flip, size_t(in_.channels), "flip");
    for (int c = 0; c < in_.channels; ++c) flip_[size_t(c / 32)] |= uint32_t(flip[c] != 0) << (c % 32);
  }

  size_t scratch_bytes() const override {
    return size_t(Count(window_.rows.kernel) * window_.columns.kernel * sizeof(void*));
  }
  Shape shape() const override { return Shape::kPool; }
  Rows needs(const Rows& rows) const override {
    const Axis& a = window_.rows;
    const int begin = std::max(0, a.start(rows.begin));
    const int end = std::min(a.size, a.start(rows.end - 1) + a.reach());
    return {rows.image, begin, std::max(begin, end)};
  }

 private:
  void row(const Place& in, const Place& out, const Kernels& kernels, int n, int y, uint8_t* scratch) const override {
    const Span down = window_.rows.taps_inside(y);
    for (int x = 0; x < out_.width; ++x) {
      const Span across = window_.columns.taps_inside(x);
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
    const Span s = a.taps(o, -border, a.size + border);
    return s.end - s.begin;
  }

  Window window_;
  bool average_, include_padding_;
  std::vector<uint32_t> flip_;
};

class InputScaleStep : public RowStep {
 public:
  explicit InputScaleStep(const Preparation& prep)
      : RowStep(prep, int(prep.step.output)), window_(window_of(prep.step, in_, out_)), groups_(int(prep.step.groups)) {
    prep.model.budget.take(Count(out_.width) * sizeof(Span), "a window's taps");
    across_.reserve(size_t(out_.width));
    for (int x = 0; x < out_.width; ++x) across_.push_back(window_.columns.taps_inside(x));
  }

  // Bands of an image, so that the sums of a pixel are made once for all the windows that see it.
  int tasks(const Frame& f) const override { return f.images * bands(f); }
  void run(const Frame& f, int task, uint8_t* scratch) const override {
    const int n = bands(f), band = task % n;
    run_rows(f, {task / n, out_.height * band / n, out_.height * (band + 1) / n}, scratch);
  }
  void run_rows(const Frame& f, const Rows& rows, uint8_t* scratch) const override {
    auto* sums = reinterpret_cast<double*>(scratch);
    const Axis& a = window_.rows;
    const int first = std::max(0, a.start(rows.begin));
    const int end = std::min(a.size, a.start(rows.end - 1) + a.reach());
    for (int y = first; y < end; ++y) sum_pixels(f, rows.image, y, sums + size_t(y) * row_sums());
    for (int y = rows.begin; y < rows.end; ++y) box(f, rows.image, y, sums);
  }
  size_t scratch_bytes() const override { return size_t(Count(in_.height + 1) * in_.width * groups_ * sizeof(double)); }

 private:
  int bands(const Frame& f) const { return f.threads == 1 ? 1 : std::min(out_.height, 2 * f.threads); }
  size_t row_sums() const { return size_t(in_.width) * size_t(groups_); }

  void sum_pixels(const Frame& f, int n, int y, double* sums) const {
    const int inner = in_.channels / groups_;
    for (int g = 0; g < groups_; ++g)
      f.kernels->abs_sums(f.place(from_).at<float>(n, y, 0) + g * inner, in_.pixel / 4, in_.width, inner, sums + g,
                          size_t(groups_));
  }

  // Down the window's rows first, then across.
  void box(const Frame& f, int n, int y, double* sums) const {
    const Axis &rows = window_.rows, &columns = window_.columns;
    const Span down = rows.taps_inside(y);
    double* added = sums + size_t(in_.height) * row_sums();
    std::fill_n(added, row_sums(), 0.0);
    for (int r = down.begin; r < down.end; ++r) {
      const double* from = sums + size_t(rows.start(y) + r * rows.dilation) * row_sums();
      for (size_t i = 0; i < row_sums(); ++i) added[i] += from[i];
    }
    const double divisor = double(rows.kernel * columns.kernel) * (in_.channels / groups_);
    float* to = f.place(to_).at<float>(n, y, 0);
    const size_t step = size_t(columns.dilation) * size_t(groups_);
    for (int x = 0; x < out_.width; ++x, to += out_.pixel / 4)
      for (int g = 0; g < groups_; ++g) {
        const Span seen = across_[size_t(x)];
        if (seen.begin == seen.end) {
          to[g] = 0;
          continue;
        }
        const double* from = added + size_t(columns.start(x) + seen.begin * columns.dilation) * size_t(groups_) + size_t(g);
        double sum = 0;
        for (int c = 0; c < seen.end - seen.begin; ++c) sum += from[size_t(c) * step];
        to[g] = float(sum / divisor);
      }
  }

  void row(const Place&, const Place&, const Kernels&, int, int, uint8_t*) const override {}

  Window window_;
  int groups_;
  std::vector<Span> across_;  // of every output column
};

class SubsampleStep : public RowStep {
 public:
  explicit SubsampleStep(const Preparation& prep)
      : RowStep(prep, int(prep.step.output)),
        down_(int(prep.step.stride[0])),
        across_(int(prep.step.stride[1])),
        before_(size_t(prep.step.before)) {
    if (prep.step.before < 0 || prep.step.before + in_.channels > out_.channels)
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
  explicit MeanStep(const Preparation& prep) : RowStep(prep, int(prep.step.output)) {}
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

}  // namespace

std::unique_ptr<Step> make_pool(const Preparation& prep) { return std::make_unique<PoolStep>(prep); }
std::unique_ptr<Step> make_input_scale(const Preparation& prep) { return std::make_unique<InputScaleStep>(prep); }
std::unique_ptr<Step> make_subsample(const Preparation& prep) { return std::make_unique<SubsampleStep>(prep); }
std::unique_ptr<Step> make_mean(const Preparation& prep) { return std::make_unique<MeanStep>(prep); }

}  // namespace bnn
