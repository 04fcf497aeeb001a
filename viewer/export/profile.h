// What the exporters write: samples of resolved stacks with values, in no program's format.
//
// A neutral value between the snapshot (sites, weights) and the formats (pprof, speedscope, …): made once by the
// command, read by every exporter. Plain values; indices instead of pointers; no order is meant but where said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace leakhunt::viewer {

inline constexpr uint32_t kNoProfileModule = 0xFFFF'FFFF;

struct ProfileModule {
  std::string path;
  std::string build_id;         // lower-case hex; empty = unknown
  uint64_t start = 0, end = 0;  // where it was mapped; 0, 0 = unknown
  uint64_t bias = 0;            // memory address less ELF virtual address
};

struct ProfileFrame {
  std::string function;  // empty = unknown
  std::string file;
  uint32_t line = 0;     // 0 = unknown
  uint32_t column = 0;
  uint32_t module = kNoProfileModule;  // index into Profile.modules
  uint64_t address = 0;  // ELF virtual address in the module; plain address without one
  bool inlined = false;  // into the next frame of the stack

  bool operator==(const ProfileFrame&) const = default;
};

struct ProfileLabel {
  std::string key;    // "kind", "scope", "type"
  std::string value;
};

struct ProfileSample {
  std::vector<uint32_t> frames;  // indices into Profile.frames, innermost first; empty = unknown stack
  std::vector<int64_t> values;   // one for each of Profile.value_types, >= 0
  std::vector<ProfileLabel> labels;
};

struct ValueType {
  std::string name;  // pprof's words: "inuse_space"
  std::string unit;  // "bytes" or "count"
  std::string title;  // for people: "live bytes"
};

struct Profile {
  std::string process;               // name of the program
  std::vector<std::string> command;
  int pid = 0;
  int64_t time_ms = 0;               // of the snapshot, since the Unix epoch
  int64_t age_ms = 0;                // of the process at that time; 0 = unknown
  uint64_t period = 1;               // mean bytes between samples; 1 = exact
  std::vector<ValueType> value_types;  // the last is the default
  std::vector<ProfileModule> modules;  // the program itself first
  std::vector<ProfileFrame> frames;
  std::vector<ProfileSample> samples;
  std::vector<std::string> comments;
};

// The value type of that name; value_types.size() when there is none.
size_t FindValueType(const Profile& profile, const std::string& name);

// A name in every case: the function, else "libfoo.so+0x1234", else "0x7f…".
std::string FrameLabel(const Profile& profile, const ProfileFrame& frame);

}  // namespace leakhunt::viewer
