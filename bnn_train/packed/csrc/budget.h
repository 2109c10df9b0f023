// The memory that a model may take: charged before it is taken, and beyond the limit a Fault.
#pragma once
#include <algorithm>
#include <atomic>
#include <string>

#include "sizes.h"

namespace bnn {

// Another thread sets it to another number than 0 when nobody waits for the work any more.
using Stop = std::atomic<int32_t>;
inline bool stopped(const Stop* stop) { return stop && stop->load(std::memory_order_relaxed) != 0; }

class Budget {
 public:
  // `stop` may be nullptr.
  Budget(Count limit, const Stop* stop) : limit_(size_t(limit)), stop_(stop) {}

  void take(Count bytes, const char* what) {
    go_on();
    if (size_t(bytes) > left())
      throw Fault{std::string(what) + " would take " + std::to_string(size_t(bytes)) + " bytes where " +
                  std::to_string(left()) + " are left of a limit of " + std::to_string(limit_)};
    used_ += size_t(bytes);
    peak_ = std::max(peak_, used_);
  }
  void give_back(Count bytes) { used_ -= std::min(used_, size_t(bytes)); }
  // Taken besides, for a while, within what is left.
  void note(Count bytes) { peak_ = std::max(peak_, size_t(used_ + bytes)); }
  size_t left() const { return limit_ - used_; }
  size_t peak() const { return peak_; }
  // Long loops ask now and then.
  void go_on() const {
    if (stopped(stop_)) throw Fault{"stopped"};
  }
  void forget_stop() { stop_ = nullptr; }

 private:
  size_t limit_, used_ = 0, peak_ = 0;
  const Stop* stop_;
};

// Memory that is needed for a while.
class Loan {
 public:
  Loan(Budget& budget, Count bytes, const char* what) : budget_(budget), bytes_(bytes) { budget.take(bytes, what); }
  ~Loan() { budget_.give_back(bytes_); }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

 private:
  Budget& budget_;
  Count bytes_;
};

}  // namespace bnn
