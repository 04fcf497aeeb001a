// Reads the snapshot message from bytes nobody vouches for.
//
// protozero checks lengths and varints and throws; wire types are checked here before each read, and the memory of
// decoded structs is bounded by kMaxDecodedBytes. No exception leaves DecodeMessage.
#include <algorithm>
#include <protozero/pbf_reader.hpp>

#include "collector/snapshot/coalesce.h"
#include "collector/snapshot/fields.h"
#include "collector/snapshot/message.h"

namespace leakhunt::snapshot {
namespace {

struct TooMuch {};

class Decoder {
 public:
  Decoder(protozero::pbf_reader reader, uint64_t& budget) : in_(reader), budget_(budget) {}

  template <typename T>
  void Message(T& message) {
    while (in_.next()) {
      taken_ = false;
      Fields(*this, message);
      if (!taken_) in_.skip();
    }
  }

  template <typename T>
  void U(uint32_t tag, T& value) {
    if (Take(tag, protozero::pbf_wire_type::varint)) value = static_cast<T>(Clamp<T>(in_.get_uint64()));
  }
  void Interval(uint32_t tag, uint64_t& value) {
    if (Take(tag, protozero::pbf_wire_type::varint)) value = std::max<uint64_t>(in_.get_uint64(), 1);
  }
  template <typename T>
  void I(uint32_t tag, T& value) {
    if (Take(tag, protozero::pbf_wire_type::varint)) value = static_cast<T>(in_.get_sint64());
  }
  void D(uint32_t tag, double& value) {
    if (Take(tag, protozero::pbf_wire_type::fixed64)) value = in_.get_double();
  }
  void H(uint32_t tag, uint64_t& value) {
    if (Take(tag, protozero::pbf_wire_type::fixed64)) value = in_.get_fixed64();
  }
  void S(uint32_t tag, std::string& value) {
    if (Take(tag, protozero::pbf_wire_type::length_delimited)) value = in_.get_string();
  }
  void O(uint32_t tag, std::optional<int>& value) {
    if (Take(tag, protozero::pbf_wire_type::varint)) value = static_cast<int>(in_.get_sint64());
  }
  void Index(uint32_t tag, uint32_t& value) {
    if (Take(tag, protozero::pbf_wire_type::varint)) {
      uint64_t stored = in_.get_uint64();
      value = stored == 0 || stored > kNoModule ? kNoModule : static_cast<uint32_t>(stored - 1);
    }
  }
  void Fd(uint32_t tag, int& value) {
    if (Take(tag, protozero::pbf_wire_type::varint)) value = static_cast<int>(static_cast<uint32_t>(in_.get_uint64()) - 1);
  }
  template <typename T>
  void M(uint32_t tag, T& message) {
    if (Take(tag, protozero::pbf_wire_type::length_delimited)) Decoder(in_.get_message(), budget_).Message(message);
  }
  template <typename T>
  void Rep(uint32_t tag, std::vector<T>& messages) {
    if (!Take(tag, protozero::pbf_wire_type::length_delimited)) return;
    Spend(2 * sizeof(T));
    Decoder(in_.get_message(), budget_).Message(messages.emplace_back());
  }
  void Strs(uint32_t tag, std::vector<std::string>& values) {
    if (!Take(tag, protozero::pbf_wire_type::length_delimited)) return;
    Spend(2 * sizeof(std::string));
    values.push_back(in_.get_string());
  }
  template <typename T>
  void Us(uint32_t tag, std::vector<T>& values) {
    if (!Take(tag, protozero::pbf_wire_type::length_delimited)) return;
    for (uint64_t v : in_.get_packed_uint64()) {
      Spend(2 * sizeof(T));
      values.push_back(static_cast<T>(Clamp<T>(v)));
    }
  }
  template <size_t kSize>
  void Us(uint32_t tag, std::array<uint64_t, kSize>& values) {
    if (!Take(tag, protozero::pbf_wire_type::length_delimited)) return;
    size_t i = 0;
    for (uint64_t v : in_.get_packed_uint64()) {
      if (i < kSize) values[i++] = v;
    }
  }
  void Is(uint32_t tag, std::vector<int64_t>& values) {
    if (!Take(tag, protozero::pbf_wire_type::length_delimited)) return;
    for (int64_t v : in_.get_packed_sint64()) {
      Spend(2 * sizeof(int64_t));
      values.push_back(v);
    }
  }

 private:
  bool Take(uint32_t tag, protozero::pbf_wire_type type) {
    if (taken_ || in_.tag() != tag || in_.wire_type() != type) return false;
    taken_ = true;
    return true;
  }
  // Too large for the member: its largest value, which the checks of Validate then refuse where it matters.
  template <typename T>
  static uint64_t Clamp(uint64_t value) {
    if constexpr (std::is_same_v<T, bool>) {
      return value != 0;
    } else if constexpr (sizeof(T) >= 8) {
      return value;
    } else {
      return std::min(value, (uint64_t{1} << (8 * sizeof(T))) - 1);
    }
  }
  void Spend(uint64_t bytes) {
    if (bytes > budget_) throw TooMuch{};
    budget_ -= bytes;
  }

  protozero::pbf_reader in_;
  uint64_t& budget_;
  bool taken_ = false;
};

}  // namespace

Result<Snapshot> DecodeMessage(std::string_view message) {
  Snapshot snapshot;
  uint64_t budget = kMaxDecodedBytes;
  try {
    Decoder(protozero::pbf_reader(message.data(), message.size()), budget).Message(snapshot);
  } catch (const protozero::exception& defect) {
    return Error{std::string("damaged: ") + defect.what()};
  } catch (const TooMuch&) {
    return Error{"damaged: more entries than any recording has"};
  }
  if (snapshot.stacks.empty()) snapshot.stacks.emplace_back();
  if (snapshot.scopes.empty()) snapshot.scopes.emplace_back();
  if (Status valid = Validate(snapshot); !valid) return std::move(valid.error()).Wrap("damaged");
  Coalesce(&snapshot);
  return snapshot;
}

}  // namespace leakhunt::snapshot
