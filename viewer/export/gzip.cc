// zlib behind an ostream; see gzip.h.
#include "viewer/export/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <ostream>
#include <vector>

namespace leakhunt::viewer {
namespace {

constexpr size_t kPart = 1u << 20;  // zlib counts in 32 bits

}  // namespace

struct GzipWriter::State {
  std::ostream& out;
  z_stream stream{};
  std::vector<char> packed = std::vector<char>(kPart);
};

GzipWriter::GzipWriter(std::ostream& out) : state_(new State{out}) {
  // Fails only without memory, which throws above: 15 bits of window, 16 says gzip.
  deflateInit2(&state_->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}

GzipWriter::~GzipWriter() { deflateEnd(&state_->stream); }

void GzipWriter::Deflate(std::string_view part, int flush) {
  z_stream& stream = state_->stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
  stream.avail_in = static_cast<uInt>(part.size());
  do {
    stream.next_out = reinterpret_cast<Bytef*>(state_->packed.data());
    stream.avail_out = kPart;
    deflate(&stream, flush);
    state_->out.write(state_->packed.data(), static_cast<std::streamsize>(kPart - stream.avail_out));
  } while (stream.avail_out == 0);
}

void GzipWriter::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, kPart);
    Deflate(part, Z_NO_FLUSH);
    bytes.remove_prefix(part.size());
  }
}

void GzipWriter::Finish() { Deflate({}, Z_FINISH); }

}  // namespace leakhunt::viewer
