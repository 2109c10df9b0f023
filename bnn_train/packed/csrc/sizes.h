// Sizes made of numbers that a file chose: every sum and product is checked, and what no machine has room for is a Fault.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "fault.h"

namespace bnn {

class Count {
 public:
  template <class Int, class = std::enable_if_t<std::is_integral_v<Int>>>
  constexpr Count(Int n) : n_(uint64_t(n)) {  // NOLINT: numbers are counts
    if (std::is_signed_v<Int> && n < 0) fail();
  }
  constexpr explicit operator size_t() const {
    if (n_ > std::numeric_limits<size_t>::max()) fail();
    return size_t(n_);
  }
  // For the kernels' 32-bit indices.
  constexpr int as_int() const {
    if (n_ > uint64_t(std::numeric_limits<int32_t>::max())) fail();
    return int(n_);
  }
  friend constexpr Count operator+(Count a, Count b) {
    uint64_t sum = 0;
    if (__builtin_add_overflow(a.n_, b.n_, &sum)) fail();
    return sum;
  }
  friend constexpr Count operator-(Count a, Count b) {
    if (b.n_ > a.n_) fail();
    return a.n_ - b.n_;
  }
  friend constexpr Count operator*(Count a, Count b) {
    uint64_t product = 0;
    if (__builtin_mul_overflow(a.n_, b.n_, &product)) fail();
    return product;
  }
  friend constexpr Count operator/(Count a, Count b) {
    if (b.n_ == 0) fail();
    return a.n_ / b.n_;
  }
  Count& operator+=(Count b) { return *this = *this + b; }
  friend constexpr bool operator<(Count a, Count b) { return a.n_ < b.n_; }
  friend constexpr bool operator>(Count a, Count b) { return b < a; }

 private:
  [[noreturn]] static void fail() { throw Fault{"a size leaves the range of this machine's numbers"}; }
  uint64_t n_;  // bounds of sums are wider than a pointer of 32 bits
};

constexpr Count up_to_multiple(Count n, size_t of) { return (n + (of - 1)) / of * of; }
constexpr size_t round_up(Count n, size_t to) { return size_t(up_to_multiple(n, to)); }

}  // namespace bnn
