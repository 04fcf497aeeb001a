// The search for code and debug files; see debug_files.h.
#include "symbolizer/debug_files.h"

#include <sys/stat.h>
#include <zlib.h>

#include <cctype>
#include <filesystem>

#include "symbolizer/debuginfod.h"
#include "symbolizer/dwarf_index.h"

namespace leakhunt::symbolizer {
namespace {

constexpr std::string_view kDeleted = " (deleted)";

bool Exists(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0;
}

// "/proc/42/root/usr/lib/x" -> "/usr/lib/x"; "" for other paths.
std::string WithoutProcRoot(const std::string& path) {
  if (path.compare(0, 6, "/proc/") != 0) return {};
  size_t at = 6;
  while (at < path.size() && std::isdigit(static_cast<unsigned char>(path[at]))) ++at;
  return at > 6 && path.compare(at, 6, "/root/") == 0 ? path.substr(at + 5) : std::string();
}

// Where the module may lie, best first.
std::vector<std::string> CodePaths(const ModuleId& module, const std::string& sysroot) {
  std::string path = module.path;
  if (path.size() > kDeleted.size() && path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
  std::vector<std::string> paths;
  const std::string inside = WithoutProcRoot(path);
  if (!sysroot.empty()) {
    paths.push_back(sysroot + (inside.empty() ? path : inside));
    return paths;
  }
  paths.push_back(path);
  // Another mount namespace's file, read after its process ended: only a build-id can tell that ours is the same.
  if (!inside.empty() && !module.build_id.empty()) paths.push_back(inside);
  return paths;
}

// CRC-32 of the whole file, as .gnu_debuglink has it.
bool CrcMatches(const ElfFile& file, uint32_t expected) {
  size_t size = 0;
  const char* bytes = elf_rawfile(file.elf(), &size);
  return bytes != nullptr && crc32_z(0, reinterpret_cast<const Bytef*>(bytes), size) == expected;
}

std::unique_ptr<ElfFile> OpenMatching(const std::string& path, const std::string& build_id) {
  if (!Exists(path)) return nullptr;
  auto file = ElfFile::Open(path);
  if (!file || (*file)->build_id() != build_id) return nullptr;
  return std::move(*file);
}

bool Useful(const ElfFile& file) { return file.HasDebugInfo() || file.HasSymtab(); }

}  // namespace

const ElfFile* ModuleFiles::WithDwarf() const {
  if (debug != nullptr && debug->HasDebugInfo()) return debug.get();
  return code != nullptr && code->HasDebugInfo() ? code.get() : nullptr;
}

bool IsFileName(const std::string& path) {
  return !path.empty() && path[0] == '/' && path.compare(0, 7, "/memfd:") != 0 && path.compare(0, 5, "/SYSV") != 0 &&
         path.compare(0, 5, "/dev/") != 0;
}

std::string BuildIdPath(const std::string& build_id) {
  if (build_id.size() < 6 || build_id.size() > 128 || build_id.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return {};
  }
  return build_id.substr(0, 2) + "/" + build_id.substr(2) + ".debug";
}

DebugFiles::DebugFiles(const Options& options) : options_(options), debug_dirs_(options.debug_dirs) {
  if (!options.sysroot.empty()) debug_dirs_.push_back(options.sysroot + "/usr/lib/debug");
  debug_dirs_.push_back("/usr/lib/debug");
}

ModuleFiles DebugFiles::Find(const ModuleId& module, std::vector<std::string>* warnings) const {
  ModuleFiles files;
  if (!IsFileName(module.path) && module.build_id.empty()) return files;
  files.code = FindCode(module, warnings);
  const bool complete = files.code != nullptr && files.code->HasDebugInfo();
  if (!complete) files.debug = FindDebug(module, files.code.get());
  const ElfFile* dwarf = files.WithDwarf();
  if (dwarf != nullptr) files.alternate = FindAlternate(*dwarf, warnings);
  return files;
}

std::unique_ptr<ElfFile> DebugFiles::FindCode(const ModuleId& module, std::vector<std::string>* warnings) const {
  if (!options_.bundle_dir.empty() && !BuildIdPath(module.build_id).empty()) {
    auto bundled = OpenMatching(options_.bundle_dir + "/.build-id/" + BuildIdPath(module.build_id), module.build_id);
    if (bundled != nullptr) return bundled;
  }
  if (!IsFileName(module.path)) return nullptr;
  std::string problem;
  for (const std::string& path : CodePaths(module, options_.sysroot)) {
    if (!Exists(path)) continue;
    auto file = ElfFile::Open(path);
    if (!file) {
      if (problem.empty()) problem = file.error().message;
      continue;
    }
    const std::string& found = (*file)->build_id();
    if (module.build_id.empty() || found == module.build_id) return std::move(*file);
    problem = path + " was rebuilt since: build-id " + (found.empty() ? "none" : found) + ", recorded " +
              module.build_id + "; its symbols are not used";
  }
  if (!problem.empty()) warnings->push_back(problem);
  return nullptr;
}

std::unique_ptr<ElfFile> DebugFiles::ByBuildId(const std::string& build_id) const {
  const std::string name = BuildIdPath(build_id);
  if (name.empty()) return nullptr;
  if (!options_.bundle_dir.empty()) {
    auto found = OpenMatching(options_.bundle_dir + "/.build-id/" + name, build_id);
    if (found != nullptr) return found;
  }
  for (const std::string& directory : debug_dirs_) {
    auto found = OpenMatching(directory + "/.build-id/" + name, build_id);
    if (found != nullptr) return found;
  }
  return nullptr;
}

// Beside the file, in its .debug directory, and at the same place under each debug directory. Both must agree on the
// build-id, or, without one, the file must have the CRC of the link.
std::unique_ptr<ElfFile> DebugFiles::ByDebugLink(const ElfFile& code) const {
  const DebugLink link = code.GnuDebugLink();
  if (link.name.empty()) return nullptr;
  const std::string directory = std::filesystem::path(code.path()).parent_path().string();
  std::vector<std::string> paths = {directory + "/" + link.name, directory + "/.debug/" + link.name};
  for (const std::string& debug_dir : debug_dirs_) {
    paths.push_back(debug_dir + directory + "/" + link.name);
    paths.push_back(debug_dir + "/" + link.name);
  }
  for (const std::string& path : paths) {
    if (path == code.path()) continue;
    auto found = OpenMatching(path, code.build_id());
    if (found != nullptr && (!code.build_id().empty() || CrcMatches(*found, link.crc))) return found;
  }
  return nullptr;
}

std::unique_ptr<ElfFile> DebugFiles::FindDebug(const ModuleId& module, const ElfFile* code) const {
  auto found = ByBuildId(module.build_id.empty() && code != nullptr ? code->build_id() : module.build_id);
  if (found == nullptr && code != nullptr) found = ByDebugLink(*code);
  if (found == nullptr && options_.use_debuginfod && !module.build_id.empty()) {
    const std::string path = DownloadDebugInfo(module.build_id);
    if (!path.empty()) found = OpenMatching(path, module.build_id);
  }
  return found != nullptr && Useful(*found) ? std::move(found) : nullptr;
}

std::unique_ptr<ElfFile> DebugFiles::FindAlternate(const ElfFile& dwarf, std::vector<std::string>* warnings) const {
  const AlternateLink link = FindAlternateLink(dwarf);
  if (link.path.empty()) return nullptr;
  auto found = ByBuildId(link.build_id);
  if (found == nullptr) {
    const std::filesystem::path path(link.path);
    const std::filesystem::path beside = std::filesystem::path(dwarf.path()).parent_path() / path;
    found = OpenMatching(path.is_absolute() ? options_.sysroot + link.path : beside.string(), link.build_id);
  }
  if (found == nullptr) {
    warnings->push_back(dwarf.path() + ": its shared debug file " + link.path + " is missing: some names are unknown");
  }
  return found;
}

}  // namespace leakhunt::symbolizer
