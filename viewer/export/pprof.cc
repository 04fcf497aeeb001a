// pprof's profile.proto (github.com/google/pprof/proto): what its readers insist on is said where it is done.
#include <map>
#include <ostream>
#include <protozero/pbf_builder.hpp>
#include <string>
#include <unordered_map>

#include "viewer/export/export.h"
#include "viewer/export/gzip.h"

namespace leakhunt::viewer {
namespace {

// Field numbers of profile.proto.
enum class PbProfile : protozero::pbf_tag_type {
  kSampleType = 1, kSample = 2, kMapping = 3, kLocation = 4, kFunction = 5, kStringTable = 6,
  kTimeNanos = 9, kDurationNanos = 10, kPeriodType = 11, kPeriod = 12, kComment = 13, kDefaultSampleType = 14,
};
enum class PbValueType : protozero::pbf_tag_type { kType = 1, kUnit = 2 };
enum class PbSample : protozero::pbf_tag_type { kLocationId = 1, kValue = 2, kLabel = 3 };
enum class PbLabel : protozero::pbf_tag_type { kKey = 1, kStr = 2 };
enum class PbMapping : protozero::pbf_tag_type {
  kId = 1, kStart = 2, kLimit = 3, kOffset = 4, kFilename = 5, kBuildId = 6,
  kHasFunctions = 7, kHasFilenames = 8, kHasLineNumbers = 9, kHasInlineFrames = 10,
};
enum class PbLocation : protozero::pbf_tag_type { kId = 1, kMappingId = 2, kAddress = 3, kLine = 4 };
enum class PbLine : protozero::pbf_tag_type { kFunctionId = 1, kLine = 2, kColumn = 3 };
enum class PbFunction : protozero::pbf_tag_type { kId = 1, kName = 2, kSystemName = 3, kFilename = 4 };

template <typename Tag>
using Builder = protozero::pbf_builder<Tag>;

class Writer {
 public:
  explicit Writer(const Profile& profile) : profile_(profile), message_(bytes_) { String(""); }  // index 0 is ""

  std::string Write();

 private:
  int64_t String(const std::string& text);
  uint64_t Function(const std::string& name, const std::string& file);
  uint64_t Location(const uint32_t* frames, size_t count);
  void WriteValueType(PbProfile field, const std::string& type, const std::string& unit);
  void WriteMappings();
  void WriteSample(const ProfileSample& sample);
  void WriteHead();

  const Profile& profile_;
  std::string bytes_;
  Builder<PbProfile> message_;
  std::vector<std::string> string_table_;
  std::unordered_map<std::string, int64_t> strings_;
  std::map<std::pair<int64_t, int64_t>, uint64_t> functions_;
  std::map<std::vector<uint32_t>, uint64_t> locations_;  // frames of one address -> id
};

int64_t Writer::String(const std::string& text) {
  auto [found, added] = strings_.try_emplace(text, static_cast<int64_t>(string_table_.size()));
  if (added) string_table_.push_back(text);
  return found->second;
}

// Ids of mappings, locations and functions are 1..N: older readers index by them.
uint64_t Writer::Function(const std::string& name, const std::string& file) {
  const int64_t name_index = String(name), file_index = String(file);
  auto [found, added] = functions_.try_emplace({name_index, file_index}, functions_.size() + 1);
  if (added) {
    Builder<PbFunction> function(message_, PbProfile::kFunction);
    function.add_uint64(PbFunction::kId, found->second);
    function.add_int64(PbFunction::kName, name_index);
    function.add_int64(PbFunction::kSystemName, name_index);
    function.add_int64(PbFunction::kFilename, file_index);
  }
  return found->second;
}

// A location is an address with the frames inlined there, innermost first.
uint64_t Writer::Location(const uint32_t* frames, size_t count) {
  auto [found, added] = locations_.try_emplace(std::vector<uint32_t>(frames, frames + count), locations_.size() + 1);
  if (!added) return found->second;
  std::vector<uint64_t> functions;
  for (size_t i = 0; i < count; ++i) {
    const ProfileFrame& frame = profile_.frames[frames[i]];
    functions.push_back(Function(FrameLabel(profile_, frame), frame.file));
  }
  const ProfileFrame& physical = profile_.frames[frames[count - 1]];
  const bool mapped = physical.module < profile_.modules.size();
  Builder<PbLocation> location(message_, PbProfile::kLocation);
  location.add_uint64(PbLocation::kId, found->second);
  if (mapped) location.add_uint64(PbLocation::kMappingId, physical.module + 1);
  location.add_uint64(PbLocation::kAddress, physical.address + (mapped ? profile_.modules[physical.module].bias : 0));
  for (size_t i = 0; i < count; ++i) {
    const ProfileFrame& frame = profile_.frames[frames[i]];
    Builder<PbLine> line(location, PbLocation::kLine);
    line.add_uint64(PbLine::kFunctionId, functions[i]);
    line.add_int64(PbLine::kLine, frame.line);
    line.add_int64(PbLine::kColumn, frame.column);
  }
  return found->second;
}

void Writer::WriteValueType(PbProfile field, const std::string& type, const std::string& unit) {
  const int64_t type_index = String(type), unit_index = String(unit);
  Builder<PbValueType> value_type(message_, field);
  value_type.add_int64(PbValueType::kType, type_index);
  value_type.add_int64(PbValueType::kUnit, unit_index);
}

// `pprof` takes the first mapping for the program. A mapping that does not claim all its symbols makes it search this
// machine for the file, which may be another one: what could be named was (`-symbolize=force` searches all the same).
void Writer::WriteMappings() {
  for (size_t i = 0; i < profile_.modules.size(); ++i) {
    const ProfileModule& module = profile_.modules[i];
    const int64_t path = String(module.path), build_id = String(module.build_id);
    Builder<PbMapping> mapping(message_, PbProfile::kMapping);
    mapping.add_uint64(PbMapping::kId, i + 1);
    mapping.add_uint64(PbMapping::kStart, module.start);
    mapping.add_uint64(PbMapping::kLimit, module.end);
    mapping.add_uint64(PbMapping::kOffset, module.start - module.bias <= module.start ? module.start - module.bias : 0);
    mapping.add_int64(PbMapping::kFilename, path);
    mapping.add_int64(PbMapping::kBuildId, build_id);
    for (PbMapping has : {PbMapping::kHasFunctions, PbMapping::kHasFilenames, PbMapping::kHasLineNumbers,
                          PbMapping::kHasInlineFrames}) {
      mapping.add_bool(has, true);
    }
  }
}

void Writer::WriteSample(const ProfileSample& sample) {
  std::vector<uint64_t> locations;
  for (size_t i = 0; i < sample.frames.size();) {
    size_t end = i;
    while (end + 1 < sample.frames.size() && profile_.frames[sample.frames[end]].inlined) ++end;
    locations.push_back(Location(&sample.frames[i], end + 1 - i));
    i = end + 1;
  }
  std::vector<std::pair<int64_t, int64_t>> labels;
  for (const ProfileLabel& label : sample.labels) labels.emplace_back(String(label.key), String(label.value));
  Builder<PbSample> message(message_, PbProfile::kSample);
  message.add_packed_uint64(PbSample::kLocationId, locations.begin(), locations.end());
  message.add_packed_int64(PbSample::kValue, sample.values.begin(), sample.values.end());
  for (const auto& [key, value] : labels) {
    Builder<PbLabel> label(message, PbSample::kLabel);
    label.add_int64(PbLabel::kKey, key);
    label.add_int64(PbLabel::kStr, value);
  }
}

void Writer::WriteHead() {
  for (const ValueType& type : profile_.value_types) WriteValueType(PbProfile::kSampleType, type.name, type.unit);
  message_.add_int64(PbProfile::kTimeNanos, profile_.time_ms * 1'000'000);
  // A live heap is a state, not a stretch of time: with a duration, pprof would print rates.
  message_.add_int64(PbProfile::kDurationNanos, 0);
  WriteValueType(PbProfile::kPeriodType, "space", "bytes");
  message_.add_int64(PbProfile::kPeriod, static_cast<int64_t>(profile_.period));
  for (const std::string& comment : profile_.comments) message_.add_int64(PbProfile::kComment, String(comment));
  if (!profile_.value_types.empty()) {
    message_.add_int64(PbProfile::kDefaultSampleType, String(profile_.value_types.back().name));
  }
}

std::string Writer::Write() {
  WriteHead();
  WriteMappings();
  for (const ProfileSample& sample : profile_.samples) WriteSample(sample);
  for (const std::string& text : string_table_) message_.add_string(PbProfile::kStringTable, text);
  return std::move(bytes_);
}

}  // namespace

void ExportPprof(const Profile& profile, std::ostream& out) {
  GzipWriter gzip(out);
  gzip.Write(Writer(profile).Write());
  gzip.Finish();
}

}  // namespace leakhunt::viewer
