#include "tests/bench/verdicts/stored.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <istream>
#include <iterator>
#include <ostream>
#include <sstream>
#include <stdexcept>

namespace leakhunt::corpus {

namespace {

const char* const kLabels[] = {"leak", "not-leak", "insufficient"};

void StoreCohorts(const std::vector<snapshot::Cohort>& cohorts, int64_t start_ms, std::ostream& out) {
  for (const auto& c : cohorts) {
    out << "c " << c.from_ms - start_ms << ' ' << c.to_ms - start_ms << ' ' << c.samples << ' ' << c.live_bytes << ' '
        << c.live_count << '\n';
  }
}

void StorePoint(const verdict::HistoryPoint& p, int64_t start_ms, std::ostream& out) {
  out << "p " << p.time_ms - start_ms << ' ' << p.activity << ' ' << p.live << ' ' << p.variance << ' ' << p.live_count << ' '
      << p.born_count << ' ' << p.freed_samples << ' ';
  size_t used = p.lifetimes.size();
  while (used > 1 && p.lifetimes[used - 1] == 0) --used;
  for (size_t b = 0; b < used; ++b) out << (b ? "," : "") << p.lifetimes[b];
  out << '\n';
}

bool ReadSite(std::istringstream& line, Labelled& labelled) {
  std::string label, mode, unit;
  if (!(line >> labelled.name >> label >> mode >> unit >> labelled.history.process_started_ms)) return false;
  for (size_t i = 0; i < 3; ++i) {
    if (label == kLabels[i]) labelled.label = static_cast<Label>(i);
  }
  labelled.family = "recorded";
  labelled.history.exact = mode == "exact";
  labelled.history.handles = unit == "handles";
  return true;
}

bool ReadPoint(std::istringstream& line, verdict::History& history) {
  verdict::HistoryPoint p;
  if (!(line >> p.time_ms >> p.activity >> p.live >> p.variance >> p.live_count >> p.born_count >> p.freed_samples)) return false;
  p.time_ms += history.process_started_ms;
  char comma = ',';
  for (size_t b = 0; b < p.lifetimes.size() && comma == ',' && line >> p.lifetimes[b]; ++b) {
    if (!(line >> comma)) break;
  }
  history.points.push_back(p);
  return true;
}

bool ReadCohort(std::istringstream& line, int64_t start_ms, std::vector<snapshot::Cohort>& cohorts) {
  snapshot::Cohort c;
  if (!(line >> c.from_ms >> c.to_ms >> c.samples >> c.live_bytes >> c.live_count)) return false;
  c.from_ms += start_ms;
  c.to_ms += start_ms;
  cohorts.push_back(c);
  return true;
}

}  // namespace

void Store(const Labelled& labelled, std::ostream& out) {
  const verdict::History& h = labelled.history;
  out << "site " << labelled.name << ' ' << kLabels[static_cast<size_t>(labelled.label)] << ' '
      << (h.exact ? "exact" : "sampled") << ' ' << (h.handles ? "handles" : "bytes") << ' ' << h.process_started_ms << '\n';
  for (const auto& point : h.points) StorePoint(point, h.process_started_ms, out);
  for (const auto& set : h.earlier) {
    out << "e " << set.time_ms - h.process_started_ms << '\n';
    StoreCohorts(set.cohorts, h.process_started_ms, out);
  }
  out << "n\n";
  StoreCohorts(h.cohorts, h.process_started_ms, out);
}

std::vector<Labelled> ReadStored(std::istream& in, std::string& error) {
  std::vector<Labelled> all;
  std::vector<snapshot::Cohort>* cohorts = nullptr;
  size_t number = 0;
  for (std::string text; std::getline(in, text);) {
    ++number;
    std::istringstream line(text);
    std::string what;
    line >> what;
    bool good = what == "site" || (!all.empty() && (what != "c" || cohorts));
    if (good && what == "site") good = ReadSite(line, all.emplace_back());
    else if (good && what == "p") good = ReadPoint(line, all.back().history);
    else if (good && what == "n") cohorts = &all.back().history.cohorts;
    else if (good && what == "e") {
      auto& set = all.back().history.earlier.emplace_back();
      good = static_cast<bool>(line >> set.time_ms);
      set.time_ms += all.back().history.process_started_ms;
      cohorts = &set.cohorts;
    } else if (good && what == "c") good = ReadCohort(line, all.back().history.process_started_ms, *cohorts);
    else good = false;
    if (good) continue;
    error = "line " + std::to_string(number) + ": " + text;
    return {};
  }
  return all;
}

std::vector<Labelled> ReadRecorded(const std::string& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Labelled> all;
  for (const auto& file : files) {
    std::ifstream in(file);
    std::string error;
    std::vector<Labelled> read = ReadStored(in, error);
    if (read.empty()) throw std::runtime_error(file.string() + ": " + error);
    std::move(read.begin(), read.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace leakhunt::corpus
