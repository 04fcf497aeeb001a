// Where the code and the debug information of a recorded module lie on this machine.
//
// Host process, one thread. A file counts only when its build-id is the recorded one: a rebuilt binary gives a
// warning, never another version's symbols. Order: the recording's bundle, the module itself, then debug files by
// build-id and by .gnu_debuglink under the debug directories, then debuginfod when asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "symbolizer/elf_file.h"
#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {

struct ModuleFiles {
  std::unique_ptr<ElfFile> code;   // the module itself; null when it is gone, rebuilt or elsewhere
  std::unique_ptr<ElfFile> debug;  // a file of its own with DWARF or .symtab; null when none, or when `code` has it
  std::unique_ptr<ElfFile> alternate;  // what dwz moved out of the file with the DWARF; null when none

  const ElfFile* WithDwarf() const;    // null when none
};

class DebugFiles {
 public:
  explicit DebugFiles(const Options& options);

  // What is missing or does not match is said in `warnings`, a line each.
  ModuleFiles Find(const ModuleId& module, std::vector<std::string>* warnings) const;

 private:
  std::unique_ptr<ElfFile> FindCode(const ModuleId& module, std::vector<std::string>* warnings) const;
  std::unique_ptr<ElfFile> FindDebug(const ModuleId& module, const ElfFile* code) const;
  std::unique_ptr<ElfFile> FindAlternate(const ElfFile& dwarf, std::vector<std::string>* warnings) const;
  std::unique_ptr<ElfFile> ByBuildId(const std::string& build_id) const;
  std::unique_ptr<ElfFile> ByDebugLink(const ElfFile& code) const;

  Options options_;
  std::vector<std::string> debug_dirs_;  // with the defaults, in search order
};

// "[vdso]", "anon_inode:…", "/memfd:…", "": names that never were files.
bool IsFileName(const std::string& path);
// "ab/cdef0123.debug" for a build-id "abcdef0123"; empty for one that is too short or not hex.
std::string BuildIdPath(const std::string& build_id);

}  // namespace leakhunt::symbolizer
