#include "collector/ingest/program_directory.h"

#include <sys/stat.h>

#include <cstring>
#include <string_view>

namespace leakhunt::ingest {
namespace {

std::string_view SaidDirectory(const protocol::ProcessHeader& header) {
  return {header.directory, strnlen(header.directory, sizeof(header.directory))};
}

bool IsItsDirectory(const std::filesystem::path& path, const protocol::ProcessHeader& header) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && status.st_dev == header.directory_device &&
         status.st_ino == header.directory_inode;
}

}  // namespace

std::optional<std::filesystem::path> SeenFromHere(const std::filesystem::path& path, const protocol::ProcessHeader& header,
                                   const watch::ProcDirectory& process) {
  const std::filesystem::path directory(SaidDirectory(header));
  if (header.directory_inode == 0 || !directory.is_absolute() || IsItsDirectory(directory, header)) return path;
  // "/" also of a process in another mount namespace, whose paths may have no name here.
  auto root = process.Link("root");
  if (!root || !root->starts_with('/') || !IsItsDirectory(std::filesystem::path(*root) / directory.relative_path(), header)) return std::nullopt;
  return std::filesystem::path(*root) / path.relative_path();
}

std::optional<std::filesystem::path> StartDirectory(const protocol::ProcessHeader& header,
                                                    const watch::ProcDirectory& process) {
  if (SaidDirectory(header).starts_with('/')) return SeenFromHere(SaidDirectory(header), header, process);
  auto now = process.Link("cwd");  // longer than the pages have room for, or removed
  if (!now || !now->starts_with('/') || now->ends_with(" (deleted)")) return std::nullopt;
  return *now;
}

}  // namespace leakhunt::ingest
