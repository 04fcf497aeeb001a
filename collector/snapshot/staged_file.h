// A file that has no name until it is whole: written piece by piece under a temporary one beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"

struct XXH3_state_s;

namespace leakhunt::snapshot {

class StagedFile {
 public:
  // Of `file`; its temporary name is made at the first piece.
  explicit StagedFile(std::filesystem::path file);

  // Without Commit nothing is left.
  ~StagedFile();

  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  // Adds to the payload, which begins after the header. An error stays one.
  Status Append(std::string_view payload);

  uint64_t payload_bytes() const { return payload_bytes_; }
  uint64_t PayloadHash() const;  // XXH3-64

  // Puts `header` (kHeaderBytes) in front, syncs, renames, and syncs the directory. Call once.
  Status Commit(std::string_view header);

 private:
  Status Create();
  Status WriteAt(uint64_t offset, std::string_view bytes);

  std::filesystem::path file_;
  std::filesystem::path temporary_;
  UniqueFd fd_;
  Status status_ = Ok();
  uint64_t payload_bytes_ = 0;
  std::unique_ptr<XXH3_state_s, void (*)(XXH3_state_s*)> hash_;
};

}  // namespace leakhunt::snapshot
