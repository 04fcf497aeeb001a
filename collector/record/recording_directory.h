// One process image's directory of snapshots: its name, its next number, and how a restarted collector finds it again.
//
// OUTPUT/NAME-PID-STARTTIME/snapshot-000001.lhs, … Directories 0700. The directory is made when the first snapshot
// is begun, so a full disk or a missing mount can be mended while the program runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "collector/base/result.h"
#include "collector/snapshot/writer.h"

namespace leakhunt::record {

struct ImageIdentity {
  int pid = 0;
  std::string name;
  int64_t started_ms = 0;  // of the image, Unix milliseconds
  uint32_t image = 0;      // exec number
  uint32_t uid = 0;
  int64_t process_started_ms = 0;  // by /proc
};

class RecordingDirectory {
 public:
  RecordingDirectory(std::filesystem::path output, ImageIdentity identity);

  // When an earlier collector recorded this very image below `output`: continues there, and returns the process and
  // losses of its last readable snapshot. The image says itself when it started, so that is not enough: the recording
  // must be of the same user, must not have ended, and the process must have run already when its last snapshot was
  // made. (There is one process of a pid at a time.)
  struct Predecessor {
    int64_t last_ms = 0;
    snapshot::ProcessInfo process;
    std::vector<snapshot::Gap> gaps;
  };
  Result<Predecessor> ContinueEarlier();

  // The file of the next snapshot; makes the directory when it is not there.
  Result<std::filesystem::path> NextFile();

  // Numbers `snapshot` and writes it with the rows that `writer`, of NextFile(), has. Thins to `max_bytes` when due: a
  // failure to thin is an error too, but the snapshot is then on disk.
  Status Write(snapshot::SnapshotWriter* writer, snapshot::Snapshot* snapshot, uint64_t max_bytes);

  // Removes every second snapshot, where there are `least` or more of them. False: there are not.
  bool DropOld(size_t least);

  // Removes the directory when it holds nothing.
  void RemoveEmpty();

  // Of the snapshot written last.
  uint64_t LastBytes() const { return last_bytes_; }

  // Directory name without its parent; empty until there is one.
  std::string Name() const { return directory_.filename().native(); }
  const std::filesystem::path& Directory() const { return directory_; }
  const std::filesystem::path& Output() const { return output_; }
  uint32_t LastNumber() const { return last_number_; }

 private:
  Status Make();

  std::filesystem::path output_;
  ImageIdentity identity_;
  std::filesystem::path directory_;
  uint32_t last_number_ = 0;
  uint64_t stored_bytes_ = 0;
  uint64_t last_bytes_ = 0;
};

// NAME-PID-STARTTIME, with what is awkward in a file name replaced.
std::string DirectoryName(const ImageIdentity& identity);

// `output` from the working directory of now; as it is where that was removed, and then nothing can be written there.
std::filesystem::path AbsoluteOutput(const std::filesystem::path& output);

// Why no recording could be made below `output` now, in words; nothing when one could. Makes nothing.
std::optional<std::string> WhyUnwritable(const std::filesystem::path& output);

// Makes `directory` (0700) and missing parents.
Status MakeOutput(const std::filesystem::path& directory);

}  // namespace leakhunt::record
