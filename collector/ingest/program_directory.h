// Where a program was started, and what its paths are called here.
//
// A program says its directory in its pages, because it may have gone elsewhere, or ended, when the collector asks /proc. Believed
// of the collector's own user alone: nobody else may say where it writes.
#pragma once

#include <filesystem>
#include <optional>

#include "collector/watch/proc_directory.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ingest {

// The program's directory as this process sees it; nothing when it was removed or is not known.
std::optional<std::filesystem::path> StartDirectory(const protocol::ProcessHeader& header,
                                                    const watch::ProcDirectory& process);

// An absolute path of the program's from its start, as this process sees it. The program may have been started under another
// root (chroot), or have moved to one since: which of the two, the inode of its directory tells. Nothing when neither is so.
std::optional<std::filesystem::path> SeenFromHere(const std::filesystem::path& path, const protocol::ProcessHeader& header,
                                   const watch::ProcDirectory& process);

}  // namespace leakhunt::ingest
