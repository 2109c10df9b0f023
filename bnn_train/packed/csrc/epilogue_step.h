// The base of the steps that end in an epilogue: finds the pixels of a task in every value involved.
#pragma once
#include <algorithm>

#include "epilogue.h"
#include "window_sums.h"

namespace bnn {

// The addresses of a task's pixels in every value involved.
struct Pixels {
  uint8_t* in[kPixels];
  float* out[kPixels];
  const float* residual[kPixels];
  const float* input_scale[kPixels];
  const float* gate[kPixels];
  uint8_t* bits[kPixels];
  int32_t class_row[kPixels];
  float unit[kPixels];
};

class EpilogueStep : public Step {
 public:
  EpilogueStep(const Preparation& prep, const Wholes& wholes, int classes)
      : model_(prep.model), epilogue_(prep, wholes, classes), data_(epilogue_.data()), input_(int(prep.step.input)) {
    const int to = epilogue_.output >= 0 ? epilogue_.output : epilogue_.bits;
    height_ = prep.value(to).layout.height, width_ = prep.value(to).layout.width;
    reads = {input_};
    for (int v : {epilogue_.residual, epilogue_.input_scale, epilogue_.gate})
      if (v >= 0) reads.push_back(v);
    for (int v : {epilogue_.output, epilogue_.bits})
      if (v >= 0) writes.push_back(v);
    if (epilogue_.output >= 0 && epilogue_.residual != input_ && epilogue_.residual != epilogue_.input_scale &&
        epilogue_.residual != epilogue_.gate)
      in_place = epilogue_.residual;
  }

 protected:
  int64_t pixels(const Frame& f) const { return int64_t(f.images) * height_ * width_; }

  // Fills everything but `in`, `class_row` and `unit` for pixels begin … begin + count − 1; calls each(i, length, n, y, x) for
  // every stretch of a row.
  template <class Each>
  void locate(const Frame& f, int64_t begin, int count, Pixels& p, const Each& each) const {
    const Place out = f.place(epilogue_.output), bits = f.place(epilogue_.bits);
    const Place residual = f.place(epilogue_.residual), scale = f.place(epilogue_.input_scale), gate = f.place(epilogue_.gate);
    int x = int(begin % width_), y = int(begin / width_ % height_), n = int(begin / width_ / height_);
    for (int i = 0; i < count;) {
      const int length = std::min(count - i, width_ - x);
      spread(f, out, n, y, x, length, p.out + i);
      spread(f, bits, n, y, x, length, p.bits + i);
      spread(f, residual, n, y, x, length, p.residual + i);
      spread(f, scale, n, y, x, length, p.input_scale + i);
      if (gate) std::fill_n(p.gate + i, length, gate.at<float>(n, 0, 0));
      each(i, length, n, y, x);
      i += length, x = 0;
      if (++y == height_) y = 0, ++n;
    }
  }

  template <class T>
  static void spread(const Frame& f, const Place& place, int n, int y, int x, int length, T** to) {
    if (place) f.kernels->spread(place.at(n, y, x), place.layout->pixel, length, to);
  }

  static void locate_tile(const Pixels& p, int first_pixel, int channels, EpilogueTile& t) {
    t.gate = p.gate + first_pixel;
    t.out = p.out + first_pixel, t.residual = p.residual + first_pixel, t.input_scale = p.input_scale + first_pixel;
    t.bits = p.bits + first_pixel, t.class_row = p.class_row + first_pixel, t.unit = p.unit + first_pixel;
    t.groups = (channels + kLanes - 1) / kLanes;
    t.valid = channels == 64 ? ~uint64_t(0) : (uint64_t(1) << channels) - 1;
  }

  void finish(const Frame& f, const Pixels& p, int first_pixel, EpilogueTile t, int channels) const {
    const auto* acc = static_cast<const int32_t*>(t.acc);
    for (int c = 0; c < channels; c += kBlock, t.first += kBlock) {
      t.acc = acc + c;
      locate_tile(p, first_pixel, std::min(channels - c, kBlock), t);
      f.kernels->epilogue(data_, t);
    }
  }

  const Model& model_;
  Epilogue epilogue_;
  EpilogueData data_;
  int input_, height_, width_;
};

}  // namespace bnn
