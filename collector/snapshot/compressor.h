// A zstd frame made piece by piece: what goes in is compressed, put into a file and forgotten.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "collector/base/result.h"
#include "collector/snapshot/staged_file.h"

struct ZSTD_CCtx_s;

namespace leakhunt::snapshot {

class Compressor {
 public:
  // Into `file`, which outlives it.
  explicit Compressor(StagedFile* file);
  ~Compressor();

  // Takes `bytes`. A failure (no memory, disk full) is remembered and said by Finish.
  void Add(std::string_view bytes);

  uint64_t TakenBytes() const { return taken_bytes_; }

  // Ends the frame. Call once.
  Status Finish();

 private:
  enum class More : bool { kYes, kNo };
  void Feed(std::string_view bytes, More more);

  std::unique_ptr<ZSTD_CCtx_s, void (*)(ZSTD_CCtx_s*)> context_;
  std::string waiting_;  // until there is enough to be worth a context of the full size
  bool started_ = false;
  std::string piece_;
  StagedFile* file_;
  uint64_t taken_bytes_ = 0;
  Status status_ = Ok();
};

}  // namespace leakhunt::snapshot
