/* Sample code in C: static functions of one name in two files, inlining, a cold path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
  struct node* next;
  char text[24];
};

static inline struct node* make(const char* text) {
  struct node* made = malloc(sizeof(*made));
  if (!made) abort();
  strncpy(made->text, text, sizeof(made->text) - 1);
  made->text[sizeof(made->text) - 1] = 0;
  return made;
}

static inline struct node* push(struct node* head, const char* text) {
  struct node* made = make(text);
  made->next = head;
  return made;
}

static int helper(struct node* head) {
  int count = 0;
  for (; head; head = head->next) count += head->text[0] != 0;
  return count;
}

int list_run(int count) {
  struct node* head = NULL;
  for (int i = 0; i < count; ++i) {
    char text[32];
    snprintf(text, sizeof(text), "%d", i);
    head = push(head, text);
    if (i % 7 == 0) head = push(head, "seven");
  }
  return helper(head);
}
