// The C interface: nothing is thrown or printed beyond it.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <new>

#include "model.h"
#include "sign_gradients.h"
#include "team.h"

#if defined(BNN_HAS_NEON_DOT)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace {

using bnn::Kernels;

#if defined(__aarch64__)
const Kernels* neon() {
#if defined(BNN_HAS_NEON_DOT)
  if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) return &bnn::kernels_neon_dot;
#endif
  return &bnn::kernels_neon;
}
#endif

const Kernels* kernels_of(int isa) {
  switch (isa) {
#if defined(__x86_64__)
    case kAvx512: return &bnn::kernels_avx512;
    case kAvx2: return &bnn::kernels_avx2;
#elif defined(__aarch64__)
    case kNeon: return neon();
#endif
    case kPortable: return &bnn::kernels_portable;
    default: return nullptr;
  }
}

bool runs_here(int isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (isa == kAvx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  if (isa == kAvx512)
    return runs_here(kAvx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512vnni");
#endif
  return kernels_of(isa) != nullptr;
}

const Kernels& kernels_here(int isa) {
  const Kernels* kernels = kernels_of(isa);
  if (!kernels || !runs_here(isa)) throw bnn::Fault{"this processor lacks the instructions"};
  return *kernels;
}

void tell(char* message, int64_t size, const char* text) {
  if (!message || size < 1) return;
  const size_t n = std::min(size_t(size) - 1, std::strlen(text));
  std::memcpy(message, text, n);
  message[n] = 0;
}

// Portions of a pass over `count` numbers, shared out where there are many.
template <class Work>
void pass(int64_t count, int threads, const Work& work) {
  constexpr int64_t kPortion = 1 << 16;
  const int64_t portions = (count + kPortion - 1) / kPortion;
  const auto portion = [&](int64_t p) { work(p * kPortion, std::min(kPortion, count - p * kPortion)); };
  if (threads < 2 || portions < 2) {
    for (int64_t p = 0; p < portions; ++p) portion(p);
    return;
  }
  bnn::in_team([&] {
#pragma omp parallel for num_threads(threads)
    for (int64_t p = 0; p < portions; ++p) portion(p);
  });
}

// 0, or 1 and what went wrong in `message`.
template <class Work>
int guarded(char* message, int64_t size, const Work& work) {
  try {
    work();
    return 0;
  } catch (const bnn::Fault& fault) {
    tell(message, size, fault.sentence.c_str());
  } catch (const std::bad_alloc&) {
    tell(message, size, "not enough memory");
  } catch (const std::exception& error) {
    tell(message, size, error.what());
  } catch (...) {
    tell(message, size, "an unknown fault");
  }
  return 1;
}

}  // namespace

void bnn_sizes(int64_t* value, int64_t* step) {
  *value = sizeof(BnnValue);
  *step = sizeof(BnnStep);
}

int bnn_isas(void) {
  int found = 0;
  for (int isa = 0; isa < kIsaCount; ++isa) found |= int(kernels_of(isa) && runs_here(isa)) << isa;
  return found;
}

void* bnn_create(const BnnProgram* program, int isa, int64_t limit, const int32_t* stop, char* message, int64_t size) {
  static_assert(sizeof(bnn::Stop) == sizeof(int32_t));
  void* model = nullptr;
  guarded(message, size, [&] {
    const Kernels& kernels = kernels_here(isa);
    const auto most = int64_t(std::min<uint64_t>(INT64_MAX, SIZE_MAX));  // no limit is that of the processor's own sizes
    const bnn::Budget budget(std::min(limit, most), reinterpret_cast<const bnn::Stop*>(stop));
    model = bnn::prepare(*program, kernels, budget).release();
  });
  return model;
}

int64_t bnn_peak(void* model) { return int64_t(static_cast<bnn::Model*>(model)->budget.peak()); }

void bnn_destroy(void* model) { delete static_cast<bnn::Model*>(model); }

int bnn_run(void* model, const void* input, int64_t n, float* output, int threads, const int32_t* stop, char* message,
            int64_t size) {
  return guarded(message, size, [&] {
    bnn::run_model(*static_cast<bnn::Model*>(model), static_cast<const uint8_t*>(input), n,
                   reinterpret_cast<uint8_t*>(output), std::max(1, threads), reinterpret_cast<const bnn::Stop*>(stop));
  });
}

int bnn_step(void* model, int64_t index, const void* const* in, void* const* out, int64_t n, char* message,
             int64_t size) {
  return guarded(message, size, [&] {
    bnn::run_step(*static_cast<bnn::Model*>(model), size_t(index), in, out, n);
  });
}

int bnn_profile(void* model, const void* input, int64_t n, int64_t repeats, int64_t* nanoseconds, char* message, int64_t size) {
  return guarded(message, size, [&] {
    bnn::profile(*static_cast<bnn::Model*>(model), static_cast<const uint8_t*>(input), int(n), repeats, nanoseconds);
  });
}

int bnn_sign_input_gradient(const BnnSignProduct* product, int isa, const float* g, const float* codes, const float* alpha,
                            float* out, int threads, char* message, int64_t size) {
  return guarded(message, size, [&] {
    bnn::sign_input_gradient(kernels_here(isa), *product, g, codes, alpha, out, std::max(1, threads));
  });
}

int bnn_sign_weight_gradient(const BnnSignProduct* product, int isa, const float* g, const float* x, float* out, int threads,
                             char* message, int64_t size) {
  return guarded(message, size, [&] {
    bnn::sign_weight_gradient(kernels_here(isa), *product, g, x, out, std::max(1, threads));
  });
}

int bnn_signs(int isa, const float* x, int64_t count, float* out, int threads, char* message, int64_t size) {
  return guarded(message, size, [&] {
    const Kernels& kernels = kernels_here(isa);
    pass(count, threads, [&](int64_t begin, int64_t n) { kernels.signs(x + begin, n, out + begin); });
  });
}

int bnn_window(int isa, const float* g, const float* x, int64_t count, float low, float high, float* out, int threads,
               char* message, int64_t size) {
  return guarded(message, size, [&] {
    const Kernels& kernels = kernels_here(isa);
    pass(count, threads, [&](int64_t begin, int64_t n) { kernels.window(g + begin, x + begin, n, low, high, out + begin); });
  });
}
