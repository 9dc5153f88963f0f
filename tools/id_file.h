/* The file that keeps the last event ID for the next run. */
#ifndef ID_FILE_H
#define ID_FILE_H

/* Reads the ID, which is empty if there is no file yet. The text is the
 * caller's, for free(); NULL, and `errno`, if the file cannot be read. */
char *id_file_read(const char *path);

/* Replaces the file: whenever the program dies, there is the old ID or the new
 * one, and all of it. Returns -1, and sets `errno`, if it cannot. */
int id_file_write(const char *path, const char *id);

#endif
