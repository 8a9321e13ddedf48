/* What `descriptors.py` does in Python, without a step of the interpreter for each descriptor.

   Only CPython's stable ABI, so that one build fits every version from 3.11 on. */

#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS; Python ignores SIGPIPE unless it is told otherwise */
#endif

/* How much the kernel takes now; nothing where it takes nothing, whatever the reason. */
static Py_ssize_t taken_by(int descriptor, const char *frames, Py_ssize_t size)
{
    ssize_t taken;

    if (descriptor < 0)
        return 0;
    do
        taken = send(descriptor, frames, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (taken < 0 && errno == EINTR);
    return taken < 0 ? 0 : (Py_ssize_t)taken;
}

/* The descriptors of a list, in memory of their own; NULL with an exception. */
static Py_ssize_t *copied(PyObject *descriptors, Py_ssize_t count)
{
    Py_ssize_t *copy = PyMem_Malloc(((size_t)count + 1) * sizeof *copy);

    if (copy == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        long descriptor = PyLong_AsLong(PyList_GetItem(descriptors, i));

        if (descriptor == -1 && PyErr_Occurred()) {
            PyMem_Free(copy);
            return NULL;
        }
        if (descriptor > INT_MAX || descriptor < INT_MIN) {
            PyErr_SetString(PyExc_OverflowError, "no descriptor is as large as that");
            PyMem_Free(copy);
            return NULL;
        }
        copy[i] = descriptor;
    }
    return copy;
}

static PyObject *write_to_each(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    char *frames;
    Py_ssize_t size, count, *each;
    PyObject *lacking;

    (void)module;
    if (given != 2 || !PyList_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "write_to_each takes a list of descriptors, and bytes");
        return NULL;
    }
    if (PyBytes_AsStringAndSize(arguments[1], &frames, &size) < 0)
        return NULL;
    count = PyList_Size(arguments[0]);
    if ((each = copied(arguments[0], count)) == NULL)
        return NULL;

    /* The descriptors are the event loop's, which runs in this thread: no other thread closes them meanwhile. */
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < count; i++)
        each[i] = taken_by((int)each[i], frames, size);
    Py_END_ALLOW_THREADS

    lacking = PyList_New(0);
    for (Py_ssize_t i = 0; i < count && lacking != NULL; i++) {
        if (each[i] == size)
            continue;
        PyObject *one = Py_BuildValue("(nn)", i, each[i]);
        if (one == NULL || PyList_Append(lacking, one) < 0)
            Py_CLEAR(lacking);
        Py_XDECREF(one);
    }
    PyMem_Free(each);
    return lacking;
}

#ifdef __linux__

enum { MOST_ACCEPTED = 256 };

struct accepted {
    int descriptor;
    struct sockaddr_storage from;
};

/* What Python's `socket` has for an address; NULL with an exception. */
static PyObject *address(const struct sockaddr_storage *from)
{
    char name[NI_MAXHOST] = "";

    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)from;

        inet_ntop(AF_INET, &four->sin_addr, name, sizeof name);
        return Py_BuildValue("(si)", name, (int)ntohs(four->sin_port));
    }
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;

        /* Only that one knows the name of the interface that belongs to a link-local address. */
        if (!six->sin6_scope_id || getnameinfo((const struct sockaddr *)six, sizeof *six, name, sizeof name, NULL, 0,
                                               NI_NUMERICHOST))
            inet_ntop(AF_INET6, &six->sin6_addr, name, sizeof name);
        return Py_BuildValue("(siII)", name, (int)ntohs(six->sin6_port), (unsigned)ntohl(six->sin6_flowinfo),
                             (unsigned)six->sin6_scope_id);
    }
    return PyUnicode_FromString("");
}

/* As many as wait, up to `most`, and why there are no more: 0 when nobody waits. */
static int accept_some(int listening, struct accepted *some, int most, int *count)
{
    for (*count = 0; *count < most;) {
        struct accepted *next = &some[*count];
        socklen_t size = sizeof next->from;

        next->descriptor =
            accept4(listening, (struct sockaddr *)&next->from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (next->descriptor >= 0)
            ++*count;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        else if (errno != EINTR && errno != ECONNABORTED)
            return errno;
    }
    return 0;
}

static PyObject *accept_each(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    struct accepted some[MOST_ACCEPTED];
    long listening, most;
    int count, why;
    PyObject *all;

    (void)module;
    if (given != 2) {
        PyErr_SetString(PyExc_TypeError, "accept_each takes a descriptor, and a number");
        return NULL;
    }
    listening = PyLong_AsLong(arguments[0]);
    most = PyLong_AsLong(arguments[1]);
    if (PyErr_Occurred())
        return NULL;
    if (listening < 0 || listening > INT_MAX || most < 0) {
        PyErr_SetString(PyExc_ValueError, "neither a descriptor nor a number of connections is negative");
        return NULL;
    }

    Py_BEGIN_ALLOW_THREADS
    why = accept_some((int)listening, some, most < MOST_ACCEPTED ? (int)most : MOST_ACCEPTED, &count);
    Py_END_ALLOW_THREADS

    if (why && !count) {
        errno = why;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    all = PyList_New(0);
    for (int i = 0; i < count && all != NULL; i++) {
        PyObject *from = address(&some[i].from);
        PyObject *one = from ? Py_BuildValue("(iN)", some[i].descriptor, from) : NULL;

        if (one == NULL || PyList_Append(all, one) < 0)
            Py_CLEAR(all);
        Py_XDECREF(one);
    }
    for (int i = 0; i < count && all == NULL; i++)
        close(some[i].descriptor);
    return all;
}

#endif

static PyMethodDef functions[] = {
#ifdef __linux__
    {"accept_each", (PyCFunction)(void (*)(void))accept_each, METH_FASTCALL, NULL},
#endif
    {"write_to_each", (PyCFunction)(void (*)(void))write_to_each, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_descriptors",
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__descriptors(void)
{
    return PyModuleDef_Init(&definition);
}
