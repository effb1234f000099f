/* `Deciding.decide` for the call that nearly everybody makes: a principal, an action by its name, a resource and perhaps
   a context, by keywords and in this order. `deciding.py` in C. */

#include "native.h"

enum { PRINCIPAL, ACTION, RESOURCE, CONTEXT, NAMES };

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *entries;   /* By action, resource type and principal type. */
    PyObject *slowly;    /* Takes the four, where there is no entry, or the entry raises. */
    PyObject *otherwise; /* Takes whatever else it is called with. */
    PyObject *name[NAMES];
    PyObject *type;
} Shortcut;

/* Whether these are the names of the keywords, in this order. Names in code are interned. */
static int
is_usual(const Shortcut *self, Py_ssize_t positional, PyObject *names)
{
    if (positional != 0 || names == NULL) {
        return 0;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    if (count != CONTEXT && count != NAMES) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (PyTuple_GET_ITEM(names, i) != self->name[i]) {
            return 0;
        }
    }
    return 1;
}

/* What is under the type of an entity: a new reference, NULL if nothing is, or with an exception. */
static PyObject *
under_type(const Shortcut *self, PyObject *by_type, PyObject *entity)
{
    PyObject *type = PyDict_CheckExact(entity) ? get(entity, self->type) : NULL;
    PyObject *found = type != NULL && PyUnicode_CheckExact(type) && PyDict_CheckExact(by_type) ? get(by_type, type) : NULL;
    Py_XDECREF(type);
    return found;
}

static PyObject *
entry_of(const Shortcut *self, PyObject *const *given)
{
    PyObject *resources = get(self->entries, given[ACTION]);
    PyObject *principals = resources == NULL ? NULL : under_type(self, resources, given[RESOURCE]);
    PyObject *entry = principals == NULL ? NULL : under_type(self, principals, given[PRINCIPAL]);
    Py_XDECREF(resources);
    Py_XDECREF(principals);
    return entry;
}

static PyObject *
shortcut_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Shortcut *self = (Shortcut *)callable;
    if (!is_usual(self, PyVectorcall_NARGS(flags), names) || !PyUnicode_CheckExact(args[ACTION])) {
        return PyObject_Vectorcall(self->otherwise, args, flags, names);
    }
    PyObject *context = PyTuple_GET_SIZE(names) == NAMES ? args[CONTEXT] : Py_None;
    PyObject *entry = entry_of(self, args), *decision = NULL;
    if (entry != NULL) {
        PyObject *given[] = {NULL, args[PRINCIPAL], args[RESOURCE], context};
        decision = PyObject_Vectorcall(entry, given + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        Py_DECREF(entry);
    }
    if (decision != NULL) {
        return decision;
    }
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        /* Whatever it is, the long way decides. */
        PyErr_Clear();
    }
    return PyObject_CallFunctionObjArgs(self->slowly, args[PRINCIPAL], args[ACTION], args[RESOURCE], context, NULL);
}

static PyObject *
shortcut_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"principal", "action", "resource", "context"};
    PyObject *entries, *slowly, *otherwise;
    if ((keywords != NULL && PyDict_GET_SIZE(keywords) != 0) ||
        !PyArg_ParseTuple(args, "O!OO", &PyDict_Type, &entries, &slowly, &otherwise)) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "takes no keywords");
    }
    Shortcut *self = (Shortcut *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = shortcut_call;
    self->entries = Py_NewRef(entries);
    self->slowly = Py_NewRef(slowly);
    self->otherwise = Py_NewRef(otherwise);
    self->type = PyUnicode_InternFromString("type");
    int failed = self->type == NULL;
    for (int i = 0; i < NAMES; i++) {
        self->name[i] = PyUnicode_InternFromString(names[i]);
        failed = failed || self->name[i] == NULL;
    }
    if (failed) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
shortcut_traverse(PyObject *object, visitproc visit, void *arg)
{
    Shortcut *self = (Shortcut *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->entries);
    Py_VISIT(self->slowly);
    Py_VISIT(self->otherwise);
    return 0;
}

static void
shortcut_dealloc(PyObject *object)
{
    Shortcut *self = (Shortcut *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_XDECREF(self->entries);
    Py_XDECREF(self->slowly);
    Py_XDECREF(self->otherwise);
    Py_XDECREF(self->type);
    for (int i = 0; i < NAMES; i++) {
        Py_XDECREF(self->name[i]);
    }
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMemberDef shortcut_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Shortcut, vectorcall), READONLY, NULL},
    /* What it is a shortcut for: its signature and its documentation. */
    {"__wrapped__", T_OBJECT, offsetof(Shortcut, otherwise), READONLY, NULL},
    {NULL},
};

static PyType_Slot shortcut_slots[] = {
    {Py_tp_doc, "Gives the decision of an entry, where a request is asked about as nearly all are."},
    {Py_tp_new, shortcut_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, shortcut_traverse},
    {Py_tp_dealloc, shortcut_dealloc},
    {Py_tp_members, shortcut_members},
    {0, NULL},
};

PyType_Spec shortcut_spec = {
    .name = "policyengine.compile.native.Shortcut",
    .basicsize = sizeof(Shortcut),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = shortcut_slots,
};
