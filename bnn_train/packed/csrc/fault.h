// Why a program cannot be prepared or run.
#pragma once
#include <string>

namespace bnn {

// Thrown while a model is made or run, caught at the C interface.
struct Fault {
  std::string sentence;
};

}  // namespace bnn
