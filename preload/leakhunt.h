/* leakhunt in the program: optional marks for the recording. C and C++; no library to link.
 *
 * Every function is an inline call through a weak symbol that libleakhunt.so defines when it is preloaded, and does
 * nothing otherwise. All may be called from any thread, not from signal handlers; none fails or changes errno.
 *
 *   leakhunt_snapshot("after warm-up");      asks the collector for a snapshot with this label (first 79 bytes)
 *   leakhunt_scope_begin("gun_sync");        what this thread allocates until the matching end is counted under this
 *   ...                                      category (first 55 bytes; at most 4,095 different ones; scopes nest to a
 *   leakhunt_scope_end();                    depth of 16, deeper ones count under the sixteenth)
 *   leakhunt_pause(); ... leakhunt_resume(); this thread's allocations in between are not recorded (they nest, too);
 *                                            frees always are
 */
#ifndef LEAKHUNT_H_
#define LEAKHUNT_H_

#ifdef __cplusplus
extern "C" {
#endif

void leakhunt_v1_snapshot(const char *label) __attribute__((weak));
void leakhunt_v1_scope_begin(const char *name) __attribute__((weak));
void leakhunt_v1_scope_end(void) __attribute__((weak));
void leakhunt_v1_pause(void) __attribute__((weak));
void leakhunt_v1_resume(void) __attribute__((weak));

static inline void leakhunt_snapshot(const char *label) {
  if (leakhunt_v1_snapshot) leakhunt_v1_snapshot(label);
}
static inline void leakhunt_scope_begin(const char *name) {
  if (leakhunt_v1_scope_begin) leakhunt_v1_scope_begin(name);
}
static inline void leakhunt_scope_end(void) {
  if (leakhunt_v1_scope_end) leakhunt_v1_scope_end();
}
static inline void leakhunt_pause(void) {
  if (leakhunt_v1_pause) leakhunt_v1_pause();
}
static inline void leakhunt_resume(void) {
  if (leakhunt_v1_resume) leakhunt_v1_resume();
}

#ifdef __cplusplus
}
#endif

#endif /* LEAKHUNT_H_ */
