// A real map through an epilogue, pixel by pixel.
#include "epilogue_step.h"

namespace bnn {

namespace {

class MapStep : public EpilogueStep {
 public:
  explicit MapStep(const Preparation& prep) : EpilogueStep(prep, Wholes{}, 1) {
    if (epilogue_.output >= 0 && epilogue_.residual < 0 && epilogue_.gate != input_) in_place = input_;
  }

  int tasks(const Frame& f) const override { return int((pixels(f) + kPixels - 1) / kPixels); }

  void run(const Frame& f, int task, uint8_t* scratch) const override {
    const int64_t begin = int64_t(task) * kPixels;
    run_pixels(f, begin, int(std::min<int64_t>(kPixels, pixels(f) - begin)), scratch);
  }

  void run_rows(const Frame& f, const Rows& rows, uint8_t* scratch) const override {
    const int64_t first = int64_t(rows.image) * height_ * width_, end = first + int64_t(rows.end) * width_;
    for (int64_t at = first + int64_t(rows.begin) * width_; at < end; at += kPixels)
      run_pixels(f, at, int(std::min<int64_t>(kPixels, end - at)), scratch);
  }

  Shape shape() const override { return Shape::kMap; }
  size_t scratch_bytes() const override { return sizeof(Pixels); }

 private:
  void run_pixels(const Frame& f, int64_t begin, int count, uint8_t* scratch) const {
    auto& p = *reinterpret_cast<Pixels*>(scratch);
    const Place in = f.place(input_);
    std::fill_n(p.class_row, count, 0);
    // Pixels of a row lie at one distance: the map itself is the accumulators.
    locate(f, begin, count, p, [&](int i, int length, int n, int y, int x) {
      EpilogueTile t{};
      t.acc = in.at(n, y, x), t.stride = int(in.layout->pixel / 4), t.count = length;
      finish(f, p, i, t, data_.channels);
    });
  }
};

}  // namespace

std::unique_ptr<Step> make_map(const Preparation& prep) { return std::make_unique<MapStep>(prep); }

}  // namespace bnn
