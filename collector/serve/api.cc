#include "collector/serve/api.h"

#include <httplib.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "collector/base/clean_text.h"
#include "collector/serve/bearer_token.h"
#include "collector/serve/framing.h"
#include "collector/serve/metrics.h"
#include "collector/serve/report_call.h"
#include "collector/serve/trusted_host.h"

namespace leakhunt::serve {
namespace {

using Request = httplib::Request;
using Response = httplib::Response;
using Names = std::vector<std::string>;

constexpr size_t kMostParameter = 1024;
constexpr int kSnapshotBurst = 10;  // requests for snapshots at once; one more each second
constexpr char kJson[] = "application/json", kHtml[] = "text/html; charset=utf-8";

std::string ErrorJson(const std::string& why) {
  nlohmann::json body = {{"error", why}};
  return TerminalSafeJson(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n";
}

void Give(Response& response, int status, const std::string& body, const char* type) {
  response.status = status;
  response.set_content(body, type);
}

void Refuse(Response& response, int status, const std::string& why) { Give(response, status, ErrorJson(why), kJson); }

const char* TypeOf(const std::string& format) { return format == "json" ? kJson : "text/markdown; charset=utf-8"; }

// The request as the library reads it, and the response as it writes it: memory, so that no worker waits for a peer.
class MemoryStream : public httplib::Stream {
 public:
  explicit MemoryStream(const std::string& request) : request_(request) {}
  bool is_readable() const override { return at_ < request_.size(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* into, size_t size) override {
    size = std::min(size, request_.size() - at_);
    std::copy_n(request_.data() + at_, size, into);
    at_ += size;
    return static_cast<ssize_t>(size);
  }
  ssize_t write(const char* data, size_t size) override {
    response_.append(data, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  void get_local_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  socket_t socket() const override { return INVALID_SOCKET; }
  std::string Take() { return std::move(response_); }

 private:
  const std::string& request_;
  size_t at_ = 0;
  std::string response_;
};

class MemoryServer : public httplib::Server {
 public:
  Answered Answer(const std::string& request) {
    MemoryStream stream(request);
    bool close = false;
    const bool whole = process_request(stream, false, close, nullptr);
    return {stream.Take(), close || !whole};
  }
};

// At most kSnapshotBurst at once and one each second from there on: snapshots cost the program and the disk.
class Allowance {
 public:
  bool Take(int64_t now_s) {
    std::lock_guard lock(mutex_);
    left_ = static_cast<int>(std::min<int64_t>(kSnapshotBurst, left_ + now_s - last_s_));
    last_s_ = now_s;
    return left_ > 0 && left_-- > 0;
  }

 private:
  std::mutex mutex_;
  int left_ = kSnapshotBurst;
  int64_t last_s_ = 0;
};

class Api {
 public:
  explicit Api(const ApiSettings& settings) : settings_(settings) {
    server_.set_payload_max_length(kMostBody);
    server_.set_pre_routing_handler([this](const Request& request, Response& response) {
      return IsAdmitted(request, response) ? httplib::Server::HandlerResponse::Unhandled
                                           : httplib::Server::HandlerResponse::Handled;
    });
    server_.set_error_handler([](const Request&, Response& response) {
      if (response.body.empty()) Refuse(response, response.status, "no such path, or a bad request");
    });
    RegisterOverviews();
    RegisterReports();
    RegisterProfiles();
  }

  Answered Answer(const std::string& request) { return server_.Answer(request); }

 private:
  bool IsAdmitted(const Request& request, Response& response) const {
    if (request.version == "HTTP/1.1" && request.get_header_value_count("Host") != 1) {  // RFC 9112, 3.2
      return Refuse(response, 400, "one Host header, please"), false;
    }
    const bool host = settings_.any_host || request.path == "/metrics" ||
                      IsTrustedHost(request.get_header_value("Host"), settings_.hosts);
    if (!host) return Refuse(response, 403, "this Host is not served; --http-host NAME admits it"), false;
    if (request.method == "POST" && request.has_header("Origin")) {
      return Refuse(response, 403, "requests on behalf of other sites are not served"), false;
    }
    if (settings_.token.empty()) return true;
    if (request.get_header_value_count("Authorization") == 1 &&
        BearsToken(request.get_header_value("Authorization"), settings_.token)) {
      return true;
    }
    response.set_header("WWW-Authenticate", "Bearer");
    return Refuse(response, 401, "the token is missing or wrong"), false;
  }

  void RegisterOverviews() {
    server_.Get("/", [this](const Request&, Response& response) {
      Give(response, 200, Page(ReadRows(settings_.output)), kHtml);
    });
    server_.Get("/healthz", [](const Request&, Response& response) { Give(response, 200, "ok\n", "text/plain"); });
    server_.Get("/metrics", [this](const Request&, Response& response) {
      Give(response, 200, Metrics(ReadRows(settings_.output)), "text/plain; version=0.0.4; charset=utf-8");
    });
    server_.Get("/api/processes", [this](const Request& request, Response& response) {
      if (ReadRows(settings_.output).empty() && !request.has_param("format"))  // nothing is recorded yet
        return Give(response, 200, "{\"schema\":\"leakhunt/processes/1\",\"processes\":[]}\n", kJson);
      Report(request, response, {"processes", settings_.output.native()}, {"limit"});
    });
    server_.Post(R"(/api/processes/(\d{1,9})/snapshot)",
                 [this](const Request& request, Response& response) { Snapshot(request, response); });
  }

  void RegisterReports() {
    static const std::map<std::string, Names> kParameters = {
        {"top-sites", {"limit", "sort", "by", "snapshot", "filter"}},
        {"handles", {"limit", "sort", "by", "snapshot", "filter"}},
        {"trend", {"limit", "sort", "by", "snapshot", "filter"}},
        {"findings", {"limit", "sort", "snapshot", "filter"}},
        {"vitals", {"limit", "snapshot"}}};
    server_.Get(R"(/api/processes/(\d{1,9})/(top-sites|handles|trend|vitals|findings))",
                [this](const Request& request, Response& response) {
                  if (auto row = Find(request.matches[1], response)) {
                    const std::string command = request.matches[2];
                    Report(request, response, {command, row->directory.native()}, kParameters.at(command));
                  }
                });
    server_.Get(R"(/api/processes/(\d{1,9})/diff)", [this](const Request& request, Response& response) {
      auto row = Find(request.matches[1], response);
      if (row == nullptr) return;
      const auto from = FileOf(*row, request, "from", row->files.front());
      const auto to = FileOf(*row, request, "to", row->files.back());
      if (from.empty() || to.empty()) return Refuse(response, 404, "no such snapshot");
      Report(request, response, {"diff", from.native(), to.native()}, {"limit", "sort", "filter"});
    });
    server_.Get(R"(/api/processes/(\d{1,9})/(html|flamegraph))", [this](const Request& request, Response& response) {
      if (auto row = Find(request.matches[1], response)) {
        Call(request, response, {request.matches[2], row->directory.native()}, {"snapshot", "filter"}, kHtml);
      }
    });
  }

  void RegisterProfiles() {
    server_.Get("/debug/pprof/(heap|allocs|handles)", [this](const Request& request, Response& response) {
      Names arguments = {"export", settings_.output.native(), "--format", "pprof"};
      if (request.matches[1] == "handles") arguments.push_back("--handles");
      if (request.has_param("pid")) {
        auto row = Find(request.get_param_value("pid"), response);
        if (row == nullptr) return;
        arguments[1] = row->directory.native();
      } else {
        arguments.push_back("--all");
      }
      Call(request, response, arguments, {"snapshot", "filter"}, "application/octet-stream");
    });
  }

  std::unique_ptr<ProcessRow> Find(const std::string& pid_text, Response& response) {
    const int pid = std::atoi(pid_text.c_str());
    for (const ProcessRow& row : ReadRows(settings_.output)) {
      if (row.pid == pid) return std::make_unique<ProcessRow>(row);
    }
    Refuse(response, 404, "no recording of process " + pid_text);
    return nullptr;
  }

  // The recording's snapshot with the number that the parameter names; empty when there is none.
  static std::filesystem::path FileOf(const ProcessRow& row, const Request& request, const char* parameter,
                                      const std::filesystem::path& otherwise) {
    if (!request.has_param(parameter)) return otherwise;
    const std::string number = request.get_param_value(parameter);
    if (number == "first") return row.files.front();
    if (number == "last") return row.files.back();
    if (number.empty() || number.size() > 9 || number.find_first_not_of("0123456789") != std::string::npos) return {};
    char name[40];
    std::snprintf(name, sizeof(name), "snapshot-%06d.lhs", std::atoi(number.c_str()));
    for (const auto& file : row.files) {
      if (file.filename() == name) return file;
    }
    return {};
  }

  void Report(const Request& request, Response& response, Names arguments, const Names& parameters) {
    std::string format = request.has_param("format") ? request.get_param_value("format") : "json";
    if (format != "json" && format != "markdown") return Refuse(response, 400, "format is json or markdown");
    arguments.insert(arguments.end(), {"--format", format});
    Names known = parameters;
    known.push_back("format");
    Call(request, response, std::move(arguments), known, TypeOf(format));
  }

  // Asks leakhunt-report. Parameters are its options; one that the path does not have is an error.
  void Call(const Request& request, Response& response, Names arguments, const Names& parameters, const char* type) {
    for (const auto& [name, value] : request.params) {
      if (name == "format" || name == "from" || name == "to" || name == "pid") continue;
      if (std::find(parameters.begin(), parameters.end(), name) == parameters.end()) {
        return Refuse(response, 400, "no parameter '" + name + "' here");
      }
      if (value.size() > kMostParameter || value.find('\0') != std::string::npos) {
        return Refuse(response, 400, "the parameter '" + name + "' is too long");
      }
      arguments.push_back("--" + name + "=" + value);  // one argument: never an option of its own
    }
    auto text = CallReport(arguments);
    if (text) return Give(response, 200, *text, type);
    Refuse(response, text.error().exit_code == 2 ? 400 : 500, text.error().message);
  }

  void Snapshot(const Request& request, Response& response) {
    auto row = Find(request.matches[1], response);
    if (row == nullptr) return;
    if (row->state != "running") return Refuse(response, 409, "the process has ended");
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!snapshots_.Take(now.tv_sec)) return Refuse(response, 429, "too many snapshots are asked for");
    sigval value{};
    value.sival_int = row->pid;
    if (sigqueue(settings_.collector, SIGUSR1, value) != 0) {
      return Refuse(response, 503, "the collector cannot be reached");
    }
    Give(response, 202, "{\"requested\":" + std::to_string(row->pid) + "}\n", kJson);
  }

  const ApiSettings settings_;
  MemoryServer server_;
  Allowance snapshots_;
};

// Of the statuses that a refusal has before the library has seen the request.
const char* ReasonOf(int status) {
  switch (status) {
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Payload Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Bad Request";
  }
}

}  // namespace

Front::Answer MakeApi(const ApiSettings& settings) {
  return [api = std::make_shared<Api>(settings)](const std::string& request) { return api->Answer(request); };
}

std::string RefusalText(int status, const std::string& why) {
  const std::string body = ErrorJson(why);
  return "HTTP/1.1 " + std::to_string(status) + " " + ReasonOf(status) +
         "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

}  // namespace leakhunt::serve
