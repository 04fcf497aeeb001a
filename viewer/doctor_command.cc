// leakhunt-report doctor: why nothing is recorded.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "viewer/command.h"
#include "viewer/doctor/process_checks.h"
#include "viewer/doctor/program_checks.h"
#include "viewer/doctor/recording_checks.h"
#include "viewer/doctor/surroundings.h"
#include "viewer/doctor_json.h"
#include "viewer/render/paragraph.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"
#include "viewer/selection.h"

#include <unistd.h>

namespace leakhunt::viewer {
namespace {

bool IsNumber(const std::string& text) {
  return !text.empty() && text.size() < 10 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsRecording(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) || path.ends_with(".lhs");
}

Status CheckRecordings(const std::string& path, Context& context, Symptoms& symptoms) {
  Result<std::vector<ListedProcess>> listed = ListProcesses({path}, context.err);
  if (!listed) return std::move(listed.error());
  for (const ListedProcess& p : *listed) {
    Symptoms of_one;
    CheckRecording(p.last, of_one);
    for (Symptom& symptom : of_one) {
      symptom.what = fmt::format("{}[{}]: {}", Printable(p.last.process.name), p.last.process.pid, symptom.what);
      symptoms.push_back(std::move(symptom));
    }
  }
  return Ok();
}

Status Examine(const std::string& subject, Context& context, Symptoms& symptoms) {
  if (IsRecording(subject)) return CheckRecordings(subject, context, symptoms);
  std::string library = CheckLibrary(symptoms);
  if (IsNumber(subject)) return CheckProcess(std::stoi(subject), library, symptoms);
  CheckCollector(OwnEnvironment(), ::geteuid(), symptoms);
  if (subject.empty()) {
    std::error_code ignored;
    if (std::filesystem::is_directory("./leakhunt-data", ignored)) return CheckRecordings("./leakhunt-data", context, symptoms);
    symptoms.push_back({Health::kNote, "recordings", "there is no ./leakhunt-data here", "leakhunt-report doctor CMD, or PID"});
    return Ok();
  }
  Result<std::filesystem::path> program = FindProgram(subject);
  if (!program) return std::move(program.error());
  return CheckProgram(*program, library, symptoms);
}

void WriteText(const Symptoms& symptoms, Context& context) {
  for (const Symptom& symptom : symptoms) {
    Style style = symptom.health == Health::kGood ? Style::kGreen : symptom.health == Health::kNote ? Style::kYellow : Style::kRed;
    std::string name = PadRight(HealthName(symptom.health), 7);
    context.out << Styled(name, style, context.terminal) << "  " << PadRight(symptom.check, 12) << "  " << Printable(symptom.what) << "\n";
    if (!symptom.remedy.empty()) context.out << std::string(23, ' ') << "-> " << Printable(symptom.remedy) << "\n";
  }
  size_t problems = static_cast<size_t>(std::count_if(symptoms.begin(), symptoms.end(), [](const Symptom& f) { return f.health == Health::kProblem; }));
  context.out << (problems == 0 ? "nothing stands in the way\n"
                                : fmt::format("{} thing{} in the way of recording\n", problems, problems == 1 ? " stands" : "s stand"));
}

void WriteMarkdown(const Symptoms& symptoms, Context& context) {
  Table table;
  table.columns = {{"state", Align::kLeft}, {"check", Align::kLeft}, {"found", Align::kLeft}, {"what to do", Align::kLeft}};
  for (const Symptom& f : symptoms) table.rows.push_back({HealthName(f.health), f.check, f.what, f.remedy});
  WriteMarkdownTable(table, context.out);
}

Result<int> Run(Context& context) {
  Symptoms symptoms;
  const auto& arguments = context.options.paths;
  if (Status examined = Examine(arguments.empty() ? "" : arguments.front(), context, symptoms); !examined) {
    return std::move(examined.error());
  }
  if (context.options.format == "json") context.out << DoctorJson(symptoms);
  if (context.options.format == "markdown") WriteMarkdown(symptoms, context);
  if (context.options.format == "text") WriteText(symptoms, context);
  return 0;
}

}  // namespace

const Command kDoctorCommand = {"doctor", "why nothing is recorded of a process, a command or in a recording",
                                "[PID|CMD|PATH]", 1, "text,json,markdown", 0, Run};

}  // namespace leakhunt::viewer
