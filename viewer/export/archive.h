// A tar.gz of recordings: what `bundle` hands to another machine, readable with any tar.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "collector/base/result.h"
#include "viewer/export/gzip.h"

namespace leakhunt::viewer {

class ArchiveWriter {
 public:
  explicit ArchiveWriter(std::ostream& out) : gzip_(out) {}

  // Adds every regular file below `directory` as NAME/…, in name order; links and other files are left out. Files keep
  // mode 0600. Error: one cannot be read, or changes its size meanwhile.
  Status AddDirectory(const std::filesystem::path& directory, const std::string& name);
  void Finish();

 private:
  Status AddFile(const std::filesystem::path& file, const std::string& name);

  GzipWriter gzip_;
};

}  // namespace leakhunt::viewer
