// Runs a model: chunks of images, each part of a chunk through the maps and then all of it through the dense layers at the
// end. Threads take whole parts where there are enough of them, and share out each step otherwise.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

#include <unistd.h>

#include "model.h"
#include "team.h"

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
    memory.slots.emplace_back(slot.whole == whole ? Count(slot.bytes) * images : Count(0));
    if (slot.whole == whole) fill_border(slot.layout, memory.slots.back().data(), images);
  }
  memory.images = images;
}

// The work space of this process.
Workspace& workspace_of(Model& m) {
  const auto process = int64_t(getpid());
  Workspace* found = m.workspace.load();
  while (!found || found->process != process) {
    auto* fresh = new Workspace(process);  // the parent's is left as it is
    if (m.workspace.compare_exchange_strong(found, fresh)) return *fresh;
    delete fresh;
  }
  return *found;
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
Frame frame_of(const Model& m, const Workspace& w, const Memory& part, const Arrays& arrays, int first, int images, int threads) {
  Frame f{m.kernels, {}, images, threads};
  for (const Value& v : m.values) {
    uint8_t* base = nullptr;
    if (v.slot >= 0 && m.slots[size_t(v.slot)].whole)
      base = w.whole.slots[size_t(v.slot)].data() + size_t(first) * v.layout.image;
    else if (v.slot >= 0)
      base = part.slots[size_t(v.slot)].data();
    f.places.push_back({&v.layout, base});
  }
  Place &in = f.places[0], &out = f.places[size_t(m.output)];
  // Nothing ever writes to value 0.
  if (in.layout->plain()) in.base = const_cast<uint8_t*>(arrays.input) + size_t(first) * in.layout->image;
  if (out.layout->plain()) out.base = arrays.output + size_t(first) * out.layout->image;
  return f;
}

void load(const Model& m, const Arrays& arrays, const Frame& f, int first) {
  const Value& v = m.values[0];
  if (!v.layout.plain()) to_layout(v, arrays.input + size_t(first) * image_bytes(v), 0, f.images, f.places[0].base);
}

void store(const Model& m, const Arrays& arrays, const Frame& f) {
  const Value& v = m.values[size_t(m.output)];
  if (!v.layout.plain()) from_layout(v, f.places[size_t(m.output)].base, 0, f.images, arrays.output);
}

// One thread and its work: `each` calls work(i, thread) for i < count, `once` calls it one time.
struct Alone {
  static constexpr int threads = 1;
  const Stop* stop = nullptr;
  template <class Work>
  void each(int count, const Work& work) const {
    for (int i = 0; i < count && !stopped(stop); ++i) work(i, 0);
  }
  template <class Work>
  void once(const Work& work) const {
    work();
  }
};

// Every thread of a parallel region comes here, and they share the work.
struct Team {
  int threads;
  const Stop* stop;
  template <class Work>
  void each(int count, const Work& work) const {
#pragma omp for schedule(dynamic)
    for (int i = 0; i < count; ++i)
      if (!stopped(stop)) work(i, thread_number());
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
void run_maps(const Model& m, const Workspace& w, const Arrays& arrays, int part, const Runner& runner) {
  const int parts = (arrays.n + part - 1) / part;
  const auto frame = [&](int i, int thread, int threads) {
    return frame_of(m, w, w.parts[size_t(thread)], arrays, i * part, std::min(part, arrays.n - i * part), threads);
  };
  if (runner.threads > 1 && parts < 2 * runner.threads) {
    for (int i = 0; i < parts; ++i) {
      const Frame f = frame(i, 0, runner.threads);
      runner.once([&] { load(m, arrays, f, i * part); });
      for (size_t s = 0; s < m.tail; ++s) run_step_with(runner, *m.order[s], f, w.scratch);
    }
    return;
  }
  runner.each(parts, [&](int i, int thread) {
    const Frame f = frame(i, thread, 1);
    load(m, arrays, f, i * part);
    for (size_t s = 0; s < m.tail; ++s)
      for (int task = 0, tasks = m.order[s]->tasks(f); task < tasks && !stopped(runner.stop); ++task)
        m.order[s]->run(f, task, w.scratch[size_t(thread)].data());
  });
}

template <class Runner>
void run_chunk(const Model& m, const Workspace& w, const Arrays& arrays, int part, const Runner& runner) {
  run_maps(m, w, arrays, part, runner);
  const Frame f = frame_of(m, w, w.parts[0], arrays, 0, arrays.n, runner.threads);
  for (size_t s = m.tail; s < m.order.size(); ++s) run_step_with(runner, *m.order[s], f, w.scratch);
  runner.once([&] { store(m, arrays, f); });
}

// As many images and threads as the limit has room for.
Portions fitting(const Model& m, Portions p) {
  const auto too_much = [&] { return work_space(m, p) > m.budget.left(); };
  while (p.chunk > p.part && too_much()) p.chunk = std::max(p.part, p.chunk / 2);
  while (p.part > 1 && too_much()) p.chunk = p.part = p.part / 2;
  while (p.threads > 1 && too_much()) p.threads /= 2;
  return p;
}

// Memory for a call; what an earlier call left serves again. The caller holds the lock.
Portions reserve(Model& m, Workspace& w, int64_t n, int threads) {
  const auto chunk = int(std::min<int64_t>(n, m.chunk));
  const int share = threads == 1 ? chunk : (chunk + 2 * threads - 1) / (2 * threads);
  const Portions p = fitting(m, {chunk, std::min(m.part, share), threads});
  Portions& all = w.reserved;
  all = {std::max(all.chunk, p.chunk), std::max(all.part, p.part), std::max(all.threads, p.threads)};
  if (work_space(m, all) > m.budget.left()) {
    w.whole = {}, w.parts.clear(), w.scratch.clear();
    all = p;
  }
  m.budget.note(work_space(m, all));
  reserve(m, w.whole, true, all.chunk);
  w.parts.resize(size_t(all.threads));
  for (Memory& memory : w.parts) reserve(m, memory, false, all.part);
  while (w.scratch.size() < size_t(all.threads)) w.scratch.emplace_back(m.scratch_bytes);
  return p;
}

}  // namespace

void run_model(Model& m, const uint8_t* input, int64_t n, uint8_t* output, int threads, const Stop* stop) {
  Workspace& w = workspace_of(m);
  const std::lock_guard<std::mutex> lock(w.busy);
  const Portions p = reserve(m, w, n, threads);
  const size_t in = image_bytes(m.values[0]), out = image_bytes(m.values[size_t(m.output)]);
  const auto run = [&](const auto& runner) {
    for (int64_t first = 0; first < n; first += p.chunk) {
      const Arrays arrays{input + size_t(first) * in, output + size_t(first) * out, int(std::min<int64_t>(p.chunk, n - first))};
      run_chunk(m, w, arrays, p.part, runner);
    }
  };
  if (p.threads == 1)
    run(Alone{stop});
  else
    in_team([&] {
#pragma omp parallel num_threads(p.threads)
      run(Team{p.threads, stop});
    });
  if (stopped(stop)) throw Fault{"stopped"};
}

void profile(Model& m, const uint8_t* input, int n, int64_t repeats, int64_t* nanoseconds) {
  Workspace& w = workspace_of(m);
  const std::lock_guard<std::mutex> lock(w.busy);
  using Clock = std::chrono::steady_clock;
  const Portions p = reserve(m, w, n, 1);
  if (p.chunk < n) throw Fault{"a profile takes at most " + std::to_string(p.chunk) + " images at a time"};
  const Buffer output(Count(n) * image_bytes(m.values[size_t(m.output)]));
  const Arrays arrays{input, output.data(), n};
  std::map<const Step*, int64_t> least, spent;
  const auto run = [&](size_t s, const Frame& f) {
    const auto begin = Clock::now();
    run_step_with(Alone{}, *m.order[s], f, w.scratch);
    spent[m.order[s]] += std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
  };
  for (int64_t r = 0; r < repeats; ++r) {
    spent.clear();
    for (int first = 0; first < n; first += p.part) {
      const Frame f = frame_of(m, w, w.parts[0], arrays, first, std::min(p.part, n - first), 1);
      load(m, arrays, f, first);
      for (size_t s = 0; s < m.tail; ++s) run(s, f);
    }
    const Frame f = frame_of(m, w, w.parts[0], arrays, 0, n, 1);
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

namespace {

// The values that some steps touch, in memory of their own.
std::vector<bool> touched(const Model& m, size_t begin, size_t end) {
  std::vector<bool> found(m.values.size(), false);
  for (size_t s = begin; s < end; ++s) {
    for (int v : m.steps[s]->reads) found[size_t(v)] = true;
    for (int v : m.steps[s]->writes) found[size_t(v)] = true;
  }
  return found;
}

}  // namespace

void run_step(Model& m, size_t index, const void* const* in, void* const* out, int64_t n) {
  const size_t begin = m.first_step[index], end = m.first_step[index + 1];
  const std::vector<bool> needed = touched(m, begin, end);
  Count each = 0;
  for (size_t v = 0; v < m.values.size(); ++v)
    if (needed[v]) each += Count(m.values[v].layout.image);
  const size_t fixed = size_t(Count(m.scratch_bytes) + Count(m.values.size() + 1) * Buffer::kExtra);
  const size_t room = m.budget.left() > fixed ? (m.budget.left() - fixed) / std::max<size_t>(1, size_t(each)) : 0;
  const auto some = int(std::clamp<int64_t>(int64_t(std::min<size_t>(room, kMostPart)), 1, n));
  std::vector<Buffer> values, scratch;
  for (size_t v = 0; v < m.values.size(); ++v) {
    values.emplace_back(needed[v] ? Count(m.values[v].layout.image) * some : Count(0));
    if (needed[v]) fill_border(m.values[v].layout, values.back().data(), some);
  }
  scratch.emplace_back(m.scratch_bytes);
  for (int64_t first = 0; first < n; first += some) {
    Frame f{m.kernels, {}, int(std::min<int64_t>(some, n - first)), 1};
    for (size_t v = 0; v < m.values.size(); ++v) f.places.push_back({&m.values[v].layout, values[v].data()});
    for (size_t v = 0; v < size_t(m.program_values); ++v)
      if (in[v]) to_layout(m.values[v], in[v], first, f.images, f.places[v].base);
    for (size_t s = begin; s < end; ++s) run_step_with(Alone{}, *m.steps[s], f, scratch);
    for (size_t v = 0; v < size_t(m.program_values); ++v)
      if (out[v]) from_layout(m.values[v], f.places[v].base, first, f.images, out[v]);
  }
}

}  // namespace bnn
