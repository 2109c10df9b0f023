// The terms of a product of planes with real factors: y[c] = Σ_p Σ_q f_p[c]·g_q·dot_pq, p over the weights' planes.
#pragma once
#include <vector>

#include "filters.h"

namespace bnn {

// Whether the planes of a step's weights or input have factors and its product is of signs.
bool has_factors(const Preparation& prep);

class FactoredTerms {
 public:
  FactoredTerms() = default;
  // `filters`: one for each plane of the weights, or one. `row`: channels of a padded row.
  FactoredTerms(const Preparation& prep, const FilterInput& in, const std::vector<Filters>& filters, int row);

  explicit operator bool() const { return !terms_.empty(); }
  int count() const { return int(terms_.size()); }
  const Term& term(int t) const { return terms_[size_t(t)]; }  // in the order in which they are added
  int inner() const { return inner_; }                         // planes of the input
  size_t plane_bytes() const { return plane_bytes_; }          // from one of them to the next

 private:
  template <class T>
  T* keep(Budget& budget, Count count);
  Term term_of(Budget& budget, const Wholes& wholes, int outputs, int row);
  const float* factors(Budget& budget, const float* weight, const float* input, int outputs, int row);

  std::vector<Term> terms_;
  std::vector<Buffer> kept_;
  int inner_ = 1;
  size_t plane_bytes_ = 0;
};

}  // namespace bnn
