// Runs a model: images in chunks, each chunk through every step. Where there are enough chunks every thread takes whole
// ones; else the threads share out each step.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

#include "model.h"

namespace bnn {

Buffer::Buffer(size_t bytes) : size_(bytes) {
  constexpr size_t kAlign = 64;
  if (bytes == 0) return;
  memory_.reset(new uint8_t[bytes + kAlign + kSlack]());
  begin_ = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<size_t>(memory_.get()), kAlign));
}

namespace {

void reserve(Model& m, Memory& memory, int images, int threads) {
  if (memory.images < images) {
    memory.slots.clear();
    for (const Slot& slot : m.slots) {
      memory.slots.emplace_back(slot.bytes * size_t(images));
      fill_border(slot.layout, memory.slots.back().data(), images);
    }
    memory.images = images;
    memory.frame.kernels = m.kernels;
    memory.frame.places.clear();
    for (const Value& v : m.values)
      memory.frame.places.push_back({&v.layout, v.slot < 0 ? nullptr : memory.slots[size_t(v.slot)].data()});
  }
  while (memory.scratch.size() < size_t(threads)) memory.scratch.emplace_back(m.scratch_bytes);
  memory.frame.threads = threads;
}

Memory& memory_of(Model& m, size_t index) {
  while (m.memories.size() <= index) m.memories.push_back(std::make_unique<Memory>());
  return *m.memories[index];
}

void run_alone(const Step& step, const Memory& memory) {
  const int tasks = step.tasks(memory.frame);
  for (int t = 0; t < tasks; ++t) step.run(memory.frame, t, memory.scratch[0].data());
}

void load(const Model& m, Memory& memory, const uint8_t* input, int64_t first, int n) {
  memory.frame.images = n;
  const Value& v = m.values[0];
  const size_t image = size_t(v.layout.height) * size_t(v.layout.width) * size_t(v.layout.channels) * (v.layout.type == kF32 ? 4 : 1);
  to_layout(v, input + size_t(first) * image, 0, n, memory.frame.places[0].base);
}

void store(const Model& m, const Memory& memory, float* output, int64_t first) {
  const Value& v = m.values[size_t(m.output)];
  const size_t image = size_t(v.layout.height) * size_t(v.layout.width) * size_t(v.layout.channels);
  from_layout(v, memory.frame.places[size_t(m.output)].base, 0, memory.frame.images, output + size_t(first) * image);
}

// Every thread runs whole chunks in memory of its own.
void run_apart(Model& m, const uint8_t* input, int64_t n, float* output, int threads, int chunk) {
  for (int t = 0; t < threads; ++t) reserve(m, memory_of(m, size_t(t)), chunk, 1);
  const int64_t chunks = (n + chunk - 1) / chunk;
  const auto one = [&](Memory& memory, int64_t c) {
    const int64_t first = c * chunk;
    load(m, memory, input, first, int(std::min<int64_t>(chunk, n - first)));
    for (const Step* step : m.order) run_alone(*step, memory);
    store(m, memory, output, first);
  };
  if (threads == 1) {
    for (int64_t c = 0; c < chunks; ++c) one(*m.memories[0], c);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    int own = 0;
#pragma omp critical
    own = m.busy_threads++;
#pragma omp for schedule(dynamic)
    for (int64_t c = 0; c < chunks; ++c) one(*m.memories[size_t(own)], c);
  }
  m.busy_threads = 0;
}

// All threads share every step.
void run_together(Model& m, const uint8_t* input, int64_t n, float* output, int threads) {
  Memory& memory = memory_of(m, 0);
  reserve(m, memory, int(n), threads);
  load(m, memory, input, 0, int(n));
#pragma omp parallel num_threads(threads)
  {
    int own = 0;
#pragma omp critical
    own = m.busy_threads++;
    for (const Step* step : m.order) {
      const int tasks = step->tasks(memory.frame);
#pragma omp for schedule(dynamic)
      for (int t = 0; t < tasks; ++t) step->run(memory.frame, t, memory.scratch[size_t(own)].data());
    }
  }
  m.busy_threads = 0;
  store(m, memory, output, 0);
}

}  // namespace

void run_model(Model& m, const uint8_t* input, int64_t n, float* output, int threads) {
  const std::lock_guard<std::mutex> lock(m.busy);
  const int64_t chunk = std::min<int64_t>(m.chunk, std::max<int64_t>(1, n / threads));
  if (threads > 1 && n < 2 * int64_t(threads)) return run_together(m, input, n, output, threads);
  run_apart(m, input, n, output, threads, int(chunk));
}

void profile(Model& m, const uint8_t* input, int n, int64_t repeats, int64_t* nanoseconds) {
  const std::lock_guard<std::mutex> lock(m.busy);
  using Clock = std::chrono::steady_clock;
  Memory& memory = memory_of(m, 0);
  reserve(m, memory, n, 1);
  std::map<const Step*, int64_t> least;
  for (int64_t r = 0; r < repeats; ++r) {
    load(m, memory, input, 0, n);
    for (const Step* step : m.order) {
      const auto begin = Clock::now();
      run_alone(*step, memory);
      const int64_t spent = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
      least[step] = least.count(step) ? std::min(least[step], spent) : spent;
    }
  }
  for (size_t i = 0; i + 1 < m.first_step.size(); ++i) {
    nanoseconds[i] = 0;
    for (size_t s = m.first_step[i]; s < m.first_step[i + 1]; ++s) nanoseconds[i] += least[m.steps[s]->runs_in ? m.steps[s]->runs_in : m.steps[s].get()];
    for (size_t s = m.first_step[i]; s < m.first_step[i + 1]; ++s)
      if (m.steps[s]->runs_in) least[m.steps[s]->runs_in] = 0;
  }
}

void run_step(Model& m, size_t index, const void* const* in, void* const* out, int n, int threads) {
  Memory memory;
  memory.frame.kernels = m.kernels;
  memory.frame.images = n;
  memory.frame.threads = threads;
  memory.scratch.emplace_back(m.scratch_bytes);
  for (const Value& v : m.values) {
    memory.slots.emplace_back(v.layout.image * size_t(n));
    fill_border(v.layout, memory.slots.back().data(), n);
    memory.frame.places.push_back({&v.layout, memory.slots.back().data()});
  }
  for (size_t v = 0; v < size_t(m.program_values); ++v)
    if (in[v]) to_layout(m.values[v], in[v], 0, n, memory.frame.places[v].base);
  for (size_t s = m.first_step[index]; s < m.first_step[index + 1]; ++s) {
    const Step& step = *m.steps[s];
    const int tasks = step.tasks(memory.frame);
    for (int t = 0; t < tasks; ++t) step.run(memory.frame, t, memory.scratch[0].data());
  }
  for (size_t v = 0; v < size_t(m.program_values); ++v)
    if (out[v]) from_layout(m.values[v], memory.frame.places[v].base, 0, n, out[v]);
}

}  // namespace bnn
