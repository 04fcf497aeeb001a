// load_driver: drives the bundled service (leaky_server) with a fixed mix of requests, for a bounded time and at a
// bounded rate, and prints one line of what it did. Each connection is a thread with a keep-alive HTTP connection.
//
//   load_driver --port PORT [--seconds S] [--rate REQUESTS_PER_SECOND] [--connections N]
//
// Of every 100 requests: 60 pages out of 2,000 keys, 28 reports, 8 draft reports (each leaks an audit entry), 4 quotes;
// about 10 quotes a second hit the busy answer (each leaks a socket). Exit status 1 when a connection could not be
// used.
#include <getopt.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "leaky_server/http.h"

namespace leaky {
namespace {

using Clock = std::chrono::steady_clock;

struct Plan {
  int port = 0;
  double seconds = 15;
  double rate = 1500;
  int connections = 4;
};

struct Tally {
  std::atomic<uint64_t> answered{0};
  std::atomic<uint64_t> busy{0};
  std::atomic<int> broken{0};
};

std::string Get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\n\r\n"; }

std::string Post(const std::string& target, const std::string& body) {
  return "POST " + target + " HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string RequestNumber(uint64_t n) {
  static const std::string kText(600, 'r');
  uint64_t slot = (n * 37) % 100;  // 37 and 100 are coprime: each slot once in every 100
  uint64_t spread = n * 2654435761u;
  if (slot < 60) return Get("/page?key=k" + std::to_string(spread % 2000));
  if (slot < 88) return Post("/report?author=a" + std::to_string(n % 50) + "&state=final", kText);
  if (slot < 96) return Post("/report?author=a" + std::to_string(n % 50) + "&state=draft", kText);
  return Get("/quote?pair=" + std::to_string(n % 6 == 0 ? 7 : 3));
}

// The status of the next response, 0 when the connection ended. `pending` keeps what was read beyond it.
int ReadStatus(int connection, std::string& pending) {
  size_t head_end, body_bytes = 0;
  for (;;) {
    head_end = pending.find("\r\n\r\n");
    if (head_end != std::string::npos) {
      size_t length = pending.find("Content-Length: ");
      body_bytes = length == std::string::npos ? 0 : std::strtoul(pending.c_str() + length + 16, nullptr, 10);
      if (pending.size() >= head_end + 4 + body_bytes) break;
    }
    char buffer[8192];
    ssize_t got = recv(connection, buffer, sizeof(buffer), 0);
    if (got <= 0) return 0;
    pending.append(buffer, static_cast<size_t>(got));
  }
  int status = std::atoi(pending.c_str() + std::strlen("HTTP/1.1 "));
  pending.erase(0, head_end + 4 + body_bytes);
  return status;
}

void Drive(const Plan& plan, int worker, Clock::time_point begin, Tally& tally) {
  int connection = ConnectToLoopback(plan.port);
  if (connection < 0) {
    ++tally.broken;
    return;
  }
  std::string pending;
  auto end = begin + std::chrono::duration<double>(plan.seconds);
  for (uint64_t n = static_cast<uint64_t>(worker);; n += static_cast<uint64_t>(plan.connections)) {
    auto due = begin + std::chrono::duration<double>(static_cast<double>(n) / plan.rate);
    if (due >= end || Clock::now() >= end) break;
    std::this_thread::sleep_until(due);
    std::string request = RequestNumber(n);
    int status = 0;
    if (send(connection, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
      status = ReadStatus(connection, pending);
    }
    if (status == 0) {
      ++tally.broken;
      break;
    }
    ++tally.answered;
    if (status == 503) ++tally.busy;
  }
  close(connection);
}

int Run(const Plan& plan) {
  Tally tally;
  auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < plan.connections; ++i) {
    threads.emplace_back([&, i] { Drive(plan, i, begin, tally); });
  }
  for (std::thread& thread : threads) thread.join();
  std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("%llu requests in %.1f s, %llu of them refused as busy, %d connections broken\n",
              static_cast<unsigned long long>(tally.answered.load()), took.count(),
              static_cast<unsigned long long>(tally.busy.load()), tally.broken.load());
  return tally.broken.load() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace leaky

int main(int argc, char** argv) {
  static const option kOptions[] = {{"port", required_argument, nullptr, 'p'},
                                    {"seconds", required_argument, nullptr, 's'},
                                    {"rate", required_argument, nullptr, 'r'},
                                    {"connections", required_argument, nullptr, 'c'},
                                    {}};
  leaky::Plan plan;
  for (int c; (c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    if (c == 'p') plan.port = std::atoi(optarg);
    if (c == 's') plan.seconds = std::atof(optarg);
    if (c == 'r') plan.rate = std::atof(optarg);
    if (c == 'c') plan.connections = std::atoi(optarg);
    if (c == '?') return 2;
  }
  if (plan.port <= 0 || plan.port > 65535 || plan.seconds <= 0 || plan.rate <= 0 || plan.connections < 1) {
    std::fprintf(stderr, "usage: load_driver --port PORT [--seconds S] [--rate PER_SECOND] [--connections N]\n");
    return 2;
  }
  return leaky::Run(plan);
}
