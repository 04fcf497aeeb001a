// Storing debug files by build-id; see bundle.h.
#include "symbolizer/bundle.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <set>

#include "symbolizer/debug_files.h"
#include "symbolizer/elf_strip.h"

namespace leakhunt::symbolizer {
namespace {

// All missing directories of `path`, each 0700.
Status MakeDirectories(const std::filesystem::path& path) {
  std::filesystem::path built;
  for (const std::filesystem::path& part : path) {
    built /= part;
    if (mkdir(built.c_str(), 0700) != 0 && errno != EEXIST && errno != EISDIR) {
      struct stat status;  // EROFS or EACCES for one that exists
      if (stat(built.c_str(), &status) != 0) return ErrnoError("cannot create " + built.string(), errno);
    }
  }
  return Ok();
}

class Store {
 public:
  Store(const Options& options, std::string directory) : files_(options), directory_(std::move(directory)) {}

  Status Add(const ModuleId& module);
  StoredSymbols& stored() { return stored_; }

 private:
  Status Write(const ElfFile& file, const std::string& build_id);

  DebugFiles files_;
  std::string directory_;
  StoredSymbols stored_;
};

Status Store::Write(const ElfFile& file, const std::string& build_id) {
  const std::filesystem::path path = directory_ + "/.build-id/" + BuildIdPath(build_id);
  if (auto there = ElfFile::Open(path.string()); there && (*there)->build_id() == build_id) return Ok();
  Status made = MakeDirectories(path.parent_path());
  if (!made) return made;
  const std::string temporary = path.string() + ".tmp" + std::to_string(getpid());
  unlink(temporary.c_str());
  Status written = WriteDebugOnly(file, temporary);
  struct stat status {};
  if (written && (stat(temporary.c_str(), &status) != 0 || rename(temporary.c_str(), path.c_str()) != 0)) {
    written = ErrnoError("cannot write " + path.string(), errno);
  }
  if (!written) {
    unlink(temporary.c_str());
    return written;
  }
  ++stored_.written;
  stored_.written_bytes += static_cast<uint64_t>(status.st_size);
  return Ok();
}

Status Store::Add(const ModuleId& module) {
  if (!IsFileName(module.path)) return Ok();
  if (BuildIdPath(module.build_id).empty()) {
    stored_.warnings.push_back(module.path + " has no build-id: its symbols cannot be stored");
    return Ok();
  }
  const ModuleFiles files = files_.Find(module, &stored_.warnings);
  const ElfFile* best = files.WithDwarf();
  if (best == nullptr) best = files.debug != nullptr ? files.debug.get() : files.code.get();
  if (best == nullptr) {
    stored_.warnings.push_back("no symbols for " + module.path + " (build-id " + module.build_id + ")");
    return Ok();
  }
  Status written = Write(*best, module.build_id);
  if (!written) return written;
  ++stored_.modules;
  if (files.alternate == nullptr) return Ok();
  return Write(*files.alternate, files.alternate->build_id());
}

}  // namespace

Result<StoredSymbols> StoreSymbols(std::span<const ModuleId> modules, const Options& options,
                                   const std::string& directory) {
  Store store(options, directory);
  Status made = MakeDirectories(directory);
  if (!made) return std::move(made).error();
  std::set<std::pair<std::string, std::string>> seen;
  for (const ModuleId& module : modules) {
    if (!seen.emplace(module.build_id, module.path).second) continue;
    Status added = store.Add(module);
    if (!added) return std::move(added).error();
  }
  return std::move(store.stored());
}

}  // namespace leakhunt::symbolizer
