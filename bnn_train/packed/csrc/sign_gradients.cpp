// Gradients of a product of signs, whose other operand is signs: sums of table entries (isa/look_up.h), in an order that
// depends on neither threads nor instruction set.
#include <algorithm>
#include <cstring>
#include <vector>

#include "buffer.h"
#include "sign_gradients.h"
#include "team.h"

namespace bnn {
namespace {

constexpr int kChunk = 16;  // tables of four vectors at once: 32 KiB at 32 lanes
constexpr int kStrip = 1024;  // floats of an image that are turned at once
const float kZeros[512] = {};

struct Task {
  int begin, end, first, last;  // vectors across the lanes: images or outputs; input channels
};

// Lanes in blocks of 32, or 16 for a rest of as few; input channels in as many parts as leave no thread idle.
std::vector<Task> tasks_of(int lanes, int channels, int threads) {
  const int blocks = (lanes + 31) / 32, parts = std::max(1, std::min((threads + blocks - 1) / blocks, channels / 16));
  std::vector<Task> found;
  for (int block = 0; block < blocks; ++block)
    for (int part = 0; part < parts; ++part)
      found.push_back({block * 32, std::min(lanes, block * 32 + 32), channels * part / parts, channels * (part + 1) / parts});
  return found;
}

int lanes_of(const Task& task) { return task.end - task.begin > 16 ? 32 : 16; }

template <class Work>
void share_out(const std::vector<Task>& tasks, int threads, const Work& work) {
  in_team([&] {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < tasks.size(); ++i) work(tasks[i]);
  });
}

// Sizes as the loops want them.
struct Shape {
  explicit Shape(const BnnSignProduct& p)
      : images(int(p.images)), inputs(int(p.inputs)), outputs(int(p.outputs)), height(int(p.height)), width(int(p.width)),
        out_height(int(p.out_height)), out_width(int(p.out_width)) {
    for (int axis = 0; axis < 2; ++axis) {
      kernel[axis] = int(p.kernel[axis]), stride[axis] = int(p.stride[axis]);
      padding[axis] = int(p.padding[axis]), dilation[axis] = int(p.dilation[axis]);
    }
  }
  int taps() const { return kernel[0] * kernel[1]; }
  int row(int y, int tap) const { return y * stride[0] + tap / kernel[1] * dilation[0] - padding[0]; }
  int column(int x, int tap) const { return x * stride[1] + tap % kernel[1] * dilation[1] - padding[1]; }
  // Taps of one kernel row that lie side by side in the map, so that one call serves them: all, or one by one.
  int side_by_side(int x) const {
    return dilation[1] == 1 && has_column(column(x, 0)) && has_column(column(x, kernel[1] - 1)) ? kernel[1] : 1;
  }
  bool has_row(int q) const { return q >= 0 && q < height; }
  bool has_column(int q) const { return q >= 0 && q < width; }
  size_t in_image() const { return size_t(height) * size_t(width) * size_t(inputs); }
  size_t out_image() const { return size_t(out_height) * size_t(out_width) * size_t(outputs); }

  int images, inputs, outputs, height, width, out_height, out_width, kernel[2], stride[2], padding[2], dilation[2];
};

// The signs of eight rows of floats, channel by channel; rows from `rows` on are absent and count as +1.
void signs_of(const Kernels& k, const float* from, size_t step, int rows, int channels, uint8_t* to, size_t to_step) {
  const float* row[8];
  std::vector<float> none(rows < 8 ? size_t(channels) : 0);
  for (int j = 0; j < 8; ++j) row[j] = j < rows ? from + size_t(j) * step : none.data();
  k.sign_bytes(row, channels, to, to_step);
}

// ∂L/∂x: for each pixel of g, tables of its outputs (an image a lane) meet the signs of every tap's weights; the sums go to
// the pixel of x under the tap.
class InputGradient {
 public:
  InputGradient(const Kernels& k, const BnnSignProduct& p, const float* g, const float* codes, const float* alpha, float* out)
      : k_(k), s_(p), g_(g), out_(out), groups_((s_.outputs + 7) / 8 * 2), factor_(alpha ? size_t(groups_) * 4 : 0),
        index_(Count(s_.taps()) * s_.inputs * (groups_ / 2)) {
    if (alpha) std::copy_n(alpha, s_.outputs, factor_.begin());
    for (int tap = 0; tap < s_.taps(); ++tap)
      for (int o = 0; o < s_.outputs; o += 8)
        signs_of(k_, codes + (size_t(o) * size_t(s_.taps()) + size_t(tap)) * size_t(s_.inputs),
                 size_t(s_.taps()) * size_t(s_.inputs), std::min(8, s_.outputs - o), s_.inputs,
                 index(tap, o / 8 / (kChunk / 2)) + o / 8 % (kChunk / 2), size_t(bytes(o / 8 / (kChunk / 2))));
  }

  void run(const Task& task) const {
    const int lanes = lanes_of(task), channels = task.last - task.first;
    const int ring = (s_.kernel[0] - 1) * s_.dilation[0] + s_.stride[0];
    const size_t pixel = size_t(channels) * size_t(lanes), row = pixel * size_t(s_.width);
    const int strip = std::max(1, std::min(kStrip / s_.outputs, s_.out_width));
    Buffer sums(Count(row) * ring * 4), tables(Count(kChunk) * 16 * lanes * 4);
    Buffer turned((Count(strip) * s_.outputs + groups_ * 4) * lanes * 4);
    int done = 0;
    for (int y = 0; y < s_.out_height; ++y) {
      for (int x = 0; x < s_.out_width; ++x) {
        if (x % strip == 0) turn(task, y, x, std::min(strip, s_.out_width - x), lanes, turned.as<float>());
        const float* pixels = turned.as<float>() + size_t(x % strip) * size_t(s_.outputs) * size_t(lanes);
        for (int chunk = 0; chunk * kChunk < groups_; ++chunk) {
          fill(chunk, lanes, pixels, tables.as<float>());
          const int taps = channels == s_.inputs ? s_.side_by_side(x) : 1;
          for (int tap = 0; tap < s_.taps(); tap += taps) {
            const int qy = s_.row(y, tap), qx = s_.column(x, tap);
            if (!s_.has_row(qy) || !s_.has_column(qx)) continue;
            LookUps work;
            work.bytes = bytes(chunk), work.segments = 1, work.rows = taps * channels;
            work.table[0] = tables.as<float>();
            work.index[0] = index(tap, chunk) + size_t(task.first) * size_t(work.bytes);
            work.sums = sums.as<float>() + size_t(qy % ring) * row + size_t(qx) * pixel;
            k_.look_up(lanes, work);
          }
        }
      }
      const int next = y + 1 < s_.out_height ? std::min(s_.row(y + 1, 0), s_.height) : s_.height;
      for (; done < next; ++done) {
        float* from = sums.as<float>() + size_t(done % ring) * row;
        give(task, done, from, lanes);
        std::memset(from, 0, row * sizeof(float));
      }
    }
  }

 private:
  int bytes(int chunk) const { return std::min(kChunk, groups_ - chunk * kChunk) / 2; }
  uint8_t* index(int tap, int chunk) const {
    const size_t before = size_t(chunk) * (kChunk / 2) * size_t(s_.taps());
    return index_.data() + (before + size_t(tap) * size_t(bytes(chunk))) * size_t(s_.inputs);
  }

  // The outputs of some pixels of a row, an image a lane.
  void turn(const Task& task, int y, int x, int count, int lanes, float* to) const {
    const float* from = g_ + size_t(task.begin) * s_.out_image() + (size_t(y) * size_t(s_.out_width) + size_t(x)) * size_t(s_.outputs);
    k_.transpose(from, s_.out_image(), task.end - task.begin, count * s_.outputs, to, size_t(lanes));
  }

  void fill(int chunk, int lanes, const float* turned, float* tables) const {
    const int first = chunk * kChunk * 4, count = bytes(chunk) * 8;
    const float* vectors[kChunk * 4];
    for (int j = 0; j < count; ++j) vectors[j] = first + j < s_.outputs ? turned + size_t(first + j) * size_t(lanes) : kZeros;
    k_.fill_tables(lanes, vectors, factor_.empty() ? nullptr : factor_.data() + first, count / 4, tables);
  }

  // A row of finished pixels to where the caller wants it.
  void give(const Task& task, int y, const float* from, int lanes) const {
    const int channels = task.last - task.first, whole = channels == s_.inputs ? s_.width : 1;
    for (int x = 0; x < s_.width; x += whole) {
      float* to = out_ + size_t(task.begin) * s_.in_image() +
                  (size_t(y) * size_t(s_.width) + size_t(x)) * size_t(s_.inputs) + size_t(task.first);
      k_.transpose(from + size_t(x) * size_t(channels) * size_t(lanes), size_t(lanes), whole * channels,
                   task.end - task.begin, to, s_.in_image());
    }
  }

  const Kernels& k_;
  Shape s_;
  const float* g_;
  float* out_;
  int groups_;  // of four outputs, an even number
  std::vector<float> factor_;
  Buffer index_;  // [chunk][tap][input channel][byte]
};

// ∂L/∂ŵ: for some pixels of g, tables of its images (an output a lane) meet the signs of x under every tap.
class WeightGradient {
 public:
  WeightGradient(const Kernels& k, const BnnSignProduct& p, const float* g, const float* x, float* out, int threads)
      : k_(k), s_(p), g_(g), out_(out), bytes_(std::min((s_.images + 7) / 8, kChunk / 2)),
        portions_((s_.images + bytes_ * 8 - 1) / (bytes_ * 8)),
        index_(Count(portions_) * s_.height * s_.width * s_.inputs * bytes_) {
    std::vector<Task> rows;
    for (int y = 0; y < s_.height; ++y) rows.push_back({y, y + 1, 0, 0});
    share_out(rows, threads, [&](const Task& task) { read(x, task.begin); });
  }

  void run(const Task& task) const {
    const int lanes = lanes_of(task), channels = task.last - task.first;
    const int together = std::max(1, kChunk / 2 / bytes_);  // pixels of a row
    const size_t of_pixel = size_t(bytes_) * 2 * 16 * size_t(lanes), of_tap = size_t(channels) * size_t(lanes);
    const int strip = std::max(together, std::min(kStrip / lanes, s_.out_width) / together * together);
    Buffer tables(Count(of_pixel) * together * 4), sums(Count(of_tap) * s_.taps() * 4);
    Buffer pixels(Count(strip) * bytes_ * 8 * lanes * 4);
    for (int portion = 0; portion < portions_; ++portion)
      for (int y = 0; y < s_.out_height; ++y)
        for (int x = 0; x < s_.out_width; x += together) {
          const int count = std::min(together, s_.out_width - x);
          if (x % strip == 0) gather(task, portion, y, x, std::min(strip, s_.out_width - x), lanes, pixels.as<float>());
          for (int i = 0; i < count; ++i)
            fill(pixels.as<float>() + size_t(x % strip + i) * size_t(bytes_) * 8 * size_t(lanes), lanes,
                 tables.as<float>() + size_t(i) * of_pixel);
          const int taps = channels == s_.inputs ? std::min(s_.side_by_side(x), s_.side_by_side(x + count - 1)) : 1;
          for (int tap = 0; tap < s_.taps(); tap += taps) {
            LookUps work;
            work.bytes = bytes_, work.segments = 0, work.rows = taps * channels, work.sums = sums.as<float>() + size_t(tap) * of_tap;
            const int qy = s_.row(y, tap);
            for (int i = 0; i < count && s_.has_row(qy); ++i) {
              const int qx = s_.column(x + i, tap);
              if (!s_.has_column(qx)) continue;
              work.table[work.segments] = tables.as<float>() + size_t(i) * of_pixel;
              work.index[work.segments++] = index(portion, qy, qx) + size_t(task.first) * size_t(bytes_);
            }
            if (work.segments) k_.look_up(lanes, work);
          }
        }
    for (int tap = 0; tap < s_.taps(); ++tap) {
      float* to = out_ + (size_t(task.begin) * size_t(s_.taps()) + size_t(tap)) * size_t(s_.inputs) + size_t(task.first);
      k_.transpose(sums.as<float>() + size_t(tap) * of_tap, size_t(lanes), channels, task.end - task.begin, to,
                   size_t(s_.taps()) * size_t(s_.inputs));
    }
  }

 private:
  uint8_t* index(int portion, int y, int x) const {
    const size_t pixel = (size_t(portion) * size_t(s_.height) + size_t(y)) * size_t(s_.width) + size_t(x);
    return index_.data() + pixel * size_t(s_.inputs) * size_t(bytes_);
  }

  // The signs of a row of x, eight images a byte.
  void read(const float* x, int y) {
    for (int portion = 0; portion < portions_; ++portion)
      for (int b = 0; b < bytes_; ++b) {
        const int image = (portion * bytes_ + b) * 8;
        if (image >= s_.images) break;
        const float* from = x + size_t(image) * s_.in_image() + size_t(y) * size_t(s_.width) * size_t(s_.inputs);
        signs_of(k_, from, s_.in_image(), std::min(8, s_.images - image), s_.width * s_.inputs, index(portion, y, 0) + b,
                 size_t(bytes_));
      }
  }

  // Some pixels of a row side by side, [pixel][image][lane]; images and lanes that are none stay 0.
  void gather(const Task& task, int portion, int y, int x, int count, int lanes, float* to) const {
    const int first = portion * bytes_ * 8, images = std::min(bytes_ * 8, s_.images - first);
    if (images < bytes_ * 8) std::memset(to, 0, size_t(count) * size_t(bytes_) * 8 * size_t(lanes) * sizeof(float));
    for (int j = 0; j < images; ++j) {
      const float* from = g_ + size_t(first + j) * s_.out_image() +
                          (size_t(y) * size_t(s_.out_width) + size_t(x)) * size_t(s_.outputs) + size_t(task.begin);
      for (int i = 0; i < count; ++i, from += s_.outputs)
        std::copy_n(from, task.end - task.begin, to + (size_t(i) * size_t(bytes_) * 8 + size_t(j)) * size_t(lanes));
    }
  }

  void fill(const float* pixel, int lanes, float* tables) const {
    const float* vectors[kChunk * 4];
    for (int j = 0; j < bytes_ * 8; ++j) vectors[j] = pixel + size_t(j) * size_t(lanes);
    k_.fill_tables(lanes, vectors, nullptr, bytes_ * 2, tables);
  }

  const Kernels& k_;
  Shape s_;
  const float* g_;
  float* out_;
  int bytes_, portions_;  // bytes of images' signs in a portion of them
  Buffer index_;          // [portion][y][x][input channel][byte]
};

}  // namespace

void sign_input_gradient(const Kernels& k, const BnnSignProduct& p, const float* g, const float* codes, const float* alpha,
                         float* out, int threads) {
  const InputGradient gradient(k, p, g, codes, alpha, out);
  share_out(tasks_of(int(p.images), int(p.inputs), threads), threads, [&](const Task& task) { gradient.run(task); });
}

void sign_weight_gradient(const Kernels& k, const BnnSignProduct& p, const float* g, const float* x, float* out, int threads) {
  const WeightGradient gradient(k, p, g, x, out, threads);
  share_out(tasks_of(int(p.outputs), int(p.inputs), threads), threads, [&](const Task& task) { gradient.run(task); });
}

}  // namespace bnn
