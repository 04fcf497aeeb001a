#include "preload/core/options.h"

#include "preload/protocol/layout.h"
#include "preload/sys/log.h"
#include "preload/sys/text.h"

namespace leakhunt::core {
namespace {

void Complain(const char* name, const char* value) {
  sys::Text<256> line;
  line.Add(name).Add("=").Add(value).Add(" is not understood; using the default");
  sys::Log(line.Get());
}

// Digits with an optional fraction, scaled by `scale`; the rest of the text in *rest. False without a digit.
bool ParseNumber(const char* text, uint64_t scale, uint64_t* number, const char** rest) {
  if (*text < '0' || *text > '9') return false;
  uint64_t value = 0;
  while (*text >= '0' && *text <= '9') {
    if (value > (uint64_t{1} << 53)) return false;
    value = value * 10 + static_cast<uint64_t>(*text++ - '0');
  }
  value *= scale;
  if (*text == '.') {
    for (++text; *text >= '0' && *text <= '9'; ++text) {
      scale /= 10;
      value += static_cast<uint64_t>(*text - '0') * scale;
    }
  }
  *number = value;
  *rest = text;
  return true;
}

bool ParseBytes(const char* text, uint64_t* bytes) {
  const char* unit;
  if (!ParseNumber(text, 1, bytes, &unit)) return false;
  uint32_t shift = 0;
  switch (*unit) {
    case 'k': case 'K': shift = 10, ++unit; break;
    case 'm': case 'M': shift = 20, ++unit; break;
    case 'g': case 'G': shift = 30, ++unit; break;
    default: break;
  }
  *bytes <<= shift;
  if (sys::Equal(unit, "iB") || sys::Equal(unit, "B") || sys::Equal(unit, "b")) return true;
  return *unit == 0;
}

bool ParsePercent(const char* text, uint32_t* ppm) {
  uint64_t value;
  const char* rest;
  if (!ParseNumber(text, 10'000, &value, &rest)) return false;
  if (*rest == '%') ++rest;
  if (*rest != 0 || value > 1'000'000 || value == 0) return false;
  *ppm = static_cast<uint32_t>(value);
  return true;
}

bool ParseDuration(const char* text, uint32_t* milliseconds) {
  uint64_t thousandths;
  const char* unit;
  if (!ParseNumber(text, 1000, &thousandths, &unit)) return false;
  uint64_t factor = 0;  // of a second
  if (*unit == 0 || sys::Equal(unit, "s")) factor = 1000;
  if (sys::Equal(unit, "ms")) factor = 1;
  if (sys::Equal(unit, "m") || sys::Equal(unit, "min")) factor = 60'000;
  if (sys::Equal(unit, "h")) factor = 3'600'000;
  if (sys::Equal(unit, "d")) factor = 86'400'000;
  uint64_t value = thousandths * factor / 1000;
  if (factor == 0 || value == 0 || value > 0xFFFF'FFFFu) return false;
  *milliseconds = static_cast<uint32_t>(value);
  return true;
}

bool ParseTrack(const char* text, uint32_t* mask) {
  struct Kind { const char* name; uint32_t bit; };
  static constexpr Kind kKinds[] = {{"heap", protocol::kTrackHeap}, {"mmap", protocol::kTrackMmap},
                                    {"handles", protocol::kTrackHandles}, {"threads", protocol::kTrackThreads}};
  uint32_t result = 0;
  while (*text != 0) {
    bool known = false;
    for (const Kind& kind : kKinds) {
      if (!sys::StartsWith(text, kind.name)) continue;
      const char* after = text + sys::Length(kind.name);
      if (*after != 0 && *after != ',') continue;
      result |= kind.bit;
      text = *after == ',' ? after + 1 : after;
      known = true;
      break;
    }
    if (!known) return false;
  }
  *mask = result;
  return result != 0;
}

bool ParseCollector(const char* value, CollectorMode* mode) {
  if (sys::Equal(value, "auto")) *mode = CollectorMode::kAuto;
  else if (sys::Equal(value, "connect")) *mode = CollectorMode::kConnect;
  else if (sys::Equal(value, "spawn")) *mode = CollectorMode::kSpawn;
  else if (sys::Equal(value, "off")) *mode = CollectorMode::kOff;
  else if (sys::Equal(value, "run")) *mode = CollectorMode::kRun;
  else return false;
  return true;
}

void ReadLogTarget(const char* const* environment) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    if (sys::StartsWith(*environment, "LEAKHUNT_LOG=") && (*environment)[13] != 0) sys::SetLogTarget(*environment + 13);
  }
}

bool Apply(const char* name, const char* value, Options* o) {
  if (sys::Equal(name, "LEAKHUNT_SOCKET")) return sys::CopyText(o->socket, sizeof(o->socket), value) == sys::Length(value);
  if (sys::Equal(name, "LEAKHUNT_OUTPUT")) return sys::CopyText(o->output, sizeof(o->output), value) == sys::Length(value);
  if (sys::Equal(name, "LEAKHUNT_SAMPLE_BYTES")) {
    uint64_t bytes;
    if (!ParseBytes(value, &bytes) || bytes == 0 || bytes > (uint64_t{1} << 40)) return false;
    o->sample_bytes = bytes;
    o->sampling_from_environment = true;
    return true;
  }
  if (sys::Equal(name, "LEAKHUNT_BUDGET")) {
    if (!ParsePercent(value, &o->budget_ppm)) return false;
    o->sampling_from_environment = true;
    return true;
  }
  if (sys::Equal(name, "LEAKHUNT_TRACK")) return ParseTrack(value, &o->track);
  if (sys::Equal(name, "LEAKHUNT_INTERVAL")) return ParseDuration(value, &o->interval_ms);
  if (sys::Equal(name, "LEAKHUNT_COLLECTOR")) return ParseCollector(value, &o->collector);
  if (sys::Equal(name, "LEAKHUNT_CHILDREN")) {
    o->follow_children = sys::Equal(value, "follow");
    return o->follow_children || sys::Equal(value, "ignore");
  }
  if (sys::Equal(name, "LEAKHUNT_SEED")) {
    const char* rest;
    o->seeded = ParseNumber(value, 1, &o->seed, &rest) && *rest == 0;
    return o->seeded;
  }
  return true;  // others are the collector's or a newer version's
}

}  // namespace

void ReadEnvironment(const char* const* environment, Options* options) {
  ReadLogTarget(environment);  // first: it says where complaints about the others go
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const char* entry = *environment;
    if (!sys::StartsWith(entry, "LEAKHUNT_")) continue;
    char name[32];
    uint32_t n = 0;
    while (entry[n] != 0 && entry[n] != '=' && n + 1 < sizeof(name)) name[n] = entry[n], ++n;
    name[n] = 0;
    if (entry[n] != '=') continue;
    if (entry[n + 1] == 0) continue;  // empty: as unset
    if (!Apply(name, entry + n + 1, options)) Complain(name, entry + n + 1);
  }
}

}  // namespace leakhunt::core
