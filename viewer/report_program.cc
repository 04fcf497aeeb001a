#include "viewer/report_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "collector/base/clean_text.h"
#include "viewer/command.h"
#include "viewer/command_line.h"

namespace leakhunt::viewer {
namespace {

int Fail(const Error& error, std::ostream& err) {
  err << MessageLine("leakhunt-report", error.message);
  return error.exit_code;
}

// The file is private, as the recording is: it names paths, peers and command lines.
Status WriteOutput(const std::string& file, const std::string& text) {
  int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError("cannot write " + file, errno);
  ::close(fd);
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream << text;
  stream.flush();
  if (!stream) return ErrnoError("cannot write " + file, errno);
  return Ok();
}

}  // namespace

int RunReport(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
              const Terminal& terminal) {
  Result<CommandLine> line = ParseCommandLine(arguments);
  if (!line) return Fail(line.error(), err);
  if (line->command == nullptr) {
    out << line->text;
    return 0;
  }
  const Options& options = line->options;
  std::ostringstream report;
  bool to_file = !options.output.empty() && options.output != "-";
  Context context{options, report, err, to_file ? Terminal{} : terminal, out};
  Result<int> status = line->command->run(context);
  if (!status) return Fail(status.error(), err);
  if (!to_file) {
    out << report.str();
    return *status;
  }
  if (Status written = WriteOutput(options.output, report.str()); !written) return Fail(written.error(), err);
  return *status;
}

}  // namespace leakhunt::viewer
