// Finding recordings on disk. Only names are looked at; contents are for ReadSnapshot.
#include "collector/snapshot/recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace leakhunt::snapshot {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "snapshot-";
constexpr std::string_view kSuffix = ".lhs";

// "snapshot-000012.lhs" -> 12; -1 for any other name.
int64_t NumberOf(const std::string& name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return -1;
  int64_t number = -1;
  const char* end = name.data() + name.size() - kSuffix.size();
  auto [stop, defect] = std::from_chars(name.data() + kPrefix.size(), end, number);
  return defect == std::errc() && stop == end ? number : -1;
}

Recording ListRecording(const fs::path& directory) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code ignored;
  for (fs::directory_iterator it(directory, ignored), end; !ignored && it != end; it.increment(ignored)) {
    if (int64_t number = NumberOf(it->path().filename()); number >= 0) found.emplace_back(number, it->path());
  }
  std::sort(found.begin(), found.end());
  Recording recording{directory, {}};
  for (auto& [number, file] : found) recording.files.push_back(std::move(file));
  return recording;
}

}  // namespace

Result<std::vector<Recording>> FindRecordings(const fs::path& path) {
  std::error_code defect;
  fs::file_status status = fs::status(path, defect);
  if (defect) return Error{fmt::format("cannot read {}: {}", path.string(), defect.message())};
  if (!fs::is_directory(status)) return std::vector<Recording>{{path.parent_path(), {path}}};
  fs::directory_iterator children(path, defect);
  if (defect) return Error{fmt::format("cannot read {}: {}", path.string(), defect.message())};
  Recording self = ListRecording(path);
  if (!self.files.empty()) return std::vector<Recording>{std::move(self)};
  std::vector<Recording> recordings;
  for (fs::directory_iterator end; !defect && children != end; children.increment(defect)) {
    if (!children->is_directory(defect)) continue;
    Recording recording = ListRecording(children->path());
    if (!recording.files.empty()) recordings.push_back(std::move(recording));
  }
  std::sort(recordings.begin(), recordings.end(),
            [](const Recording& a, const Recording& b) { return a.directory < b.directory; });
  if (recordings.empty()) return Error{fmt::format("no recordings in {}", path.string())};
  return recordings;
}

}  // namespace leakhunt::snapshot
