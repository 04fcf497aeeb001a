#include "collector/attach/attach.h"

#include "collector/attach/guest_pages.h"
#include "collector/ingest/service.h"

namespace leakhunt::attach {

Result<int> RecordProcess(const Options& options, record::OnWritten on_written) {
  auto service = ingest::Service::Create(options, ingest::Mode::kAttach, ingest::ServiceSignals());
  if (!service) return service.error();
  auto arrival = TakePages(options.attach_pid);
  if (!arrival) return arrival.error();
  ingest::SessionTable& sessions = (*service)->Sessions();
  sessions.SetOnWritten(std::move(on_written));
  auto session = sessions.Admit(std::move(*arrival));
  if (!session) return std::move(session.error()).Wrap("process " + std::to_string(options.attach_pid));
  sessions.SnapshotAll("start", "");
  bool stop = false;
  auto on_signal = [&](const signalfd_siginfo& info) {
    if (info.ssi_signo == SIGUSR1) sessions.SnapshotOnSignal(info);
    if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP) stop = true;
  };
  (*service)->Run(on_signal, [&] { return stop || (*service)->DurationOver() || sessions.Count() == 0; });
  sessions.StopAll();
  return 0;
}

}  // namespace leakhunt::attach
