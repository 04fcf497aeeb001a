// Turns (module, offset) into functions, files and lines, later and anywhere.
//
// Not thread-safe; one Symbolizer a thread. Reads only files; never the recorded process. Everything it opens (ELF,
// DWARF, perf maps) is hostile input: a defect costs the frames of that file and one warning.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace leakhunt::symbolizer {

struct ModuleId {
  std::string path;
  std::string build_id;  // lower-case hex, empty = unknown
};

struct SourceFrame {
  std::string function;  // demangled; empty = unknown
  std::string file;      // as DWARF says, made absolute with the compilation directory; empty = unknown
  uint32_t line = 0;     // 0 = unknown
  uint32_t column = 0;
  bool inlined = false;  // inlined into the next frame
};

struct Options {
  bool enabled = true;                  // false: only what needs no file (nothing)
  std::vector<std::string> debug_dirs;  // searched before /usr/lib/debug
  std::string sysroot;                  // prefix for module paths
  std::string bundle_dir;               // a recording's `symbols/` directory: searched first
  bool use_debuginfod = false;          // $DEBUGINFOD_URLS, only when asked
};

class Symbolizer {
 public:
  explicit Symbolizer(Options options);
  ~Symbolizer();
  Symbolizer(const Symbolizer&) = delete;
  Symbolizer& operator=(const Symbolizer&) = delete;

  // Frames at `address` (ELF virtual address of the instruction; callers pass return address - 1), innermost inlined
  // one first; the last is the physical function. Empty when nothing is known. Results are cached.
  const std::vector<SourceFrame>& Lookup(const ModuleId& module, uint64_t address);

  // The same for code without a module, from perf-PID.map or jitdump text kept beside the snapshot.
  Symbolizer& AddJitMap(const std::string& perf_map_path);
  const std::vector<SourceFrame>& LookupJit(uint64_t address);

  // One line each: missing debug file, build-id mismatch ("… was rebuilt since: build-id X, recorded Y"), damage.
  std::span<const std::string> Warnings() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// C++ (Itanium) and Rust (legacy and v0) names; anything else comes back unchanged.
std::string Demangle(const std::string& mangled);

}  // namespace leakhunt::symbolizer
