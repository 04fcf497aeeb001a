// leaky_server: the bundled service that leaks on purpose, the program scripts/hunt shows when it is given none.
//
// A multi-threaded HTTP server on loopback. It prints "listening on 127.0.0.1:PORT" as its first line and serves until
// SIGTERM or SIGINT, then exits 0. Every worker thread accepts and serves one connection at a time. The upstream that
// /quote asks lives in the same process on a port of its own: it answers a question with a rate, every pair that ends
// in 7 with "busy", and closes its end either way.
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "handlers.h"

namespace leaky {
namespace {

void ServeConnection(Service& service, int connection) {
  std::string pending;
  Request request;
  while (ReadRequest(connection, pending, request) && WriteResponse(connection, Dispatch(service, request))) {
  }
  close(connection);
}

// Ends when the listener is shut down. A full descriptor table is waited out, as a service would.
void AcceptLoop(Service& service, int listener) {
  for (;;) {
    int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) {
      ServeConnection(service, connection);
    } else if (errno == EMFILE || errno == ENFILE) {
      usleep(10'000);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

void UpstreamLoop(int listener) {
  for (;;) {
    int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EMFILE && errno != ENFILE) return;
      usleep(10'000);
      continue;
    }
    char question[64];
    ssize_t got = recv(connection, question, sizeof(question), 0);
    bool busy = got >= 2 && question[got - 2] == '7';
    const char* answer = busy ? "busy\n" : "1.0842\n";
    send(connection, answer, std::strlen(answer), MSG_NOSIGNAL);
    close(connection);
  }
}

int Serve(int port, int workers) {
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);  // before any thread, so that all inherit it

  Service service;
  service.rates.Load();
  int upstream = ListenOnLoopback(0);
  int listener = ListenOnLoopback(port);
  if (upstream < 0 || listener < 0) {
    std::fprintf(stderr, "leaky_server: cannot listen on 127.0.0.1:%d: %s\n", port, std::strerror(errno));
    return 1;
  }
  service.upstream_port = PortOf(upstream);

  std::vector<std::thread> threads;
  threads.emplace_back(UpstreamLoop, upstream);
  for (int i = 0; i < workers; ++i) threads.emplace_back(AcceptLoop, std::ref(service), listener);
  std::printf("listening on 127.0.0.1:%d\n", PortOf(listener));
  std::fflush(stdout);

  int received = 0;
  sigwait(&stop_signals, &received);
  std::printf("stopping after %llu requests\n", static_cast<unsigned long long>(service.requests.load()));
  std::fflush(stdout);
  // Workers may be inside a keep-alive connection whose client stays: nobody waits for them.
  std::_Exit(0);
}

}  // namespace
}  // namespace leaky

int main(int argc, char** argv) {
  static const option kOptions[] = {{"port", required_argument, nullptr, 'p'},
                                    {"threads", required_argument, nullptr, 't'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {}};
  int port = 0;
  int workers = 8;
  for (int c; (c = getopt_long(argc, argv, "p:t:h", kOptions, nullptr)) != -1;) {
    if (c == 'p') port = std::atoi(optarg);
    if (c == 't') workers = std::atoi(optarg);
    if (c == 'h' || c == '?') {
      std::fprintf(c == 'h' ? stdout : stderr, "usage: leaky_server [--port PORT] [--threads N]\n");
      return c == 'h' ? 0 : 2;
    }
  }
  if (port < 0 || port > 65535 || workers < 1 || workers > 256) {
    std::fprintf(stderr, "leaky_server: --port is 0..65535, --threads is 1..256\n");
    return 2;
  }
  return leaky::Serve(port, workers);
}
