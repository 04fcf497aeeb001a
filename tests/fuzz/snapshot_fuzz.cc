// Snapshot files and messages from hostile hands: any bytes, no crash, bounded memory; what is accepted can be written
// and read again to the same bytes.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "collector/snapshot/message.h"
#include "collector/snapshot/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace leakhunt::snapshot;  // NOLINT(google-build-using-namespace)
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)ParseSnapshot(bytes, "fuzz");
  leakhunt::Result<Snapshot> message = DecodeMessage(bytes);
  if (!message) return 0;
  std::string again = EncodeMessage(*message);
  leakhunt::Result<Snapshot> twice = DecodeMessage(again);
  if (!twice || EncodeMessage(*twice) != again) std::abort();
  return 0;
}
