#include "collector/snapshot/compressor.h"

#include <fmt/format.h>
#include <zstd.h>

#include <cstddef>

namespace leakhunt::snapshot {
namespace {

constexpr int kLevel = 3;  // zstd's own default

// What is alike in a snapshot stands close together: a window of 256 KiB compresses within two per cent as well as the
// level's own of 2 MiB, and the collector is the collector 2 MiB smaller while it writes.
constexpr int kWindowLog = 18;

// Tables of 192 KiB instead of 768: three in a thousand more on disk.
constexpr int kHashLog = 15, kChainLog = 14;

// Up to here the whole is taken before any of it is compressed: told the size, zstd makes its tables no larger.
constexpr size_t kSmallBytes = size_t{256} << 10;

void FreeContext(ZSTD_CCtx* context) { ZSTD_freeCCtx(context); }

}  // namespace

Compressor::Compressor(StagedFile* file)
    : context_(ZSTD_createCCtx(), FreeContext), piece_(ZSTD_CStreamOutSize(), '\0'), file_(file) {
  if (context_ == nullptr) {
    status_ = Error{"cannot compress: no memory"};
    return;
  }
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_windowLog, kWindowLog);
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_hashLog, kHashLog);
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_chainLog, kChainLog);
}

Compressor::~Compressor() = default;

void Compressor::Add(std::string_view bytes) {
  taken_bytes_ += bytes.size();
  if (!status_) return;
  if (started_) return Feed(bytes, More::kYes);
  waiting_ += bytes;
  if (waiting_.size() < kSmallBytes) return;
  started_ = true;
  Feed(waiting_, More::kYes);
  waiting_ = std::string();
}

void Compressor::Feed(std::string_view bytes, More more) {
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (bool done = false; !done;) {
    ZSTD_outBuffer out{piece_.data(), piece_.size(), 0};
    const size_t left =
        ZSTD_compressStream2(context_.get(), &out, &in, more == More::kYes ? ZSTD_e_continue : ZSTD_e_end);
    if (ZSTD_isError(left)) {
      status_ = Error{fmt::format("cannot compress: {}", ZSTD_getErrorName(left))};
      return;
    }
    if (out.pos > 0) status_ = file_->Append({piece_.data(), out.pos});
    if (!status_) return;
    done = more == More::kYes ? in.pos == in.size : left == 0;
  }
}

Status Compressor::Finish() {
  if (status_ && !started_) ZSTD_CCtx_setPledgedSrcSize(context_.get(), waiting_.size());
  if (status_) Feed(waiting_, More::kNo);
  return status_;
}

}  // namespace leakhunt::snapshot
