// Small images of a batch, each moved over black and mirrored or not.
#include <algorithm>
#include <cstring>

#include "abi.h"

namespace {

// Pixels from ... from + count of a row, in order or from the last.
void copy_pixels(const uint8_t* from, int64_t count, int64_t channels, bool flipped, uint8_t* to) {
  if (!flipped) {
    std::memcpy(to, from, size_t(count * channels));
    return;
  }
  for (const uint8_t* pixel = from + (count - 1) * channels; pixel >= from; pixel -= channels, to += channels)
    for (int64_t c = 0; c < channels; ++c) to[c] = pixel[c];
}

}  // namespace

void bnn_crop(const uint8_t* images, const int64_t* shape, const int64_t* tops, const int64_t* lefts, const uint8_t* flipped,
              uint8_t* out) {
  const int64_t count = shape[0], height = shape[1], width = shape[2], channels = shape[3], row = width * channels;
  std::memset(out, 0, size_t(count * height * row));
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* image = images + i * height * row;
    uint8_t* to = out + i * height * row;
    const int64_t top = tops[i], left = lefts[i], first = std::max<int64_t>(left, 0);
    const int64_t inside = std::max<int64_t>(width - std::abs(left), 0);
    const int64_t before = flipped[i] ? std::max<int64_t>(left, 0) : std::max<int64_t>(-left, 0);
    for (int64_t y = std::max<int64_t>(-top, 0); y < std::min(height, height - top) && inside > 0; ++y)
      copy_pixels(image + (y + top) * row + first * channels, inside, channels, flipped[i] != 0,
                  to + y * row + before * channels);
  }
}
