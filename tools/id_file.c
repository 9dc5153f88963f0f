#define _GNU_SOURCE

#include "id_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An ID has no line feed; one stands behind it in the file. */
char *id_file_read(const char *path)
{
    FILE *file = fopen(path, "re");
    char *id = NULL;
    size_t size = 0;
    ssize_t len;
    int error;

    if (file == NULL)
        return errno == ENOENT ? strdup("") : NULL;
    len = getline(&id, &size, file);
    error = len < 0 && !feof(file) ? errno : 0;
    fclose(file);
    if (len > 0 && id[len - 1] == '\n')
        id[len - 1] = '\0';
    if (len >= 0)
        return id;
    free(id);
    errno = error;
    return error == 0 ? strdup("") : NULL;
}

static int write_all(const char *path, const char *id)
{
    FILE *file = fopen(path, "we");
    int failed;

    if (file == NULL)
        return -1;
    failed = fprintf(file, "%s\n", id) < 0;
    if (fclose(file) != 0 || failed)
        return -1;
    return 0;
}

int id_file_write(const char *path, const char *id)
{
    char *new_path;
    int result;

    if (asprintf(&new_path, "%s.new", path) < 0)
        return -1;
    result = write_all(new_path, id);
    if (result == 0)
        result = rename(new_path, path);
    free(new_path);
    return result;
}
