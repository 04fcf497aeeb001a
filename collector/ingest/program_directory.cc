#include "collector/ingest/program_directory.h"

#include <cstring>
#include <string_view>

namespace leakhunt::ingest {

std::filesystem::path SeenFromHere(const std::filesystem::path& path, const watch::ProcDirectory& process) {
  // "/" also of a process in another mount namespace, whose paths have no name here.
  auto root = process.Link("root");
  if (!root || root->empty() || root->front() != '/' || *root == "/") return path;
  return std::filesystem::path(*root) / path.relative_path();
}

std::optional<std::filesystem::path> StartDirectory(const protocol::ProcessHeader& header,
                                                    const watch::ProcDirectory& process) {
  std::string_view said(header.directory, strnlen(header.directory, sizeof(header.directory)));
  if (said.starts_with('/')) return SeenFromHere(said, process);
  auto now = process.Link("cwd");  // longer than the pages have room for, or removed
  if (!now || !now->starts_with('/') || now->ends_with(" (deleted)")) return std::nullopt;
  return *now;
}

}  // namespace leakhunt::ingest
