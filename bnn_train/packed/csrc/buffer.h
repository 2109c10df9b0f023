// Memory of the engine's own.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "layout.h"

namespace bnn {

// Zeroed memory on a 64-byte boundary, with kSlack bytes behind it.
class Buffer {
 public:
  // More than a buffer's size that its memory takes.
  static constexpr size_t kExtra = 64 + kSlack;

  explicit Buffer(Count bytes = 0) : size_(size_t(bytes)) {
    constexpr size_t kAlign = 64;
    if (size_ == 0) return;
    memory_.reset(static_cast<uint8_t*>(std::calloc(size_t(bytes + kExtra), 1)));  // large: pages that exist once touched
    if (!memory_) throw std::bad_alloc();
    begin_ = memory_.get() + (kAlign - reinterpret_cast<size_t>(memory_.get()) % kAlign) % kAlign;
  }
  uint8_t* data() const { return begin_; }
  size_t size() const { return size_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(begin_);
  }

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint8_t[], Free> memory_;
  uint8_t* begin_ = nullptr;
  size_t size_ = 0;
};

}  // namespace bnn
