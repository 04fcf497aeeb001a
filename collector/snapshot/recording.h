// Recordings on disk, for readers: a snapshot file, a directory of one process image, a directory of recordings.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "collector/base/result.h"
#include "collector/snapshot/model.h"

namespace leakhunt::snapshot {

// Reads one *.lhs file. Every defect (torn, foreign, other version, checksum, hostile sizes) is one Error that names
// the file and the reason; never throws, never allocates more than a small multiple of the decoded size limit.
Result<Snapshot> ReadSnapshot(const std::filesystem::path& file);

// Writes a snapshot that is whole in memory, as SnapshotWriter does.
Status WriteSnapshot(const Snapshot& snapshot, const std::filesystem::path& file);

// One process image's directory.
struct Recording {
  std::filesystem::path directory;
  std::vector<std::filesystem::path> files;  // snapshot-*.lhs in number order
};

// Finds the recordings under `path`: itself (a file or one recording), or its children.
Result<std::vector<Recording>> FindRecordings(const std::filesystem::path& path);

}  // namespace leakhunt::snapshot
