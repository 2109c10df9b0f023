// The taps of a resized side, the portable passes, and the interface.
#include "resample.h"

#include <algorithm>
#include <cmath>
#include <exception>

#include "abi.h"

namespace bnn {
namespace {

// Pillow's triangle around each output's centre, cut at the picture and normalized, in its order of double operations.
Axis make_axis(int from, int to, int first, int count) {
  const double scale = double(from) / to, reach = std::max(scale, 1.0), inverse = 1.0 / reach;
  Axis axis;
  axis.count = count;
  axis.width = (int(2 * reach) + 1 + 3) / 4 * 4;
  axis.weights.assign(std::size_t(count) * axis.width, 0);
  std::vector<double> weights(axis.width);
  for (int i = 0; i < count; ++i) {
    const double centre = (first + i + 0.5) * scale;
    const int begin = std::max(int(centre - reach + 0.5), 0), n = std::min(int(centre + reach + 0.5), from) - begin;
    double sum = 0;
    for (int k = 0; k < n; ++k) {
      const double distance = std::fabs((k + begin - centre + 0.5) * inverse);
      sum += weights[k] = distance < 1.0 ? 1.0 - distance : 0.0;
    }
    axis.begin.push_back(begin);
    axis.taps.push_back(n);
    for (int k = 0; k < n; ++k)
      axis.weights[std::size_t(i) * axis.width + k] = int32_t(0.5 + (sum != 0 ? weights[k] / sum : weights[k]) * (1 << kWeightBits));
  }
  return axis;
}

uint8_t rounded(int32_t sum) { return uint8_t(std::clamp(sum >> kWeightBits, 0, 255)); }

void across_rows(const Rows& in, const Axis& axis, bool flipped, const Rows& out) {
  const int c = in.channels;
  for (int y = 0; y < in.count; ++y) {
    uint8_t* to = out.row(y);
    for (int i = 0; i < axis.count; ++i) {
      const int x = flipped ? axis.count - 1 - i : i;
      const uint8_t* from = in.row(y) + axis.begin[x] * c;
      const int32_t* weights = axis.of(x);
      for (int k = 0; k < c; ++k) {
        int32_t sum = kHalf;
        for (int tap = 0; tap < axis.taps[x]; ++tap) sum += from[tap * c + k] * weights[tap];
        *to++ = rounded(sum);
      }
    }
  }
}

void down_rows(const Rows& in, const Axis& axis, const Rows& out) {
  std::vector<int32_t> sums(in.bytes());
  for (int y = 0; y < axis.count; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int i = 0; i < axis.taps[y]; ++i) {
      const uint8_t* from = in.row(axis.begin[y] + i);
      const int32_t weight = axis.of(y)[i];
      for (int x = 0; x < in.bytes(); ++x) sums[x] += from[x] * weight;
    }
    for (int x = 0; x < in.bytes(); ++x) out.row(y)[x] = rounded(sums[x]);
  }
}

void shift(Axis& axis) {
  const int first = axis.first();
  for (int& begin : axis.begin) begin -= first;
}

Passes passes(int channels) {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  if (channels == 3 && __builtin_cpu_supports("avx2")) return avx2_passes();
#endif
  (void)channels;
  return portable_passes();
}

// Rows first, but for a picture that loses more than twice as many rows as columns: so does Pillow 13, and bytes round in between.
void resample(Rows in, int height, int width, Axis down, Axis across, bool flipped, uint8_t* to) {
  const bool rows_last = height < in.count && in.count - height > 2 * (in.width - width);
  const Rows out{to, int64_t(across.count) * in.channels, down.count, across.count, in.channels};
  const Passes pass = passes(in.channels);
  in.data += down.first() * in.stride + across.first() * in.channels;
  in.count = down.end() - down.first(), in.width = across.end() - across.first();
  shift(down), shift(across);
  Rows middle = in;
  if (rows_last) middle.count = down.count;
  else middle.width = across.count;
  middle.stride = middle.bytes();
  std::vector<uint8_t> kept(std::size_t(middle.stride) * middle.count);
  middle.data = kept.data();
  if (rows_last) {
    pass.down(in, down, middle);
    pass.across(middle, across, flipped, out);
  } else {
    pass.across(in, across, flipped, middle);
    pass.down(middle, down, out);
  }
}

}  // namespace

Passes portable_passes() { return {across_rows, down_rows}; }

}  // namespace bnn

int bnn_resample(const uint8_t* pixels, int64_t stride, const int32_t* shape, const int32_t* size, const int32_t* window, int flipped,
                 uint8_t* out) {
  try {
    const bnn::Rows in{const_cast<uint8_t*>(pixels), stride, shape[0], shape[1], shape[2]};
    bnn::resample(in, size[0], size[1], bnn::make_axis(shape[0], size[0], window[0], window[2]),
                  bnn::make_axis(shape[1], size[1], window[1], window[3]), flipped != 0, out);
    return 0;
  } catch (const std::exception&) {  // no memory
    return 1;
  }
}
