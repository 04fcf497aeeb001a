// Memory that libc hands out or keeps for itself: strdup, asprintf, getline, streams, scandir, setenv, qsort's buffer.
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static int ByNumber(const void* a, const void* b) { return *(const int*)a - *(const int*)b; }

int main(void) {
  char* kept = strdup("kept until the end");
  free(strndup("freed at once", 5));
  char* printed = NULL;
  for (int i = 0; i < 10; ++i) {
    if (asprintf(&printed, "%0*d", 100 + i, i) < 0) return 1;
    if (i % 2) free(printed);
  }
  char* line = NULL;
  size_t capacity = 0;
  FILE* text = fopen("/proc/self/status", "r");
  while (getline(&line, &capacity, text) > 0) {
  }
  char* stream_buffer = NULL;
  size_t stream_bytes = 0;
  FILE* memory = open_memstream(&stream_buffer, &stream_bytes);
  for (int i = 0; i < 2000; ++i) fprintf(memory, "%d ", i);
  fclose(memory);
  wchar_t* wide = wcsdup(L"wide");
  clearenv();  // what setenv copies must not depend on who started us
  setenv("KEPT_BY_LIBC", "a value that libc keeps a copy of", 1);
  static int numbers[5000];
  qsort(numbers, 5000, sizeof(int), ByNumber);
  struct dirent** names = NULL;
  int count = scandir("/etc/apt", &names, NULL, alphasort);
  if (count > 0) free(names[0]);
  return kept == NULL || wide == NULL;  // `text` stays open
}
