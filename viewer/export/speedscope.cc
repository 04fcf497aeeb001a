// speedscope's own file format: its import of pprof drops inlined frames.
#include <nlohmann/json.hpp>
#include <ostream>

#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

using Json = nlohmann::ordered_json;

Json Frames(const Profile& profile) {
  Json frames = Json::array();
  for (const ProfileFrame& frame : profile.frames) {
    Json& json = frames.emplace_back(Json{{"name", FrameLabel(profile, frame)}});
    if (!frame.file.empty()) json["file"] = frame.file;
    if (frame.line != 0) json["line"] = frame.line;
    if (frame.column != 0) json["col"] = frame.column;
  }
  frames.push_back({{"name", "(unknown)"}});  // for samples without a stack
  return frames;
}

Json Values(const Profile& profile, size_t value) {
  Json samples = Json::array(), weights = Json::array();
  int64_t total = 0;
  for (const ProfileSample& sample : profile.samples) {
    if (sample.values[value] <= 0) continue;
    Json stack = Json::array();
    for (size_t i = sample.frames.size(); i-- > 0;) stack.push_back(sample.frames[i]);
    if (stack.empty()) stack.push_back(profile.frames.size());
    samples.push_back(std::move(stack));
    weights.push_back(sample.values[value]);
    total += sample.values[value];
  }
  const ValueType& type = profile.value_types[value];
  return {{"type", "sampled"},
          {"name", type.title},
          {"unit", type.unit == "bytes" ? "bytes" : "none"},
          {"startValue", 0},
          {"endValue", total},
          {"samples", std::move(samples)},
          {"weights", std::move(weights)}};
}

}  // namespace

void ExportSpeedscope(const Profile& profile, std::ostream& out) {
  Json profiles = Json::array();
  for (size_t value = 0; value < profile.value_types.size(); ++value) profiles.push_back(Values(profile, value));
  const size_t active = profile.value_types.empty() ? 0 : profile.value_types.size() - 1;
  const Json json = {{"$schema", "https://www.speedscope.app/file-format-schema.json"},
                     {"exporter", "leakhunt " LEAKHUNT_VERSION},
                     {"name", profile.process + " (" + std::to_string(profile.pid) + ")"},
                     {"activeProfileIndex", active},
                     {"shared", {{"frames", Frames(profile)}}},
                     {"profiles", std::move(profiles)}};
  out << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace leakhunt::viewer
