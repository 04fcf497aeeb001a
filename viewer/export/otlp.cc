// OpenTelemetry's profiles signal (opentelemetry-proto, profiles/v1development): a ProfilesData message, whose bytes are
// also those of an ExportProfilesServiceRequest, as an OTLP receiver takes it by POST /v1development/profiles.
//
// Each value type is a profile of its own, as the format wants it. Every table begins with an empty entry that index 0
// stands for.
#include <map>
#include <ostream>
#include <protozero/pbf_builder.hpp>
#include <string>
#include <unordered_map>

#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

using Tag = protozero::pbf_tag_type;
enum class PbData : Tag { kResourceProfiles = 1, kDictionary = 2 };
enum class PbDictionary : Tag {
  kMapping = 1, kLocation = 2, kFunction = 3, kLink = 4, kString = 5, kAttribute = 6, kStack = 7,
};
enum class PbResourceProfiles : Tag { kResource = 1, kScopeProfiles = 2 };
enum class PbResource : Tag { kAttributes = 1 };
enum class PbKeyValue : Tag { kKey = 1, kValue = 2 };
enum class PbAnyValue : Tag { kString = 1, kInt = 3, kArray = 5 };
enum class PbArray : Tag { kValues = 1 };
enum class PbScopeProfiles : Tag { kScope = 1, kProfiles = 2 };
enum class PbScope : Tag { kName = 1, kVersion = 2 };
enum class PbProfile : Tag {
  kSampleType = 1, kSamples = 2, kTime = 3, kDuration = 4, kPeriodType = 5, kPeriod = 6, kProfileId = 7,
};
enum class PbValueType : Tag { kType = 1, kUnit = 2 };
enum class PbSample : Tag { kStack = 1, kAttributes = 2, kValues = 4 };
enum class PbMapping : Tag { kStart = 1, kLimit = 2, kFilename = 4, kAttributes = 5 };
enum class PbStack : Tag { kLocations = 1 };
enum class PbLocation : Tag { kMapping = 1, kAddress = 2, kLines = 3 };
enum class PbLine : Tag { kFunction = 1, kLine = 2, kColumn = 3 };
enum class PbFunction : Tag { kName = 1, kSystemName = 2, kFilename = 3 };
enum class PbAttribute : Tag { kKey = 1, kValue = 2 };

template <typename T>
using Builder = protozero::pbf_builder<T>;

// What the profiles refer to by index. Entries are written as they are first met.
class Dictionary {
 public:
  explicit Dictionary(const Profile& profile) : profile_(profile), message_(bytes_) {
    String("");
    for (PbDictionary table : {PbDictionary::kMapping, PbDictionary::kLocation, PbDictionary::kFunction,
                               PbDictionary::kLink, PbDictionary::kAttribute, PbDictionary::kStack}) {
      message_.add_message(table, std::string());
    }
    for (const ProfileModule& module : profile.modules) WriteMapping(module);
  }

  int32_t String(const std::string& text) {
    auto [found, added] = strings_.try_emplace(text, static_cast<int32_t>(strings_.size()));
    if (added) string_table_.push_back(text);
    return found->second;
  }

  int32_t Attribute(const std::string& key, const std::string& value) {
    auto [found, added] = attributes_.try_emplace({key, value}, static_cast<int32_t>(attributes_.size() + 1));
    if (added) {
      const int32_t key_index = String(key);
      Builder<PbAttribute> attribute(message_, PbDictionary::kAttribute);
      attribute.add_int32(PbAttribute::kKey, key_index);
      Builder<PbAnyValue>(attribute, PbAttribute::kValue).add_string(PbAnyValue::kString, value);
    }
    return found->second;
  }

  // Of one sample: frames inlined into each other are lines of one location, innermost first.
  int32_t Stack(const std::vector<uint32_t>& frames) {
    if (frames.empty()) return 0;
    std::vector<int32_t> locations;
    for (size_t i = 0; i < frames.size();) {
      size_t end = i;
      while (end + 1 < frames.size() && profile_.frames[frames[end]].inlined) ++end;
      locations.push_back(Location({frames.begin() + static_cast<ptrdiff_t>(i), frames.begin() + static_cast<ptrdiff_t>(end) + 1}));
      i = end + 1;
    }
    auto [found, added] = stacks_.try_emplace(locations, static_cast<int32_t>(stacks_.size() + 1));
    if (added) {
      Builder<PbStack>(message_, PbDictionary::kStack)
          .add_packed_int32(PbStack::kLocations, locations.begin(), locations.end());
    }
    return found->second;
  }

  std::string Finish() {
    for (const std::string& text : string_table_) message_.add_string(PbDictionary::kString, text);
    return std::move(bytes_);
  }

 private:
  void WriteMapping(const ProfileModule& module) {
    const int32_t path = String(module.path);
    std::vector<int32_t> attributes;
    if (!module.build_id.empty()) attributes.push_back(Attribute("process.executable.build_id.gnu", module.build_id));
    Builder<PbMapping> mapping(message_, PbDictionary::kMapping);
    mapping.add_uint64(PbMapping::kStart, module.start);
    mapping.add_uint64(PbMapping::kLimit, module.end);
    mapping.add_int32(PbMapping::kFilename, path);
    mapping.add_packed_int32(PbMapping::kAttributes, attributes.begin(), attributes.end());
  }

  int32_t Function(const ProfileFrame& frame) {
    const int32_t name = String(FrameLabel(profile_, frame)), file = String(frame.file);
    auto [found, added] = functions_.try_emplace({name, file}, static_cast<int32_t>(functions_.size() + 1));
    if (added) {
      Builder<PbFunction> function(message_, PbDictionary::kFunction);
      function.add_int32(PbFunction::kName, name);
      function.add_int32(PbFunction::kSystemName, name);
      function.add_int32(PbFunction::kFilename, file);
    }
    return found->second;
  }

  int32_t Location(const std::vector<uint32_t>& frames) {
    auto [found, added] = locations_.try_emplace(frames, static_cast<int32_t>(locations_.size() + 1));
    if (!added) return found->second;
    std::vector<int32_t> functions;
    for (uint32_t frame : frames) functions.push_back(Function(profile_.frames[frame]));
    const ProfileFrame& physical = profile_.frames[frames.back()];
    const bool mapped = physical.module < profile_.modules.size();
    Builder<PbLocation> location(message_, PbDictionary::kLocation);
    if (mapped) location.add_int32(PbLocation::kMapping, static_cast<int32_t>(physical.module + 1));
    location.add_uint64(PbLocation::kAddress, physical.address + (mapped ? profile_.modules[physical.module].bias : 0));
    for (size_t i = 0; i < frames.size(); ++i) {
      const ProfileFrame& frame = profile_.frames[frames[i]];
      Builder<PbLine> line(location, PbLocation::kLines);
      line.add_int32(PbLine::kFunction, functions[i]);
      line.add_int64(PbLine::kLine, frame.line);
      line.add_int64(PbLine::kColumn, frame.column);
    }
    return found->second;
  }

  const Profile& profile_;
  std::string bytes_;
  Builder<PbDictionary> message_;
  std::vector<std::string> string_table_;
  std::unordered_map<std::string, int32_t> strings_;
  std::map<std::pair<std::string, std::string>, int32_t> attributes_;
  std::map<std::pair<int32_t, int32_t>, int32_t> functions_;
  std::map<std::vector<uint32_t>, int32_t> locations_;
  std::map<std::vector<int32_t>, int32_t> stacks_;
};

void WriteValueType(Builder<PbProfile>& profile, PbProfile field, int32_t type, int32_t unit) {
  Builder<PbValueType> message(profile, field);
  message.add_int32(PbValueType::kType, type);
  message.add_int32(PbValueType::kUnit, unit);
}

// 16 bytes that differ between processes, snapshots and value types; equal content keeps equal ids.
std::string ProfileId(const Profile& profile, size_t value) {
  std::string id(16, '\0');
  uint64_t low = static_cast<uint64_t>(profile.time_ms) << 8 | (value + 1), high = static_cast<uint64_t>(profile.pid);
  for (size_t i = 0; i < 8; ++i) id[i] = static_cast<char>(high >> (56 - 8 * i)), id[8 + i] = static_cast<char>(low >> (56 - 8 * i));
  return id;
}

std::string ProfileMessage(const Profile& profile, size_t value, Dictionary& dictionary) {
  std::string bytes;
  Builder<PbProfile> message(bytes);
  const ValueType& type = profile.value_types[value];
  WriteValueType(message, PbProfile::kSampleType, dictionary.String(type.name), dictionary.String(type.unit));
  for (const ProfileSample& sample : profile.samples) {
    if (sample.values[value] == 0) continue;
    const int32_t stack = dictionary.Stack(sample.frames);
    std::vector<int32_t> attributes;
    for (const ProfileLabel& label : sample.labels) {
      attributes.push_back(dictionary.Attribute("leakhunt." + label.key, label.value));
    }
    Builder<PbSample> record(message, PbProfile::kSamples);
    record.add_int32(PbSample::kStack, stack);
    record.add_packed_int32(PbSample::kAttributes, attributes.begin(), attributes.end());
    record.add_packed_int64(PbSample::kValues, &sample.values[value], &sample.values[value] + 1);
  }
  message.add_fixed64(PbProfile::kTime, static_cast<uint64_t>(profile.time_ms) * 1'000'000);
  message.add_uint64(PbProfile::kDuration, 0);  // a state, not a stretch of time
  WriteValueType(message, PbProfile::kPeriodType, dictionary.String("space"), dictionary.String("bytes"));
  message.add_int64(PbProfile::kPeriod, static_cast<int64_t>(profile.period));
  message.add_bytes(PbProfile::kProfileId, ProfileId(profile, value));
  return bytes;
}

// Names of OpenTelemetry's semantic conventions for a process.
void WriteResource(const Profile& profile, Builder<PbResourceProfiles>& parent) {
  Builder<PbResource> resource(parent, PbResourceProfiles::kResource);
  auto text = [&](const char* key, const std::string& value) {
    Builder<PbKeyValue> attribute(resource, PbResource::kAttributes);
    attribute.add_string(PbKeyValue::kKey, key);
    Builder<PbAnyValue>(attribute, PbKeyValue::kValue).add_string(PbAnyValue::kString, value);
  };
  text("service.name", profile.process);
  text("process.executable.name", profile.process);
  {
    Builder<PbKeyValue> attribute(resource, PbResource::kAttributes);
    attribute.add_string(PbKeyValue::kKey, "process.pid");
    Builder<PbAnyValue>(attribute, PbKeyValue::kValue).add_int64(PbAnyValue::kInt, profile.pid);
  }
  Builder<PbKeyValue> attribute(resource, PbResource::kAttributes);
  attribute.add_string(PbKeyValue::kKey, "process.command_args");
  Builder<PbAnyValue> value(attribute, PbKeyValue::kValue);
  Builder<PbArray> words(value, PbAnyValue::kArray);
  for (const std::string& word : profile.command) {
    Builder<PbAnyValue>(words, PbArray::kValues).add_string(PbAnyValue::kString, word);
  }
}

}  // namespace

void ExportOtlp(const Profile& profile, std::ostream& out) {
  std::string bytes;
  Builder<PbData> data(bytes);
  Dictionary dictionary(profile);
  {
    Builder<PbResourceProfiles> resource_profiles(data, PbData::kResourceProfiles);
    WriteResource(profile, resource_profiles);
    Builder<PbScopeProfiles> scope_profiles(resource_profiles, PbResourceProfiles::kScopeProfiles);
    {
      Builder<PbScope> scope(scope_profiles, PbScopeProfiles::kScope);
      scope.add_string(PbScope::kName, "leakhunt");
      scope.add_string(PbScope::kVersion, LEAKHUNT_VERSION);
    }
    for (size_t value = 0; value < profile.value_types.size(); ++value) {
      scope_profiles.add_message(PbScopeProfiles::kProfiles, ProfileMessage(profile, value, dictionary));
    }
  }
  data.add_message(PbData::kDictionary, dictionary.Finish());
  out << bytes;
}

}  // namespace leakhunt::viewer
