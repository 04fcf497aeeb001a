// Writes the snapshot message, whole or its rows one by one. Values equal to the default are left out, as proto3 does,
// but for sampling intervals, whose default here is 1.
#include <protozero/pbf_writer.hpp>

#include <algorithm>

#include "collector/snapshot/fields.h"
#include "collector/snapshot/message.h"

namespace leakhunt::snapshot {
namespace {

enum class Part { kWhole, kRest };  // kRest: without the rows

class Encoder {
 public:
  explicit Encoder(std::string& out, Part part = Part::kWhole) : whole_(out), out_(out), part_(part) {}
  Encoder(Encoder& outer, uint32_t tag) : whole_(outer.whole_), out_(outer.out_, tag) {}

  template <typename T>
  void U(uint32_t tag, T value) {
    if (auto v = static_cast<uint64_t>(value)) out_.add_uint64(tag, v);
  }
  void Interval(uint32_t tag, uint64_t value) { out_.add_uint64(tag, std::max<uint64_t>(value, 1)); }
  void I(uint32_t tag, int64_t value) {
    if (value != 0) out_.add_sint64(tag, value);
  }
  void D(uint32_t tag, double value) {
    if (value != 0) out_.add_double(tag, value);
  }
  void H(uint32_t tag, uint64_t value) {
    if (value != 0) out_.add_fixed64(tag, value);
  }
  void S(uint32_t tag, const std::string& value) {
    if (!value.empty()) out_.add_string(tag, value);
  }
  void O(uint32_t tag, const std::optional<int>& value) {
    if (value) out_.add_sint64(tag, *value);
  }
  void Index(uint32_t tag, uint32_t value) { U(tag, value == kNoModule ? 0 : uint64_t{value} + 1); }
  void Fd(uint32_t tag, int value) { U(tag, static_cast<uint32_t>(value) + 1); }

  template <typename T>
  void M(uint32_t tag, const T& message) {
    Encoder inner(*this, tag);
    Fields(inner, message);
  }
  template <typename T>
  void Rep(uint32_t tag, const std::vector<T>& messages) {
    if ((std::is_same_v<T, Stack> || std::is_same_v<T, Site>)&&part_ == Part::kRest) return;
    for (const T& message : messages) Element(tag, message);
  }
  template <typename T>
  void Element(uint32_t tag, const T& message) {
    size_t before = whole_.size();
    M(tag, message);
    if (whole_.size() == before) out_.add_message(tag, "", 0);  // protozero drops an empty one; the count would shift
  }
  void Strs(uint32_t tag, const std::vector<std::string>& values) {
    for (const std::string& value : values) out_.add_string(tag, value);
  }
  template <typename List>
  void Us(uint32_t tag, const List& values) {
    bool any = false;
    for (auto v : values) any = any || v != 0;
    if (any || std::is_same_v<List, std::vector<uint32_t>>) out_.add_packed_uint64(tag, values.begin(), values.end());
  }
  void Is(uint32_t tag, const std::vector<int64_t>& values) {
    out_.add_packed_sint64(tag, values.begin(), values.end());
  }

 private:
  std::string& whole_;
  protozero::pbf_writer out_;
  Part part_ = Part::kWhole;
};

std::string Encode(const Snapshot& snapshot, Part part) {
  std::string message;
  Encoder encoder(message, part);
  Fields(encoder, snapshot);
  return message;
}

}  // namespace

std::string EncodeMessage(const Snapshot& snapshot) { return Encode(snapshot, Part::kWhole); }
std::string EncodeRest(const Snapshot& snapshot) { return Encode(snapshot, Part::kRest); }

void EncodeRow(const Stack& stack, std::string* message) { Encoder(*message).Element(kStacksField, stack); }
void EncodeRow(const Site& site, std::string* message) { Encoder(*message).Element(kSitesField, site); }

}  // namespace leakhunt::snapshot
