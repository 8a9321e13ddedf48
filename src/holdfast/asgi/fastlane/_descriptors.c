/* What `descriptors.py` does in Python, without a step of the interpreter for each descriptor.

   Only CPython's stable ABI, so that one build fits every version from 3.11 on. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

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

static PyMethodDef functions[] = {
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
