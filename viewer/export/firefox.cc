// Firefox Profiler's processed profile format, version 47 (it upgrades older versions itself): profiler.firefox.com
// opens the file. A thread of its own for each value type: bytes as native allocations, counts as weighted samples.
#include <nlohmann/json.hpp>
#include <ostream>
#include <unordered_map>

#include "viewer/export/call_tree.h"
#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

using Json = nlohmann::ordered_json;

// Tables are stored by column.
Json Column(size_t length, const Json& value) { return Json(std::vector<Json>(length, value)); }

class Strings {
 public:
  size_t Index(const std::string& text) {
    auto [found, added] = index_.try_emplace(text, index_.size());
    if (added) array_.push_back(text);
    return found->second;
  }
  const Json& Array() const { return array_; }

 private:
  Json array_ = Json::array();
  std::unordered_map<std::string, size_t> index_;
};

// The tables that all threads share in content; the format of this version wants a copy in each.
struct Tables {
  Json strings, functions, frames, stacks, resources, libraries;
};

Json Libraries(const Profile& profile) {
  Json libraries = Json::array();
  for (const ProfileModule& module : profile.modules) {
    const std::string name = module.path.substr(module.path.rfind('/') + 1);
    libraries.push_back({{"arch", ""}, {"name", name}, {"path", module.path}, {"debugName", name},
                         {"debugPath", module.path}, {"breakpadId", ""}, {"codeId", module.build_id}});
  }
  return libraries;
}

// A resource a module: readers group functions by it.
Json Resources(const Profile& profile, Strings& strings) {
  Json lib = Json::array(), name = Json::array();
  for (size_t i = 0; i < profile.modules.size(); ++i) {
    const std::string& path = profile.modules[i].path;
    lib.push_back(i);
    name.push_back(strings.Index(path.substr(path.rfind('/') + 1)));
  }
  const size_t length = profile.modules.size();
  return {{"length", length}, {"lib", lib}, {"name", name}, {"host", Column(length, nullptr)}, {"type", Column(length, 1)}};
}

// One function a frame: two lines of one function are told apart by the frame's line, not by a second function, so
// that the call tree adds them up.
void WriteFrames(const Profile& profile, Strings& strings, Tables& tables) {
  struct Function { size_t name; Json resource, file; };
  std::vector<Function> functions;
  std::unordered_map<std::string, size_t> known;
  Json func = Json::array(), address = Json::array(), depth = Json::array(), line = Json::array(), column = Json::array();
  std::vector<ProfileFrame> frames = profile.frames;
  frames.push_back(UnknownFrame());
  for (const ProfileFrame& frame : frames) {
    const std::string label = FrameLabel(profile, frame);
    const bool mapped = frame.module < profile.modules.size();
    const std::string key = label + '\0' + frame.file + '\0' + std::to_string(frame.module);
    auto [found, added] = known.try_emplace(key, functions.size());
    if (added) {
      functions.push_back({strings.Index(label), mapped ? Json(frame.module) : Json(-1),
                           frame.file.empty() ? Json(nullptr) : Json(strings.Index(frame.file))});
    }
    func.push_back(found->second);
    address.push_back(mapped ? Json(frame.address) : Json(-1));
    depth.push_back(frame.inlined ? 1 : 0);
    line.push_back(frame.line == 0 ? Json(nullptr) : Json(frame.line));
    column.push_back(frame.column == 0 ? Json(nullptr) : Json(frame.column));
  }
  const size_t length = frames.size();
  tables.frames = {{"length", length}, {"func", func}, {"address", address}, {"inlineDepth", depth},
                   {"line", line}, {"column", column}, {"category", Column(length, 0)},
                   {"subcategory", Column(length, 0)}, {"nativeSymbol", Column(length, nullptr)},
                   {"innerWindowID", Column(length, nullptr)}, {"implementation", Column(length, nullptr)}};
  Json name = Json::array(), resource = Json::array(), file = Json::array();
  for (const Function& function : functions) {
    name.push_back(function.name);
    resource.push_back(function.resource);
    file.push_back(function.file);
  }
  const size_t count = functions.size();
  tables.functions = {{"length", count}, {"name", name}, {"resource", resource}, {"fileName", file},
                      {"isJS", Column(count, false)}, {"relevantForJS", Column(count, false)},
                      {"lineNumber", Column(count, nullptr)}, {"columnNumber", Column(count, nullptr)}};
}

Json Stacks(const CallTree& tree) {
  Json frame = Json::array(), prefix = Json::array();
  for (const CallNode& node : tree.nodes) {
    frame.push_back(node.frame);
    prefix.push_back(node.parent == kNoParent ? Json(nullptr) : Json(node.parent));
  }
  const size_t length = tree.nodes.size();
  return {{"length", length}, {"frame", frame}, {"prefix", prefix}, {"category", Column(length, 0)},
          {"subcategory", Column(length, 0)}};
}

Json Samples(const Profile& profile, const CallTree& tree, size_t value, const char* weight_type) {
  Json stack = Json::array(), weight = Json::array();
  for (size_t i = 0; i < profile.samples.size(); ++i) {
    if (profile.samples[i].values[value] == 0) continue;
    stack.push_back(tree.leaf_of_sample[i]);
    weight.push_back(profile.samples[i].values[value]);
  }
  const size_t length = stack.size();
  return {{"length", length}, {"time", Column(length, 0)}, {"stack", std::move(stack)}, {"weight", std::move(weight)},
          {"weightType", weight_type}};
}

Json Thread(const Profile& profile, const CallTree& tree, const Tables& tables, size_t value) {
  const ValueType& type = profile.value_types[value];
  const bool bytes = type.unit == "bytes";
  const Json none = Json::array();
  Json thread = {{"processType", "default"},
                 {"processName", profile.process},
                 {"processStartupTime", 0},
                 {"processShutdownTime", nullptr},
                 {"registerTime", 0},
                 {"unregisterTime", nullptr},
                 {"pausedRanges", none},
                 {"name", type.title},
                 {"isMainThread", value + 1 == profile.value_types.size()},
                 {"pid", std::to_string(profile.pid)},
                 {"tid", value},
                 {"markers", {{"length", 0}, {"data", none}, {"name", none}, {"startTime", none}, {"endTime", none},
                              {"phase", none}, {"category", none}}},
                 {"stackTable", tables.stacks},
                 {"frameTable", tables.frames},
                 {"funcTable", tables.functions},
                 {"resourceTable", tables.resources},
                 {"nativeSymbols", {{"length", 0}, {"libIndex", none}, {"address", none}, {"name", none}, {"functionSize", none}}},
                 {"stringArray", tables.strings}};
  const Json no_samples = {{"length", 0}, {"time", none}, {"stack", none}, {"weight", nullptr}, {"weightType", "samples"}};
  thread["samples"] = bytes ? no_samples : Samples(profile, tree, value, "samples");
  if (bytes) thread["nativeAllocations"] = Samples(profile, tree, value, "bytes");
  return thread;
}

}  // namespace

void ExportFirefox(const Profile& profile, std::ostream& out) {
  const CallTree tree = MakeCallTree(profile);
  Strings strings;
  Tables tables;
  tables.resources = Resources(profile, strings);
  WriteFrames(profile, strings, tables);
  tables.stacks = Stacks(tree);
  tables.strings = strings.Array();
  Json threads = Json::array();
  for (size_t value = profile.value_types.size(); value-- > 0;) {  // the default first
    threads.push_back(Thread(profile, tree, tables, value));
  }
  const Json category = {{"name", "Other"}, {"color", "grey"}, {"subcategories", {"Other"}}};
  const Json json = {{"meta", {{"interval", 1},
                               {"startTime", profile.time_ms},
                               {"processType", 0},
                               {"product", profile.process},
                               {"stackwalk", 1},
                               {"version", 27},
                               {"preprocessedProfileVersion", 47},
                               {"symbolicated", true},
                               {"importedFrom", "leakhunt " LEAKHUNT_VERSION},
                               {"categories", Json::array({category})},
                               {"markerSchema", Json::array()}}},
                     {"libs", Libraries(profile)},
                     {"threads", std::move(threads)}};
  out << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace leakhunt::viewer
