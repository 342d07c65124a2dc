/* Awaiting in steps, in C: the same function as in steps.py, to the same effect, without a frame of
 * its own to be made for each call. Stable ABI of Python 3.11, so that one build serves all later
 * ones. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <structmember.h>

/* What is in the stable ABI from 3.12 on, and the same in 3.11. */
typedef PyObject *(*Vectorcall)(PyObject *, PyObject *const *, size_t, PyObject *);
PyAPI_FUNC(PyObject *) PyObject_Vectorcall(PyObject *, PyObject *const *, size_t, PyObject *);
PyAPI_FUNC(PyObject *) PyVectorcall_Call(PyObject *, PyObject *, PyObject *);
#ifndef Py_TPFLAGS_HAVE_VECTORCALL
#define Py_TPFLAGS_HAVE_VECTORCALL (1UL << 11)
#endif
#define CO_ITERABLE_COROUTINE_FLAG 0x100 /* inspect.CO_ITERABLE_COROUTINE */
#define ARGUMENTS_OFFSET ((size_t)1 << (8 * sizeof(size_t) - 1))

typedef enum {
    CREATED,
    FIRST, /* what `start` gave is awaited */
    LAST,  /* what is awaited now gives the result */
    ENDED,
} Phase;

/* What `in_steps` gives: a function, and a method where a class has it. */
typedef struct {
    PyObject_HEAD
    PyObject *start, *suspend, *finish, *otherwise;
    Py_ssize_t least; /* arguments */
    Vectorcall call;
} Way;

#define MOST 2 /* arguments: subject, argument */

typedef struct {
    PyObject_HEAD
    Way *way;
    PyObject *subject, *argument; /* which may be NULL */
    PyObject *awaited;
    Phase phase;
    int running, suspended;
} Steps;

/* Memory of steps that are gone, for the next: one is made for every message. */
static Steps *spare[8];
static int spare_count;

static PyTypeObject *way_type, *steps_type, *coroutine_type;
static PyObject *method_type, *str_throw;

static int
steps_clear(PyObject *object)
{
    Steps *self = (Steps *)object;

    Py_CLEAR(self->way);
    Py_CLEAR(self->subject);
    Py_CLEAR(self->argument);
    Py_CLEAR(self->awaited);
    return 0;
}

static int
steps_traverse(PyObject *object, visitproc visit, void *arg)
{
    Steps *self = (Steps *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->way);
    Py_VISIT(self->subject);
    Py_VISIT(self->argument);
    Py_VISIT(self->awaited);
    return 0;
}

/* Whether it is a coroutine or the like; messages are what comes nearly always. */
static int
can_be_awaited(PyObject *found)
{
    if (found == Py_None || PyUnicode_Check(found) || PyBytes_Check(found))
        return 0;
    return PyType_GetSlot(Py_TYPE(found), Py_am_await) != NULL;
}

/* Whether it is a generator that `types.coroutine` has made one to be awaited. */
static int
is_generator_based(PyObject *object)
{
    PyObject *code = PyObject_GetAttrString(object, "gi_code"), *flags = NULL;
    long found = 0;

    if (code != NULL)
        flags = PyObject_GetAttrString(code, "co_flags");
    if (flags != NULL)
        found = PyLong_AsLong(flags);
    PyErr_Clear();
    Py_XDECREF(code);
    Py_XDECREF(flags);
    return found > 0 && (found & CO_ITERABLE_COROUTINE_FLAG);
}

/* What yields, for what can be awaited; NULL and an exception for anything else. */
static PyObject *
iterator_of(PyObject *awaitable)
{
    PyTypeObject *type = Py_TYPE(awaitable);
    unaryfunc am_await;

    if (type == coroutine_type || type == steps_type)
        return Py_NewRef(awaitable);
    am_await = (unaryfunc)PyType_GetSlot(type, Py_am_await);
    if (am_await != NULL)
        return am_await(awaitable);
    if (is_generator_based(awaitable))
        return Py_NewRef(awaitable);
    PyErr_Format(PyExc_TypeError, "object of type %R cannot be awaited", type);
    return NULL;
}

/* Take the exception that is set, as an object with its traceback. */
static PyObject *
take_exception(void)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

/* Await this to the end, and give what it gives. Takes the reference to it; it may be NULL. */
static PySendResult
go_on(Steps *self, PyObject *awaitable, PyObject **result)
{
    self->phase = LAST;
    *result = NULL;
    if (awaitable == NULL)
        return PYGEN_ERROR;
    self->awaited = iterator_of(awaitable);
    Py_DECREF(awaitable);
    return self->awaited == NULL ? PYGEN_ERROR : PyIter_Send(self->awaited, Py_None, result);
}

/* Call `function` of the subject, the argument, None standing for one that was not given, and what
 * follows. */
static PyObject *
call_step(Steps *self, PyObject *function, PyObject *value, PyObject *error)
{
    PyObject *arguments[1 + MOST + 2] = {
        NULL, self->subject, self->argument == NULL ? Py_None : self->argument, value, error};
    size_t count = value == NULL ? MOST : MOST + 2;

    return PyObject_Vectorcall(function, arguments + 1, count | ARGUMENTS_OFFSET, NULL);
}

static PySendResult
go_otherwise(Steps *self, PyObject **result)
{
    PyObject *arguments[] = {NULL, self->subject, self->argument};
    size_t count = self->argument == NULL ? 1 : 2;

    return go_on(self,
                 PyObject_Vectorcall(self->way->otherwise, arguments + 1, count | ARGUMENTS_OFFSET,
                                     NULL),
                 result);
}

/* What is made of the `value` of the first, which is taken; NULL stands for the exception set. */
static PyObject *
call_finish(Steps *self, PyObject *value)
{
    PyObject *error = value == NULL ? take_exception() : NULL;
    PyObject *found = call_step(self, self->way->finish, value == NULL ? Py_None : value,
                                error == NULL ? Py_None : error);

    Py_XDECREF(value);
    Py_XDECREF(error);
    return found;
}

static PySendResult
finish(Steps *self, PyObject *value, PyObject **result)
{
    PyObject *found = call_finish(self, value);

    if (found == Py_NotImplemented) {
        Py_DECREF(found);
        return go_otherwise(self, result);
    }
    if (found != NULL && can_be_awaited(found))
        return go_on(self, found, result);
    *result = found;
    return found == NULL ? PYGEN_ERROR : PYGEN_RETURN;
}

static PySendResult
begin(Steps *self, PyObject **result)
{
    PyObject *first = call_step(self, self->way->start, NULL, NULL);

    *result = NULL;
    if (first == Py_NotImplemented) {
        Py_DECREF(first);
        return go_otherwise(self, result);
    }
    if (first == NULL) {
        self->phase = LAST;
        return PYGEN_ERROR;
    }
    self->phase = FIRST;
    self->awaited = iterator_of(first);
    Py_DECREF(first);
    return self->awaited == NULL ? PYGEN_ERROR : PyIter_Send(self->awaited, Py_None, result);
}

static void
tell_suspended(Steps *self)
{
    PyObject *none = call_step(self, self->way->suspend, NULL, NULL);

    if (none == NULL) /* there is no place for it to go to */
        PyErr_WriteUnraisable(self->subject);
    Py_XDECREF(none);
}

/* What was awaited has yielded, returned or raised: the same of all this. */
static PySendResult
take(Steps *self, PySendResult outcome, PyObject **result)
{
    if (self->phase == FIRST) {
        if (outcome != PYGEN_NEXT) {
            Py_CLEAR(self->awaited);
            outcome = finish(self, *result, result);
        }
        else if (!self->suspended && self->way->suspend != Py_None) {
            self->suspended = 1;
            tell_suspended(self);
        }
    }
    self->running = 0;
    if (outcome != PYGEN_NEXT) {
        self->phase = ENDED;
        steps_clear((PyObject *)self);
    }
    return outcome;
}

/* Whether it can be resumed; else an exception is set. */
static int
may_resume(Steps *self)
{
    if (self->running)
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    else if (self->phase == ENDED)
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    else
        return 1;
    return 0;
}

static PySendResult
steps_am_send(PyObject *object, PyObject *value, PyObject **result)
{
    Steps *self = (Steps *)object;
    PySendResult outcome;

    *result = NULL;
    if (!may_resume(self))
        return PYGEN_ERROR;
    if (self->phase == CREATED && value != Py_None) {
        PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
        return PYGEN_ERROR;
    }
    self->running = 1;
    Py_INCREF(object); /* whatever is called may let go of it */
    outcome = self->phase == CREATED ? begin(self, result) : PyIter_Send(self->awaited, value, result);
    outcome = take(self, outcome, result);
    Py_DECREF(object);
    return outcome;
}

/* As a method returns it: what was yielded, or StopIteration with what was returned. */
static PyObject *
as_method(PySendResult outcome, PyObject *result)
{
    if (outcome != PYGEN_RETURN)
        return result;
    if (result == Py_None)
        PyErr_SetNone(PyExc_StopIteration);
    else {
        PyObject *stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, result, NULL);

        if (stop != NULL) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
    }
    Py_DECREF(result);
    return NULL;
}

static PyObject *
steps_send(PyObject *self, PyObject *value)
{
    PyObject *result;
    PySendResult outcome = steps_am_send(self, value, &result);

    return as_method(outcome, result);
}

static PyObject *
steps_iternext(PyObject *self)
{
    return steps_send(self, Py_None);
}

/* Set the exception that `arguments` stand for, as `throw` takes them. */
static void
set_exception(PyObject *arguments)
{
    PyObject *type = NULL, *value = NULL, *traceback = NULL;

    if (!PyArg_UnpackTuple(arguments, "throw", 1, 3, &type, &value, &traceback))
        return;
    if (PyExceptionInstance_Check(type))
        PyErr_SetObject(PyExceptionInstance_Class(type), type);
    else if (PyExceptionClass_Check(type))
        PyErr_SetObject(type, value);
    else
        PyErr_SetString(PyExc_TypeError, "exceptions must derive from BaseException");
}

static PySendResult
throw_into(PyObject *awaited, PyObject *arguments, PyObject **result)
{
    PyObject *method = PyObject_GetAttr(awaited, str_throw), *stop;

    *result = NULL;
    if (method == NULL) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
            PyErr_Clear(); /* an iterator that knows nothing of it */
            set_exception(arguments);
        }
        return PYGEN_ERROR;
    }
    *result = PyObject_Call(method, arguments, NULL);
    Py_DECREF(method);
    if (*result != NULL)
        return PYGEN_NEXT;
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return PYGEN_ERROR;
    stop = take_exception();
    *result = PyObject_GetAttrString(stop, "value");
    Py_DECREF(stop);
    return *result == NULL ? PYGEN_ERROR : PYGEN_RETURN;
}

static PyObject *
steps_throw(PyObject *object, PyObject *arguments)
{
    Steps *self = (Steps *)object;
    PySendResult outcome = PYGEN_ERROR;
    PyObject *result = NULL;

    if (!may_resume(self))
        return NULL;
    self->running = 1;
    Py_INCREF(object);
    if (self->phase == CREATED) {
        self->phase = LAST;
        set_exception(arguments);
    }
    else
        outcome = throw_into(self->awaited, arguments, &result);
    outcome = take(self, outcome, &result);
    Py_DECREF(object);
    return as_method(outcome, result);
}

static PyObject *
steps_close(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Steps *self = (Steps *)object;
    PyObject *arguments, *result;

    if (self->phase == ENDED)
        Py_RETURN_NONE;
    if (self->phase == CREATED && !self->running) {
        self->phase = ENDED;
        steps_clear(object);
        Py_RETURN_NONE;
    }
    arguments = PyTuple_Pack(1, PyExc_GeneratorExit);
    if (arguments == NULL)
        return NULL;
    result = steps_throw(object, arguments);
    Py_DECREF(arguments);
    if (result != NULL) {
        Py_DECREF(result);
        PyErr_SetString(PyExc_RuntimeError, "coroutine ignored GeneratorExit");
        return NULL;
    }
    if (!PyErr_ExceptionMatches(PyExc_GeneratorExit) && !PyErr_ExceptionMatches(PyExc_StopIteration))
        return NULL;
    PyErr_Clear();
    Py_RETURN_NONE;
}

static PyObject *
steps_await(PyObject *self)
{
    return Py_NewRef(self);
}

/* Nobody will resume it: as coroutines do, complain that it was never awaited, or have what it is
 * within see to its own end. Nothing here touches the object's count of references. */
static void
steps_finalize(PyObject *object)
{
    Steps *self = (Steps *)object;
    Phase phase = self->phase;
    PyObject *type, *value, *traceback, *name, *found;

    if (phase == ENDED || self->way == NULL)
        return;
    self->phase = ENDED;
    PyErr_Fetch(&type, &value, &traceback);
    if (phase == CREATED) {
        name = PyObject_GetAttrString(self->way->otherwise, "__qualname__");
        if (name == NULL ||
            PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%U' was never awaited", name) < 0)
            PyErr_WriteUnraisable(self->subject);
        Py_XDECREF(name);
    }
    else {
        Py_CLEAR(self->awaited);
        if (phase == FIRST) {
            PyErr_SetNone(PyExc_GeneratorExit);
            found = call_finish(self, NULL);
            if (found == NULL && PyErr_ExceptionMatches(PyExc_GeneratorExit))
                PyErr_Clear();
            else if (found == NULL)
                PyErr_WriteUnraisable(self->subject);
            Py_XDECREF(found);
        }
    }
    PyErr_Restore(type, value, traceback);
}

static Steps *
new_steps(void)
{
    if (spare_count == 0)
        return PyObject_GC_New(Steps, steps_type);
    spare_count--;
    return (Steps *)PyObject_Init((PyObject *)spare[spare_count], steps_type);
}

static void
steps_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    steps_finalize(object);
    steps_clear(object);
    if (spare_count < (int)(sizeof spare / sizeof *spare))
        spare[spare_count++] = (Steps *)object;
    else
        PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef steps_methods[] = {
    {"send", steps_send, METH_O, "Resume it."},
    {"throw", steps_throw, METH_VARARGS, "Resume it with an exception."},
    {"close", steps_close, METH_NOARGS, "Have it end."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot steps_slots[] = {
    {Py_am_await, steps_await},
    {Py_am_send, steps_am_send},
    {Py_tp_iter, steps_await},
    {Py_tp_iternext, steps_iternext},
    {Py_tp_methods, steps_methods},
    {Py_tp_traverse, steps_traverse},
    {Py_tp_clear, steps_clear},
    {Py_tp_finalize, steps_finalize},
    {Py_tp_dealloc, steps_dealloc},
    {0, NULL},
};

static PyType_Spec steps_spec = {
    "windsock.core.app._steps.Steps", sizeof(Steps), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, steps_slots,
};

/* -- what makes them ------------------------------------------------------------------------- */

static PyObject *
way_call(PyObject *object, PyObject *const *arguments, size_t counted, PyObject *names)
{
    Way *way = (Way *)object;
    Py_ssize_t count = (Py_ssize_t)(counted & ~ARGUMENTS_OFFSET);
    Steps *self;

    /* It knows what such arguments mean, or why they are wrong. */
    if (count < way->least || count > MOST || (names != NULL && PyTuple_Size(names) > 0))
        return PyObject_Vectorcall(way->otherwise, arguments, counted, names);
    self = new_steps();
    if (self == NULL)
        return NULL;
    self->way = (Way *)Py_NewRef(object);
    self->subject = Py_NewRef(arguments[0]);
    self->argument = count < MOST ? NULL : Py_NewRef(arguments[1]);
    self->awaited = NULL;
    self->phase = CREATED;
    self->running = self->suspended = 0;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static PyObject *
way_get(PyObject *self, PyObject *subject, PyObject *Py_UNUSED(type))
{
    if (subject == NULL || subject == Py_None)
        return Py_NewRef(self);
    return PyObject_CallFunctionObjArgs(method_type, self, subject, NULL);
}

static PyObject *
way_attribute(PyObject *self, void *name)
{
    return PyObject_GetAttrString(((Way *)self)->otherwise, name);
}

static int
way_clear(PyObject *object)
{
    Way *self = (Way *)object;

    Py_CLEAR(self->start);
    Py_CLEAR(self->suspend);
    Py_CLEAR(self->finish);
    Py_CLEAR(self->otherwise);
    return 0;
}

static int
way_traverse(PyObject *object, visitproc visit, void *arg)
{
    Way *self = (Way *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->start);
    Py_VISIT(self->suspend);
    Py_VISIT(self->finish);
    Py_VISIT(self->otherwise);
    return 0;
}

static void
way_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    way_clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyGetSetDef way_attributes[] = {
    {"__name__", way_attribute, NULL, NULL, "__name__"},
    {"__qualname__", way_attribute, NULL, NULL, "__qualname__"},
    {"__doc__", way_attribute, NULL, NULL, "__doc__"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef way_members[] = {
    {"__wrapped__", T_OBJECT, offsetof(Way, otherwise), READONLY, NULL},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Way, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot way_slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, way_get},
    {Py_tp_getset, way_attributes},
    {Py_tp_members, way_members},
    {Py_tp_traverse, way_traverse},
    {Py_tp_clear, way_clear},
    {Py_tp_dealloc, way_dealloc},
    {0, NULL},
};

static PyType_Spec way_spec = {
    "windsock.core.app._steps.Way", sizeof(Way), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
        Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    way_slots,
};

PyDoc_STRVAR(in_steps_doc,
             "in_steps(start, suspend, finish, otherwise, least)\n--\n\nSee steps.py.");

static PyObject *
in_steps(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *start, *suspend, *finish, *otherwise;
    Py_ssize_t least;
    Way *way;

    if (!PyArg_ParseTuple(arguments, "OOOOn", &start, &suspend, &finish, &otherwise, &least))
        return NULL;
    way = PyObject_GC_New(Way, way_type);
    if (way == NULL)
        return NULL;
    way->start = Py_NewRef(start);
    way->suspend = Py_NewRef(suspend);
    way->finish = Py_NewRef(finish);
    way->otherwise = Py_NewRef(otherwise);
    way->least = least < 1 ? 1 : least;
    way->call = way_call;
    PyObject_GC_Track(way);
    return (PyObject *)way;
}

static PyMethodDef methods[] = {
    {"in_steps", in_steps, METH_VARARGS, in_steps_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "windsock.core.app._steps", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__steps(void)
{
    PyObject *types = PyImport_ImportModule("types");

    if (types == NULL)
        return NULL;
    coroutine_type = (PyTypeObject *)PyObject_GetAttrString(types, "CoroutineType");
    method_type = PyObject_GetAttrString(types, "MethodType");
    Py_DECREF(types);
    way_type = (PyTypeObject *)PyType_FromSpec(&way_spec);
    steps_type = (PyTypeObject *)PyType_FromSpec(&steps_spec);
    str_throw = PyUnicode_InternFromString("throw");
    if (coroutine_type == NULL || method_type == NULL || way_type == NULL || steps_type == NULL ||
        str_throw == NULL)
        return NULL;
    return PyModule_Create(&definition);
}
