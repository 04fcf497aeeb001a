#include "tests/bench/verdicts/score.h"

#include <fmt/format.h>

#include <numeric>

namespace leakhunt::corpus {

using verdict::Verdict;

bool CalledLeak(const verdict::SiteVerdict& verdict) {
  return verdict.verdict == Verdict::kLeaking || verdict.verdict == Verdict::kOnset;
}

std::vector<verdict::SiteVerdict> JudgeInCrowd(const std::vector<Labelled>& corpus, int crowd) {
  std::vector<verdict::History> sites = BuildCrowd(crowd);
  sites.emplace_back();
  std::vector<verdict::SiteVerdict> verdicts;
  for (const Labelled& labelled : corpus) {
    sites.back() = labelled.history;
    verdicts.push_back(verdict::Judge(sites).back());
  }
  return verdicts;
}

void Score::Add(const Labelled& labelled, const verdict::SiteVerdict& verdict) {
  ++counts_[static_cast<size_t>(labelled.label)][static_cast<size_t>(verdict.verdict)];
  if (labelled.turned_over && CalledLeak(verdict)) ++turned_over_called_leak_;
}

int Score::Called(Label label) const {
  const auto& row = counts_[static_cast<size_t>(label)];
  return row[static_cast<size_t>(Verdict::kLeaking)] + row[static_cast<size_t>(Verdict::kOnset)];
}

double Score::Precision() const {
  int called = Called(Label::kLeak) + Called(Label::kNotLeak);
  return called ? static_cast<double>(Called(Label::kLeak)) / called : 1;
}

double Score::Recall() const {
  const auto& row = counts_[static_cast<size_t>(Label::kLeak)];
  int leaks = std::accumulate(row.begin(), row.end(), 0);
  return leaks ? static_cast<double>(Called(Label::kLeak)) / leaks : 1;
}

int Score::Histories() const {
  int sum = 0;
  for (const auto& row : counts_) sum += std::accumulate(row.begin(), row.end(), 0);
  return sum;
}

std::string Score::Table(const std::string& title) const {
  std::string out = fmt::format("{}: {} histories\n{:14}", title, Histories(), "");
  for (size_t v = 0; v < 8; ++v) out += fmt::format("{:>17}", verdict::VerdictName(static_cast<Verdict>(v)));
  for (size_t label = 0; label < 3; ++label) {
    out += fmt::format("\n{:14}", LabelName(static_cast<Label>(label)));
    for (int count : counts_[label]) out += fmt::format("{:>17}", count);
  }
  return out + fmt::format("\nprecision {:.3f}  recall {:.3f}  bounded with a full turnover called a leak: {}\n", Precision(),
                           Recall(), turned_over_called_leak_);
}

std::string Score::Json() const {
  std::string out = fmt::format("{{\"histories\": {}, \"precision\": {:.4f}, \"recall\": {:.4f}, \"confusion\": {{", Histories(),
                                Precision(), Recall());
  for (size_t label = 0; label < 3; ++label) {
    out += fmt::format("{}\"{}\": {{", label ? ", " : "", LabelName(static_cast<Label>(label)));
    for (size_t v = 0; v < 8; ++v) {
      out += fmt::format("{}\"{}\": {}", v ? ", " : "", verdict::VerdictName(static_cast<Verdict>(v)), counts_[label][v]);
    }
    out += "}";
  }
  return out + "}}";
}

}  // namespace leakhunt::corpus
