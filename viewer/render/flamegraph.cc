// The flame graph's data: samples merged into a tree of functions, as JSON in the page; see flamegraph.html.
#include "viewer/render/flamegraph.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <unordered_map>

#include "collector/base/clean_text.h"
#include "viewer/export/profile.h"
#include "viewer/render/page.h"
#include "viewer/render/pages.h"

namespace leakhunt::viewer {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostNodes = 300'000;

struct Node {
  uint32_t parent = 0;
  uint32_t name = 0;
  uint32_t frame = 0;  // the first one seen here
  bool one_line = true, one_file = true;
  std::vector<int64_t> self, total;
};

// Stacks from the outside in; frames of one function under one caller are one node. Node 0 is the root; a parent comes
// before its children.
class Tree {
 public:
  explicit Tree(const Profile& profile);
  Json ToJson() const;

 private:
  void Add(const ProfileSample& sample);
  uint32_t Child(uint32_t parent, uint32_t frame);
  void SumUp();
  std::vector<bool> Kept() const;
  std::string Place(const Node& node) const;

  const Profile& profile_;
  std::vector<uint32_t> name_of_frame_;
  std::vector<std::string> names_;
  std::vector<Node> nodes_;
  std::unordered_map<uint64_t, uint32_t> children_;  // parent << 32 | name
};

Tree::Tree(const Profile& profile) : profile_(profile), names_{"all"} {
  std::unordered_map<std::string, uint32_t> ids;
  for (const ProfileFrame& frame : profile.frames) {
    const std::string name = FrameLabel(profile, frame);
    auto [found, added] = ids.try_emplace(name, static_cast<uint32_t>(names_.size()));
    if (added) names_.push_back(name);
    name_of_frame_.push_back(found->second);
  }
  const std::vector<int64_t> zeros(profile.value_types.size(), 0);
  nodes_.push_back(Node{0, 0, UINT32_MAX, false, false, zeros, zeros});
  for (const ProfileSample& sample : profile.samples) Add(sample);
  SumUp();
}

void Tree::Add(const ProfileSample& sample) {
  uint32_t at = 0;
  for (size_t i = sample.frames.size(); i-- > 0;) at = Child(at, sample.frames[i]);
  for (size_t value = 0; value < sample.values.size(); ++value) nodes_[at].self[value] += sample.values[value];
}

uint32_t Tree::Child(uint32_t parent, uint32_t frame) {
  const uint32_t name = name_of_frame_[frame];
  auto [found, added] = children_.try_emplace(uint64_t{parent} << 32 | name, static_cast<uint32_t>(nodes_.size()));
  if (added) {
    const std::vector<int64_t> zeros(profile_.value_types.size(), 0);
    nodes_.push_back(Node{parent, name, frame, true, true, zeros, zeros});
    return found->second;
  }
  Node& node = nodes_[found->second];
  const ProfileFrame& first = profile_.frames[node.frame];
  const ProfileFrame& other = profile_.frames[frame];
  if (first.file != other.file) node.one_file = false;
  if (first.line != other.line) node.one_line = false;
  return found->second;
}

void Tree::SumUp() {
  for (Node& node : nodes_) node.total = node.self;
  for (size_t i = nodes_.size(); i-- > 1;) {
    for (size_t value = 0; value < nodes_[i].total.size(); ++value) {
      nodes_[nodes_[i].parent].total[value] += nodes_[i].total[value];
    }
  }
}

std::string Tree::Place(const Node& node) const {
  if (node.frame == UINT32_MAX || !node.one_file) return {};
  const ProfileFrame& frame = profile_.frames[node.frame];
  if (frame.file.empty()) {
    return frame.module < profile_.modules.size() ? profile_.modules[frame.module].path : std::string();
  }
  return node.one_line && frame.line != 0 ? frame.file + ":" + std::to_string(frame.line) : frame.file;
}

// All nodes of a tree of bearable size; of a larger one those that are at least 1/20,000 of the whole in some value.
std::vector<bool> Tree::Kept() const {
  std::vector<bool> kept(nodes_.size(), true);
  if (nodes_.size() <= kMostNodes) return kept;
  for (size_t i = 1; i < nodes_.size(); ++i) {
    bool seen = false;
    for (size_t value = 0; value < nodes_[i].total.size(); ++value) {
      seen |= nodes_[i].total[value] > 0 && nodes_[i].total[value] >= nodes_[0].total[value] / 20'000;
    }
    kept[i] = seen && kept[nodes_[i].parent];
  }
  return kept;
}

// Parallel arrays. What was left out is counted to the node it hung from.
Json Tree::ToJson() const {
  const std::vector<bool> kept = Kept();
  std::vector<uint32_t> number(nodes_.size(), 0);
  Json parents = Json::array(), names = Json::array(), places = Json::array(), place_table = Json::array();
  std::vector<std::vector<int64_t>> values(profile_.value_types.size());
  std::unordered_map<std::string, size_t> place_ids;
  uint32_t count = 0, left_out = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    number[i] = kept[i] ? count++ : number[node.parent];
    if (!kept[i]) {
      ++left_out;
      for (size_t value = 0; value < values.size(); ++value) values[value][number[i]] += node.self[value];
      continue;
    }
    parents.push_back(number[node.parent]);
    names.push_back(node.name);
    auto [place, added] = place_ids.try_emplace(Place(node), place_table.size());
    if (added) place_table.push_back(place->first);
    places.push_back(place->second);
    for (size_t value = 0; value < values.size(); ++value) values[value].push_back(node.self[value]);
  }
  Json types = Json::array();
  for (const ValueType& type : profile_.value_types) types.push_back({{"title", type.title}, {"unit", type.unit}});
  return {{"types", std::move(types)}, {"names", names_},           {"places", std::move(place_table)},
          {"parent", std::move(parents)}, {"name", std::move(names)}, {"place", std::move(places)},
          {"self", std::move(values)},  {"leftOut", left_out},      {"notes", profile_.comments}};
}

}  // namespace

void RenderFlameGraph(const Profile& profile, const std::string& title, std::ostream& out) {
  const std::string data = Tree(profile).ToJson().dump(-1, ' ', false, Json::error_handler_t::replace);
  FillPage(kFlameGraphPage, {{"TITLE", HtmlText(title)}, {"DATA", ScriptJson(data)}}, out);
}

}  // namespace leakhunt::viewer
