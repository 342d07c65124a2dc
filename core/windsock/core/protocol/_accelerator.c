/* The fast lane and masking in C: the same functions as in fast_lane.py and masking.py, with the
 * same results. Stable ABI of Python 3.11, so that one build serves all later ones. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define TEXT 0x81 /* FIN and opcode 1 (RFC 6455 section 5.2) */
#define BINARY 0x82
#define MASKED 0x80
#define MAX_SMALL 125 /* payload lengths up to it stand in the second byte */
#define MESSAGE_OVERHEAD 64
#define KEYS 1024 /* masking keys drawn at a time */
#define ON_STACK 4096
#define AHEAD 16 /* how many times what has come of a payload may be reserved for it */

/* Masking keys that nobody can predict (section 5.3), drawn many at a time. */
static PyObject *keys;
static Py_ssize_t next_key = KEYS;

static PyObject *str_append, *str_extend, *token_bytes;

/* data xor the key, repeated (section 5.3); `to` and `from` may be the same. */
static void
mask(unsigned char *to, const unsigned char *from, Py_ssize_t size, const unsigned char *key)
{
    uint64_t word, wide;
    Py_ssize_t i = 0;

    memcpy(&wide, key, 4);
    memcpy((unsigned char *)&wide + 4, key, 4);
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= wide;
        memcpy(to + i, &word, 8);
    }
    for (; i < size; i++)
        to[i] = from[i] ^ key[i & 3];
}

PyDoc_STRVAR(apply_mask_doc, "apply_mask(data, key, /)\n--\n\nSee masking.apply_mask.");

static PyObject *
apply_mask(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data, key;
    PyObject *masked = NULL;

    if (!PyArg_ParseTuple(args, "y*y*:apply_mask", &data, &key))
        return NULL;
    if (key.len != 4)
        PyErr_SetString(PyExc_ValueError, "a masking key has 4 bytes");
    else
        masked = PyBytes_FromStringAndSize(NULL, data.len);
    if (masked != NULL)
        mask((unsigned char *)PyBytes_AsString(masked), data.buf, data.len, key.buf);
    PyBuffer_Release(&data);
    PyBuffer_Release(&key);
    return masked;
}

/* The text that a payload is; NULL without an exception where it is not UTF-8. */
static PyObject *
decode_text(const unsigned char *payload, Py_ssize_t size, const unsigned char *key)
{
    unsigned char stack[ON_STACK], *plain = stack;
    PyObject *text;

    if (key == NULL) {
        text = PyUnicode_DecodeUTF8((const char *)payload, size, NULL);
    }
    else {
        if (size > ON_STACK && (plain = PyMem_Malloc(size)) == NULL)
            return PyErr_NoMemory();
        mask(plain, payload, size, key);
        text = PyUnicode_DecodeUTF8((const char *)plain, size, NULL);
        if (plain != stack)
            PyMem_Free(plain);
    }
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        PyErr_Clear();
    return text;
}

static PyObject *
decode_bytes(const unsigned char *payload, Py_ssize_t size, const unsigned char *key)
{
    PyObject *data;

    if (key == NULL)
        return PyBytes_FromStringAndSize((const char *)payload, size);
    data = PyBytes_FromStringAndSize(NULL, size);
    if (data != NULL)
        mask((unsigned char *)PyBytes_AsString(data), payload, size, key);
    return data;
}

PyDoc_STRVAR(decode_message_doc,
             "decode_message(frame, masked, /)\n--\n\nSee fast_lane.decode_message.");

static PyObject *
decode_message(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Py_buffer frame;
    PyObject *message = NULL;
    const unsigned char *at, *key;
    Py_ssize_t size;
    int masked, header;

    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "decode_message takes 2 arguments, not %zd", count);
        return NULL;
    }
    masked = PyObject_IsTrue(args[1]);
    if (masked < 0 || PyObject_GetBuffer(args[0], &frame, PyBUF_SIMPLE) < 0)
        return NULL;
    at = frame.buf;
    header = masked ? 6 : 2;
    key = masked ? at + 2 : NULL;
    size = frame.len - header;
    if (size >= 0 && size <= MAX_SMALL && at[1] == (masked ? MASKED | size : size)) {
        if (at[0] == TEXT)
            message = decode_text(at + header, size, key);
        else if (at[0] == BINARY)
            message = decode_bytes(at + header, size, key);
    }
    PyBuffer_Release(&frame);
    if (message == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return message;
}

/* The length of the payload of a frame that begins at `at`, and where its key or payload begins; -1
 * where that is not there, not plainly right, or over the limit. */
static int64_t
payload_size(const unsigned char *at, Py_ssize_t available, int masked, int64_t limit, int *header)
{
    int64_t size;
    int i;

    if (available < 2 || (at[0] != TEXT && at[0] != BINARY) || ((at[1] & MASKED) != 0) != masked)
        return -1;
    size = at[1] & 0x7f;
    *header = 2;
    if (size == 126) {
        if (available < 4)
            return -1;
        size = at[2] << 8 | at[3];
        *header = 4;
        if (size < 126)
            return -1; /* section 5.2: the shortest way to write it */
    }
    else if (size == 127) {
        if (available < 10 || at[2] & 0x80)
            return -1;
        for (size = 0, i = 2; i < 10; i++)
            size = size << 8 | at[i];
        *header = 10;
        if (size < 0x10000)
            return -1;
    }
    return size > limit ? -1 : size;
}

static PyObject *
pair(Py_ssize_t first, Py_ssize_t second)
{
    PyObject *found = PyTuple_New(2);

    if (found == NULL)
        return NULL;
    if (PyTuple_SetItem(found, 0, PyLong_FromSsize_t(first)) < 0 ||
        PyTuple_SetItem(found, 1, PyLong_FromSsize_t(second)) < 0 || PyErr_Occurred()) {
        Py_DECREF(found);
        return NULL;
    }
    return found;
}

PyDoc_STRVAR(decode_messages_doc,
             "decode_messages(buffer, position, masked, max_message_size, messages, room, /)\n--\n\n"
             "See fast_lane.decode_messages.");

static PyObject *
decode_messages(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Py_buffer buffer;
    Py_ssize_t position, used = 0, room;
    int masked, header;
    long long limit;
    PyObject *messages, *message, *only = NULL, *list = NULL, *done;

    if (count != 6) {
        PyErr_Format(PyExc_TypeError, "decode_messages takes 6 arguments, not %zd", count);
        return NULL;
    }
    position = PyLong_AsSsize_t(args[1]);
    masked = PyObject_IsTrue(args[2]);
    limit = PyLong_AsLongLong(args[3]);
    messages = args[4];
    room = PyLong_AsSsize_t(args[5]);
    if (PyErr_Occurred() || PyObject_GetBuffer(args[0], &buffer, PyBUF_SIMPLE) < 0)
        return NULL;
    while (used < room && position >= 0 && position < buffer.len) {
        const unsigned char *at = (const unsigned char *)buffer.buf + position, *key = NULL;
        int64_t size = payload_size(at, buffer.len - position, masked, limit, &header);

        if (size < 0)
            break;
        if (masked) {
            key = at + header;
            header += 4;
        }
        if (size > buffer.len - position - header)
            break;
        if (at[0] == TEXT)
            message = decode_text(at + header, (Py_ssize_t)size, key);
        else
            message = decode_bytes(at + header, (Py_ssize_t)size, key);
        if (message == NULL) {
            if (PyErr_Occurred())
                goto failed;
            break;
        }
        position += header + (Py_ssize_t)size;
        used += (at[0] == TEXT ? PyUnicode_GetLength(message) : (Py_ssize_t)size) + MESSAGE_OVERHEAD;
        if (only == NULL) {
            only = message;
            continue;
        }
        if (list == NULL) {
            list = PyList_New(0);
            if (list == NULL || PyList_Append(list, only) < 0) {
                Py_DECREF(message);
                goto failed;
            }
        }
        if (PyList_Append(list, message) < 0) {
            Py_DECREF(message);
            goto failed;
        }
        Py_DECREF(message);
    }
    PyBuffer_Release(&buffer);
    if (only != NULL) {
        if (list != NULL)
            done = PyObject_CallMethodObjArgs(messages, str_extend, list, NULL);
        else
            done = PyObject_CallMethodObjArgs(messages, str_append, only, NULL);
        Py_XDECREF(list);
        Py_DECREF(only);
        if (done == NULL)
            return NULL;
        Py_DECREF(done);
    }
    return pair(position, used);

failed:
    PyBuffer_Release(&buffer);
    Py_XDECREF(list);
    Py_XDECREF(only);
    return NULL;
}

/* A frame's header but for the masking key; returns its length. */
static int
write_header(unsigned char *to, int first, int mask_bit, Py_ssize_t size)
{
    int i;

    to[0] = (unsigned char)first;
    if (size < 126) {
        to[1] = (unsigned char)(mask_bit | size);
        return 2;
    }
    if (size < 0x10000) {
        to[1] = (unsigned char)(mask_bit | 126);
        to[2] = (unsigned char)(size >> 8);
        to[3] = (unsigned char)size;
        return 4;
    }
    to[1] = (unsigned char)(mask_bit | 127);
    for (i = 9; i > 1; i--, size >>= 8)
        to[i] = (unsigned char)((uint64_t)size & 0xff);
    return 10;
}

/* What a message is made of; the buffer must be released where there is one. */
static const unsigned char *
payload_of(PyObject *message, Py_ssize_t *size, int *first, Py_buffer *buffer)
{
    buffer->obj = NULL;
    if (PyUnicode_Check(message)) {
        *first = TEXT;
        return (const unsigned char *)PyUnicode_AsUTF8AndSize(message, size);
    }
    if (PyObject_GetBuffer(message, buffer, PyBUF_SIMPLE) < 0)
        return NULL;
    *first = BINARY;
    *size = buffer->len;
    return buffer->buf;
}

static PyObject *
encode(PyObject *message, const unsigned char *key)
{
    Py_buffer buffer;
    Py_ssize_t size;
    int first = 0, length, mask_bit = key == NULL ? 0 : MASKED;
    unsigned char header[14], *to;
    const unsigned char *payload = payload_of(message, &size, &first, &buffer);
    PyObject *frame = NULL;

    if (payload == NULL && PyErr_Occurred())
        return NULL;
    length = write_header(header, first, mask_bit, size);
    if (key != NULL) {
        memcpy(header + length, key, 4);
        length += 4;
    }
    frame = PyBytes_FromStringAndSize(NULL, length + size);
    if (frame != NULL) {
        to = (unsigned char *)PyBytes_AsString(frame);
        memcpy(to, header, length);
        if (key != NULL)
            mask(to + length, payload, size, key);
        else if (size)
            memcpy(to + length, payload, size);
    }
    if (buffer.obj != NULL)
        PyBuffer_Release(&buffer);
    return frame;
}

PyDoc_STRVAR(encode_message_doc, "encode_message(message, /)\n--\n\nSee fast_lane.encode_message.");

static PyObject *
encode_message(PyObject *Py_UNUSED(module), PyObject *message)
{
    return encode(message, NULL);
}

PyDoc_STRVAR(encode_masked_message_doc,
             "encode_masked_message(message, /)\n--\n\nSee fast_lane.encode_masked_message.");

static PyObject *
encode_masked_message(PyObject *Py_UNUSED(module), PyObject *message)
{
    unsigned char key[4];

    if (next_key >= KEYS) {
        PyObject *drawn = PyObject_CallFunction(token_bytes, "n", (Py_ssize_t)KEYS * 4);
        if (drawn == NULL)
            return NULL;
        if (!PyBytes_Check(drawn) || PyBytes_Size(drawn) != KEYS * 4) {
            Py_DECREF(drawn);
            PyErr_SetString(PyExc_RuntimeError, "secrets.token_bytes gave something else");
            return NULL;
        }
        Py_XDECREF(keys);
        keys = drawn;
        next_key = 0;
    }
    memcpy(key, PyBytes_AsString(keys) + next_key++ * 4, 4);
    return encode(message, key);
}

PyDoc_STRVAR(forget_keys_doc, "forget_keys()\n--\n\nDraw new masking keys, after a fork.");

static PyObject *
forget_keys(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    next_key = KEYS;
    Py_RETURN_NONE;
}

/* The payload of one frame, unmasked into the bytes that it becomes; see payload.Payload. */
typedef struct {
    PyObject ob_base;
    PyObject *bytes;
    Py_ssize_t size, capacity, filled, exports;
    unsigned char key[4];
} Payload;

/* Unmask what has come to lie behind what there was. */
static void
take(Payload *self, const unsigned char *from, Py_ssize_t count)
{
    unsigned char *to = (unsigned char *)PyBytes_AsString(self->bytes) + self->filled, turned[4];
    int i;

    for (i = 0; i < 4; i++)
        turned[i] = self->key[(self->filled + i) & 3];
    mask(to, from, count, turned);
    self->filled += count;
}

/* Have room for `count` more bytes, and for AHEAD times what there is then, up to the end. A new
 * object when there is not: at the worst a sixteenth of all is copied. */
static int
reserve(Payload *self, Py_ssize_t count)
{
    Py_ssize_t needed, capacity;
    PyObject *bytes;

    if (count > self->size - self->filled) {
        PyErr_SetString(PyExc_ValueError, "more than the frame has");
        return -1;
    }
    needed = self->filled + count;
    if (needed <= self->capacity)
        return 0;
    if (self->exports) {
        PyErr_SetString(PyExc_BufferError, "somebody still receives into this");
        return -1;
    }
    capacity = needed < self->size / AHEAD ? needed * AHEAD : self->size;
    bytes = PyBytes_FromStringAndSize(NULL, capacity);
    if (bytes == NULL)
        return -1;
    if (self->filled)
        memcpy(PyBytes_AsString(bytes), PyBytes_AsString(self->bytes), self->filled);
    Py_XDECREF(self->bytes);
    self->bytes = bytes;
    self->capacity = capacity;
    return 0;
}

static PyObject *
payload_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    Payload *self;
    const char *key;
    Py_ssize_t size, key_size;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);

    if (!PyArg_ParseTuple(args, "nz#:Payload", &size, &key, &key_size))
        return NULL;
    if (size < 0 || (key != NULL && key_size != 4)) {
        PyErr_SetString(PyExc_ValueError, "a payload has a length, and its key 4 bytes");
        return NULL;
    }
    self = (Payload *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    self->size = size;
    if (key != NULL)
        memcpy(self->key, key, 4);
    return (PyObject *)self;
}

static void
payload_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    Py_XDECREF(((Payload *)object)->bytes);
    release(object);
    Py_DECREF(type);
}

static PyObject *
payload_append(PyObject *object, PyObject *data)
{
    Payload *self = (Payload *)object;
    Py_buffer buffer;

    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0)
        return NULL;
    if (buffer.len) {
        if (reserve(self, buffer.len) < 0) {
            PyBuffer_Release(&buffer);
            return NULL;
        }
        take(self, buffer.buf, buffer.len);
    }
    PyBuffer_Release(&buffer);
    Py_RETURN_NONE;
}

static int
payload_get_buffer(PyObject *object, Py_buffer *view, int flags)
{
    Payload *self = (Payload *)object;
    char *room = "";
    Py_ssize_t size = self->capacity - self->filled;

    if (self->bytes != NULL)
        room = PyBytes_AsString(self->bytes) + self->filled;
    if (PyBuffer_FillInfo(view, object, room, size, 0, flags) < 0)
        return -1;
    self->exports++;
    return 0;
}

static void
payload_release_buffer(PyObject *object, Py_buffer *Py_UNUSED(view))
{
    ((Payload *)object)->exports--;
}

static PyObject *
payload_room(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Payload *self = (Payload *)object;

    if (self->filled == self->capacity && reserve(self, self->filled < self->size) < 0)
        return NULL;
    return PyMemoryView_FromObject(object);
}

static PyObject *
payload_received(PyObject *object, PyObject *argument)
{
    Payload *self = (Payload *)object;
    Py_ssize_t count = PyLong_AsSsize_t(argument);

    if (count == -1 && PyErr_Occurred())
        return NULL;
    if (count < 0 || count > self->capacity - self->filled) {
        PyErr_SetString(PyExc_ValueError, "more than there was room for");
        return NULL;
    }
    if (count)
        take(self, (unsigned char *)PyBytes_AsString(self->bytes) + self->filled, count);
    Py_RETURN_NONE;
}

static PyObject *
payload_finish(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Payload *self = (Payload *)object;

    if (self->filled != self->size) {
        PyErr_SetString(PyExc_ValueError, "less than the frame has");
        return NULL;
    }
    if (self->bytes == NULL)
        return PyBytes_FromStringAndSize(NULL, 0);
    /* It stays here, too: for whoever has not let go of a room in it, which is empty now. */
    Py_INCREF(self->bytes);
    return self->bytes;
}

static PyMethodDef payload_methods[] = {
    {"append", payload_append, METH_O, "append(data, /)\n--\n\nSee payload.Payload.append."},
    {"room", payload_room, METH_NOARGS, "room()\n--\n\nSee payload.Payload.room."},
    {"received", payload_received, METH_O, "received(count, /)\n--\n\nSee payload.Payload.received."},
    {"finish", payload_finish, METH_NOARGS, "finish()\n--\n\nSee payload.Payload.finish."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot payload_slots[] = {
    {Py_tp_doc, "Payload(size, key, /)\n--\n\nSee payload.Payload."},
    {Py_tp_new, payload_new},
    {Py_tp_dealloc, payload_dealloc},
    {Py_tp_methods, payload_methods},
    {Py_bf_getbuffer, payload_get_buffer},
    {Py_bf_releasebuffer, payload_release_buffer},
    {0, NULL},
};

static PyType_Spec payload_spec = {
    "windsock.core.protocol._accelerator.Payload", sizeof(Payload), 0, Py_TPFLAGS_DEFAULT,
    payload_slots,
};

static PyMethodDef methods[] = {
    {"apply_mask", apply_mask, METH_VARARGS, apply_mask_doc},
    {"decode_message", (PyCFunction)(void (*)(void))decode_message, METH_FASTCALL,
     decode_message_doc},
    {"decode_messages", (PyCFunction)(void (*)(void))decode_messages, METH_FASTCALL,
     decode_messages_doc},
    {"encode_message", encode_message, METH_O, encode_message_doc},
    {"encode_masked_message", encode_masked_message, METH_O, encode_masked_message_doc},
    {"forget_keys", forget_keys, METH_NOARGS, forget_keys_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "windsock.core.protocol._accelerator", NULL, -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__accelerator(void)
{
    PyObject *secrets = PyImport_ImportModule("secrets"), *module, *type;

    if (secrets == NULL)
        return NULL;
    token_bytes = PyObject_GetAttrString(secrets, "token_bytes");
    Py_DECREF(secrets);
    str_append = PyUnicode_InternFromString("append");
    str_extend = PyUnicode_InternFromString("extend");
    if (token_bytes == NULL || str_append == NULL || str_extend == NULL)
        return NULL;
    module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    type = PyType_FromSpec(&payload_spec);
    if (type == NULL || PyModule_AddObjectRef(module, "Payload", type) < 0) {
        Py_XDECREF(type);
        Py_DECREF(module);
        return NULL;
    }
    Py_DECREF(type);
    return module;
}
