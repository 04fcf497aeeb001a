#include "preload/hooks/address_text.h"

#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>

namespace leakhunt::hooks {
namespace {

uint32_t HostOrder(uint16_t network) { return static_cast<uint32_t>(network << 8 & 0xFF00) | network >> 8; }

// Writes at `at`, returns what comes after.
uint32_t PutNumber(uint32_t number, char* to, uint32_t at) {
  uint32_t digits = 1;
  for (uint32_t bound = 10; number >= bound; bound *= 10) ++digits;
  for (uint32_t i = digits; i > 0; --i, number /= 10) to[at + i - 1] = static_cast<char>('0' + number % 10);
  return at + digits;
}

void AddHex(uint32_t number, AddressText* text) {
  bool started = false;
  for (int shift = 12; shift >= 0; shift -= 4) {
    uint32_t digit = number >> shift & 15;
    if (digit == 0 && !started && shift != 0) continue;
    started = true;
    text->Put("0123456789abcdef"[digit]);
  }
}

// RFC 5952: the longest run of zero groups becomes "::".
void AddInet6(const uint8_t* bytes, AddressText* text) {
  uint32_t groups[8];
  for (int i = 0; i < 8; ++i) groups[i] = static_cast<uint32_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  int best = -1, best_length = 1;
  for (int i = 0; i < 8; ++i) {
    int length = 0;
    while (i + length < 8 && groups[i + length] == 0) ++length;
    if (length > best_length) best = i, best_length = length;
  }
  for (int i = 0; i < 8; ++i) {
    if (i == best) {
      text->Add("::");
      i += best_length - 1;
      continue;
    }
    if (i != 0 && i != best + best_length) text->Put(':');
    AddHex(groups[i], text);
  }
}

void AddUnix(const sockaddr_un* address, socklen_t bytes, AddressText* text) {
  socklen_t length = bytes - static_cast<socklen_t>(offsetof(sockaddr_un, sun_path));
  if (length > sizeof(address->sun_path)) length = sizeof(address->sun_path);
  bool abstract = length > 0 && address->sun_path[0] == 0;
  for (socklen_t i = 0; i < length; ++i) {
    char c = address->sun_path[i];
    if (c == 0 && !abstract) return;
    text->Put(c == 0 ? '@' : c);
  }
}

}  // namespace

void AddAddress(const sockaddr* address, socklen_t bytes, AddressText* text) {
  if (address == nullptr || bytes < sizeof(sa_family_t)) return;
  if (address->sa_family == AF_INET && bytes >= sizeof(sockaddr_in)) {
    const auto* inet = reinterpret_cast<const sockaddr_in*>(address);
    const auto* part = reinterpret_cast<const uint8_t*>(&inet->sin_addr);
    // Every connection a server accepts comes through here.
    char digits[3 + 1 + 3 + 1 + 3 + 1 + 3 + 1 + 5];
    uint32_t n = 0;
    for (int i = 0; i < 4; ++i) {
      n = PutNumber(part[i], digits, n);
      digits[n++] = i == 3 ? ':' : '.';
    }
    n = PutNumber(HostOrder(inet->sin_port), digits, n);
    text->Add(digits, n);
  } else if (address->sa_family == AF_INET6 && bytes >= sizeof(sockaddr_in6)) {
    const auto* inet = reinterpret_cast<const sockaddr_in6*>(address);
    text->Put('[');
    AddInet6(inet->sin6_addr.s6_addr, text);
    text->Add("]:").Add(uint64_t{HostOrder(inet->sin6_port)});
  } else if (address->sa_family == AF_UNIX && bytes > offsetof(sockaddr_un, sun_path)) {
    AddUnix(reinterpret_cast<const sockaddr_un*>(address), bytes, text);
  }
}

}  // namespace leakhunt::hooks
