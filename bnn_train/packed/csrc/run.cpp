// Runs a model: chunks of images, each part of a chunk through the maps and then all of it through the dense layers at the
// end. Threads take whole parts where there are enough of them, and share out each step otherwise.
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

void reserve(const Model& m, Memory& memory, bool whole, int images) {
  if (memory.images >= images) return;
  memory.slots.clear();
  for (const Slot& slot : m.slots) {
    memory.slots.emplace_back(slot.whole == whole ? slot.bytes * size_t(images) : 0);
    if (slot.whole == whole) fill_border(slot.layout, memory.slots.back().data(), images);
  }
  memory.images = images;
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
Frame frame_of(const Model& m, const Memory& part, const Arrays& arrays, int first, int images, int threads) {
  Frame f{m.kernels, {}, images, threads};
  for (const Value& v : m.values) {
    uint8_t* base = nullptr;
    if (v.slot >= 0 && m.slots[size_t(v.slot)].whole)
      base = m.whole.slots[size_t(v.slot)].data() + size_t(first) * v.layout.image;
    else if (v.slot >= 0)
      base = part.slots[size_t(v.slot)].data();
    f.places.push_back({&v.layout, base});
  }
  Place &in = f.places[0], &out = f.places[size_t(m.output)];
  // Nothing ever writes to value 0.
  if (in.layout->canonical()) in.base = const_cast<uint8_t*>(arrays.input) + size_t(first) * in.layout->image;
  if (out.layout->canonical()) out.base = arrays.output + size_t(first) * out.layout->image;
  return f;
}

void load(const Model& m, const Arrays& arrays, const Frame& f, int first) {
  const Value& v = m.values[0];
  if (!v.layout.canonical()) to_layout(v, arrays.input + size_t(first) * image_bytes(v), 0, f.images, f.places[0].base);
}

void store(const Model& m, const Arrays& arrays, const Frame& f) {
  const Value& v = m.values[size_t(m.output)];
  if (!v.layout.canonical()) from_layout(v, f.places[size_t(m.output)].base, 0, f.images, arrays.output);
}

// One thread and its work: `each` calls work(i, thread) for i < count, `once` calls it one time.
struct Alone {
  static constexpr int threads = 1;
  template <class Work>
  void each(int count, const Work& work) const {
    for (int i = 0; i < count; ++i) work(i, 0);
  }
  template <class Work>
  void once(const Work& work) const {
    work();
  }
};

// Every thread of a parallel region comes here, and they share the work.
struct Team {
  int threads;
  template <class Work>
  void each(int count, const Work& work) const {
#pragma omp for schedule(dynamic)
    for (int i = 0; i < count; ++i) work(i, thread_number());
  }
  template <class Work>
  void once(const Work& work) const {
#pragma omp single
    work();
  }
};

template <class Runner>
void run_step_with(const Runner& runner, const Step& step, const Frame& f, const std::vector<Buffer>& scratch) {
  runner.each(step.tasks(f), [&](int task, int thread) { step.run(f, task, scratch[size_t(thread)].data()); });
}

// Images through the maps, `part` at a time.
template <class Runner>
void run_maps(const Model& m, const Arrays& arrays, int part, const Runner& runner) {
  const int parts = (arrays.n + part - 1) / part;
  const auto frame = [&](int i, int thread, int threads) {
    return frame_of(m, m.parts[size_t(thread)], arrays, i * part, std::min(part, arrays.n - i * part), threads);
  };
  if (runner.threads > 1 && parts < 2 * runner.threads) {
    for (int i = 0; i < parts; ++i) {
      const Frame f = frame(i, 0, runner.threads);
      runner.once([&] { load(m, arrays, f, i * part); });
      for (size_t s = 0; s < m.tail; ++s) run_step_with(runner, *m.order[s], f, m.scratch);
    }
    return;
  }
  runner.each(parts, [&](int i, int thread) {
    const Frame f = frame(i, thread, 1);
    load(m, arrays, f, i * part);
    for (size_t s = 0; s < m.tail; ++s)
      for (int task = 0, tasks = m.order[s]->tasks(f); task < tasks; ++task)
        m.order[s]->run(f, task, m.scratch[size_t(thread)].data());
  });
}

template <class Runner>
void run_chunk(const Model& m, const Arrays& arrays, int part, const Runner& runner) {
  run_maps(m, arrays, part, runner);
  const Frame f = frame_of(m, m.parts[0], arrays, 0, arrays.n, runner.threads);
  for (size_t s = m.tail; s < m.order.size(); ++s) run_step_with(runner, *m.order[s], f, m.scratch);
  runner.once([&] { store(m, arrays, f); });
}

// How many images at a time, and the memory for them.
struct Portions {
  int chunk, part;
};

Portions portions(Model& m, int64_t n, int threads) {
  const auto chunk = int(std::min<int64_t>(n, m.chunk));
  const int share = threads == 1 ? chunk : (chunk + 2 * threads - 1) / (2 * threads);
  const int part = std::min(m.part, share);
  reserve(m, m.whole, true, chunk);
  if (m.parts.size() < size_t(threads)) m.parts.resize(size_t(threads));
  for (Memory& memory : m.parts) reserve(m, memory, false, part);
  while (m.scratch.size() < size_t(threads)) m.scratch.emplace_back(m.scratch_bytes);
  return {chunk, part};
}

}  // namespace

void run_model(Model& m, const uint8_t* input, int64_t n, uint8_t* output, int threads) {
  const std::lock_guard<std::mutex> lock(m.busy);
  const Portions p = portions(m, n, threads);
  const size_t in = image_bytes(m.values[0]), out = image_bytes(m.values[size_t(m.output)]);
  const auto arrays = [&](int64_t first) {
    return Arrays{input + size_t(first) * in, output + size_t(first) * out, int(std::min<int64_t>(p.chunk, n - first))};
  };
  if (threads == 1) {
    for (int64_t first = 0; first < n; first += p.chunk) run_chunk(m, arrays(first), p.part, Alone{});
    return;
  }
#pragma omp parallel num_threads(threads)
  for (int64_t first = 0; first < n; first += p.chunk) run_chunk(m, arrays(first), p.part, Team{threads});
}

void profile(Model& m, const uint8_t* input, int n, int64_t repeats, int64_t* nanoseconds) {
  const std::lock_guard<std::mutex> lock(m.busy);
  using Clock = std::chrono::steady_clock;
  const Portions p = portions(m, n, 1);
  reserve(m, m.whole, true, n);
  const Buffer output(size_t(n) * image_bytes(m.values[size_t(m.output)]));
  const Arrays arrays{input, output.data(), n};
  std::map<const Step*, int64_t> least, spent;
  const auto run = [&](size_t s, const Frame& f) {
    const auto begin = Clock::now();
    run_step_with(Alone{}, *m.order[s], f, m.scratch);
    spent[m.order[s]] += std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
  };
  for (int64_t r = 0; r < repeats; ++r) {
    spent.clear();
    for (int first = 0; first < n; first += p.part) {
      const Frame f = frame_of(m, m.parts[0], arrays, first, std::min(p.part, n - first), 1);
      load(m, arrays, f, first);
      for (size_t s = 0; s < m.tail; ++s) run(s, f);
    }
    const Frame f = frame_of(m, m.parts[0], arrays, 0, n, 1);
    for (size_t s = m.tail; s < m.order.size(); ++s) run(s, f);
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
  std::vector<Buffer> scratch;
  scratch.emplace_back(m.scratch_bytes);
  for (size_t s = m.first_step[index]; s < m.first_step[index + 1]; ++s) run_step_with(Alone{}, *m.steps[s], f, scratch);
  for (size_t v = 0; v < size_t(m.program_values); ++v)
    if (out[v]) from_layout(m.values[v], f.places[v].base, 0, n, out[v]);
}

}  // namespace bnn
