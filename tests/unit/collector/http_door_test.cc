// What the HTTP API's door decides without a network: where a request ends, which Host is served, whose token is right.
#include <gtest/gtest.h>

#include <fstream>

#include "collector/serve/bearer_token.h"
#include "collector/serve/framing.h"
#include "collector/serve/trusted_host.h"
#include "tests/unit/snapshot/temporary_directory.h"

namespace leakhunt::serve {
namespace {

using State = Framing::State;

TEST(Framing, ARequestIsWholeWhenItsBodyHasCome) {
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n", post = "POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\n\r\n";
  for (size_t size = 0; size < get.size(); ++size)
    EXPECT_EQ(FrameRequest(get.substr(0, size)).state, State::kIncomplete);
  EXPECT_EQ(FrameRequest(get + "GET").size, get.size());
  EXPECT_EQ(FrameRequest(post + "ab").state, State::kIncomplete);
  EXPECT_EQ(FrameRequest(post + "abcd").size, post.size() + 3);
  EXPECT_EQ(FrameRequest("POST / HTTP/1.1\r\nHost: x\r\n\r\n").state, State::kWhole) << "no length, no body";
}

TEST(Framing, WhatHasNoEndIsRefused) {
  const auto status = [](const std::string& request) {
    const Framing framing = FrameRequest(request);
    return framing.state == State::kRefused ? framing.status : 0;
  };
  const std::string head = "POST / HTTP/1.1\r\n";
  EXPECT_EQ(status(head + "Transfer-Encoding: chunked\r\n\r\n"), 411);
  EXPECT_EQ(status(head + "Content-Length: 4097\r\n\r\n"), 413);
  EXPECT_EQ(status(head + "Content-Length: 4096\r\n\r\n"), 0);
  for (const char* bad : {"-1", "+1", "1 2", "0x1", "", "99999999999999999999", "1,1"}) {
    EXPECT_EQ(status(head + "Content-Length: " + bad + "\r\n\r\n"), 400) << bad;
  }
  EXPECT_EQ(status(head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400);
  EXPECT_EQ(status(std::string(kMostHead, 'a')), 0);
  EXPECT_EQ(status(std::string(kMostHead + 1, 'a')), 431);
  EXPECT_EQ(status(head + "X: " + std::string(kMostHead, 'a') + "\r\n\r\n"), 431);
}

TEST(TrustedHost, AddressesAndGivenNamesAlone) {
  for (const char* host :
       {"127.0.0.1", "10.1.2.3:80", "localhost", "LocalHost:8080", "[::1]:80", "a.example", "A.Example:1"}) {
    EXPECT_TRUE(IsTrustedHost(host, {"a.example"})) << host;
  }
  for (const char* host : {"evil.example", "a.example.evil", "a.example.", "1.2.3.4.evil", "localhost.evil"}) {
    EXPECT_FALSE(IsTrustedHost(host, {"a.example"})) << host;
  }
}

TEST(BearerToken, OnlyTheWholeTokenIsRight) {
  EXPECT_TRUE(BearsToken("Bearer secret", "secret"));
  EXPECT_TRUE(BearsToken("bearer secret", "secret"));
  for (const char* wrong : {"", "Bearer", "Bearer ", "secret", "Basic secret", "Bearer secre", "Bearer secretsecret",
                            "Bearer secreT", "Bearer xecret", "Bearer  secret"}) {
    EXPECT_FALSE(BearsToken(wrong, "secret")) << wrong;
  }
  EXPECT_FALSE(BearsToken("Bearer ", "")) << "no token is no key";
}

TEST(BearerToken, AFileHoldsOneWord) {
  leakhunt::testing::TemporaryDirectory directory;
  const auto read = [&](const std::string& text) {
    std::ofstream(directory.Path() / "token", std::ios::binary) << text;
    return ReadTokenFile(directory.Path() / "token");
  };
  EXPECT_EQ(*read("  abc\r\n"), "abc");
  for (const std::string& bad : {std::string(), std::string("\n"), std::string("a b"), std::string("a\nb"),
                                 std::string("\x01"), std::string("\xff"), std::string(5000, 'a')}) {
    auto token = read(bad);
    ASSERT_FALSE(token);
    EXPECT_NE(token.error().message.find("token file"), std::string::npos);
  }
  EXPECT_FALSE(ReadTokenFile(directory.Path() / "missing"));
  EXPECT_FALSE(ReadTokenFile(directory.Path()));
}

}  // namespace
}  // namespace leakhunt::serve
