// leakhunt-http HOST PORT OUTPUT COLLECTOR: the HTTP API of `leakhunt-collect --http`, in a process of its own.
//
// Started by the collector and gone with it. Reads the recordings below OUTPUT and asks leakhunt-report; a snapshot is
// asked of the collector by signal. Requests are hostile: a bounded number of threads and waiting connections, short
// timeouts, small bodies, a closed list of paths. No GET changes anything. A browser's page from elsewhere is kept
// out by the Host and Origin headers.
#include <arpa/inet.h>
#include <httplib.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "collector/serve/metrics.h"
#include "collector/serve/report_call.h"

namespace leakhunt::serve {
namespace {

constexpr int kThreads = 4;
constexpr size_t kMostWaiting = 32;
constexpr size_t kMostBody = 4096;

// A fixed number of threads, and of connections that wait for one; beyond that, connections stay in the kernel's
// backlog.
class BoundedQueue : public httplib::TaskQueue {
 public:
  BoundedQueue() {
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Work(); });
  }
  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return tasks_.size() < kMostWaiting || stopping_; });
    tasks_.push_back(std::move(task));
    work_.notify_one();
  }
  void shutdown() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    room_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Work() {
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        work_.wait(lock, [this] { return !tasks_.empty() || stopping_; });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      room_.notify_one();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_, room_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  bool stopping_ = false;
};

void Answer(httplib::Response& response, int status, const std::string& body, const char* type) {
  response.status = status;
  response.set_content(body, type);
}

void Refuse(httplib::Response& response, int status, const std::string& why) {
  nlohmann::json body = {{"error", why}};
  Answer(response, status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
         "application/json");
}

// An address, or a name a page from elsewhere cannot have resolved to us.
bool IsTrustedHost(std::string host) {
  size_t colon = host.rfind(':');
  if (colon != std::string::npos && host.find(']') < colon) host.resize(colon);
  if (colon != std::string::npos && host.find(':') == colon) host.resize(colon);
  if (host.empty() || host == "localhost" || host.front() == '[') return true;
  in_addr address;
  if (inet_pton(AF_INET, host.c_str(), &address) == 1) return true;
  char own[256] = {};
  return gethostname(own, sizeof(own) - 1) == 0 && host == own;
}

const char* TypeOf(const std::string& format) {
  return format == "json" ? "application/json" : "text/markdown; charset=utf-8";
}

class Api {
 public:
  explicit Api(std::filesystem::path output, pid_t collector) : output_(std::move(output)), collector_(collector) {}

  void Register(httplib::Server* server) {
    server->set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
      if (request.version == "HTTP/1.1" && request.get_header_value_count("Host") != 1) {  // RFC 9112, 3.2
        Refuse(response, 400, "one Host header, please");
        return httplib::Server::HandlerResponse::Handled;
      }
      bool trusted = IsTrustedHost(request.get_header_value("Host")) &&
                     !(request.method == "POST" && request.has_header("Origin"));
      if (trusted) return httplib::Server::HandlerResponse::Unhandled;
      Refuse(response, 403, "requests on behalf of other sites are not served");
      return httplib::Server::HandlerResponse::Handled;
    });
    server->Get("/", [this](const auto&, auto& response) {
      Answer(response, 200, Page(ReadRows(output_)), "text/html; charset=utf-8");
    });
    server->Get("/healthz", [](const auto&, auto& response) { Answer(response, 200, "ok\n", "text/plain"); });
    server->Get("/metrics", [this](const auto&, auto& response) {
      Answer(response, 200, Metrics(ReadRows(output_)), "text/plain; version=0.0.4; charset=utf-8");
    });
    server->Get("/api/processes", [this](const auto& request, auto& response) {
      if (ReadRows(output_).empty() && !request.has_param("format"))  // nothing is recorded yet
        return Answer(response, 200, "{\"schema\":\"leakhunt/processes/1\",\"processes\":[]}\n", "application/json");
      Report(request, response, {"processes", output_.native()});
    });
    server->Get(R"(/api/processes/(\d{1,9})/(top-sites|handles|trend|vitals|findings))",
                [this](const auto& request, auto& response) {
                  if (auto row = Find(request.matches[1], response))
                    Report(request, response, {request.matches[2], row->directory.native()});
                });
    server->Get(R"(/api/processes/(\d{1,9})/diff)", [this](const auto& request, auto& response) {
      if (auto row = Find(request.matches[1], response))
        Report(request, response, {"diff", row->files.front().native(), row->files.back().native()});
    });
    server->Post(R"(/api/processes/(\d{1,9})/snapshot)",
                 [this](const auto& request, auto& response) { Snapshot(request, response); });
    server->set_error_handler([](const auto&, auto& response) {
      if (response.body.empty()) Refuse(response, response.status, "no such path, or a bad request");
    });
  }

 private:
  std::unique_ptr<ProcessRow> Find(const std::string& pid_text, httplib::Response& response) {
    int pid = std::atoi(pid_text.c_str());
    for (const ProcessRow& row : ReadRows(output_)) {
      if (row.pid == pid) return std::make_unique<ProcessRow>(row);
    }
    Refuse(response, 404, "no recording of process " + pid_text);
    return nullptr;
  }

  void Report(const httplib::Request& request, httplib::Response& response, std::vector<std::string> arguments) {
    std::string format = request.has_param("format") ? request.get_param_value("format") : "json";
    if (format != "json" && format != "markdown") return Refuse(response, 400, "format is json or markdown");
    arguments.insert(arguments.end(), {"--format", format});
    auto text = CallReport(arguments);
    if (!text) return Refuse(response, 500, text.error().message);
    Answer(response, 200, *text, TypeOf(format));
  }

  void Snapshot(const httplib::Request& request, httplib::Response& response) {
    auto row = Find(request.matches[1], response);
    if (row == nullptr) return;
    if (row->state != "running") return Refuse(response, 409, "the process has ended");
    sigval value{};
    value.sival_int = row->pid;
    if (sigqueue(collector_, SIGUSR1, value) != 0) return Refuse(response, 503, "the collector cannot be reached");
    Answer(response, 202, "{\"requested\":" + std::to_string(row->pid) + "}\n", "application/json");
  }

  std::filesystem::path output_;
  pid_t collector_;
};

}  // namespace

int Main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "leakhunt-http is started by leakhunt-collect --http\n");
    return 2;
  }
  httplib::Server server;
  Api api(argv[3], std::atoi(argv[4]));
  api.Register(&server);
  server.new_task_queue = [] { return new BoundedQueue(); };
  server.set_read_timeout(5);
  server.set_write_timeout(10);
  server.set_keep_alive_max_count(20);
  server.set_payload_max_length(kMostBody);
  if (!server.bind_to_port(argv[1], std::atoi(argv[2]))) {
    std::fprintf(
        stderr,
        "leakhunt-collect: cannot listen at %s:%s: choose another --http ADDR:PORT; recording goes on without it\n",
        argv[1], argv[2]);
    return 1;
  }
  return server.listen_after_bind() ? 0 : 1;
}

}  // namespace leakhunt::serve

int main(int argc, char** argv) { return leakhunt::serve::Main(argc, argv); }
