// Gradients of products of signs, and passes over numbers, on one kernel against plain loops: `run_gradients KERNEL`, as numbered
// in BnnIsa. Numbers are whole and small, so that every sum is exact in whatever order.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "abi.h"

namespace {

using Floats = std::vector<float>;

uint32_t state = 1;
uint32_t draw() { return state = state * 1664525u + 1013904223u, state >> 8; }
Floats draws(size_t count, int range) {
  Floats found(count);
  for (float& x : found) x = float(int(draw() % unsigned(2 * range + 1)) - range);
  return found;
}
Floats signs(size_t count) {
  Floats found(count);
  for (float& x : found) x = draw() % 2 ? 1.0f : -1.0f;
  return found;
}

struct Shape {
  int64_t images, inputs, outputs, height, width, kernel[2], stride[2], padding[2], dilation[2];
};
const Shape kShapes[] = {
    {32, 16, 16, 6, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1}},   {9, 5, 7, 6, 7, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {33, 40, 33, 4, 5, {3, 3}, {1, 1}, {1, 1}, {1, 1}},   {70, 17, 65, 3, 3, {1, 1}, {2, 2}, {0, 0}, {1, 1}},
    {16, 24, 70, 7, 7, {5, 5}, {3, 3}, {2, 2}, {1, 1}},   {50, 12, 100, 5, 6, {3, 3}, {1, 1}, {2, 2}, {2, 2}},
    {8, 3, 4, 11, 6, {2, 3}, {2, 1}, {1, 0}, {1, 2}},     {100, 64, 96, 1, 1, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
};

int64_t out_size(const Shape& s, int axis) {
  const int64_t size = axis ? s.width : s.height;
  return (size + 2 * s.padding[axis] - s.dilation[axis] * (s.kernel[axis] - 1) - 1) / s.stride[axis] + 1;
}

// Both gradients by loops.
void truth(const Shape& s, const Floats& g, const Floats& x, const Floats& codes, const Floats& alpha, Floats& of_x, Floats& of_w) {
  const int64_t oh = out_size(s, 0), ow = out_size(s, 1);
  for (int64_t n = 0; n < s.images; ++n)
    for (int64_t y = 0; y < oh; ++y)
      for (int64_t z = 0; z < ow; ++z)
        for (int64_t ky = 0; ky < s.kernel[0]; ++ky)
          for (int64_t kx = 0; kx < s.kernel[1]; ++kx) {
            const int64_t qy = y * s.stride[0] + ky * s.dilation[0] - s.padding[0];
            const int64_t qx = z * s.stride[1] + kx * s.dilation[1] - s.padding[1];
            if (qy < 0 || qy >= s.height || qx < 0 || qx >= s.width) continue;
            for (int64_t o = 0; o < s.outputs; ++o)
              for (int64_t i = 0; i < s.inputs; ++i) {
                const size_t in = size_t(((n * s.height + qy) * s.width + qx) * s.inputs + i);
                const size_t w = size_t(((o * s.kernel[0] + ky) * s.kernel[1] + kx) * s.inputs + i);
                const float up = g[size_t(((n * oh + y) * ow + z) * s.outputs + o)];
                of_x[in] += up * alpha[size_t(o)] * codes[w];
                of_w[w] += up * x[in];
              }
          }
}

int different = 0, count = 0;
void expect(const std::string& name, bool right) {
  ++count;
  if (!right) ++different, std::printf("DIFFERENT %s\n", name.c_str());
}

void gradients(const Shape& s, int isa, int threads, const std::string& name) {
  const int64_t oh = out_size(s, 0), ow = out_size(s, 1);
  const auto taps = size_t(s.kernel[0] * s.kernel[1]), maps = size_t(s.images * s.height * s.width);
  const Floats g = draws(size_t(s.images * oh * ow * s.outputs), 20), x = signs(maps * size_t(s.inputs));
  const Floats codes = signs(size_t(s.outputs) * taps * size_t(s.inputs)), alpha = draws(size_t(s.outputs), 4);
  Floats of_x(x.size()), of_w(codes.size()), found_x(x.size(), NAN), found_w(codes.size(), NAN);
  truth(s, g, x, codes, alpha, of_x, of_w);
  BnnSignProduct p{s.images, s.inputs, s.outputs, s.height, s.width, oh, ow, {}, {}, {}, {}};
  for (int axis = 0; axis < 2; ++axis) {
    p.kernel[axis] = s.kernel[axis], p.stride[axis] = s.stride[axis];
    p.padding[axis] = s.padding[axis], p.dilation[axis] = s.dilation[axis];
  }
  char message[256] = "";
  const int x_code = bnn_sign_input_gradient(&p, isa, g.data(), codes.data(), alpha.data(), found_x.data(), threads, message, 256);
  const int w_code = bnn_sign_weight_gradient(&p, isa, g.data(), x.data(), found_w.data(), threads, message, 256);
  expect("input gradient " + name + " " + message, x_code == 0 && found_x == of_x);
  expect("weight gradient " + name + " " + message, w_code == 0 && found_w == of_w);
}

void passes(int isa, int threads) {
  Floats x = draws(200003, 1000), g = draws(x.size(), 1000);
  for (float& v : x) v /= 500;
  x[0] = -0.0f, x[1] = NAN, x[2] = INFINITY, x[3] = -INFINITY, x[4] = 1, x[5] = -1;
  Floats sign(x.size()), kept(x.size()), found(x.size());
  for (size_t i = 0; i < x.size(); ++i) sign[i] = x[i] < 0 ? -1.0f : 1.0f, kept[i] = -1 < x[i] && x[i] < 1 ? g[i] : 0.0f;
  char message[256] = "";
  bool right = bnn_signs(isa, x.data(), int64_t(x.size()), found.data(), threads, message, 256) == 0;
  expect(std::string("signs ") + message, right && found == sign);
  right = bnn_window(isa, g.data(), x.data(), int64_t(x.size()), -1, 1, found.data(), threads, message, 256) == 0;
  expect(std::string("window ") + message, right && found == kept);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::puts("one word: the kernel's number"), 2;
  const int isa = std::atoi(argv[1]);
  for (int threads : {1, 3}) {
    for (const Shape& s : kShapes)
      gradients(s, isa, threads, std::to_string(&s - kShapes) + ", " + std::to_string(threads) + " threads");
    passes(isa, threads);
  }
  std::printf("%d programs, %d different\n", count, different);
  return different ? 1 : 0;
}
