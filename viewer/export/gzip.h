// A gzip stream into an ostream, without time or name, so that equal content gives equal files.
#pragma once

#include <iosfwd>
#include <memory>
#include <string_view>

namespace leakhunt::viewer {

class GzipWriter {
 public:
  explicit GzipWriter(std::ostream& out);  // `out` outlives it
  ~GzipWriter();
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  void Write(std::string_view bytes);
  // Ends the stream; nothing may be written after.
  void Finish();

 private:
  struct State;
  void Deflate(std::string_view part, int flush);
  std::unique_ptr<State> state_;
};

}  // namespace leakhunt::viewer
