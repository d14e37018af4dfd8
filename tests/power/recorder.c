/* Preloaded into the gateway: writes what it does with the files of its database, and what it sends
 * to sockets and to standard output, into one log, in one order.
 *
 * RECORDER_LOG is the log, and RECORDER_FILES how the names of the files begin. A record is a head,
 * a name and data. What has an effect on a file is recorded after it was done, except the begin of a
 * sync; what is sent is recorded before, since a client may act on it at once.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct __attribute__((packed)) head {
    char kind;
    uint16_t name_size;
    uint32_t data_size;
    uint64_t offset; /* in the file; for what is sent, the process and the descriptor */
};

static int record_to = -1;
static const char *files;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("RECORDER_LOG");
    files = getenv("RECORDER_FILES");
    if (name && files)
        record_to = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void record(char kind, const char *name, uint64_t offset, const void *data, size_t size) {
    struct head head = {kind, (uint16_t)strlen(name), (uint32_t)size, offset};
    struct iovec parts[3] = {
        {&head, sizeof head}, {(void *)name, head.name_size}, {(void *)data, size}};
    int before = errno;
    pthread_mutex_lock(&one_at_a_time);
    ssize_t written = syscall(SYS_writev, record_to, parts, 3);
    pthread_mutex_unlock(&one_at_a_time);
    if (written != (ssize_t)(sizeof head + head.name_size + size))
        abort(); /* a log with a gap would prove nothing */
    errno = before;
}

/* Whether a descriptor belongs to the database or its folder; then its name. */
static int is_ours(int descriptor, char *name, size_t size) {
    char link[32] = "/proc/self/fd/";
    char digits[12];
    int count = 0, number = descriptor;
    if (record_to < 0 || descriptor < 0)
        return 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    size_t end = strlen(link);
    while (count)
        link[end++] = digits[--count];
    link[end] = 0;
    ssize_t found = readlink(link, name, size - 1);
    if (found <= 0)
        return 0;
    name[found] = 0;
    return strncmp(name, files, strlen(files)) == 0;
}

#define ORIGINAL(name) \
    static __typeof__(name) *original; \
    if (!original) \
        original = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    ORIGINAL(pwrite64);
    char name[4096];
    ssize_t done = original(descriptor, data, size, offset);
    if (done > 0 && is_ours(descriptor, name, sizeof name))
        record('w', name, (uint64_t)offset, data, (size_t)done);
    return done;
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    return pwrite64(descriptor, data, size, offset);
}

int ftruncate64(int descriptor, off64_t size) {
    ORIGINAL(ftruncate64);
    char name[4096];
    int failed = original(descriptor, size);
    if (!failed && is_ours(descriptor, name, sizeof name))
        record('t', name, (uint64_t)size, "", 0);
    return failed;
}

int ftruncate(int descriptor, off_t size) {
    return ftruncate64(descriptor, size);
}

#define SYNC(name_) \
    int name_(int descriptor) { \
        ORIGINAL(name_); \
        char name[4096]; \
        int ours = is_ours(descriptor, name, sizeof name); \
        if (ours) \
            record('b', name, 0, "", 0); \
        int failed = original(descriptor); \
        if (ours && !failed) \
            record('e', name, 0, "", 0); \
        return failed; \
    }

SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    ORIGINAL(unlink);
    int failed = original(path);
    if (!failed && record_to >= 0 && strncmp(path, files, strlen(files)) == 0)
        record('u', path, 0, "", 0);
    return failed;
}

/* What is sent: by one of these functions, whichever the event loop prefers. */

static uint64_t source(int descriptor) {
    return (uint64_t)getpid() << 32 | (uint32_t)descriptor;
}

static int is_socket(int descriptor) {
    struct stat found;
    return record_to >= 0 && !fstat(descriptor, &found) && S_ISSOCK(found.st_mode);
}

static void sending(int descriptor, const void *data, size_t size) {
    record('s', "", source(descriptor), data, size);
}

static void sent(int descriptor, ssize_t done, size_t size) {
    if (done != (ssize_t)size)
        record(done < 0 ? 'f' : 'p', "", source(descriptor), "", 0);
}

static size_t joined(const struct iovec *parts, int count, char *to, size_t size) {
    size_t total = 0;
    for (int number = 0; number < count; number++) {
        if (total + parts[number].iov_len > size)
            abort();
        memcpy(to + total, parts[number].iov_base, parts[number].iov_len);
        total += parts[number].iov_len;
    }
    return total;
}

static __thread char together[4 << 20];

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    ORIGINAL(writev);
    if (!is_socket(descriptor))
        return original(descriptor, parts, count);
    size_t size = joined(parts, count, together, sizeof together);
    sending(descriptor, together, size);
    ssize_t done = original(descriptor, parts, count);
    sent(descriptor, done, size);
    return done;
}

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags) {
    ORIGINAL(sendmsg);
    if (!is_socket(descriptor))
        return original(descriptor, message, flags);
    size_t size =
        joined(message->msg_iov, (int)message->msg_iovlen, together, sizeof together);
    sending(descriptor, together, size);
    ssize_t done = original(descriptor, message, flags);
    sent(descriptor, done, size);
    return done;
}

ssize_t send(int descriptor, const void *data, size_t size, int flags) {
    ORIGINAL(send);
    if (!is_socket(descriptor))
        return original(descriptor, data, size, flags);
    sending(descriptor, data, size);
    ssize_t done = original(descriptor, data, size, flags);
    sent(descriptor, done, size);
    return done;
}

ssize_t write(int descriptor, const void *data, size_t size) {
    ORIGINAL(write);
    char name[4096];
    if (record_to < 0)
        return original(descriptor, data, size);
    if (descriptor == 1)
        record('o', "", source(descriptor), data, size);
    if (is_socket(descriptor)) {
        sending(descriptor, data, size);
        ssize_t done = original(descriptor, data, size);
        sent(descriptor, done, size);
        return done;
    }
    off64_t offset = lseek64(descriptor, 0, SEEK_CUR);
    ssize_t done = original(descriptor, data, size);
    if (done > 0 && is_ours(descriptor, name, sizeof name))
        record('w', name, (uint64_t)offset, data, (size_t)done);
    return done;
}
