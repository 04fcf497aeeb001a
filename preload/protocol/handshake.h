// The Unix socket between guest and collector: SOCK_SEQPACKET, one fixed-size Message a packet, either way.
//
// The socket carries no records. It hands over the memfd (Hello, SCM_RIGHTS), tells the guest its settings (Welcome),
// and lets the guest say that something is worth a look now. A guest never waits on it except, bounded, for Welcome.
// Everything the collector needs is in the pages; losing any message but Hello costs promptness, not data.
#pragma once

#include <cstdint>

namespace leakhunt::protocol {

inline constexpr uint32_t kMessageMagic = 0x534D484C;  // "LHMS"
inline constexpr uint16_t kProtocolVersion = 1;

enum class MessageKind : uint16_t {
  kHello = 1,     // guest -> collector; exactly one SCM_RIGHTS descriptor: the memfd
  kWelcome = 2,   // collector -> guest: settings; values[] = WelcomeValue
  kFlush = 3,     // guest -> collector: new extents, or much has changed; values[0] = extents
  kSnapshot = 4,  // guest -> collector: leakhunt_snapshot(text)
  kBye = 5,       // guest -> collector: image ends; values[0] = ImageEnd, values[1] = exit status
  kAdopt = 6,     // collector -> collector: one SCM_RIGHTS descriptor, a connection whose Hello is still unread
  kRefused = 7,   // collector -> guest: text says why (version, limit, other user)
  kGrown = 8,     // collector -> guest: not used by version 1
  kNotice = 9,    // collector -> guest: text is a line for the program's user; sent by a collector without a stderr of its own
};

enum WelcomeValue : uint32_t {
  kWelcomeFixedInterval = 0,  // --sample-bytes; 0 = by budget
  kWelcomeBudgetPpm = 1,      // --budget; 10,000 = 1 %
  kWelcomeTrack = 2,          // TrackMask
  kWelcomeChildren = 3,       // 0 ignore, 1 follow
};

// 128 bytes in host byte order (both ends are on one host).
struct Message {
  uint32_t magic;    // kMessageMagic
  uint16_t version;  // kProtocolVersion
  uint16_t kind;     // MessageKind
  uint32_t pid;      // sender's own idea of its pid
  uint32_t image;    // exec number
  uint64_t values[4];
  char text[80];     // NUL-terminated, truncated
};
static_assert(sizeof(Message) == 128);

}  // namespace leakhunt::protocol
