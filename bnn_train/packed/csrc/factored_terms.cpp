#include "factored_terms.h"

namespace bnn {

bool has_factors(const Preparation& prep) {
  const BnnStep& s = prep.step;
  return prep.value(s.input).shape.type == kBits && (s.factors.data != nullptr || s.input_factors.data != nullptr);
}

FactoredTerms::FactoredTerms(const Preparation& prep, const FilterInput& in, const std::vector<Filters>& filters, int row)
    : plane_bytes_(in.in.plane) {
  Budget& budget = prep.model.budget;
  const BnnStep& s = prep.step;
  if (s.input_factors.data) inner_ = in.in.planes;
  const auto outputs = size_t(in.outputs);
  const float* outer = s.factors.data ? elements<float>(s.factors, Count(filters.size()) * outputs, "factors") : nullptr;
  const float* inner = s.input_factors.data ? elements<float>(s.input_factors, inner_, "input factors") : nullptr;
  budget.take(Count(filters.size()) * inner_ * sizeof(Term), "a layer's terms");
  for (size_t p = 0; p < filters.size(); ++p) {
    Term term = term_of(budget, filters[p].wholes, in.outputs, row);
    for (int q = 0; q < inner_; ++q) {
      term.factor = factors(budget, outer ? outer + p * outputs : nullptr, inner ? inner + q : nullptr, in.outputs, row);
      terms_.push_back(term);
    }
  }
}

template <class T>
T* FactoredTerms::keep(Budget& budget, Count count) {
  budget.take(count * sizeof(T) + Buffer::kExtra, "the numbers of a layer's terms");
  kept_.emplace_back(count * sizeof(T));
  return kept_.back().as<T>();
}

// check_range in filters_signs.cpp has seen to it that every base fits.
Term FactoredTerms::term_of(Budget& budget, const Wholes& w, int outputs, int row) {
  auto* base = keep<int32_t>(budget, Count(w.classes) * row);
  for (size_t k = 0; k < size_t(w.classes); ++k)
    for (size_t c = 0; c < size_t(outputs); ++c) base[k * size_t(row) + c] = int32_t(w.base[k * size_t(outputs) + c]);
  int shift = 0;
  while (shift < 31 && (int64_t(1) << shift) < w.divisor) ++shift;
  const bool exact = (int64_t(1) << shift) == w.divisor;
  return {base, w.classes > 1 ? ~size_t(0) : 0, int(w.multiplier), int(w.divisor), exact ? shift : -1, nullptr};
}

// f_p[c]·g_q, rounded once; or the one of them that there is.
const float* FactoredTerms::factors(Budget& budget, const float* weight, const float* input, int outputs, int row) {
  if (!weight && !input) return nullptr;
  auto* to = keep<float>(budget, row);
  for (int c = 0; c < outputs; ++c) to[c] = !weight ? *input : input ? weight[c] * *input : weight[c];
  return to;
}

}  // namespace bnn
