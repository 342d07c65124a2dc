/* The load generator: one thread, epoll, WebSocket framing of its own (RFC 6455).
 *
 * Every frame is masked and laid out before the clock starts; what comes back is parsed and compared
 * byte by byte with what was sent. Arguments are key=value (see `options`); the result is one line
 * of JSON on stdout, and whatever goes wrong is one line on stderr and exit status 1.
 *
 * Modes:
 *   echo        `window` messages in flight on each of `connections`; a reply allows the next
 *   raw         the same without WebSocket: bytes to a TCP echo
 *   handshakes  `connections` at a time: connect, open, close 1000, wait for the end; again
 *   idle        open all, one echo on each, print "ready", hold them until stdin ends
 *   latency     each of `connections` sends one message every `interval_us`; with flood=1 one more
 *               connection sends as fast as the server takes it
 *   fanout      the first of `connections` sends; the next message follows when all have it
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#define TEXT 1
#define BINARY 2
#define CLOSE 8
#define PING 9
#define PONG 10

#define OPENING_AT_ONCE 64           /* below every server's listen backlog */
#define READ_SIZE (256 * 1024)       /* bytes asked of one recv */
#define TLS_READ_AHEAD (128 * 1024)  /* bytes of records that OpenSSL asks of one recv */
#define TLS_HELD (64 * 1024)         /* bytes of records from which on they are sent first */
#define READS_AT_ONCE 4              /* recvs of one connection before the others have their turn */
#define HEAD_LIMIT 8192              /* bytes of the response to the handshake */
#define OPENING_LIMIT 60000000000u   /* ns in which all connections must be open */
#define UNLIMITED UINT64_MAX

enum mode { ECHO, RAW, HANDSHAKES, IDLE, LATENCY, FANOUT };
static const char *const mode_names[] = {"echo", "raw", "handshakes", "idle", "latency", "fanout"};

enum state { UNUSED, CONNECTING, TLS_HANDSHAKE, REQUESTING, OPEN, CLOSING };

struct connection {
    enum state state;
    int fd;
    bool wants_write; /* EPOLLOUT is asked for */
    bool flooding;
#ifdef WITH_TLS
    SSL *tls;
    /* Records that are made, so that several leave in one send. */
    unsigned char *records;
    size_t records_size, records_room, records_sent;
#endif
    /* Output: frames of the ring, and a control frame that goes between two of them. */
    uint64_t credit;     /* frames it may still send */
    uint32_t out_frame;  /* the next, or the one it is in */
    size_t out_position; /* in the ring */
    unsigned char control[6 + 125];
    size_t control_size, control_position;
    size_t request_position;
    /* Input. */
    char *head; /* the response to the handshake, until it is complete */
    size_t head_size;
    unsigned char header[10];
    unsigned header_size;
    int opcode;
    bool fin;
    uint64_t payload_left;
    unsigned char control_in[125];
    size_t control_in_size;
    uint32_t in_frame;       /* the one whose echo is due */
    size_t message_position; /* how much of it has come */
    uint64_t sent_at;        /* ns; 0 when no answer is due (latency) */
};

/* What the arguments say. */
static struct {
    enum mode mode;
    const char *host, *path, *payloads;
    int port, connections, window, size, opcode, tls, flood, deflate, settle_ms;
    double seconds, warmup, interval_us;
} options = {.mode = ECHO, .host = "127.0.0.1", .path = "/", .connections = 1, .window = 1,
             .size = 32, .opcode = TEXT, .seconds = 1, .warmup = 0.2, .interval_us = 50000};

/* The frames, one after the other, and the payloads their echoes must have. */
static uint32_t frame_count;
static unsigned char *ring;
static size_t *frame_ends, *plain_starts, *plain_sizes;
static unsigned char *plains;

static struct connection *connections;
static int total; /* connections, the flooding one included */
static int epoll_fd, opened, opening, unopened;
static char request[2048];
static size_t request_size;
static unsigned char read_buffer[READ_SIZE];
#ifdef WITH_TLS
static SSL_CTX *tls_context;
static BIO_METHOD *collecting;
#endif

/* The figures. */
static uint64_t now;
static uint64_t messages, handshakes, flood_messages, broadcasts;
static int fanout_pending;
static uint64_t fanout_since;
static uint32_t *samples; /* ns */
static size_t sample_count, sample_room;
static bool measuring, over;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (memory == NULL) fail("out of memory");
    return memory;
}

static uint64_t clock_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Seconds for which this program was ready to run and its core had other work; 0 if not known. */
static double waited_seconds(void) {
    unsigned long long ran = 0, waited = 0;
    FILE *file = fopen("/proc/self/schedstat", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%llu %llu", &ran, &waited) != 2) waited = 0;
    fclose(file);
    return (double)waited / 1e9;
}

static uint32_t random_bits(void) { /* xorshift32: every run sends the same */
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void add_sample(uint64_t ns) {
    if (!measuring) return;
    if (sample_count == sample_room) {
        sample_room = sample_room ? 2 * sample_room : 1 << 16;
        samples = realloc(samples, sample_room * sizeof *samples);
        if (samples == NULL) fail("out of memory");
    }
    samples[sample_count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

/* -- frames ----------------------------------------------------------------------------------- */

/* RFC 6455 §5.2; returns the size of the frame. */
static size_t write_frame(unsigned char *out, int first, const unsigned char *payload, size_t size) {
    size_t position = 0;
    out[position++] = (unsigned char)first;
    if (size < 126) {
        out[position++] = (unsigned char)(0x80 | size);
    } else if (size < 65536) {
        out[position++] = 0x80 | 126;
        out[position++] = (unsigned char)(size >> 8);
        out[position++] = (unsigned char)size;
    } else {
        out[position++] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            out[position++] = (unsigned char)((uint64_t)size >> shift);
    }
    unsigned char key[4];
    uint32_t bits = random_bits();
    memcpy(key, &bits, 4);
    memcpy(out + position, key, 4);
    position += 4;
    for (size_t i = 0; i < size; i++) out[position + i] = payload[i] ^ key[i & 3];
    return position + size;
}

static void fill_payload(unsigned char *payload, size_t size) {
    for (size_t i = 0; i < size; i++) { /* text is printable ASCII */
        uint32_t bits = random_bits();
        payload[i] = (unsigned char)(options.opcode == TEXT ? ' ' + bits % 95 : bits);
    }
}

/* Payloads from a file: each a 32-bit size in network order, and its bytes. */
static void read_payloads(void) {
    FILE *file = fopen(options.payloads, "rb");
    if (file == NULL) fail("cannot open %s: %s", options.payloads, strerror(errno));
    size_t room = 0, used = 0;
    unsigned char size_field[4];
    while (fread(size_field, 1, 4, file) == 4) {
        size_t size = (size_t)size_field[0] << 24 | (size_t)size_field[1] << 16 |
                      (size_t)size_field[2] << 8 | size_field[3];
        if (used + size > room) {
            room = 2 * (used + size);
            plains = realloc(plains, room);
            if (plains == NULL) fail("out of memory");
        }
        if (fread(plains + used, 1, size, file) != size) fail("%s is cut off", options.payloads);
        plain_starts = realloc(plain_starts, (frame_count + 1) * sizeof *plain_starts);
        plain_sizes = realloc(plain_sizes, (frame_count + 1) * sizeof *plain_sizes);
        if (plain_starts == NULL || plain_sizes == NULL) fail("out of memory");
        plain_starts[frame_count] = used;
        plain_sizes[frame_count++] = size;
        used += size;
    }
    fclose(file);
    if (frame_count == 0) fail("%s has no payloads", options.payloads);
}

static void make_payloads(void) {
    size_t size = (size_t)options.size;
    frame_count = (uint32_t)(512 * 1024 / (size + 14));
    if (frame_count < 2) frame_count = 2;
    if (frame_count > 1024) frame_count = 1024;
    plains = allocate(frame_count, size);
    plain_starts = allocate(frame_count, sizeof *plain_starts);
    plain_sizes = allocate(frame_count, sizeof *plain_sizes);
    for (uint32_t i = 0; i < frame_count; i++) {
        plain_starts[i] = i * size;
        plain_sizes[i] = size;
        fill_payload(plains + i * size, size);
    }
}

static void make_frames(void) {
    if (options.payloads != NULL)
        read_payloads();
    else
        make_payloads();
    size_t room = 0, used = 0;
    for (uint32_t i = 0; i < frame_count; i++) room += plain_sizes[i] + 14;
    ring = allocate(room, 1);
    frame_ends = allocate(frame_count, sizeof *frame_ends);
    int first = 0x80 | (options.deflate ? 0x40 : 0) | options.opcode;
    for (uint32_t i = 0; i < frame_count; i++) {
        const unsigned char *payload = plains + plain_starts[i];
        if (options.mode == RAW) {
            memcpy(ring + used, payload, plain_sizes[i]);
            used += plain_sizes[i];
        } else {
            used += write_frame(ring + used, first, payload, plain_sizes[i]);
        }
        frame_ends[i] = used;
    }
}

/* -- bytes ------------------------------------------------------------------------------------ */

static void watch(struct connection *c, bool write) {
    if (c->wants_write == write) return;
    c->wants_write = write;
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0) fail("epoll: %s", strerror(errno));
}

/* Both return what was moved, 0 at the end of the stream, -1 when it must wait. */

static ssize_t read_some(struct connection *c, void *buffer, size_t size) {
#ifdef WITH_TLS
    if (c->tls != NULL) {
        ERR_clear_error();
        int got = SSL_read(c->tls, buffer, (int)size);
        if (got > 0) return got;
        int error = SSL_get_error(c->tls, got);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -1 : 0;
    }
#endif
    ssize_t got = recv(c->fd, buffer, size, 0);
    if (got >= 0) return got;
    return errno == EAGAIN || errno == EINTR ? -1 : 0;
}

#ifdef WITH_TLS
static int collect_record(BIO *bio, const char *data, int size) {
    struct connection *c = BIO_get_data(bio);
    size_t needed = c->records_size + (size_t)size;
    if (needed > c->records_room) {
        c->records_room = needed < TLS_HELD / 16 ? TLS_HELD / 16 : 2 * needed;
        c->records = realloc(c->records, c->records_room);
        if (c->records == NULL) fail("out of memory");
    }
    memcpy(c->records + c->records_size, data, (size_t)size);
    c->records_size = needed;
    return size;
}

static long control_collecting(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}
#endif

/* Send the records that wait; whether none is left. */
static bool send_records(struct connection *c) {
#ifdef WITH_TLS
    while (c->records_sent < c->records_size) {
        ssize_t put = send(c->fd, c->records + c->records_sent, c->records_size - c->records_sent,
                           MSG_NOSIGNAL);
        if (put < 0 && (errno == EAGAIN || errno == EINTR)) return false;
        if (put < 0) break; /* the next recv says why */
        c->records_sent += (size_t)put;
    }
    c->records_size = c->records_sent = 0;
#else
    (void)c;
#endif
    return true;
}

static ssize_t write_some(struct connection *c, const void *buffer, size_t size) {
#ifdef WITH_TLS
    if (c->tls != NULL) {
        ERR_clear_error();
        if (c->records_size >= TLS_HELD && !send_records(c)) return -1;
        int put = SSL_write(c->tls, buffer, size > TLS_HELD ? TLS_HELD : (int)size);
        if (put > 0) return put;
        return SSL_get_error(c->tls, put) == SSL_ERROR_WANT_READ ? -1 : 0;
    }
#endif
    ssize_t put = send(c->fd, buffer, size, MSG_NOSIGNAL);
    if (put >= 0) return put;
    return errno == EAGAIN || errno == EINTR ? -1 : 0;
}

static void lost(struct connection *c) {
    if (c->state == CONNECTING) fail("the server accepts no connection");
    if (c->state != OPEN)
        fail("the server ended the connection during the handshake: %.*s", (int)c->head_size,
             c->head == NULL ? "" : c->head);
    fail("the server ended the connection");
}

/* Send what `credit` allows. */
static void flush(struct connection *c) {
    for (;;) {
        bool between = c->out_position == (c->out_frame ? frame_ends[c->out_frame - 1] : 0);
        if (c->control_size && between) {
            ssize_t put = write_some(c, c->control + c->control_position,
                                     c->control_size - c->control_position);
            if (put == 0) lost(c);
            if (put < 0) break;
            c->control_position += (size_t)put;
            if (c->control_position == c->control_size) c->control_size = 0;
            continue;
        }
        if (c->credit == 0) {
            watch(c, !send_records(c));
            return;
        }
        uint64_t run = frame_count - c->out_frame;
        if (run > c->credit) run = c->credit;
        if (c->control_size) run = 1;
        size_t end = frame_ends[c->out_frame + run - 1];
        ssize_t put = write_some(c, ring + c->out_position, end - c->out_position);
        if (put == 0) lost(c);
        if (put < 0) break;
        c->out_position += (size_t)put;
        while (c->out_frame < frame_count && frame_ends[c->out_frame] <= c->out_position) {
            c->out_frame++;
            if (c->credit != UNLIMITED) c->credit--;
        }
        if (c->out_frame == frame_count) c->out_frame = 0, c->out_position = 0;
        if (c->flooding) break; /* the quiet ones have their turn after each write */
    }
    send_records(c);
    watch(c, true);
}

static void send_control(struct connection *c, int opcode, const unsigned char *payload, size_t size) {
    if (c->control_size && c->control_position) return; /* half sent: one Pong less */
    c->control_size = write_frame(c->control, 0x80 | opcode, payload, size);
    c->control_position = 0;
    flush(c);
}

/* -- connections ------------------------------------------------------------------------------ */

static void open_connection(struct connection *c) {
    bool flooding = c->flooding;
    memset(c, 0, sizeof *c);
    c->flooding = flooding;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) fail("socket: %s", strerror(errno));
    int yes = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    if (inet_pton(AF_INET, options.host, &address.sin_addr) != 1)
        fail("host must be an IPv4 address, not %s", options.host);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    c->state = CONNECTING;
    c->wants_write = true;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0) fail("epoll: %s", strerror(errno));
    opening++;
}

static void open_more(void) {
    while (unopened > 0 && opening < OPENING_AT_ONCE) {
        unopened--;
        open_connection(&connections[total - 1 - unopened]);
    }
}

static void close_connection(struct connection *c) {
#ifdef WITH_TLS
    if (c->tls != NULL) SSL_free(c->tls);
    free(c->records);
#endif
    close(c->fd);
    free(c->head);
    c->head = NULL;
}

static void publish(struct connection *c) {
    fanout_pending = options.connections;
    fanout_since = now;
    c->credit = 1;
    flush(c);
}

static void on_open(struct connection *c) {
    c->state = OPEN;
    opening--;
    opened++;
    if (options.mode == HANDSHAKES) {
        handshakes++;
        c->state = CLOSING;
        send_control(c, CLOSE, (const unsigned char *)"\x03\xe8", 2);
    } else if (options.mode == IDLE) {
        c->credit = 1;
        flush(c);
    } else {
        watch(c, false);
    }
    open_more();
}

/* Whether it can be spoken on. */
static bool establish(struct connection *c) {
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) fail("connect: %s", strerror(error));
        c->state = REQUESTING;
        if (options.mode == RAW) {
            on_open(c);
            return true;
        }
#ifdef WITH_TLS
        if (options.tls) {
            c->tls = SSL_new(tls_context);
            BIO *records = BIO_new(collecting);
            if (c->tls == NULL || records == NULL || !SSL_set_rfd(c->tls, c->fd))
                fail("TLS: no connection");
            BIO_set_data(records, c);
            BIO_set_init(records, 1);
            SSL_set0_wbio(c->tls, records);
            SSL_set_connect_state(c->tls);
            c->state = TLS_HANDSHAKE;
        }
#endif
    }
#ifdef WITH_TLS
    if (c->state == TLS_HANDSHAKE) {
        ERR_clear_error();
        int done = SSL_do_handshake(c->tls);
        if (done != 1 && SSL_get_error(c->tls, done) != SSL_ERROR_WANT_READ)
            fail("TLS handshake: %s", ERR_reason_error_string(ERR_peek_error()));
        watch(c, !send_records(c));
        if (done != 1) return false;
        c->state = REQUESTING;
    }
#endif
    while (c->state == REQUESTING && c->request_position < request_size) {
        ssize_t put = write_some(c, request + c->request_position, request_size - c->request_position);
        if (put == 0) lost(c);
        if (put < 0) {
            watch(c, true);
            return false;
        }
        c->request_position += (size_t)put;
        if (c->request_position == request_size) watch(c, !send_records(c));
    }
    return true;
}

/* Takes the response's head off `data`; returns how much that was. */
static size_t take_head(struct connection *c, const unsigned char *data, size_t size) {
    if (c->head == NULL) c->head = allocate(HEAD_LIMIT + 1, 1);
    for (size_t i = 0; i < size; i++) {
        if (c->head_size == HEAD_LIMIT) fail("the response's head is too long");
        c->head[c->head_size++] = (char)data[i];
        if (c->head_size >= 4 && memcmp(c->head + c->head_size - 4, "\r\n\r\n", 4) == 0) {
            if (strncmp(c->head, "HTTP/1.1 101", 12) != 0)
                fail("the server refused: %.*s", (int)strcspn(c->head, "\r"), c->head);
            if (strstr(c->head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == NULL)
                fail("Sec-WebSocket-Accept is wrong");
            if (options.deflate && strstr(c->head, "permessage-deflate") == NULL)
                fail("the server did not take permessage-deflate");
            free(c->head);
            c->head = NULL;
            on_open(c);
            return i + 1;
        }
    }
    return size;
}

static void on_message(struct connection *c) {
    if (++c->in_frame == frame_count) c->in_frame = 0;
    if (c->flooding) {
        flood_messages++;
        return;
    }
    messages++;
    switch (options.mode) {
    case ECHO:
    case RAW:
        c->credit++; /* flushed once for all that one read has brought */
        break;
    case FANOUT:
        if (--fanout_pending == 0) {
            now = clock_ns();
            add_sample(now - fanout_since);
            broadcasts++;
            publish(&connections[0]);
        }
        break;
    case LATENCY: {
        /* What was not sent because this answer was late would have been late too. */
        uint64_t took = clock_ns() - c->sent_at, interval = (uint64_t)(options.interval_us * 1e3);
        c->sent_at = 0;
        add_sample(took);
        while (took > interval) add_sample(took -= interval);
        break;
    }
    default:
        break;
    }
}

static void compare(struct connection *c, const unsigned char *data, size_t size) {
    if (!options.deflate) {
        if (c->message_position + size > plain_sizes[c->in_frame] ||
            memcmp(plains + plain_starts[c->in_frame] + c->message_position, data, size) != 0)
            fail("the server's answer is not what was sent");
    }
    c->message_position += size;
}

static void end_message(struct connection *c) {
    if (!options.deflate && c->message_position != plain_sizes[c->in_frame])
        fail("the server's answer is too short");
    c->message_position = 0;
    on_message(c);
}

static void on_control(struct connection *c) {
    if (c->opcode == PING) {
        send_control(c, PONG, c->control_in, c->control_in_size);
    } else if (c->opcode == CLOSE && c->state != CLOSING) {
        int code = c->control_in_size < 2 ? 1005 : c->control_in[0] << 8 | c->control_in[1];
        fail("the server closed the connection with %d", code);
    }
    c->control_in_size = 0;
}

static void check_header(struct connection *c) {
    int first = c->header[0];
    c->fin = first & 0x80;
    c->opcode = first & 0x0f;
    if (c->header[1] & 0x80) fail("the server masks its frames");
    if (c->opcode >= CLOSE) {
        if (c->payload_left > 125 || !c->fin) fail("a control frame is too long or fragmented");
        return;
    }
    if (c->state == CLOSING) return;
    int expected = c->message_position ? 0 : options.opcode;
    if (c->opcode != expected && !(c->opcode == 0 && c->message_position == 0))
        fail("opcode %d where %d is due", c->opcode, expected);
    if (c->opcode && !(first & 0x40) != !options.deflate)
        fail("the server's answer is %scompressed", options.deflate ? "not " : "");
    if (first & 0x30) fail("reserved bits are set");
}

static void take_frames(struct connection *c, const unsigned char *data, size_t size) {
    size_t position = 0;
    while (position < size) {
        if (c->payload_left == 0) { /* in a header */
            c->header[c->header_size++] = data[position++];
            if (c->header_size < 2) continue;
            unsigned code = c->header[1] & 0x7f;
            unsigned needed = code == 126 ? 4 : code == 127 ? 10 : 2;
            if (c->header_size < needed) continue;
            c->payload_left = needed == 2 ? code : 0;
            for (unsigned i = 2; i < needed; i++)
                c->payload_left = c->payload_left << 8 | c->header[i];
            c->header_size = 0;
            check_header(c);
        } else {
            size_t piece = size - position;
            if (piece > c->payload_left) piece = (size_t)c->payload_left;
            if (c->opcode >= CLOSE) {
                memcpy(c->control_in + c->control_in_size, data + position, piece);
                c->control_in_size += piece;
            } else if (c->state == OPEN) {
                compare(c, data + position, piece);
            }
            position += piece;
            c->payload_left -= piece;
        }
        if (c->payload_left == 0 && c->header_size == 0) {
            if (c->opcode >= CLOSE)
                on_control(c);
            else if (c->fin && c->state == OPEN)
                end_message(c);
        }
    }
}

static void take_raw(struct connection *c, const unsigned char *data, size_t size) {
    while (size > 0) {
        size_t piece = plain_sizes[c->in_frame] - c->message_position;
        if (piece > size) piece = size;
        compare(c, data, piece);
        data += piece;
        size -= piece;
        if (c->message_position == plain_sizes[c->in_frame]) end_message(c);
    }
}

static void on_ready(struct connection *c, uint32_t events) {
    if (c->state < OPEN && !establish(c)) return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        for (int reads = c->flooding ? 1 : READS_AT_ONCE; reads > 0; reads--) {
            /* A flood is taken in small pieces: the quiet ones are to be timed, not this program. */
            ssize_t got = read_some(c, read_buffer, c->flooding ? READ_SIZE / 8 : READ_SIZE);
            if (got < 0) break;
            if (got == 0) {
                if (c->state != CLOSING) lost(c);
                close_connection(c);
                open_connection(c);
                return;
            }
            const unsigned char *data = read_buffer;
            size_t size = (size_t)got;
            if (c->state == REQUESTING) {
                size_t used = take_head(c, data, size);
                data += used;
                size -= used;
            }
            if (options.mode == RAW)
                take_raw(c, data, size);
            else
                take_frames(c, data, size);
#ifdef WITH_TLS
            if (c->tls != NULL && SSL_has_pending(c->tls)) {
                reads++; /* epoll does not see what OpenSSL holds */
                continue;
            }
#endif
            if (size < READ_SIZE / 2) break;
        }
    }
    if (c->state >= OPEN && (c->credit || c->control_size || c->wants_write)) flush(c);
}

/* -- the run ---------------------------------------------------------------------------------- */

static int timer_fd = -1, next_quiet;

static void start_timer(void) {
    double spacing = options.interval_us * 1e3 / options.connections;
    struct timespec each = {.tv_sec = (time_t)(spacing / 1e9),
                            .tv_nsec = (long)(spacing - 1e9 * (time_t)(spacing / 1e9))};
    struct itimerspec timer = {.it_interval = each, .it_value = each};
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (timer_fd < 0 || timerfd_settime(timer_fd, 0, &timer, NULL) < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event) < 0)
        fail("timer: %s", strerror(errno));
}

static void on_timer(void) {
    uint64_t due = 0;
    if (read(timer_fd, &due, sizeof due) != sizeof due) return;
    if (due > (uint64_t)options.connections) due = (uint64_t)options.connections;
    for (; due > 0; due--) {
        struct connection *c = &connections[next_quiet];
        next_quiet = (next_quiet + 1) % options.connections;
        if (c->sent_at) continue; /* its answer is late: counted when it comes */
        c->sent_at = clock_ns();
        c->credit = 1;
        flush(c);
    }
}

static void begin(void) {
    switch (options.mode) {
    case ECHO:
    case RAW:
        for (int i = 0; i < options.connections; i++) {
            connections[i].credit = (uint64_t)options.window;
            flush(&connections[i]);
        }
        break;
    case FANOUT:
        publish(&connections[0]);
        break;
    case LATENCY:
        start_timer();
        if (options.flood) {
            connections[total - 1].credit = UNLIMITED;
            flush(&connections[total - 1]);
        }
        break;
    default:
        break;
    }
}

/* Handle what comes until `until` (ns), or until `done` holds. */
static void run(uint64_t until, bool (*done)(void)) {
    struct epoll_event events[256];
    for (;;) {
        now = clock_ns();
        if (over || (done != NULL && done()) || now >= until) return;
        int timeout = (int)((until - now + 999999) / 1000000);
        int count = epoll_wait(epoll_fd, events, 256, timeout < 1000 ? timeout : 1000);
        if (count < 0 && errno != EINTR) fail("epoll: %s", strerror(errno));
        now = clock_ns();
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                on_timer();
            else if (events[i].data.ptr == &over)
                over = true;
            else
                on_ready(events[i].data.ptr, events[i].events);
        }
    }
}

static bool all_open(void) { return opened == total; }
static bool all_echoed(void) { return messages == (uint64_t)total; }

static int by_value(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static double percentile_us(double share) {
    size_t index = (size_t)(share * (double)sample_count);
    return samples[index < sample_count ? index : sample_count - 1] / 1e3;
}

static void measure(void) {
    uint64_t start = clock_ns();
    run(start + (uint64_t)(options.warmup * 1e9), NULL);
    messages = handshakes = flood_messages = broadcasts = sample_count = 0;
    measuring = true;
    start = clock_ns();
    double cpu = cpu_seconds(), waited = waited_seconds();
    run(start + (uint64_t)(options.seconds * 1e9), NULL);
    double seconds = (double)(clock_ns() - start) / 1e9;
    cpu = cpu_seconds() - cpu;
    waited = waited_seconds() - waited;
    printf("{\"seconds\": %.6f, \"client_cpu\": %.4f, \"client_waited\": %.4f, \"messages\": %llu, \"handshakes\": %llu, "
           "\"flood_messages\": %llu, \"broadcasts\": %llu",
           seconds, cpu / seconds, waited / seconds, (unsigned long long)messages, (unsigned long long)handshakes,
           (unsigned long long)flood_messages, (unsigned long long)broadcasts);
    if (sample_count) {
        qsort(samples, sample_count, sizeof *samples, by_value);
        printf(", \"samples\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
               "\"max_us\": %.1f",
               sample_count, percentile_us(0.5), percentile_us(0.99), percentile_us(0.999),
               percentile_us(1));
    }
    puts("}");
}

static void hold(void) {
    run(clock_ns() + OPENING_LIMIT, all_echoed);
    if (!all_echoed()) fail("%d of %d connections opened in time", opened, total);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &over};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        fail("idle needs a pipe as its stdin: %s", strerror(errno));
    puts("ready");
    fflush(stdout);
    run(UINT64_MAX, NULL);
}

static void read_option(const char *argument) {
    const char *value = strchr(argument, '=');
    if (value == NULL) fail("arguments are key=value, not %s", argument);
    size_t size = (size_t)(value++ - argument);
#define IS(name) (size == strlen(name) && memcmp(argument, name, size) == 0)
    if (IS("mode")) {
        for (size_t i = 0; i < sizeof mode_names / sizeof *mode_names; i++) {
            if (strcmp(value, mode_names[i]) == 0) {
                options.mode = (enum mode)i;
                return;
            }
        }
        fail("no such mode: %s", value);
    } else if (IS("host")) options.host = value;
    else if (IS("port")) options.port = atoi(value);
    else if (IS("path")) options.path = value;
    else if (IS("connections")) options.connections = atoi(value);
    else if (IS("window")) options.window = atoi(value);
    else if (IS("size")) options.size = atoi(value);
    else if (IS("kind")) options.opcode = strcmp(value, "text") == 0 ? TEXT : BINARY;
    else if (IS("payloads")) options.payloads = value; /* a file of payloads, instead of size */
    else if (IS("deflate")) options.deflate = atoi(value); /* they are compressed */
    else if (IS("tls")) options.tls = atoi(value);
    else if (IS("seconds")) options.seconds = atof(value);
    else if (IS("warmup")) options.warmup = atof(value);
    else if (IS("settle_ms")) options.settle_ms = atoi(value); /* wait when all are open */
    else if (IS("flood")) options.flood = atoi(value);
    else if (IS("interval_us")) options.interval_us = atof(value);
    else fail("no such option: %s", argument);
#undef IS
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "features") == 0) {
#ifdef WITH_TLS
        puts("tls");
#endif
        return 0;
    }
    for (int i = 1; i < count; i++) read_option(arguments[i]);
    if (options.connections < 1 || options.window < 1 || options.size < 1 || options.port < 1)
        fail("connections, window, size and port must be positive");
#ifdef WITH_TLS
    if (options.tls) {
        tls_context = SSL_CTX_new(TLS_client_method());
        if (tls_context == NULL) fail("TLS: no context");
        SSL_CTX_set_mode(tls_context,
                         SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        collecting = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "collecting");
        if (collecting == NULL || !BIO_meth_set_write(collecting, collect_record) ||
            !BIO_meth_set_ctrl(collecting, control_collecting))
            fail("TLS: no way to collect records");
        SSL_CTX_set_read_ahead(tls_context, 1);
        SSL_CTX_set_default_read_buffer_len(tls_context, TLS_READ_AHEAD);
    }
#else
    if (options.tls) fail("built without TLS");
#endif
    signal(SIGPIPE, SIG_IGN);
    request_size = (size_t)snprintf(
        request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
        options.path, options.host, options.port,
        options.deflate
            ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            : "");
    if (request_size >= sizeof request) fail("the path is too long");
    make_frames();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) fail("epoll: %s", strerror(errno));
    total = options.connections + (options.mode == LATENCY && options.flood ? 1 : 0);
    connections = allocate((size_t)total, sizeof *connections);
    if (total > options.connections) connections[total - 1].flooding = true;
    unopened = total;
    open_more();
    if (options.mode == IDLE) {
        hold();
        return 0;
    }
    if (options.mode != HANDSHAKES) {
        run(clock_ns() + OPENING_LIMIT, all_open);
        if (!all_open()) fail("%d of %d connections opened in time", opened, total);
        run(clock_ns() + (uint64_t)options.settle_ms * 1000000u, NULL);
    }
    begin();
    measure();
    return 0;
}
