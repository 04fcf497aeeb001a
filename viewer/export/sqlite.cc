// The profile as a SQLite database, for questions that no report answers. Tables: process, module, frame, site (a sample
// with its values), site_label, site_frame (depth 0 = innermost); views: site_place (innermost frame of each site).
#include <sqlite3.h>

#include <memory>
#include <ostream>

#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

constexpr const char* kSchema = R"sql(
CREATE TABLE process (name TEXT, command TEXT, pid INTEGER, time_unix_s REAL, mean_sample_bytes INTEGER);
CREATE TABLE note (text TEXT);
CREATE TABLE module (id INTEGER PRIMARY KEY, path TEXT, build_id TEXT, start INTEGER, end INTEGER, bias INTEGER);
CREATE TABLE frame (id INTEGER PRIMARY KEY, function TEXT, file TEXT, line INTEGER, column INTEGER,
                    module INTEGER REFERENCES module, address INTEGER, inlined INTEGER);
CREATE TABLE site_label (site INTEGER REFERENCES site, key TEXT, value TEXT);
CREATE TABLE site_frame (site INTEGER REFERENCES site, depth INTEGER, frame INTEGER REFERENCES frame,
                         PRIMARY KEY (site, depth)) WITHOUT ROWID;
CREATE VIEW site_place AS
  SELECT site.*, frame.function, frame.file, frame.line, module.path AS module FROM site
  LEFT JOIN site_frame ON site_frame.site = site.id AND depth = 0
  LEFT JOIN frame ON frame.id = site_frame.frame LEFT JOIN module ON module.id = frame.module;
)sql";

// Everything here happens in memory; the first thing that fails is kept, and nothing is done after it.
class Database {
 public:
  Database() { Check(sqlite3_open(":memory:", &handle_)); }
  ~Database() { sqlite3_close(handle_); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  bool Ok() const { return failed_.empty(); }
  const std::string& Failure() const { return failed_; }

  void Execute(const std::string& sql) {
    if (Ok()) Check(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr));
  }

  // One row: arguments are text, whole or broken numbers, or nullptr.
  template <typename... Values>
  void Insert(const std::string& sql, const Values&... values) {
    if (!Ok()) return;
    if (prepared_sql_ != sql) {
      sqlite3_stmt* statement = nullptr;
      Check(sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr));
      statement_.reset(statement);
      prepared_sql_ = sql;
      if (!Ok()) return;
    }
    int place = 0;
    (Bind(++place, values), ...);
    if (sqlite3_step(statement_.get()) != SQLITE_DONE) Check(sqlite3_errcode(handle_));
    sqlite3_reset(statement_.get());
  }

  void WriteTo(std::ostream& out) {
    statement_.reset();
    sqlite3_int64 bytes = 0;
    std::unique_ptr<unsigned char, decltype(&sqlite3_free)> image(sqlite3_serialize(handle_, "main", &bytes, 0), sqlite3_free);
    if (image == nullptr) return Check(SQLITE_NOMEM);
    out.write(reinterpret_cast<const char*>(image.get()), bytes);
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  void Bind(int place, const std::string& text) {
    sqlite3_bind_text(statement_.get(), place, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  }
  void Bind(int place, double value) { sqlite3_bind_double(statement_.get(), place, value); }
  void Bind(int place, int64_t value) { sqlite3_bind_int64(statement_.get(), place, value); }
  void Bind(int place, std::nullptr_t) { sqlite3_bind_null(statement_.get(), place); }

  void Check(int code) {
    if (code != SQLITE_OK && failed_.empty()) failed_ = handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_);
  }

  sqlite3* handle_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string prepared_sql_;
  std::string failed_;
};

int64_t Number(uint64_t value) { return static_cast<int64_t>(value); }  // addresses: SQLite has signed words only

void WriteTables(const Profile& profile, Database& database) {
  std::string command;
  for (const std::string& word : profile.command) command += (command.empty() ? "" : " ") + word;
  database.Insert("INSERT INTO process VALUES (?,?,?,?,?)", profile.process, command, int64_t{profile.pid},
                  static_cast<double>(profile.time_ms) / 1000, Number(profile.period));
  for (const std::string& comment : profile.comments) database.Insert("INSERT INTO note VALUES (?)", comment);
  for (size_t i = 0; i < profile.modules.size(); ++i) {
    const ProfileModule& module = profile.modules[i];
    database.Insert("INSERT INTO module VALUES (?,?,?,?,?,?)", Number(i), module.path, module.build_id,
                    Number(module.start), Number(module.end), Number(module.bias));
  }
  constexpr const char* kFrame = "INSERT INTO frame VALUES (?,?,?,?,?,?,?,?)";
  for (size_t i = 0; i < profile.frames.size(); ++i) {
    const ProfileFrame& frame = profile.frames[i];
    const std::string name = FrameLabel(profile, frame);
    const int64_t line = frame.line, column = frame.column, inlined = frame.inlined ? 1 : 0;
    if (frame.module < profile.modules.size()) {
      database.Insert(kFrame, Number(i), name, frame.file, line, column, int64_t{frame.module}, Number(frame.address), inlined);
    } else {
      database.Insert(kFrame, Number(i), name, frame.file, line, column, nullptr, Number(frame.address), inlined);
    }
  }
}

// The one table whose columns depend on what is exported: memory or handles.
std::string SiteTable(const Profile& profile) {
  std::string columns = "CREATE TABLE site (id INTEGER PRIMARY KEY";
  for (const ValueType& type : profile.value_types) columns += ", " + type.name + " INTEGER";
  return columns + ")";
}

void WriteSites(const Profile& profile, Database& database) {
  for (size_t i = 0; i < profile.samples.size(); ++i) database.Insert("INSERT INTO site (id) VALUES (?)", Number(i));
  for (size_t value = 0; value < profile.value_types.size(); ++value) {
    const std::string sql = "UPDATE site SET " + profile.value_types[value].name + " = ? WHERE id = ?";
    for (size_t i = 0; i < profile.samples.size(); ++i) {
      database.Insert(sql, profile.samples[i].values[value], Number(i));
    }
  }
  for (size_t i = 0; i < profile.samples.size(); ++i) {
    for (const ProfileLabel& label : profile.samples[i].labels) {
      database.Insert("INSERT INTO site_label VALUES (?,?,?)", Number(i), label.key, label.value);
    }
  }
  constexpr const char* kSiteFrame = "INSERT INTO site_frame VALUES (?,?,?)";
  for (size_t i = 0; i < profile.samples.size(); ++i) {
    const std::vector<uint32_t>& frames = profile.samples[i].frames;
    for (size_t depth = 0; depth < frames.size(); ++depth) {
      database.Insert(kSiteFrame, Number(i), Number(depth), int64_t{frames[depth]});
    }
  }
}

}  // namespace

Status ExportSqlite(const Profile& profile, std::ostream& out) {
  Database database;
  database.Execute("BEGIN");
  database.Execute(SiteTable(profile));
  database.Execute(kSchema);
  WriteTables(profile, database);
  WriteSites(profile, database);
  database.Execute("COMMIT");
  if (database.Ok()) database.WriteTo(out);
  if (!database.Ok()) return Error{"cannot make the SQLite database: " + database.Failure()};
  return Ok();
}

}  // namespace leakhunt::viewer
