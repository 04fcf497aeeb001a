// Socket addresses as text, against inet_ntop where it speaks the same form.
#include "preload/hooks/address_text.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <random>
#include <string>

namespace leakhunt::hooks {
namespace {

std::string TextOf(const void* address, socklen_t bytes) {
  AddressText text;
  AddAddress(static_cast<const sockaddr*>(address), bytes, &text);
  return text.Get();
}

TEST(AddressText, SaysIpv4) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(443);
  inet_pton(AF_INET, "10.0.200.1", &address.sin_addr);
  EXPECT_EQ(TextOf(&address, sizeof(address)), "10.0.200.1:443");
  EXPECT_EQ(TextOf(&address, 4), "");  // cut short
}

TEST(AddressText, SaysIpv6AsInetNtopDoes) {
  std::mt19937 random(20);
  for (int i = 0; i < 20'000; ++i) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(80);
    for (int group = 0; group < 8; ++group) {
      if (random() % 2 == 0) continue;  // zero runs are what is difficult
      uint16_t value = htons(static_cast<uint16_t>(random() >> (random() % 16)));
      memcpy(&address.sin6_addr.s6_addr[group * 2], &value, 2);
    }
    char expected[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &address.sin6_addr, expected, sizeof(expected));
    if (strchr(expected, '.') != nullptr) continue;  // mapped IPv4: ours keeps the groups
    ASSERT_EQ(TextOf(&address, sizeof(address)), "[" + std::string(expected) + "]:80");
  }
}

TEST(AddressText, SaysUnixPathsAndAbstractNames) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, "/run/a.sock");
  EXPECT_EQ(TextOf(&address, sizeof(address)), "/run/a.sock");
  memset(address.sun_path, 'x', sizeof(address.sun_path));  // as long as may be, without an end
  EXPECT_EQ(TextOf(&address, sizeof(address) + 40).size(), 95u);
  memcpy(address.sun_path, "\0name", 5);
  EXPECT_EQ(TextOf(&address, offsetof(sockaddr_un, sun_path) + 5), "@name");
  EXPECT_EQ(TextOf(&address, sizeof(sa_family_t)), "");  // unnamed
}

TEST(AddressText, SaysNothingOfOthers) {
  sockaddr address{};
  address.sa_family = AF_NETLINK;
  EXPECT_EQ(TextOf(&address, sizeof(address)), "");
  EXPECT_EQ(TextOf(nullptr, 16), "");
}

}  // namespace
}  // namespace leakhunt::hooks
