/* Preloaded into the gateway: lets what it does with the files of its database fail when a test
 * wants it.
 *
 * FAILING_FILES is how the names of the files begin. FAILING_CONTROL is a file of three numbers of
 * 32 bits: the error, 0 for none; how many operations still succeed; and how many have failed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int32_t *control;
static const char *files;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAILING_CONTROL");
    int descriptor = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    files = getenv("FAILING_FILES");
    if (descriptor < 0 || !files)
        return;
    void *mapped = mmap(NULL, 12, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped != MAP_FAILED)
        control = mapped;
    close(descriptor);
}

static int fails(int descriptor) {
    char link[32], name[4096];
    if (!control || !control[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t found = readlink(link, name, sizeof name - 1);
    if (found <= 0)
        return 0;
    name[found] = 0;
    if (strncmp(name, files, strlen(files)) || strstr(name, "-shm")) /* memory, not a disk */
        return 0;
    if (__sync_fetch_and_sub(&control[1], 1) > 0)
        return 0;
    __sync_fetch_and_add(&control[2], 1);
    errno = control[0];
    return 1;
}

#define ORIGINAL(name) \
    static __typeof__(name) *original; \
    if (!original) \
        original = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    ORIGINAL(pwrite64);
    return fails(descriptor) ? -1 : original(descriptor, data, size, offset);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    return pwrite64(descriptor, data, size, offset);
}

int ftruncate64(int descriptor, off64_t size) {
    ORIGINAL(ftruncate64);
    return fails(descriptor) ? -1 : original(descriptor, size);
}

int ftruncate(int descriptor, off_t size) {
    return ftruncate64(descriptor, size);
}

int fsync(int descriptor) {
    ORIGINAL(fsync);
    return fails(descriptor) ? -1 : original(descriptor);
}

int fdatasync(int descriptor) {
    ORIGINAL(fdatasync);
    return fails(descriptor) ? -1 : original(descriptor);
}
