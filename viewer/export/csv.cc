// Samples as comma-separated values, for spreadsheets and scripts.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

std::string StackText(const Profile& profile, const ProfileSample& sample) {
  std::string text;
  for (size_t i = sample.frames.size(); i-- > 0;) {
    const ProfileFrame& frame = profile.frames[sample.frames[i]];
    if (!text.empty()) text += " > ";
    text += FrameLabel(profile, frame);
    if (frame.line != 0) text += fmt::format(" {}:{}", frame.file, frame.line);
  }
  return text;
}

std::string Label(const ProfileSample& sample, const std::string& key) {
  for (const ProfileLabel& label : sample.labels) {
    if (label.key == key) return label.value;
  }
  return {};
}

// Keys of all labels, in order of appearance: a column each.
std::vector<std::string> LabelKeys(const Profile& profile) {
  std::vector<std::string> keys;
  for (const ProfileSample& sample : profile.samples) {
    for (const ProfileLabel& label : sample.labels) {
      if (std::find(keys.begin(), keys.end(), label.key) == keys.end()) keys.push_back(label.key);
    }
  }
  return keys;
}

}  // namespace

void ExportCsv(const Profile& profile, std::ostream& out) {
  const std::vector<std::string> keys = LabelKeys(profile);
  for (const ValueType& type : profile.value_types) out << CsvField(type.name) << ',';
  for (const std::string& key : keys) out << CsvField(key) << ',';
  out << "function,file,line,module,stack\r\n";
  for (const ProfileSample& sample : profile.samples) {
    for (int64_t value : sample.values) out << value << ',';
    for (const std::string& key : keys) out << CsvField(Label(sample, key)) << ',';
    const ProfileFrame unknown;
    const ProfileFrame& leaf = sample.frames.empty() ? unknown : profile.frames[sample.frames.front()];
    out << CsvField(leaf.function) << ',' << CsvField(leaf.file) << ',';
    if (leaf.line != 0) out << leaf.line;
    out << ',' << (leaf.module < profile.modules.size() ? CsvField(profile.modules[leaf.module].path) : "") << ','
        << CsvField(StackText(profile, sample)) << "\r\n";
  }
}

}  // namespace leakhunt::viewer
