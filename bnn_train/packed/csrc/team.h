// Threads that survive a fork.
#pragma once
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>

namespace bnn {

// Runs work(), which opens a parallel region. OpenMP keeps its threads for the thread that called; a forked child inherits that
// belief but not the threads, and would wait for them for ever. There a thread of its own makes a new team for each call.
template <class Work>
void in_team(const Work& work) {
  static std::atomic<int64_t> first{0};  // the process whose threads OpenMP keeps
  int64_t owner = 0;
  const auto process = int64_t(getpid());
  if (first.compare_exchange_strong(owner, process) || owner == process) return work();
  std::exception_ptr failure;
  std::thread([&] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace bnn
