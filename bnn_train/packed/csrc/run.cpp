// Runs a model. Where there are enough images every thread takes whole chunks of them; else the threads share out each step.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

#include "model.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace bnn {

namespace {

int thread_number() {
#if defined(_OPENMP)
  return omp_get_thread_num();
#else
  return 0;
#endif
}

void reserve(const Model& m, Memory& memory, int chunk, int threads) {
  const int part = std::min(m.part, chunk);
  if (memory.part < part || memory.chunk < chunk) {
    memory.slots.clear();
    for (const Slot& slot : m.slots) {
      const int images = slot.whole ? chunk : part;
      memory.slots.emplace_back(slot.bytes * size_t(images));
      fill_border(slot.layout, memory.slots.back().data(), images);
    }
    memory.part = part, memory.chunk = chunk;
  }
  while (memory.scratch.size() < size_t(threads)) memory.scratch.emplace_back(m.scratch_bytes);
}

Memory& memory_of(Model& m, size_t index) {
  while (m.memories.size() <= index) m.memories.push_back(std::make_unique<Memory>());
  return *m.memories[index];
}

size_t image_bytes(const Value& v) {
  return size_t(v.layout.height) * size_t(v.layout.width) * size_t(v.layout.channels) * (v.layout.type == kF32 ? 4 : 1);
}

// The caller's arrays for one chunk of n images.
struct Arrays {
  const uint8_t* input;
  uint8_t* output;
  int n;
};

// The values of some images of a chunk; those of the caller where they lie as the kernels want them.
Frame frame_of(const Model& m, const Memory& memory, const Arrays& arrays, int first, int images, int threads) {
  Frame f{m.kernels, {}, images, threads};
  for (const Value& v : m.values) {
    uint8_t* base = v.slot < 0 ? nullptr : memory.slots[size_t(v.slot)].data();
    if (base && m.slots[size_t(v.slot)].whole) base += size_t(first) * v.layout.image;
    f.places.push_back({&v.layout, base});
  }
  Place &in = f.places[0], &out = f.places[size_t(m.output)];
  // Nothing ever writes to value 0.
  if (in.layout->canonical()) in.base = const_cast<uint8_t*>(arrays.input) + size_t(first) * in.layout->image;
  if (out.layout->canonical()) out.base = arrays.output + size_t(first) * out.layout->image;
  return f;
}

// Each part of a chunk through the maps, then all of it through the dense layers. Every thread comes here; `run` shares a
// step out, `once` has one of them do something.
template <class Run, class Once>
void run_chunk(const Model& m, const Memory& memory, const Arrays& arrays, int threads, const Run& run, const Once& once) {
  const Value &in = m.values[0], &out = m.values[size_t(m.output)];
  for (int first = 0; first < arrays.n; first += memory.part) {
    const Frame f = frame_of(m, memory, arrays, first, std::min(memory.part, arrays.n - first), threads);
    if (!in.layout.canonical())
      once([&] { to_layout(in, arrays.input + size_t(first) * image_bytes(in), 0, f.images, f.places[0].base); });
    for (size_t i = 0; i < m.tail; ++i) run(*m.order[i], f);
  }
  const Frame f = frame_of(m, memory, arrays, 0, arrays.n, threads);
  for (size_t i = m.tail; i < m.order.size(); ++i) run(*m.order[i], f);
  if (!out.layout.canonical()) once([&] { from_layout(out, f.places[size_t(m.output)].base, 0, arrays.n, arrays.output); });
}

constexpr auto kAtOnce = [](const auto& work) { work(); };

void run_alone(const Step& step, const Frame& frame, uint8_t* scratch) {
  const int tasks = step.tasks(frame);
  for (int t = 0; t < tasks; ++t) step.run(frame, t, scratch);
}

// Every thread runs whole chunks in memory of its own.
void run_apart(Model& m, const uint8_t* input, int64_t n, uint8_t* output, int threads, int chunk) {
  for (int t = 0; t < threads; ++t) reserve(m, memory_of(m, size_t(t)), chunk, 1);
  const int64_t chunks = (n + chunk - 1) / chunk;
  const size_t in = image_bytes(m.values[0]), out = image_bytes(m.values[size_t(m.output)]);
  const auto one = [&](Memory& memory, int64_t c) {
    const int64_t first = c * chunk;
    const Arrays arrays{input + size_t(first) * in, output + size_t(first) * out, int(std::min<int64_t>(chunk, n - first))};
    run_chunk(m, memory, arrays, 1, [&](const Step& step, const Frame& f) { run_alone(step, f, memory.scratch[0].data()); }, kAtOnce);
  };
  if (threads == 1) {
    for (int64_t c = 0; c < chunks; ++c) one(*m.memories[0], c);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    Memory& own = *m.memories[size_t(thread_number())];
#pragma omp for schedule(dynamic)
    for (int64_t c = 0; c < chunks; ++c) one(own, c);
  }
}

// All threads share every step.
void run_together(Model& m, const Arrays& arrays, int threads) {
  Memory& memory = memory_of(m, 0);
  reserve(m, memory, arrays.n, threads);
#pragma omp parallel num_threads(threads)
  run_chunk(
      m, memory, arrays, threads,
      [&](const Step& step, const Frame& f) {
        const int tasks = step.tasks(f);
#pragma omp for schedule(dynamic)
        for (int t = 0; t < tasks; ++t) step.run(f, t, memory.scratch[size_t(thread_number())].data());
      },
      [](const auto& work) {
#pragma omp single
        work();
      });
}

}  // namespace

void run_model(Model& m, const uint8_t* input, int64_t n, uint8_t* output, int threads) {
  const std::lock_guard<std::mutex> lock(m.busy);
  if (threads > 1 && n < 2 * int64_t(threads)) return run_together(m, {input, output, int(n)}, threads);
  const int64_t share = threads == 1 ? n : (n + 2 * threads - 1) / (2 * threads);
  run_apart(m, input, n, output, threads, int(std::min<int64_t>(m.chunk, share)));
}

void profile(Model& m, const uint8_t* input, int n, int64_t repeats, int64_t* nanoseconds) {
  const std::lock_guard<std::mutex> lock(m.busy);
  using Clock = std::chrono::steady_clock;
  Memory& memory = memory_of(m, 0);
  reserve(m, memory, n, 1);
  std::map<const Step*, int64_t> least, spent;
  const Buffer output(size_t(n) * image_bytes(m.values[size_t(m.output)]));
  const Arrays arrays{input, output.data(), n};
  for (int64_t r = 0; r < repeats; ++r) {
    spent.clear();
    run_chunk(m, memory, arrays, 1, [&](const Step& step, const Frame& f) {
      const auto begin = Clock::now();
      run_alone(step, f, memory.scratch[0].data());
      spent[&step] += std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
    }, kAtOnce);
    for (const auto& [step, time] : spent) least[step] = r == 0 ? time : std::min(least[step], time);
  }
  for (size_t i = 0; i + 1 < m.first_step.size(); ++i) {
    nanoseconds[i] = 0;
    for (size_t s = m.first_step[i]; s < m.first_step[i + 1]; ++s) {
      const Step* ran = m.steps[s]->runs_in ? m.steps[s]->runs_in : m.steps[s].get();
      nanoseconds[i] += least[ran];
      least[ran] = 0;
    }
  }
}

void run_step(Model& m, size_t index, const void* const* in, void* const* out, int n, int threads) {
  Frame f{m.kernels, {}, n, threads};
  std::vector<Buffer> values;
  for (const Value& v : m.values) {
    values.emplace_back(v.layout.image * size_t(n));
    fill_border(v.layout, values.back().data(), n);
    f.places.push_back({&v.layout, values.back().data()});
  }
  for (size_t v = 0; v < size_t(m.program_values); ++v)
    if (in[v]) to_layout(m.values[v], in[v], 0, n, f.places[v].base);
  const Buffer scratch(m.scratch_bytes);
  for (size_t s = m.first_step[index]; s < m.first_step[index + 1]; ++s) run_alone(*m.steps[s], f, scratch.data());
  for (size_t v = 0; v < size_t(m.program_values); ++v)
    if (out[v]) from_layout(m.values[v], f.places[v].base, 0, n, out[v]);
}

}  // namespace bnn
