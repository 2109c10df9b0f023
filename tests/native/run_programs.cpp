// Runs packed programs on one kernel and compares every step and the whole with values that lie beside them, without Python:
// `run_programs FILE KERNEL`, the kernel as numbered in BnnIsa. FILE is what scripts/arm/programs.py writes.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "abi.h"

namespace {

// Where pointers have 32 bits their slot still has 64, so that the structures are the file's everywhere.
static_assert(sizeof(BnnTensor) == 16 && sizeof(BnnStep) % 8 == 0 && sizeof(BnnValue) % 8 == 0);

class File {
 public:
  explicit File(const char* path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
  }
  int64_t number() {
    int64_t n;
    std::memcpy(&n, take(8), 8);
    return n;
  }
  // A count, and as many bytes, padded to a multiple of 8.
  template <class T>
  std::vector<T> array() {
    const auto size = size_t(number());
    std::vector<T> found(size / sizeof(T));
    if (size > 0) std::memcpy(found.data(), take((size + 7) / 8 * 8), size);
    return found;
  }

 private:
  const char* take(size_t size) {
    if (size > bytes_.size() - at_) std::puts("the file ends too soon"), std::exit(2);
    at_ += size;
    return bytes_.data() + at_ - size;
  }
  std::vector<char> bytes_;
  size_t at_ = 0;
};

struct Case {
  std::string name;
  int64_t output, images;
  std::vector<BnnValue> values;
  std::vector<BnnStep> steps;
  std::vector<char> tensors;
  std::vector<int64_t> touched;               // of each step: a count and as many values that it reads, and so those it writes
  std::vector<std::vector<char>> arrays;      // of each value, all images

  explicit Case(File& file) {
    const auto letters = file.array<char>();
    name.assign(letters.begin(), letters.end());
    output = file.number(), images = file.number();
    values = file.array<BnnValue>(), steps = file.array<BnnStep>();
    const auto places = file.array<int64_t>();  // a byte of the steps, and the tensor's first byte
    tensors = file.array<char>();
    touched = file.array<int64_t>();
    for (size_t k = 0; k < places.size(); k += 2) {
      const void* data = tensors.data() + places[k + 1];
      std::memcpy(reinterpret_cast<char*>(steps.data()) + places[k], &data, sizeof data);
    }
    for (size_t v = 0; v < values.size(); ++v) arrays.push_back(file.array<char>());
  }
};

// Bit for bit, but for the sign of zero and what a NaN is made of.
bool equal(const char* found, const char* wanted, size_t size, bool real) {
  if (!real) return std::memcmp(found, wanted, size) == 0;
  for (size_t i = 0; i < size; i += 4) {
    float a, b;
    std::memcpy(&a, found + i, 4), std::memcpy(&b, wanted + i, 4);
    if (a != b && !(a != a && b != b)) return false;
  }
  return true;
}

int told(const Case& c, const char* what, int64_t which) {
  std::printf("DIFFERENT %s: %s %lld\n", c.name.c_str(), what, static_cast<long long>(which));
  return 1;
}

int compare_steps(void* model, const Case& c, char (&message)[256]) {
  const int64_t* at = c.touched.data();
  for (size_t s = 0; s < c.steps.size(); ++s) {
    std::vector<const void*> in(c.values.size());
    std::vector<void*> out(c.values.size());
    std::vector<std::vector<char>> found(c.values.size());
    for (int64_t k = *at++; k > 0; --k, ++at) in[size_t(*at)] = c.arrays[size_t(*at)].data();
    std::vector<size_t> written;
    for (int64_t k = *at++; k > 0; --k, ++at) {
      const auto v = size_t(*at);
      found[v].resize(c.arrays[v].size()), out[v] = found[v].data(), written.push_back(v);
    }
    if (bnn_step(model, int64_t(s), in.data(), out.data(), c.images, message, sizeof message)) return told(c, message, int64_t(s));
    for (size_t v : written)
      if (!equal(found[v].data(), c.arrays[v].data(), found[v].size(), c.values[v].type == kF32)) return told(c, "step", int64_t(s));
  }
  return 0;
}

int compare_runs(void* model, const Case& c, char (&message)[256]) {
  const auto& wanted = c.arrays[size_t(c.output)];
  for (int threads = 1; threads <= 2; ++threads) {
    std::vector<float> found(wanted.size() / 4);
    if (bnn_run(model, c.arrays[0].data(), c.images, found.data(), threads, nullptr, message, sizeof message))
      return told(c, message, threads);
    if (!equal(reinterpret_cast<const char*>(found.data()), wanted.data(), wanted.size(), true)) return told(c, "run on threads", threads);
  }
  return 0;
}

int compare(const Case& c, int isa) {
  const BnnProgram program{int64_t(c.values.size()), int64_t(c.steps.size()), c.output, c.values.data(), c.steps.data()};
  char message[256] = "";
  void* model = bnn_create(&program, isa, INT64_MAX, nullptr, message, sizeof message);
  if (!model) return told(c, message, 0);
  const int different = compare_steps(model, c, message) || compare_runs(model, c, message);
  bnn_destroy(model);
  return different;
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return std::puts("run_programs FILE KERNEL"), 2;
  const int isa = std::atoi(words[2]);
  if (!(bnn_isas() >> isa & 1)) return std::puts("this processor lacks the kernel"), 2;
  File file(words[1]);
  int64_t value, step;
  bnn_sizes(&value, &step);
  if (file.number() != value || file.number() != step) return std::puts("the file's structures are of another size"), 2;
  const int64_t cases = file.number();
  int64_t different = 0;
  for (int64_t k = 0; k < cases; ++k) different += compare(Case(file), isa);
  std::printf("%lld programs, %lld different\n", static_cast<long long>(cases), static_cast<long long>(different));
  return different > 0;
}
